// Numbers for the tests of crypto: from hexadecimal, from a seed, and as big integers of GMP.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gmp.h>

#include "shared/core/bytes.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/plaintext.h"
#include "shared/crypto/public_key.h"

namespace blindsum::test {

// seed_of_tests is fixed, so that a failure repeats; every property prints it.
inline constexpr std::uint64_t kSeed = 20240229;

// hex_to_limbs reads a big-endian hexadecimal number of any number of digits.
inline void hex_to_limbs(std::string_view hex, std::span<std::uint64_t> out) {
  std::string even(hex.size() % 2 == 0 ? "" : "0");
  even.append(hex);
  const Bytes bytes = from_hex(even);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t place = bytes.size() - 1 - i;
    if (place / 8 < out.size()) out[place / 8] |= std::uint64_t{bytes[i]} << (8 * (place % 8));
  }
}

template <class Vector>
Vector numbers_from_hex(const std::vector<std::string>& hex, std::size_t limbs) {
  Vector numbers(hex.size(), limbs);
  for (std::size_t i = 0; i < hex.size(); ++i) hex_to_limbs(hex[i], numbers[i]);
  return numbers;
}

// random_below fills `out` with a number below `bound`.
inline void random_below(SeededRandom& random, std::span<const std::uint64_t> bound,
                         std::span<std::uint64_t> out) {
  for (std::uint64_t& limb : out) limb = random.next_u64();
  mpz_t number;
  mpz_t modulus;
  mpz_init(number);
  mpz_import(number, out.size(), -1, 8, 0, 0, out.data());
  mpz_mod(number, number,
          mpz_roinit_n(modulus, bound.data(), static_cast<mp_size_t>(bound.size())));
  for (std::uint64_t& limb : out) limb = 0;
  mpz_export(out.data(), nullptr, -1, 8, 0, 0, number);
  mpz_clear(number);
}

inline crypto::PlaintextVector random_plaintexts(SeededRandom& random, const crypto::PublicKey& key,
                                                 std::size_t count) {
  crypto::PlaintextVector numbers(count, key.plaintext_limbs());
  for (std::size_t i = 0; i < count; ++i) random_below(random, key.modulus_limbs(), numbers[i]);
  return numbers;
}

// Integer is a big integer of GMP, the oracle of the tests.
class Integer {
 public:
  Integer() { mpz_init(value_); }
  Integer(long value) { mpz_init_set_si(value_, value); }  // NOLINT: numbers may be written as such
  explicit Integer(std::span<const std::uint64_t> limbs) : Integer() {
    mpz_import(value_, limbs.size(), -1, 8, 0, 0, limbs.data());
  }
  Integer(const Integer& other) { mpz_init_set(value_, other.value_); }
  Integer& operator=(const Integer& other) {
    mpz_set(value_, other.value_);
    return *this;
  }
  ~Integer() { mpz_clear(value_); }

  [[nodiscard]] mpz_srcptr get() const { return value_; }
  [[nodiscard]] std::vector<std::uint64_t> limbs(std::size_t count) const {
    std::vector<std::uint64_t> result(count);
    mpz_export(result.data(), nullptr, -1, 8, 0, 0, value_);
    return result;
  }
  // bytes writes `size` bytes, least significant first.
  [[nodiscard]] Bytes bytes(std::size_t size) const {
    Bytes result(size);
    mpz_export(result.data(), nullptr, -1, 1, 0, 0, value_);
    return result;
  }
  [[nodiscard]] Bytes big_endian() const {
    Bytes result((mpz_sizeinbase(value_, 2) + 7) / 8);
    mpz_export(result.data(), nullptr, 1, 1, 0, 0, value_);
    return result;
  }
  [[nodiscard]] Integer mod(const Integer& m) const {
    Integer result;
    mpz_mod(result.value_, value_, m.value_);
    return result;
  }
  [[nodiscard]] Integer inverse(const Integer& m) const {
    Integer result;
    mpz_invert(result.value_, value_, m.value_);
    return result;
  }
  [[nodiscard]] static Integer power_of_two(unsigned long exponent) {
    Integer result;
    mpz_setbit(result.value_, exponent);
    return result;
  }

  friend Integer operator+(const Integer& a, const Integer& b) {
    Integer result;
    mpz_add(result.value_, a.value_, b.value_);
    return result;
  }
  friend Integer operator-(const Integer& a, const Integer& b) {
    Integer result;
    mpz_sub(result.value_, a.value_, b.value_);
    return result;
  }
  friend Integer operator*(const Integer& a, const Integer& b) {
    Integer result;
    mpz_mul(result.value_, a.value_, b.value_);
    return result;
  }
  friend bool operator==(const Integer& a, const Integer& b) {
    return mpz_cmp(a.value_, b.value_) == 0;
  }
  friend bool operator<(const Integer& a, const Integer& b) {
    return mpz_cmp(a.value_, b.value_) < 0;
  }

 private:
  mpz_t value_;
};

}  // namespace blindsum::test
