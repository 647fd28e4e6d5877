// Paillier's scheme as generic libraries compute it, on GMP's integers: what the kernels are
// compared with.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include <gmpxx.h>

#include "shared/core/bytes.h"

namespace blindsum::bench {

// Textbook is Paillier's scheme with g = 1 + n (Paillier 1999, sections 4 and 7), one mpz_powm a
// power:
//   encrypt   (1 + m·n)·r^n mod n², r uniform below n from the operating system, wiped after use
//   decrypt   m mod s = L(c^(s−1) mod s²)·g_s⁻¹ mod s for both primes s, recombined
//   add       one product, one remainder
// A baseline, not for use: it checks no ciphertext and wipes none of GMP's temporaries.
class Textbook {
 public:
  // p and q: big-endian primes.
  Textbook(ByteView p, ByteView q);

  [[nodiscard]] const mpz_class& n() const { return n_; }
  [[nodiscard]] mpz_class encrypt(const mpz_class& m) const;
  [[nodiscard]] mpz_class decrypt(const mpz_class& c) const;
  void add_inplace(mpz_class& a, const mpz_class& b) const;
  [[nodiscard]] mpz_class multiply_plain(const mpz_class& c, const mpz_class& m) const;

 private:
  struct Branch {
    Branch(const mpz_class& prime, const mpz_class& other);
    [[nodiscard]] mpz_class residue(const mpz_class& c) const;
    mpz_class s, square, exponent, factor;
  };

  mpz_class n_, n_squared_;
  Branch p_, q_;
  mpz_class q_inverse_;  // q⁻¹ mod p
};

// integer_of and limbs_of: between integers and limbs, least significant first.
[[nodiscard]] mpz_class integer_of(std::span<const std::uint64_t> limbs);
void copy_limbs(std::span<std::uint64_t> limbs, const mpz_class& integer);

}  // namespace blindsum::bench
