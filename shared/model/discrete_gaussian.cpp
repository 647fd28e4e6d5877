#include "shared/model/discrete_gaussian.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "shared/core/error.h"
#include "shared/core/random.h"

namespace blindsum::model {
namespace {

__extension__ using Wide = unsigned __int128;

// SecretStream hands out random words from the operating system, many at a time; wiped at its end.
class SecretStream {
 public:
  SecretStream() : buffer_(kBytes) {}

  std::uint64_t word() {
    if (used_ == kBytes) {
      fill_random(buffer_.bytes());
      used_ = 0;
    }
    std::uint64_t word = 0;
    std::memcpy(&word, buffer_.bytes().data() + used_, sizeof word);
    used_ += sizeof word;
    return word;
  }

  // below returns a uniform number in [0, bound), bound > 0.
  Wide below(Wide bound) {
    const auto high = static_cast<std::uint64_t>((bound - 1) >> 64);
    const auto low = static_cast<std::uint64_t>(bound - 1);
    const bool is_wide = high != 0;
    const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero((is_wide ? high : low) | 1);
    for (;;) {
      Wide drawn = is_wide ? word() & mask : 0;
      drawn = is_wide ? drawn << 64 | word() : Wide{word() & mask};
      if (drawn < bound) return drawn;
    }
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{1} << 15;
  SecretBytes buffer_;
  std::size_t used_ = kBytes;
};

// accept returns true with probability e^(−numerator/denominator).
bool accept(SecretStream& random, Wide numerator, Wide denominator) {
  const auto accept_fraction = [&](Wide part) {
    std::uint64_t k = 1;
    // part/denominator <= 1: the series of e^−γ, one coin after the other.
    while (random.below(denominator * k) < part) ++k;
    return k % 2 == 1;
  };
  for (; numerator > denominator; numerator -= denominator) {
    if (!accept_fraction(denominator)) return false;
  }
  return accept_fraction(numerator);
}

// discrete_laplace draws x with probability proportional to e^(−|x|/scale).
std::int64_t discrete_laplace(SecretStream& random, std::uint64_t scale) {
  for (;;) {
    const auto fraction = static_cast<std::uint64_t>(random.below(scale));
    if (!accept(random, fraction, scale)) continue;
    std::uint64_t whole = 0;
    while (accept(random, 1, 1)) ++whole;
    const auto magnitude = static_cast<std::int64_t>(fraction + scale * whole);
    const bool is_negative = random.below(2) == 1;
    if (is_negative && magnitude == 0) continue;
    return is_negative ? -magnitude : magnitude;
  }
}

}  // namespace

std::vector<std::int64_t> discrete_gaussian(std::uint64_t deviation, std::size_t count) {
  if (deviation < 1 || deviation > kMaxDiscreteDeviation) {
    throw ConfigError("noise with a deviation of " + std::to_string(deviation) +
                      " steps; it must be from 1 to " + std::to_string(kMaxDiscreteDeviation) +
                      ": change privacy.noise, privacy.clip or fixed_point.bits");
  }
  SecretStream random;
  const std::uint64_t scale = deviation + 1;
  const Wide variance = Wide{deviation} * deviation;
  // Beyond, |x|·scale would not fit; e^−(2^15) is what is cut off.
  const auto furthest = static_cast<std::int64_t>(deviation << 8);
  std::vector<std::int64_t> values;
  values.reserve(count);
  while (values.size() < count) {
    const std::int64_t x = discrete_laplace(random, scale);
    const std::int64_t magnitude = std::abs(x);
    if (magnitude > furthest) continue;
    const Wide scaled = Wide(magnitude) * scale;
    const Wide distance = scaled > variance ? scaled - variance : variance - scaled;
    if (accept(random, distance * distance, 2 * variance * scale * scale)) values.push_back(x);
  }
  return values;
}

std::vector<std::uint32_t> bernoulli_sample(std::size_t count, double rate) {
  if (!(rate > 0 && rate <= 1)) {
    throw ConfigError("a sampling rate lies above 0 and is at most 1");
  }
  constexpr int kBits = 53;
  const auto threshold = static_cast<std::uint64_t>(std::ldexp(rate, kBits));
  SecretStream random;
  std::vector<std::uint32_t> sample;
  for (std::size_t i = 0; i < count; ++i) {
    if (random.word() >> (64 - kBits) < threshold) sample.push_back(static_cast<std::uint32_t>(i));
  }
  return sample;
}

}  // namespace blindsum::model
