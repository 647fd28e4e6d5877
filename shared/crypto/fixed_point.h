// Fixed-point form of real numbers: the integers that are encrypted and summed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace blindsum::crypto {

enum class Rounding { kNearest, kStochastic };

[[nodiscard]] std::string_view to_string(Rounding rounding);
[[nodiscard]] Rounding rounding_from_string(std::string_view name);  // Throws ConfigError.

// Quantised holds the integers of one vector and the coordinates that the clip changed, ascending.
struct Quantised {
  std::vector<std::int64_t> values;
  std::vector<std::uint32_t> clipped;
};

// FixedPoint maps a real x to the integer q = clamp(round(clamp(x, ±clip) · scale), ±max_abs),
// where max_abs = 2^(bits-1) - 1 and scale = max_abs / clip. −0.0 is 0. Immutable.
class FixedPoint {
 public:
  // Throws ConfigError unless 2 <= bits <= 32 and clip is finite and positive.
  FixedPoint(unsigned bits, double clip, Rounding rounding = Rounding::kNearest);

  [[nodiscard]] unsigned bits() const { return bits_; }
  [[nodiscard]] double clip() const { return clip_; }
  [[nodiscard]] Rounding rounding() const { return rounding_; }
  [[nodiscard]] std::int64_t max_abs() const { return (std::int64_t{1} << (bits_ - 1)) - 1; }
  [[nodiscard]] double scale() const { return static_cast<double>(max_abs()) / clip_; }

  // encode quantises every coordinate. Stochastic rounding draws its bits from (seed, party,
  // round), so a retry gives the same integers. Throws CryptoError for NaN or infinity, naming the
  // coordinate's index.
  [[nodiscard]] Quantised encode(std::span<const double> reals, std::uint64_t seed,
                                 std::uint32_t party, std::uint32_t round) const;

  // clamp moves integers beyond ± max_abs to the bound.
  [[nodiscard]] Quantised clamp(std::vector<std::int64_t> values) const;

  // error_bound is how far a mean of encoded values can be from the mean of the reals, none of
  // which is clipped: half a step, 1 / scale, to nearest; a step, which is never reached,
  // stochastically.
  [[nodiscard]] double error_bound() const;

  // decode returns sum / scale for the sum of any number of encoded values.
  [[nodiscard]] double decode(std::int64_t sum) const { return static_cast<double>(sum) / scale(); }

 private:
  unsigned bits_;
  double clip_;
  Rounding rounding_;
};

}  // namespace blindsum::crypto
