// Signed whole numbers and floating-point numbers as plaintexts of Paillier: value = m · 16^e, as
// python-paillier encodes them.
//
// CAVEAT: the exponent e is not encrypted. It travels beside the ciphertext, and an exponent that
// follows the number tells everybody the number's magnitude: 0.001 has −16, 1000.0 has −11. Encode
// at a FixedExponent and every number has the same.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

// kMaxExponent bounds |e|, so that no exponent from outside costs memory: 16^e has at most 8 KiB.
// Doubles need −282 to 242.
inline constexpr std::int32_t kMaxExponent = 16384;

// PlainNumber is an exact number with the kind that decides its exponent: whole numbers of any size
// have exponent 0, floating-point numbers the one that holds their last bit.
class PlainNumber {
 public:
  template <std::signed_integral Whole>
  PlainNumber(Whole value)  // NOLINT: meant to convert, so that a + 1 can be written
      : PlainNumber(static_cast<std::int64_t>(value), Kind::kWhole) {}
  // Throws CryptoError when `value` is not finite. −0.0 is 0.
  PlainNumber(double value);  // NOLINT: as above

  // parse reads "-12" as a whole number of any size (at most 20,000 digits), anything with a point
  // or an exponent as the nearest double. Throws CryptoError for any other text.
  [[nodiscard]] static PlainNumber parse(std::string_view text);

  [[nodiscard]] PlainNumber operator-() const;

 private:
  friend class EncodedNumber;
  enum class Kind { kWhole, kFloat };
  PlainNumber(std::int64_t value, Kind kind);
  PlainNumber() = default;

  // ±magnitude · 2^binary_exponent; tail_exponent is of the last bit of a 53-bit mantissa.
  Kind kind_ = Kind::kWhole;
  bool is_negative_ = false;
  std::vector<std::uint64_t> magnitude_;
  int binary_exponent_ = 0;
  int tail_exponent_ = 0;
};

// EncodingOptions chooses the exponent: the smallest power of 16 that is needed, which reveals
// magnitudes (see the caveat).
//   precision     whole 16^e <= precision, so that numbers of that size are told from zero; by
//                 default numbers are encoded exactly. (Computed exactly: python-paillier's
//                 logarithm may give one less at a power of 16.)
//   max_exponent  the exponent is lowered to this
struct EncodingOptions {
  std::optional<double> precision;
  std::optional<std::int32_t> max_exponent;
};

// FixedExponent encodes every number at one exponent, which therefore reveals nothing.
struct FixedExponent {
  enum class Inexact {
    kRefuse,  // a number that is no multiple of 16^exponent is a CryptoError
    kRound,   // it is rounded to the nearest multiple, ties to even; a small one becomes 0
  };
  std::int32_t exponent = 0;
  Inexact inexact = Inexact::kRefuse;
};

// EncodedNumber is m · 16^e with |m| <= floor(n/3) − 1; a negative m is n + m. What lies in the
// middle third of [0, n) is an overflow, found when a sum or product is decoded. (A result that
// leaves even that third is not found: keep |m| of every intermediate result below n/3.)
class EncodedNumber {
 public:
  // encode throws CryptoError when the number does not fit, a precision is not positive and finite,
  // or |e| > kMaxExponent. Where the exponent is above the last bit it rounds, ties to even.
  [[nodiscard]] static EncodedNumber encode(const PublicKey& key, const PlainNumber& number,
                                            const EncodingOptions& options = {});
  [[nodiscard]] static EncodedNumber encode(const PublicKey& key, const PlainNumber& number,
                                            const FixedExponent& at);

  // Takes the plaintext of a decryption: one number below n. Throws CryptoError.
  EncodedNumber(PublicKey key, PlaintextVector plaintext, std::int32_t exponent);

  [[nodiscard]] const PublicKey& key() const { return key_; }
  [[nodiscard]] const PlaintextVector& plaintext() const { return plaintext_; }
  [[nodiscard]] std::int32_t exponent() const { return exponent_; }

  // to_double returns the nearest double, ties to even. Throws CryptoError for an overflow and when
  // the number is too large for a double.
  [[nodiscard]] double to_double() const;
  // to_decimal writes all digits, without trailing zeros. Throws CryptoError for an overflow.
  [[nodiscard]] std::string to_decimal() const;
  // is_whole says whether the number has no fraction. Throws CryptoError for an overflow.
  [[nodiscard]] bool is_whole() const;

  // decrease_exponent_to returns the same value with a lower exponent. Throws CryptoError when
  // `exponent` is higher, or the number would not fit (python-paillier wraps without a word).
  [[nodiscard]] EncodedNumber decrease_exponent_to(std::int32_t exponent) const;
  [[nodiscard]] EncodedNumber operator-() const;

 private:
  PublicKey key_;
  PlaintextVector plaintext_;
  std::int32_t exponent_ = 0;
};

}  // namespace blindsum::crypto
