#include "shared/crypto/fixed_point.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/core/words.h"

namespace blindsum::crypto {

namespace {
constexpr Words<Rounding, 2> kRoundings("rounding", {"nearest", "stochastic"});
}  // namespace

std::string_view to_string(Rounding rounding) { return kRoundings.word(rounding); }

Rounding rounding_from_string(std::string_view name) { return kRoundings.value(name); }

FixedPoint::FixedPoint(unsigned bits, double clip, Rounding rounding)
    : bits_(bits), clip_(clip), rounding_(rounding) {
  if (bits < 2 || bits > 32) {
    throw ConfigError("fixed point of " + std::to_string(bits) + " bits: 2 to 32");
  }
  if (!std::isfinite(clip) || clip <= 0 || !std::isfinite(scale()) || scale() <= 0) {
    throw ConfigError("the clip of the fixed point must be a positive number");
  }
}

Quantised FixedPoint::encode(std::span<const double> reals, std::uint64_t seed, std::uint32_t party,
                             std::uint32_t round) const {
  Quantised result;
  result.values.reserve(reals.size());
  SeededRandom random(seed, "stochastic-rounding", {party, round});
  const auto bound = static_cast<double>(max_abs());
  for (std::size_t i = 0; i < reals.size(); ++i) {
    const double real = reals[i];
    if (!std::isfinite(real)) {
      throw CryptoError("value " + std::to_string(i) + " is " +
                        (std::isnan(real) ? "not a number" : "infinite"));
    }
    if (std::abs(real) > clip_) result.clipped.push_back(static_cast<std::uint32_t>(i));
    const double scaled = std::clamp(real, -clip_, clip_) * scale();
    double rounded = 0;
    if (rounding_ == Rounding::kNearest) {
      rounded = std::nearbyint(scaled);
    } else {
      const double low = std::floor(scaled);
      rounded = random.uniform() < scaled - low ? low + 1 : low;
    }
    result.values.push_back(static_cast<std::int64_t>(std::clamp(rounded, -bound, bound)));
  }
  return result;
}

Quantised FixedPoint::clamp(std::vector<std::int64_t> values) const {
  Quantised result{std::move(values), {}};
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    std::int64_t& value = result.values[i];
    const std::int64_t inside = std::clamp(value, -max_abs(), max_abs());
    if (inside != value) result.clipped.push_back(static_cast<std::uint32_t>(i));
    value = inside;
  }
  return result;
}

double FixedPoint::error_bound() const {
  return (rounding_ == Rounding::kNearest ? 0.5 : 1) / scale();
}

}  // namespace blindsum::crypto
