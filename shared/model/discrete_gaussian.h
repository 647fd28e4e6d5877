// Whole numbers with a Gaussian distribution, exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace blindsum::model {

inline constexpr std::uint64_t kMaxDiscreteDeviation = std::uint64_t{1} << 24;

// discrete_gaussian draws `count` independent whole numbers x with probability proportional to
// e^(−x²/(2·deviation²)), from the operating system's randomness: Canonne, Kamath and Steinke 2020,
// algorithms 1 to 3, in whole numbers alone, so that no rounding bends the distribution. The time
// that it takes depends on what it draws. Throws ConfigError unless 1 <= deviation <=
// kMaxDiscreteDeviation. Thread-safe.
[[nodiscard]] std::vector<std::int64_t> discrete_gaussian(std::uint64_t deviation,
                                                          std::size_t count);

// bernoulli_sample lists, ascending, which of `count` items a Poisson sample holds: each with
// probability `rate` (to 2^-53), independently, from the operating system's randomness. Throws
// ConfigError unless 0 < rate <= 1. Thread-safe.
[[nodiscard]] std::vector<std::uint32_t> bernoulli_sample(std::size_t count, double rate);

}  // namespace blindsum::model
