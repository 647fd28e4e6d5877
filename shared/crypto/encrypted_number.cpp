#include "shared/crypto/encrypted_number.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/crypto/encoded_number_impl.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/numbers.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

void check_keys(const PublicKey& a, const PublicKey& b) {
  if (!(a == b)) throw CryptoError("numbers of different keys cannot be combined");
}

CiphertextVector product(const PublicKey& key, CiphertextVector a, const CiphertextVector& b) {
  key.impl().context->multiply(a.limbs(), b.limbs(), 1, a.limbs());
  return a;
}

CiphertextVector power(const PublicKey& key, const CiphertextVector& base,
                       const Integer& exponent) {
  std::vector<std::uint64_t> limbs(key.plaintext_limbs());
  exponent.copy_to(limbs);
  CiphertextVector result(1, key.ciphertext_limbs());
  key.impl().context->power(base.limbs(), limbs, limbs.size(), 1, result.limbs());
  return result;
}

CiphertextVector inverse(const PublicKey& key, const CiphertextVector& ciphertext) {
  NTL::ZZ number;
  if (InvModStatus(number, to_zz(ciphertext[0]), to_zz(key.impl().n_squared)) != 0) {
    throw CryptoError("a ciphertext is not a unit");
  }
  CiphertextVector result(1, key.ciphertext_limbs());
  copy_to(result[0], number);
  return result;
}

}  // namespace

EncryptedNumber EncryptedNumber::encrypt(const EncodedNumber& number, const Encryptor& encryptor) {
  check_keys(number.key(), encryptor.key());
  EncryptedNumber result(number.key(), encryptor.encrypt(number.plaintext()), number.exponent());
  result.is_fresh_ = true;
  return result;
}

EncryptedNumber::EncryptedNumber(PublicKey key, CiphertextVector ciphertext, std::int32_t exponent)
    : key_(std::move(key)), ciphertext_(std::move(ciphertext)), exponent_(exponent) {
  if (ciphertext_.size() != 1) throw CryptoError("an encrypted number is one ciphertext");
  check_ciphertexts(key_, ciphertext_);
  check_exponent(exponent);
}

const CiphertextVector& EncryptedNumber::release(const Encryptor& encryptor) {
  if (!is_fresh_) rerandomize(encryptor);
  return ciphertext_;
}

void EncryptedNumber::rerandomize(const Encryptor& encryptor) {
  check_keys(key_, encryptor.key());
  ciphertext_ = encryptor.rerandomize(ciphertext_);
  is_fresh_ = true;
}

EncryptedNumber EncryptedNumber::decrease_exponent_to(std::int32_t exponent) const {
  check_decrease(exponent_, exponent);
  if (exponent == exponent_) return *this;
  constexpr long kBitsPerDigit = 4;
  const long shift = kBitsPerDigit * (static_cast<long>(exponent_) - exponent);
  Integer factor;
  // 2^shift <= max_int, which has at most modulus_bits() − 1 bits.
  if (shift < static_cast<long>(key_.modulus_bits())) {
    mpz_setbit(factor.get(), static_cast<mp_bitcnt_t>(shift));
  }
  if (factor.bits() == 0 || mpz_cmp(factor.get(), max_int(key_).get()) > 0) {
    throw CryptoError("exponents of " + std::to_string(exponent_) + " and " +
                      std::to_string(exponent) + " are too far apart for a key of " +
                      std::to_string(key_.modulus_bits()) + " bits");
  }
  return {key_, power(key_, ciphertext_, factor), exponent};
}

EncryptedNumber EncryptedNumber::operator-() const {
  return {key_, inverse(key_, ciphertext_), exponent_};
}

EncryptedNumber operator+(const EncryptedNumber& a, const EncryptedNumber& b) {
  check_keys(a.key(), b.key());
  const std::int32_t exponent = std::min(a.exponent(), b.exponent());
  return {a.key(),
          product(a.key(), a.decrease_exponent_to(exponent).unreleased_ciphertext(),
                  b.decrease_exponent_to(exponent).unreleased_ciphertext()),
          exponent};
}

EncryptedNumber operator+(const EncryptedNumber& a, const EncodedNumber& b) {
  check_keys(a.key(), b.key());
  const std::int32_t exponent = std::min(a.exponent(), b.exponent());
  CiphertextVector embedded(1, a.key().ciphertext_limbs());
  embed(a.key(), b.decrease_exponent_to(exponent).plaintext().limbs(), embedded.limbs());
  return {a.key(),
          product(a.key(), std::move(embedded),
                  a.decrease_exponent_to(exponent).unreleased_ciphertext()),
          exponent};
}

EncryptedNumber operator+(const EncryptedNumber& a, const PlainNumber& b) {
  return a + EncodedNumber::encode(a.key(), b, EncodingOptions{{}, a.exponent()});
}

EncryptedNumber operator-(const EncryptedNumber& a, const EncryptedNumber& b) { return a + -b; }
EncryptedNumber operator-(const EncryptedNumber& a, const EncodedNumber& b) { return a + -b; }
EncryptedNumber operator-(const EncryptedNumber& a, const PlainNumber& b) { return a + -b; }

// A negative m is n − |m|: the power of the inverse to |m| is the shorter way.
EncryptedNumber operator*(const EncryptedNumber& a, const EncodedNumber& b) {
  check_keys(a.key(), b.key());
  const std::int64_t exponent = std::int64_t{a.exponent()} + b.exponent();
  check_exponent(exponent);
  const Integer m(b.plaintext()[0]);
  Integer negated;
  mpz_sub(negated.get(), Integer(a.key().modulus_limbs()).get(), m.get());
  const bool is_negative = mpz_cmp(negated.get(), max_int(a.key()).get()) <= 0;
  return {a.key(),
          is_negative ? power(a.key(), inverse(a.key(), a.unreleased_ciphertext()), negated)
                      : power(a.key(), a.unreleased_ciphertext(), m),
          static_cast<std::int32_t>(exponent)};
}

EncryptedNumber operator*(const EncryptedNumber& a, const PlainNumber& b) {
  return a * EncodedNumber::encode(a.key(), b);
}

// From the highest exponent down (Horner): what has been added is raised to the power 16^step.
EncryptedNumber sum(std::span<const EncryptedNumber> numbers) {
  if (numbers.empty()) throw CryptoError("a sum of no numbers has no key");
  std::multimap<std::int32_t, const EncryptedNumber*, std::greater<>> by_exponent;
  for (const EncryptedNumber& number : numbers) by_exponent.emplace(number.exponent(), &number);
  EncryptedNumber total = *by_exponent.begin()->second;
  for (auto next = std::next(by_exponent.begin()); next != by_exponent.end(); ++next) {
    total = total + *next->second;
  }
  return total;
}

}  // namespace blindsum::crypto
