// What the three roles of mode encrypted_inputs agree on: the fixed point of inputs and sums, and
// how sums lie in plaintexts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/core/hash.h"
#include "shared/crypto/plaintext.h"
#include "shared/settings/settings.h"
#include "shared/wire/codec.h"

namespace blindsum::role {

// The network has 41 inputs, a linear hidden layer of 41 and 5 outputs. A whole number v stands for
// v · 2^-bits. Few bits: an input has 7, since every bit of a weight costs time on ciphertexts and
// more change no prediction that matters (see scenarios/seed-replay.md).
struct InputNetwork {
  static constexpr std::size_t kInputs = 41;
  static constexpr std::size_t kHidden = 41;
  static constexpr std::size_t kOutputs = 5;
  // Sums of one training record: the 5 outputs z2, then the 41 hidden values a1.
  static constexpr std::size_t kSums = kOutputs + kHidden;

  static constexpr unsigned kInputBits = 7;   // inputs: 0 to kInputMax
  static constexpr unsigned kHiddenBits = 6;  // weights of the rows that give a1
  static constexpr unsigned kOutputBits = 4;  // weights of the rows that give z2
  static constexpr unsigned kErrorBits = 16;  // dz2, |dz2| <= kErrorMax
  static constexpr unsigned kWeightBits = 8;  // |weight| < 2^(kWeightBits - 1)
  static constexpr std::int64_t kInputMax = std::int64_t{1} << kInputBits;
  static constexpr std::int64_t kErrorMax = std::int64_t{1} << kErrorBits;

  // kMaxSum bounds |Σ w·x + bias|, a bias being as large as one product at most.
  static constexpr std::int64_t kMaxSum = static_cast<std::int64_t>(kInputs + 1)
                                          << (kInputBits + kWeightBits - 1);
};

// SumLayout says how the sums of one record lie in `ciphertexts` plaintexts: sum i in slot i mod
// slots of plaintext i / slots, slots from the low end, as v + 2^(slot_bits − 1). What is above
// the last sum is zero.
struct SumLayout {
  static constexpr unsigned kSlotBits = 21;
  std::size_t sums = 0;
  std::size_t ciphertexts = 0;
  std::size_t slots = 0;

  // training: eight plaintexts, as many as the vector kernels work on at once; they fit a modulus
  // of 256 bits. testing: z2 alone, in one.
  [[nodiscard]] static constexpr SumLayout training() { return {InputNetwork::kSums, 8, 6}; }
  [[nodiscard]] static constexpr SumLayout testing() { return {InputNetwork::kOutputs, 1, 5}; }

  // padded returns `weights` (a row of kInputs for each sum) with rows of zeros for unused slots.
  [[nodiscard]] std::vector<std::int64_t> padded(std::span<const std::int64_t> weights) const;

  // offsets are the plaintexts to add to a product so that every slot is v + bias + 2^(slot_bits −
  // 1). |bias| < 2^(slot_bits − 1).
  [[nodiscard]] crypto::PlaintextVector offsets(std::span<const std::int64_t> biases,
                                                std::size_t limbs_each) const;

  // read returns the sums. Throws CryptoError when one is beyond kMaxSum or anything lies above the
  // last: the plaintexts are then not what a service makes that keeps to the rules.
  [[nodiscard]] std::vector<std::int64_t> read(const crypto::PlaintextVector& plaintexts,
                                               std::size_t first = 0) const;
};
static_assert(InputNetwork::kMaxSum < (std::int64_t{1} << (SumLayout::kSlotBits - 1)));

// kRecordsAtOnce is how many records a message carries at most; kTestsAtOnce how many test records
// are opened together.
inline constexpr std::uint32_t kRecordsAtOnce = 32;
inline constexpr std::uint32_t kLabelsAtOnce = 4096;
inline constexpr std::uint32_t kTestsAtOnce = 8;

// append_values and values_from write whole numbers as 32 bits each, two's complement,
// little-endian. values_from throws ProtocolError when the length is not that of `count` numbers.
void append_values(Bytes& out, std::span<const std::int64_t> values);
[[nodiscard]] std::vector<std::int64_t> values_from(ByteView bytes, std::size_t count);

// replay_id is a hash over all that the roles must agree on, key apart.
[[nodiscard]] Digest replay_id(const settings::Settings& settings);

// replay_limits returns what a link of such a run accepts.
[[nodiscard]] wire::CodecLimits replay_limits(const settings::Settings& settings);

}  // namespace blindsum::role
