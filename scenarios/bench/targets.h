// What Blindsum wants to reach, on one core of an AMD Zen 5 with AVX-512 IFMA at about 3.8 GHz.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scenarios/bench/engine.h"

namespace blindsum::bench {

// Target is a bound on one figure of a row.
struct Target {
  enum class Figure { kSeconds, kValuesPerSecond, kBytesPerValue };  // per unit of the row
  Figure figure;
  double bound;

  // is_met: at most `bound` seconds or bytes, at least `bound` values a second.
  [[nodiscard]] bool is_met(double measured) const {
    return figure == Figure::kValuesPerSecond ? measured >= bound : measured <= bound;
  }
};

// targets_of returns the targets of a case, most have none. Operations have targets on one thread,
// key generation on two; the portable kernel is allowed ten times the time.
[[nodiscard]] std::vector<Target> targets_of(const Case& measured, std::size_t threads);

}  // namespace blindsum::bench
