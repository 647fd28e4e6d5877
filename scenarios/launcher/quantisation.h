// How many bits a gradient value needs, how far it may reach, and why no sum leaves its slot.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "shared/settings/settings.h"

namespace blindsum::launcher {

// bits_for returns the fewest bits whose error bound (crypto::FixedPoint::error_bound) is at most
// fixed_point.tolerance, or more where they cost no further plaintext. Throws ConfigError that says
// what would do when 32 bits are not enough, or when the settings do not fit each other.
[[nodiscard]] unsigned bits_for(const settings::Settings& settings);

// FixedPointChoice is what a tolerance comes to when the clip is open, too.
struct FixedPointChoice {
  unsigned bits = 0;
  double clip = 0;
  friend bool operator==(const FixedPointChoice&, const FixedPointChoice&) = default;
};

// widest_for takes the fewest bits that keep fixed_point.tolerance with fixed_point.clip, the
// algorithm's, and then doubles the clip with one more bit as long as an update stays in as many
// plaintexts: the step, and so the bound, stays (it shrinks a little: (2^b - 1/2) > (2^b - 1)), and
// fewer values are clipped. It stops at 32 bits, and below the largest clip that a scenario takes.
// Throws as bits_for does.
[[nodiscard]] FixedPointChoice widest_for(const settings::Settings& settings);

// quantisation_of says what the settings' fixed point amounts to: bits, clip, rounding, step, and
// bound: how far a mean over full batches can be off in a coordinate that nobody clipped.
[[nodiscard]] nlohmann::json quantisation_of(const settings::Settings& settings);

// headroom_of says why the sum of all parties' values stays in its slot: the inequality that the
// codec checks (crypto::PackingLayout), with its numbers, and in how many ciphertexts an update is.
[[nodiscard]] nlohmann::json headroom_of(const settings::Settings& settings);

// bound_text and headroom_text put them in words.
[[nodiscard]] std::string bound_text(const nlohmann::json& quantisation);
[[nodiscard]] std::string headroom_text(const nlohmann::json& headroom);

}  // namespace blindsum::launcher
