// Plaintexts and ciphertexts: vectors of fixed-width natural numbers, as the kernels take them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/core/bytes.h"

namespace blindsum::crypto {

// NaturalVector is `size()` natural numbers of `limbs_each()` 64-bit limbs, least significant limb
// first, contiguous.
class NaturalVector {
 public:
  NaturalVector() = default;
  NaturalVector(std::size_t size, std::size_t limbs_each)
      : limbs_each_(limbs_each), limbs_(size * limbs_each) {}

  [[nodiscard]] std::size_t size() const {
    return limbs_each_ == 0 ? 0 : limbs_.size() / limbs_each_;
  }
  [[nodiscard]] std::size_t limbs_each() const { return limbs_each_; }
  [[nodiscard]] std::span<std::uint64_t> operator[](std::size_t i) {
    return std::span(limbs_).subspan(i * limbs_each_, limbs_each_);
  }
  [[nodiscard]] std::span<const std::uint64_t> operator[](std::size_t i) const {
    return std::span(limbs_).subspan(i * limbs_each_, limbs_each_);
  }
  [[nodiscard]] std::span<std::uint64_t> limbs() { return limbs_; }
  [[nodiscard]] std::span<const std::uint64_t> limbs() const { return limbs_; }

  friend bool operator==(const NaturalVector&, const NaturalVector&) = default;

 private:
  std::size_t limbs_each_ = 0;
  std::vector<std::uint64_t> limbs_;
};

// PlaintextVector holds numbers m, 0 <= m < n, each as wide as n. CiphertextVector holds units c, 0
// < c < n², each twice as wide. A ciphertext vector comes from PublicKey::parse_ciphertexts, an
// Encryptor or an Evaluator, so it is valid for its key. Distinct types, so that one cannot be
// passed for the other.
class PlaintextVector : public NaturalVector {
 public:
  using NaturalVector::NaturalVector;
};
class CiphertextVector : public NaturalVector {
 public:
  using NaturalVector::NaturalVector;
};

}  // namespace blindsum::crypto
