// What the three roles of private detection (encrypted_inputs.task: detect) agree on: how records
// are whole numbers, and how sums lie in plaintexts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "shared/crypto/plaintext.h"
#include "shared/settings/settings.h"
#include "shared/wire/codec.h"

namespace blindsum::role {

__extension__ using Int128 = __int128;

// DetectionInputs: a record is 84 inputs of 0 or 1 (categories) and 38 of 0 to 128: a standardised
// value v, clipped to ±5, as round(12.8·(v + 5)).
struct DetectionInputs {
  static constexpr std::size_t kOneHot = 84;
  static constexpr std::size_t kInputs = 122;
  static constexpr std::size_t kOutputs = 5;
  static constexpr std::int64_t kNumericMax = 128;
  static constexpr std::int64_t kNumericZero = 64;
  static constexpr double kNumericScale = 12.8;
  [[nodiscard]] static constexpr std::int64_t most(std::size_t input) {
    return input < kOneHot ? 1 : kNumericMax;
  }
};

// Slots is a plaintext as numbers side by side, from the low end: number i in bits [i·bits,
// (i+1)·bits), as v + 2^(bits − 1) if is_signed, else v.
struct Slots {
  unsigned bits = 0;
  bool is_signed = true;

  // put adds the numbers to `plaintext`, whose slots are empty. Throws CryptoError when one does
  // not fit.
  void put(std::span<std::uint64_t> plaintext, std::span<const std::int64_t> values) const;
  // get reads `count` numbers. Throws CryptoError when anything lies above them.
  [[nodiscard]] std::vector<std::int64_t> get(std::span<const std::uint64_t> plaintext,
                                              std::size_t count) const;
};

// DetectionPlan follows from the settings and is the same for all roles.
struct DetectionPlan {
  // Linear: one ciphertext a feature carries that feature of `batch` records, and one an output
  // their scores, in slots of kScoreBits.
  static constexpr unsigned kScoreBits = 24;
  // Square: one ciphertext carries one feature of one record. Hidden values, blinded, go two to a
  // ciphertext, in slots of 64 bits; the scores of a record in one ciphertext, in slots of
  // kSquareScoreBits.
  static constexpr unsigned kHiddenSlotBits = 64;
  static constexpr std::size_t kHiddenSlots = 2;
  static constexpr unsigned kHiddenBits = 22;  // |a| < 2^kHiddenBits
  static constexpr unsigned kBlindBits = 62;   // blinds are from [2^kHiddenBits, 2^kBlindBits)
  static constexpr unsigned kSquareScoreBits = 56;

  std::size_t hidden = 0;   // 0: linear
  std::uint32_t batch = 0;  // records in a message
  std::uint32_t rows = 0;   // records in all

  [[nodiscard]] bool is_linear() const { return hidden == 0; }
  // hidden_ciphertexts is how many carry the hidden values of one record.
  [[nodiscard]] std::size_t hidden_ciphertexts() const {
    return (hidden + kHiddenSlots - 1) / kHiddenSlots;
  }
  // Throws ConfigError when encrypted_inputs.batch_rows is more than fit.
  [[nodiscard]] static DetectionPlan of(const settings::Settings& settings);
};

// detection_limits returns what a link of such a run accepts.
[[nodiscard]] wire::CodecLimits detection_limits(const settings::Settings& settings);

}  // namespace blindsum::role
