#include "scenarios/bench/textbook.h"

#include <algorithm>
#include <vector>

#include "shared/core/random.h"

namespace blindsum::bench {
namespace {

mpz_class integer_of_bytes(ByteView big_endian) {
  mpz_class integer;
  mpz_import(integer.get_mpz_t(), big_endian.size(), 1, 1, 0, 0, big_endian.data());
  return integer;
}

mpz_class power(const mpz_class& base, const mpz_class& exponent, const mpz_class& modulus) {
  mpz_class result;
  mpz_powm(result.get_mpz_t(), base.get_mpz_t(), exponent.get_mpz_t(), modulus.get_mpz_t());
  return result;
}

mpz_class inverse(const mpz_class& x, const mpz_class& modulus) {
  mpz_class result;
  mpz_invert(result.get_mpz_t(), x.get_mpz_t(), modulus.get_mpz_t());
  return result;
}

void reduce(mpz_class& x, const mpz_class& modulus) {
  mpz_mod(x.get_mpz_t(), x.get_mpz_t(), modulus.get_mpz_t());
}

// random_below returns a uniform number in [1, bound).
mpz_class random_below(const mpz_class& bound) {
  const std::size_t bits = mpz_sizeinbase(bound.get_mpz_t(), 2);
  SecretBytes bytes((bits + 7) / 8);
  mpz_class result;
  do {
    fill_random(bytes.bytes());
    bytes.bytes()[0] &= static_cast<std::uint8_t>(0xff >> (bytes.size() * 8 - bits));
    result = integer_of_bytes(bytes.bytes());
  } while (result == 0 || result >= bound);
  return result;
}

}  // namespace

Textbook::Branch::Branch(const mpz_class& prime, const mpz_class& other)
    : s(prime), square(prime * prime), exponent(prime - 1), factor(inverse(-other, prime)) {}

mpz_class Textbook::Branch::residue(const mpz_class& c) const {
  mpz_class m = power(c, exponent, square) - 1;
  mpz_divexact(m.get_mpz_t(), m.get_mpz_t(), s.get_mpz_t());
  m *= factor;
  reduce(m, s);
  return m;
}

Textbook::Textbook(ByteView p, ByteView q)
    : n_(integer_of_bytes(p) * integer_of_bytes(q)),
      n_squared_(n_ * n_),
      p_(integer_of_bytes(p), integer_of_bytes(q)),
      q_(integer_of_bytes(q), integer_of_bytes(p)),
      q_inverse_(inverse(q_.s, p_.s)) {}

mpz_class Textbook::encrypt(const mpz_class& m) const {
  mpz_class r = random_below(n_);
  mpz_class c = power(r, n_, n_squared_) * (m * n_ + 1);
  reduce(c, n_squared_);
  wipe(mpz_limbs_modify(r.get_mpz_t(), static_cast<mp_size_t>(mpz_size(r.get_mpz_t()))),
       mpz_size(r.get_mpz_t()) * sizeof(mp_limb_t));
  return c;
}

mpz_class Textbook::decrypt(const mpz_class& c) const {
  const mpz_class m_q = q_.residue(c);
  mpz_class m = (p_.residue(c) - m_q) * q_inverse_;
  reduce(m, p_.s);
  return m * q_.s + m_q;
}

void Textbook::add_inplace(mpz_class& a, const mpz_class& b) const {
  a *= b;
  reduce(a, n_squared_);
}

mpz_class Textbook::multiply_plain(const mpz_class& c, const mpz_class& m) const {
  return power(c, m, n_squared_);
}

mpz_class integer_of(std::span<const std::uint64_t> limbs) {
  mpz_class integer;
  mpz_import(integer.get_mpz_t(), limbs.size(), -1, sizeof(std::uint64_t), 0, 0, limbs.data());
  return integer;
}

void copy_limbs(std::span<std::uint64_t> limbs, const mpz_class& integer) {
  std::fill(limbs.begin(), limbs.end(), 0);
  mpz_export(limbs.data(), nullptr, -1, sizeof(std::uint64_t), 0, 0, integer.get_mpz_t());
}

}  // namespace blindsum::bench
