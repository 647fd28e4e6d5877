#include "shared/crypto/kernels/multi_exponent.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace blindsum::crypto::kernels {
namespace {

constexpr unsigned kMaxWindow = 8;

// magnitude returns |w|, 2^63 for the least int64.
std::uint64_t magnitude(std::int64_t weight) {
  const auto bits = static_cast<std::uint64_t>(weight);
  return weight < 0 ? 0 - bits : bits;
}

}  // namespace

WeightRows::WeightRows(std::span<const std::int64_t> weights, std::size_t outputs,
                       std::size_t at_once, std::size_t table_entries)
    : weights_(weights), outputs_(outputs), inputs_(weights.size() / outputs) {
  parts_ = std::clamp<std::size_t>(at_once / outputs_, 1, std::max<std::size_t>(inputs_, 1));
  std::uint64_t largest = 0;
  for (const std::int64_t weight : weights_) {
    largest = std::max(largest, magnitude(weight));
    has_negative_ = has_negative_ || weight < 0;
  }
  // Products for one input: its powers, and the digits of its weights.
  const auto cost = [&](unsigned window) {
    return (std::size_t{1} << (window - 1)) +
           outputs_ * static_cast<std::size_t>(std::bit_width(largest)) / (window + 1);
  };
  window_ = has_negative_ ? 2 : 1;
  while (window_ < kMaxWindow && cost(window_ + 1) < cost(window_) &&
         (inputs_ << window_) <= table_entries) {
    ++window_;
  }
}

WeightRows::Terms WeightRows::terms(std::size_t row) const {
  const std::size_t part = row / outputs_;
  const std::size_t first = row % outputs_ * inputs_;
  Terms terms;
  for (std::size_t i = inputs_ * part / parts_; i < inputs_ * (part + 1) / parts_; ++i) {
    const std::int64_t weight = weights_[first + i];
    std::uint64_t rest = magnitude(weight);
    for (std::size_t bit = 0; rest != 0;) {
      const int zeros = std::countr_zero(rest);
      rest >>= zeros;
      bit += static_cast<std::size_t>(zeros);
      if (terms.size() <= bit) terms.resize(bit + 1);
      // The digit is rest mod 2^w, of least magnitude if signed: what remains is divisible by 2^w.
      const std::uint64_t low = rest & ((std::uint64_t{1} << window_) - 1);
      const bool is_negative = has_negative_ && low >> (window_ - 1) != 0;
      const std::uint64_t digit = is_negative ? (std::uint64_t{1} << window_) - low : low;
      rest = is_negative ? rest + digit : rest - digit;
      const std::size_t number = i + (is_negative != (weight < 0) ? inputs_ : 0);
      terms[bit].push_back(static_cast<std::uint32_t>(number * odd_powers() + digit / 2));
    }
  }
  return terms;
}

SlotRows::SlotRows(std::span<const std::int64_t> weights, std::size_t slots, unsigned slot_bits,
                   std::size_t outputs, std::size_t at_once)
    : outputs_(outputs),
      slots_(slots),
      slot_bits_(slot_bits),
      inputs_(weights.size() / (outputs * slots)),
      parts_(std::clamp<std::size_t>(at_once / outputs, 1, std::max<std::size_t>(inputs_, 1))) {
  std::uint64_t largest = 0;
  for (const std::int64_t weight : weights) largest = std::max(largest, magnitude(weight));
  // The highest digit reaches 8, so that digits_each of them go up to 8·16^(digits_each − 1).
  const auto bits = static_cast<unsigned>(std::bit_width(largest));
  digits_each_ = std::max<std::size_t>(1, (bits + kWindow - 1) / kWindow);
  if (bits == digits_each_ * kWindow && bits > 0) ++digits_each_;
  entries_.resize(weights.size() * digits_each_);
  constexpr auto kHalf = std::int64_t{1} << (kWindow - 1);
  for (std::size_t at = 0; at < weights.size(); ++at) {
    // Within an output: slot s is the (slots − 1 − s)-th group of places.
    const std::size_t row = at / inputs_;
    const std::size_t slot = row % slots_;
    const std::size_t group = (row - slot + slots_ - 1 - slot) * digits_each_;
    std::int64_t rest = weights[at];
    for (std::size_t d = digits_each_; d-- > 0;) {
      // What is left is divisible by 16 after a low digit was taken off; the last takes it all.
      std::int64_t digit = rest;
      if (d > 0) {
        digit = rest & (2 * kHalf - 1);
        if (digit >= kHalf) digit -= 2 * kHalf;
      }
      const std::size_t input = at % inputs_;
      const std::size_t number = digit < 0 ? inputs_ + input : input;
      entries_[(group + d) * inputs_ + input] =
          digit == 0 ? kNone
                     : static_cast<std::uint32_t>(number * kPowers +
                                                  static_cast<std::size_t>(std::abs(digit)) - 1);
      rest = (rest - digit) / (2 * kHalf);
    }
  }
}

