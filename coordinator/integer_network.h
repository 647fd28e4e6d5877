// The network of mode encrypted_inputs, in whole numbers: what the compute service holds in the
// clear and evaluates on ciphertexts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/core/hash.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::coordinator {

// GradientRule: kSeed is the update of the study that this mode replays, mistakes included: the
// first layer's step leaves the inputs out and is applied transposed,
//   W1[i][k] −= rate · dz1[i]  for every k,
// where dz1[j] belongs to hidden unit j and i counts inputs. kRight is W1[i][j] −= rate · x_i ·
// dz1[j].
enum class GradientRule : std::uint8_t { kSeed, kRight };

// gradient_rule_from_string reads "seed" or "right". Throws ConfigError.
[[nodiscard]] GradientRule gradient_rule_from_string(std::string_view name);

// IntegerNetwork has 41 inputs, a linear hidden layer of 41 and 5 outputs (role::InputNetwork):
//   a1 = W1ᵀ·x + b1,   z2 = W2ᵀ·a1 + b2.
// Both layers are linear in x, so that one matrix product gives all that is to be opened: z2 =
// (W1·W2)ᵀ·x + (W2ᵀ·b1 + b2). Parameters are whole multiples of 2^-32; products use them rounded
// to few bits, since every bit costs time on ciphertexts. All of it is integer arithmetic: the
// same inputs give the same bits, encrypted or not, on every machine. Not thread-safe.
class IntegerNetwork : private role::InputNetwork {
 public:
  static constexpr unsigned kMasterBits = 32;

  // Weights are drawn uniformly from (−1, 1) from `seed`; biases are 0. 0 < rate <= 1.
  IntegerNetwork(std::uint64_t seed, GradientRule rule, double rate);

  // Forward is the product to compute on one record: `weights` row by row, kInputs each, first the
  // kOutputs rows of z2, then the kHidden rows of a1; and what is to be added to each row's sum.
  struct Forward {
    std::vector<std::int64_t> weights;
    std::array<std::int64_t, kSums> biases{};
  };
  [[nodiscard]] const Forward& forward() const { return forward_; }

  // apply evaluates forward() in the clear.
  [[nodiscard]] std::array<std::int64_t, kSums> apply(std::span<const std::int64_t> inputs) const;

  // step takes dz2, |dz2| <= kErrorMax, and a1 as opened from forward(); and for kRight the inputs.
  // Throws ProtocolError, and changes nothing, when one of them is out of range.
  void step(std::span<const std::int64_t> errors, std::span<const std::int64_t> hidden,
            std::span<const std::int64_t> inputs);

  // clamped counts weights that did not fit kWeightBits, over all steps.
  [[nodiscard]] std::uint64_t clamped() const { return clamped_; }

  // digest is SHA-256 over the parameters: W1 by input, b1, W2 by hidden unit, b2, little-endian.
  [[nodiscard]] Digest digest() const;

 private:
  void make_forward();
  [[nodiscard]] std::int64_t rounded(std::int64_t value, unsigned bits, unsigned to);

  GradientRule rule_;
  std::int64_t rate_;  // · 2^-30
  std::vector<std::int64_t> w1_, b1_, w2_, b2_;
  Forward forward_;
  std::uint64_t clamped_ = 0;
};

}  // namespace blindsum::coordinator
