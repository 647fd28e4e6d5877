// What the settings say about the model, in the model's own terms: for parties, the key-holder and
// the centralized run.
#pragma once

#include "shared/data/schema.h"
#include "shared/model/local_training.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"
#include "shared/model/training.h"
#include "shared/report/records.h"
#include "shared/settings/settings.h"

namespace blindsum::role {

// schema_of is what a record of the run is: KDD'99's, or the scenario's own. Throws ConfigError
// when the scenario's does not hold together.
[[nodiscard]] data::Schema schema_of(const settings::Settings& settings);

// Each throws ConfigError for a word that the model does not know.
[[nodiscard]] model::Shape shape_of(const settings::Settings& settings);
[[nodiscard]] model::OptimizerSettings optimizer_of(const settings::Settings& settings);
[[nodiscard]] model::LocalSettings local_of(const settings::Settings& settings);
[[nodiscard]] model::ClassWeights class_weights_of(const settings::Settings& settings);

// evaluation_of says what a confusion matrix over the schema's classes comes to.
[[nodiscard]] report::Evaluation evaluation_of(const model::Confusion& confusion,
                                               const data::Schema& schema);

}  // namespace blindsum::role