std::size_t SlotRows::squarings(std::size_t place) const {
  const auto bit = [this](std::size_t p) {
    return (slots_ - 1 - p / digits_each_) * slot_bits_ +
           (digits_each_ - 1 - p % digits_each_) * kWindow;
  };
  return place + 1 < places() ? bit(place) - bit(place + 1) : 0;
}

std::span<const std::uint32_t> SlotRows::entries(std::size_t row, std::size_t place) const {
  const std::size_t part = row / outputs_;
  const std::size_t begin = inputs_ * part / parts_;
  const std::size_t end = inputs_ * (part + 1) / parts_;
  return std::span(entries_).subspan((row % outputs_ * places() + place) * inputs_ + begin,
                                     end - begin);
}

void multiply_parts(const PublicContext& context, std::size_t width, ConstLimbs rows, Limbs out) {
  std::copy_n(rows.begin(), out.size(), out.begin());
  for (std::size_t at = out.size(); at < rows.size(); at += out.size()) {
    context.multiply(out, rows.subspan(at, out.size()), out.size() / width, out);
  }
}

namespace {

// power_table makes, of each base and each inverse, `powers` powers: the odd ones, or 1, 2, 3, ….
std::vector<std::uint64_t> power_table(const PairRing& ring, ConstLimbs bases, ConstLimbs inverses,
                                       bool has_negative, std::size_t powers, bool odd,
                                       ThreadPool& pool) {
  const std::size_t width = 2 * ring.limbs();
  const std::size_t inputs = bases.size() / width;
  const SecretLimbs r_cubed = ring.power_of_r(3);
  std::vector<std::uint64_t> table(powers * width * (has_negative ? 2 : 1) * inputs);
  pool.parallel_for(table.size() / (powers * width), [&](std::size_t i) {
    SecretLimbs scratch(ring.scratch_limbs());
    std::uint64_t* const first = &table[i * powers * width];
    const ConstLimbs numbers = i < inputs ? bases : inverses;
    ring.from_integer(first, &numbers[i % inputs * width], scratch.data());
    ring.multiply(first, first, r_cubed.data(), scratch.data());
    std::vector<std::uint64_t> step(first, first + width);
    if (powers > 1 && odd) ring.square(step.data(), first, scratch.data());
    for (std::size_t j = 1; j < powers; ++j) {
      ring.multiply(first + j * width, first + (j - 1) * width, step.data(), scratch.data());
    }
  });
  return table;
}

}  // namespace

void multi_exponentiate(const PairRing& ring, ConstLimbs bases, ConstLimbs inverses,
                        const WeightRows& rows, ThreadPool& pool, Limbs out) {
  const std::size_t width = 2 * ring.limbs();
  const SecretLimbs unit = ring.power_of_r(1);
  const auto table =
      power_table(ring, bases, inverses, rows.has_negative(), rows.odd_powers(), true, pool);
  pool.parallel_for(rows.rows(), [&](std::size_t row) {
    SecretLimbs scratch(ring.scratch_limbs());
    std::vector<std::uint64_t> product(unit.begin(), unit.end());
    std::vector<std::uint64_t> one(width);
    one[0] = 1;
    const WeightRows::Terms terms = rows.terms(row);
    for (std::size_t bit = terms.size(); bit-- > 0;) {
      if (bit + 1 < terms.size()) ring.square(product.data(), product.data(), scratch.data());
      for (const std::uint32_t entry : terms[bit]) {
        ring.multiply(product.data(), product.data(), &table[entry * width], scratch.data());
      }
    }
    ring.multiply(product.data(), product.data(), one.data(), scratch.data());
    ring.to_integer(&out[row * width], product.data(), scratch.data());
  });
}

void multi_exponentiate(const PairRing& ring, ConstLimbs bases, ConstLimbs inverses,
                        const SlotRows& rows, ThreadPool& pool, Limbs out) {
  const std::size_t width = 2 * ring.limbs();
  const SecretLimbs unit = ring.power_of_r(1);
  const auto table = power_table(ring, bases, inverses, true, SlotRows::kPowers, false, pool);
  pool.parallel_for(rows.rows(), [&](std::size_t row) {
    SecretLimbs scratch(ring.scratch_limbs());
    std::vector<std::uint64_t> product(unit.begin(), unit.end());
    std::vector<std::uint64_t> one(width);
    one[0] = 1;
    for (std::size_t place = 0; place < rows.places(); ++place) {
      for (const std::uint32_t entry : rows.entries(row, place)) {
        if (entry == SlotRows::kNone) continue;
        ring.multiply(product.data(), product.data(), &table[entry * width], scratch.data());
      }
      for (std::size_t i = rows.squarings(place); i > 0; --i) {
        ring.square(product.data(), product.data(), scratch.data());
      }
    }
    ring.multiply(product.data(), product.data(), one.data(), scratch.data());
    ring.to_integer(&out[row * width], product.data(), scratch.data());
  });
}

}  // namespace blindsum::crypto::kernels
