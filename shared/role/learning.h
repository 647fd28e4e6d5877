// What the settings say about the model, in the model's own terms: for parties, the key-holder and
// the centralized run.
#pragma once

#include "shared/model/local_training.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"
#include "shared/model/training.h"
#include "shared/settings/settings.h"

namespace blindsum::role {

// Each throws ConfigError for a word that the model does not know.
[[nodiscard]] model::Shape shape_of(const settings::Settings& settings);
[[nodiscard]] model::OptimizerSettings optimizer_of(const settings::Settings& settings);
[[nodiscard]] model::LocalSettings local_of(const settings::Settings& settings);
[[nodiscard]] model::ClassWeights class_weights_of(const settings::Settings& settings);

}  // namespace blindsum::role
