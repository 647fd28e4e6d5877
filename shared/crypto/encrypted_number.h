// Encrypted numbers: sums, and products with plain numbers, of what EncodedNumber encodes.
//
// CAVEAT: exponents are not encrypted. Here they follow from those of the operands (the lower one
// for a sum, their sum for a product), so with every plain operand at a FixedExponent they depend
// on the program alone; a plain operand that is not encoded yet brings one that shows its
// magnitude.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "shared/crypto/encoded_number.h"
#include "shared/crypto/encryptor.h"

namespace blindsum::crypto {

// EncryptedNumber is one ciphertext and its exponent. Not thread-safe while it is released.
//
// Results of operators are not re-randomised: who knows the operands could tell from them which
// plain numbers were added or multiplied (c^m shows m to anybody who has c and can guess m). So
// ciphertexts leave through release, which re-randomises what is not fresh. This is
// python-paillier's rule.
//
// Operators throw CryptoError for numbers of different keys, or when exponents go too far apart for
// the key. They do not notice an overflow of the encrypted number: whoever decrypts does
// (EncodedNumber).
class EncryptedNumber {
 public:
  [[nodiscard]] static EncryptedNumber encrypt(const EncodedNumber& number,
                                               const Encryptor& encryptor);
  // Takes one ciphertext of `key`: from PublicKey::parse_ciphertexts or from an Evaluator. It
  // counts as not fresh.
  EncryptedNumber(PublicKey key, CiphertextVector ciphertext, std::int32_t exponent);

  [[nodiscard]] const PublicKey& key() const { return key_; }
  [[nodiscard]] std::int32_t exponent() const { return exponent_; }

  // release returns the ciphertext for others to see, re-randomised first unless it is fresh.
  // `encryptor` must be of the same key. Cost: an encryption, once.
  [[nodiscard]] const CiphertextVector& release(const Encryptor& encryptor);
  // rerandomize makes the number fresh, whether or not it was.
  void rerandomize(const Encryptor& encryptor);
  [[nodiscard]] bool is_fresh() const { return is_fresh_; }
  // unreleased_ciphertext returns the ciphertext as it is: for further computation and for the
  // owner of the secret key, not for others.
  [[nodiscard]] const CiphertextVector& unreleased_ciphertext() const { return ciphertext_; }

  // decrease_exponent_to returns the same number with a lower exponent: c^(16^d). Cost: 4·d
  // squarings. Throws CryptoError when `exponent` is higher, or 16^d does not fit the key.
  [[nodiscard]] EncryptedNumber decrease_exponent_to(std::int32_t exponent) const;

  [[nodiscard]] EncryptedNumber operator-() const;

 private:
  PublicKey key_;
  CiphertextVector ciphertext_;
  std::int32_t exponent_ = 0;
  bool is_fresh_ = false;
};

// A plain number is encoded exactly; for a sum, at an exponent of at most the encrypted number's.
// `a * b` with b = 0 is a known ciphertext of 0 until it is released.
[[nodiscard]] EncryptedNumber operator+(const EncryptedNumber& a, const EncryptedNumber& b);
[[nodiscard]] EncryptedNumber operator+(const EncryptedNumber& a, const EncodedNumber& b);
[[nodiscard]] EncryptedNumber operator+(const EncryptedNumber& a, const PlainNumber& b);
[[nodiscard]] EncryptedNumber operator-(const EncryptedNumber& a, const EncryptedNumber& b);
[[nodiscard]] EncryptedNumber operator-(const EncryptedNumber& a, const EncodedNumber& b);
[[nodiscard]] EncryptedNumber operator-(const EncryptedNumber& a, const PlainNumber& b);
[[nodiscard]] EncryptedNumber operator*(const EncryptedNumber& a, const EncodedNumber& b);
[[nodiscard]] EncryptedNumber operator*(const EncryptedNumber& a, const PlainNumber& b);

template <class Plain>
concept PlainOperand =
    std::same_as<Plain, EncodedNumber> || std::convertible_to<Plain, PlainNumber>;
template <PlainOperand Plain>
[[nodiscard]] EncryptedNumber operator+(const Plain& a, const EncryptedNumber& b) {
  return b + a;
}
template <PlainOperand Plain>
[[nodiscard]] EncryptedNumber operator-(const Plain& a, const EncryptedNumber& b) {
  return -b + a;
}
template <PlainOperand Plain>
[[nodiscard]] EncryptedNumber operator*(const Plain& a, const EncryptedNumber& b) {
  return b * a;
}

// sum adds all numbers, at least one. Equal to adding them one by one, at 4 squarings for each step
// between the highest and the lowest exponent in all. Throws CryptoError as operators do.
[[nodiscard]] EncryptedNumber sum(std::span<const EncryptedNumber> numbers);

}  // namespace blindsum::crypto
