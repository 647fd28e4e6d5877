#include "shared/crypto/kernels/pair_ring.h"

#include <algorithm>
#include <cassert>

namespace blindsum::crypto::kernels {
namespace {

constexpr unsigned kPowerWindow = 4;

std::uint64_t negated_inverse(std::uint64_t odd) {
  std::uint64_t inverse = odd;  // right to 3 bits; every step doubles them
  for (int i = 0; i < 5; ++i) inverse *= 2 - odd * inverse;
  return 0 - inverse;
}

// power_of_two_mod returns 2^(64·limbs) mod m.
SecretLimbs power_of_two_mod(std::size_t limbs, ConstLimbs m) {
  SecretLimbs dividend(limbs + 1);
  SecretLimbs quotient(limbs + 2 - m.size());
  SecretLimbs remainder(m.size());
  dividend[limbs] = 1;
  mpn_tdiv_qr(quotient.data(), remainder.data(), 0, dividend.data(),
              static_cast<mp_size_t>(dividend.size()), m.data(), static_cast<mp_size_t>(m.size()));
  return remainder;
}

}  // namespace

PairRing::PairRing(ConstLimbs modulus)
    : h_(modulus.size()),
      inverse_(negated_inverse(modulus[0])),
      m_(modulus.begin(), modulus.end()),
      r1_(power_of_two_mod(h_, modulus)),
      minus_r1_(h_),
      r2_(power_of_two_mod(2 * h_, modulus)) {
  assert(modulus[0] % 2 == 1 && modulus.back() != 0);
  mpn_sub_n(minus_r1_.data(), m_.data(), r1_.data(), sz(h_));
  unit_ = power_of_r(1);
}

SecretLimbs PairRing::power_of_r(unsigned k) const {
  assert(k >= 1);
  SecretLimbs squared(2 * h_);
  SecretLimbs scratch(scratch_limbs());
  mpn_sqr(squared.data(), m_.data(), sz(h_));
  const std::size_t used = squared.back() == 0 ? 2 * h_ - 1 : 2 * h_;
  SecretLimbs integer = power_of_two_mod((k + 1) * h_, ConstLimbs(squared).first(used));
  integer.resize(2 * h_);
  SecretLimbs pair(2 * h_);
  from_integer(pair.data(), integer.data(), scratch.data());
  return pair;
}

// reduce sets out = (x + top·R²)·R⁻¹ mod m, in [0, m), and q to Montgomery's quotient; x is
// destroyed. It returns how many times m was subtracted at the end: at most 2 when x + top·R² <
// 2·R·m.
int PairRing::reduce(std::uint64_t* out, std::uint64_t* x, std::uint64_t top,
                     std::uint64_t* q) const {
  for (std::size_t i = 0; i < h_; ++i) {
    q[i] = x[i] * inverse_;
    x[i] = mpn_addmul_1(x + i, m_.data(), sz(h_), q[i]);  // the digit is zero now: keep the carry
  }
  top += mpn_add_n(out, x + h_, x, sz(h_));
  int subtractions = 0;
  while (top != 0 || mpn_cmp(out, m_.data(), sz(h_)) >= 0) {
    top -= mpn_sub_n(out, out, m_.data(), sz(h_));
    ++subtractions;
  }
  return subtractions;
}

// fix brings t + carry·R back into [0, R), mod m.
void PairRing::fix(std::uint64_t* t, int carry) const {
  while (carry < 0) carry += 1 + static_cast<int>(mpn_add_n(t, t, minus_r1_.data(), sz(h_)));
  while (carry > 0) carry += static_cast<int>(mpn_add_n(t, t, r1_.data(), sz(h_))) - 1;
}

void PairRing::multiply(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b,
                        std::uint64_t* scratch) const {
  std::uint64_t* const x = scratch;
  std::uint64_t* const y = x + 2 * h_;
  std::uint64_t* const z = y + 2 * h_;
  std::uint64_t* const q = z + 2 * h_;
  mpn_mul_n(x, a, b, sz(h_));
  mpn_mul_n(y, a + h_, b, sz(h_));
  mpn_mul_n(z, b + h_, a, sz(h_));
  const std::uint64_t top = mpn_add_n(y, y, z, sz(2 * h_));
  reduce(out + h_, y, top, q);
  const int subtractions = reduce(out, x, 0, q);
  const auto carry = static_cast<int>(mpn_add_n(out + h_, out + h_, q, sz(h_)));
  fix(out + h_, carry - subtractions);
}

void PairRing::square(std::uint64_t* out, const std::uint64_t* a, std::uint64_t* scratch) const {
  std::uint64_t* const x = scratch;
  std::uint64_t* const y = x + 2 * h_;
  std::uint64_t* const q = y + 2 * h_;
  mpn_sqr(x, a, sz(h_));
  mpn_mul_n(y, a + h_, a, sz(h_));
  const std::uint64_t top = mpn_lshift(y, y, sz(2 * h_), 1);
  reduce(out + h_, y, top, q);
  const int subtractions = reduce(out, x, 0, q);
  const auto carry = static_cast<int>(mpn_add_n(out + h_, out + h_, q, sz(h_)));
  fix(out + h_, carry - subtractions);
}

void PairRing::multiply_short(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b,
                              std::uint64_t* scratch) const {
  mpn_mul_n(scratch, a, b, sz(h_));
  const int subtractions = reduce(out, scratch, 0, out + h_);
  fix(out + h_, -subtractions);
}

void PairRing::from_integer(std::uint64_t* out, const std::uint64_t* x,
                            std::uint64_t* scratch) const {
  std::copy_n(x, 2 * h_, scratch);
  const int subtractions = reduce(out, scratch, 0, out + h_);
  fix(out + h_, -subtractions);
}

void PairRing::to_integer(std::uint64_t* out, const std::uint64_t* a,
                          std::uint64_t* scratch) const {
  std::uint64_t* const s = scratch;
  std::uint64_t* const product = scratch + 3 * h_;
  std::uint64_t* const zero = scratch + 5 * h_;
  mont_reduce(s, a + h_, product);
  std::fill_n(zero, h_, 0);
  subtract(s, zero, s);
  mpn_mul_n(product, s, m_.data(), sz(h_));
  mpn_add(out, product, sz(2 * h_), a, sz(h_));
}

void PairRing::mont(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b,
                    std::uint64_t* scratch) const {
  mpn_mul_n(scratch, a, b, sz(h_));
  reduce(out, scratch, 0, scratch + 2 * h_);
}

void PairRing::mont_reduce(std::uint64_t* out, const std::uint64_t* a,
                           std::uint64_t* scratch) const {
  std::copy_n(a, h_, scratch);
  std::fill_n(scratch + h_, h_, 0);
  reduce(out, scratch, 0, scratch + 2 * h_);
}

void PairRing::add(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b) const {
  const std::uint64_t carry = mpn_add_n(out, a, b, sz(h_));
  if (carry != 0 || mpn_cmp(out, m_.data(), sz(h_)) >= 0) {
    mpn_sub_n(out, out, m_.data(), sz(h_));
  }
}

void PairRing::subtract(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b) const {
  if (mpn_sub_n(out, a, b, sz(h_)) != 0) mpn_add_n(out, out, m_.data(), sz(h_));
}

void PairRing::power(std::uint64_t* out, const std::uint64_t* a, ConstLimbs e,
                     std::size_t exponent_bits, std::uint64_t* scratch) const {
  constexpr std::size_t kEntries = std::size_t{1} << kPowerWindow;
  const std::size_t width = 2 * h_;
  SecretLimbs table(kEntries * width);
  std::copy(unit_.begin(), unit_.end(), table.begin());
  std::copy_n(a, width, table.data() + width);
  for (std::size_t i = 2; i < kEntries; ++i) {
    multiply(&table[i * width], &table[(i - 1) * width], &table[width], scratch);
  }
  SecretLimbs factor(width);
  const auto digit_at = [&](std::size_t bit) {
    return (e[bit / 64] >> (bit % 64)) & (kEntries - 1);
  };
  std::size_t bit = whole_windows(exponent_bits, kPowerWindow) - kPowerWindow;
  mpn_sec_tabselect(out, table.data(), sz(width), sz(kEntries), sz(digit_at(bit)));
  while (bit > 0) {
    bit -= kPowerWindow;
    for (unsigned i = 0; i < kPowerWindow; ++i) square(out, out, scratch);
    mpn_sec_tabselect(factor.data(), table.data(), sz(width), sz(kEntries), sz(digit_at(bit)));
    multiply(out, out, factor.data(), scratch);
  }
}

}  // namespace blindsum::crypto::kernels
