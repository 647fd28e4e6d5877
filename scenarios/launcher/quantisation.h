// How many bits a gradient value needs.
#pragma once

#include <nlohmann/json.hpp>

#include "shared/settings/settings.h"

namespace blindsum::launcher {

// bits_for returns the fewest bits whose error bound (crypto::FixedPoint::error_bound) is at most
// fixed_point.tolerance, or more where they cost no further plaintext. Throws ConfigError that says
// what would do when 32 bits are not enough, or when the settings do not fit each other.
[[nodiscard]] unsigned bits_for(const settings::Settings& settings);

// quantisation_of says what the settings' fixed point amounts to: bits, clip, rounding, step, and
// bound: how far a mean over full batches can be off in a coordinate that nobody clipped.
[[nodiscard]] nlohmann::json quantisation_of(const settings::Settings& settings);

}  // namespace blindsum::launcher
