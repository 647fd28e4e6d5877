#include "coordinator/integer_network.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/core/words.h"

namespace blindsum::coordinator {
namespace {

using N = role::InputNetwork;
constexpr unsigned kMasterBits = IntegerNetwork::kMasterBits;

constexpr unsigned kRateBits = 30;
constexpr unsigned kFactorBits = 20;  // of a weight as the factor of an error or of another weight
constexpr unsigned kHiddenSumBits = N::kInputBits + N::kHiddenBits;

// Parameters stay so small that no product of a step leaves 63 bits.
constexpr std::int64_t kParameterMax = std::int64_t{1} << (kMasterBits + 8);

// shifted returns value / 2^bits, rounded to nearest, halves up.
std::int64_t shifted(std::int64_t value, unsigned bits) {
  return (value + (std::int64_t{1} << (bits - 1))) >> bits;
}

void move(std::int64_t& parameter, std::int64_t step) {
  parameter = std::clamp(parameter - step, -kParameterMax, kParameterMax);
}

void require_range(std::span<const std::int64_t> values, std::size_t count, std::int64_t least,
                   std::int64_t most, const char* what) {
  if (values.size() != count) {
    throw ProtocolError(std::to_string(values.size()) + " " + what + ", expected " +
                        std::to_string(count));
  }
  for (const std::int64_t value : values) {
    if (value < least || value > most) {
      throw ProtocolError(std::string(what) + ": " + std::to_string(value) + " is out of range");
    }
  }
}

}  // namespace

GradientRule gradient_rule_from_string(std::string_view name) {
  static constexpr Words<GradientRule, 2> kWords("gradient", {"seed", "right"});
  return kWords.value(name);
}

IntegerNetwork::IntegerNetwork(std::uint64_t seed, GradientRule rule, double rate)
    : rule_(rule),
      rate_(std::llround(std::ldexp(rate, kRateBits))),
      w1_(kInputs * kHidden),
      b1_(kHidden),
      w2_(kHidden * kOutputs),
      b2_(kOutputs) {
  SeededRandom random(seed, "integer-network");
  const auto draw = [&random](std::int64_t& weight) {
    const std::uint64_t bits = random.next_u64() >> (63 - kMasterBits);  // below 2^(bits + 1)
    weight = static_cast<std::int64_t>(bits) - (std::int64_t{1} << kMasterBits);
  };
  std::for_each(w1_.begin(), w1_.end(), draw);
  std::for_each(w2_.begin(), w2_.end(), draw);
  make_forward();
}

// rounded turns a value of `bits` fractional bits into a weight of `to`.
std::int64_t IntegerNetwork::rounded(std::int64_t value, unsigned bits, unsigned to) {
  constexpr std::int64_t kMost = (std::int64_t{1} << (kWeightBits - 1)) - 1;
  const std::int64_t weight = shifted(value, bits - to);
  if (std::abs(weight) > kMost) ++clamped_;
  return std::clamp(weight, -kMost, kMost);
}

void IntegerNetwork::make_forward() {
  constexpr std::int64_t kMostBias = std::int64_t{1} << (kInputBits + kWeightBits - 1);
  forward_.weights.resize(kSums * kInputs);
  std::int64_t* const z2 = forward_.weights.data();
  std::int64_t* const a1 = z2 + kOutputs * kInputs;
  std::array<std::int64_t, kHidden * kOutputs> factors{};
  for (std::size_t i = 0; i < factors.size(); ++i) {
    factors[i] = shifted(w2_[i], kMasterBits - kFactorBits);
  }
  // sum_of returns Σ_j v_j·W2[j][k] for all k, with 2·kFactorBits fractional bits.
  const auto sum_of = [&](const std::int64_t* v) {
    std::array<std::int64_t, kOutputs> sums{};
    for (std::size_t j = 0; j < kHidden; ++j) {
      const std::int64_t factor = shifted(v[j], kMasterBits - kFactorBits);
      for (std::size_t k = 0; k < kOutputs; ++k) sums[k] += factor * factors[j * kOutputs + k];
    }
    return sums;
  };
  for (std::size_t i = 0; i < kInputs; ++i) {
    const auto sums = sum_of(&w1_[i * kHidden]);
    for (std::size_t k = 0; k < kOutputs; ++k) {
      z2[k * kInputs + i] = rounded(sums[k], 2 * kFactorBits, kOutputBits);
    }
    for (std::size_t j = 0; j < kHidden; ++j) {
      a1[j * kInputs + i] = rounded(w1_[i * kHidden + j], kMasterBits, kHiddenBits);
    }
  }
  const auto bias = [&](std::int64_t value, unsigned bits, unsigned to) {
    return std::clamp(shifted(value, bits - to), -kMostBias, kMostBias);
  };
  const auto sums = sum_of(b1_.data());
  for (std::size_t k = 0; k < kOutputs; ++k) {
    forward_.biases[k] = bias(sums[k] + (b2_[k] << (2 * kFactorBits - kMasterBits)),
                              2 * kFactorBits, kInputBits + kOutputBits);
  }
  for (std::size_t j = 0; j < kHidden; ++j) {
    forward_.biases[kOutputs + j] = bias(b1_[j], kMasterBits, kHiddenSumBits);
  }
}

std::array<std::int64_t, IntegerNetwork::kSums> IntegerNetwork::apply(
    std::span<const std::int64_t> inputs) const {
  std::array<std::int64_t, kSums> sums = forward_.biases;
  for (std::size_t row = 0; row < kSums; ++row) {
    for (std::size_t i = 0; i < kInputs; ++i) {
      sums[row] += forward_.weights[row * kInputs + i] * inputs[i];
    }
  }
  return sums;
}

void IntegerNetwork::step(std::span<const std::int64_t> errors,
                          std::span<const std::int64_t> hidden,
                          std::span<const std::int64_t> inputs) {
  require_range(errors, kOutputs, -kErrorMax, kErrorMax, "errors");
  require_range(hidden, kHidden, -kMaxSum, kMaxSum, "hidden values");
  require_range(inputs, rule_ == GradientRule::kRight ? kInputs : 0, 0, kInputMax, "inputs");

  constexpr unsigned kStepBits = kErrorBits + kRateBits - 16;  // rate · error, 30 bits
  std::array<std::int64_t, kOutputs> steps{};
  for (std::size_t k = 0; k < kOutputs; ++k) steps[k] = shifted(errors[k] * rate_, 16);
  for (std::size_t j = 0; j < kHidden; ++j) {
    std::int64_t back = 0;  // rate · dz1[j]
    for (std::size_t k = 0; k < kOutputs; ++k) {
      back += steps[k] * shifted(w2_[j * kOutputs + k], kMasterBits - kFactorBits);
    }
    back = shifted(back, kStepBits + kFactorBits - kMasterBits);
    for (std::size_t k = 0; k < kOutputs; ++k) {
      move(w2_[j * kOutputs + k],
           shifted(steps[k] * hidden[j], kStepBits + kHiddenSumBits - kMasterBits));
    }
    move(b1_[j], back);
    if (rule_ == GradientRule::kSeed) {
      for (std::size_t k = 0; k < kHidden; ++k) move(w1_[j * kHidden + k], back);
    } else {
      for (std::size_t i = 0; i < kInputs; ++i) {
        if (inputs[i] != 0) move(w1_[i * kHidden + j], shifted(back * inputs[i], kInputBits));
      }
    }
  }
  for (std::size_t k = 0; k < kOutputs; ++k) {
    move(b2_[k], steps[k] << (kMasterBits - kStepBits));
  }
  make_forward();
}

Digest IntegerNetwork::digest() const {
  Bytes bytes;
  for (const auto* values : {&w1_, &b1_, &w2_, &b2_}) {
    for (const std::int64_t value : *values) append_le64(bytes, static_cast<std::uint64_t>(value));
  }
  return sha256(bytes);
}

}  // namespace blindsum::coordinator
