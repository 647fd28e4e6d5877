#include "shared/crypto/kernels/ifma_secret.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "shared/crypto/kernels/ifma_modulus.h"

namespace blindsum::crypto::kernels {
namespace {

using ifma::ConstRows;
using ifma::Digit;
using ifma::Digits;
using ifma::kLanes;
using ifma::Modulus;
using ifma::output_rows;
using ifma::Ring;
using ifma::rows_of;

// FermatExponent is s − 2 for a prime s, with the weights of its windows of kPowerWindow bits:
// weight j is Σ 16^i mod s over the windows i that hold the digit j, in Montgomery form.
struct FermatExponent {
  explicit FermatExponent(const Modulus& s) {
    const mpz_class e = s.integer() - 2;
    limbs.resize((mpz_sizeinbase(s.integer().get_mpz_t(), 2) + 63) / 64);
    mpz_export(limbs.data(), nullptr, -1, 8, 0, 0, e.get_mpz_t());
    std::vector<mpz_class> sums(ifma::kPowerEntries, 0);
    for (std::size_t bit = 0; bit < limbs.size() * 64; bit += ifma::kPowerWindow) {
      sums[limbs[bit / 64] >> (bit % 64) & (ifma::kPowerEntries - 1)] += mpz_class(1) << bit;
    }
    for (const mpz_class& sum : sums) {
      weights.push_back(ifma::broadcast(sum * s.power_of_r(1) % s.integer(), s.digits()));
    }
  }

  SecretLimbs limbs;
  std::vector<Digits> weights;
};

// IfmaSecretContext works in pairs mod the prime s. A number mod n², longer than s², is cut into
// pieces below R = 2^(52·D); each is a pair by one reduction, and Horner's rule in R adds them up.
class IfmaSecretContext : public SecretContext {
 public:
  IfmaSecretContext(ConstLimbs prime, ConstLimbs exponent, std::size_t n_limbs)
      : s_(prime),
        limbs_(prime.size()),
        n_limbs_(n_limbs),
        exponent_(exponent.begin(),
                  exponent.begin() +
                      static_cast<std::ptrdiff_t>(std::max<std::size_t>(used_limbs(exponent), 1))),
        r2_(s_.broadcast_pair(s_.power_of_r(2))),
        r3_(s_.broadcast_pair(s_.power_of_r(3))),
        one_(s_.broadcast_pair(1)) {
    if (ifma::to_integer(exponent) == s_.integer() - 1 && s_.integer() > 2) {
      fermat_ = std::make_unique<FermatExponent>(s_);
    }
  }

  BLINDSUM_IFMA void power(ConstLimbs a, std::size_t count, Limbs out) const override {
    const Ring& ring = s_.ring();
    const std::size_t d = s_.digits();
    const std::size_t a_limbs = 2 * n_limbs_;
    const std::size_t piece_bits = d * ifma::kDigitBits;
    const std::size_t pieces = (a_limbs * 64 + piece_bits - 1) / piece_bits;
    Digits work(pieces * d + 4 * d + ring.pair_scratch() + ifma::limb_scratch(pieces * d));
    Digit* const integer = work.data();
    Digit* const x = integer + pieces * d;
    Digit* const piece = x + 2 * d;
    Digit* const scratch = piece + 2 * d;
    for (std::size_t i = 0; i < count; i += kLanes) {
      ifma::load_digits(integer, pieces * d, rows_of(a.first(count * a_limbs), a_limbs, i), a_limbs,
                        scratch);
      ring.mont_reduce(x, x + d, integer + (pieces - 1) * d);
      for (std::size_t k = pieces - 1; k-- > 0;) {
        ring.multiply(x, x, r2_.data(), scratch);
        ring.mont_reduce(piece, piece + d, integer + k * d);
        ring.add_pairs(x, x, piece);
      }
      ring.multiply(x, x, r3_.data(), scratch);
      if (fermat_ != nullptr) {
        power_to_s_minus_1(piece, x);
      } else {
        s_.power(piece, x, same_exponent(exponent_), 64 * exponent_.size());
      }
      ring.multiply(x, piece, one_.data(), scratch);
      s_.store(output_rows(out.first(count * 2 * limbs_), 2 * limbs_, i),
               std::min(kLanes, count - i), 2 * limbs_, x);
    }
  }

 private:
  static ConstRows same_exponent(const SecretLimbs& exponent) {
    ConstRows rows{};
    std::fill_n(rows.lane, kLanes, exponent.data());
    return rows;
  }

  // power_to_s_minus_1: out = a^(s−1) on pairs in Montgomery form, for a prime s. A power of a is
  //
  //   a^j·R = y_j − t_j·R⁻¹·s = y_j·(1 − t_j·y_j⁻¹·R⁻¹·s),   y_j⁻¹ = a^-j·R⁻¹ mod s.
  //
  // The product for a^(s−2) takes the y_j alone: shorter products (8 units for 10), half a table.
  // What was left out is a power of 1 + s, so that only the sum of its exponents is missing,
  //
  //   c·R⁻²,   c = Σ_j w_j·t_j·a^-j mod s,
  //
  // where w_j adds up 16^i over the windows i with the digit j. By Fermat a^-1 is a^(s−2) mod s,
  // which the product has just found. In the end a^(s−1) = a^(s−2)·a.
  BLINDSUM_IFMA void power_to_s_minus_1(Digit* out, const Digit* a) const {
    const Ring& ring = s_.ring();
    const std::size_t d = s_.digits();
    const ConstRows e = same_exponent(fermat_->limbs);
    const Digits table = s_.power_table(a);
    Digits work(4 * d + ring.pair_scratch());
    Digit* const y = work.data();
    Digit* const sum = y + d;
    Digit* const term = sum + d;
    Digit* const scratch = term + 2 * d;
    std::size_t bit = fermat_->limbs.size() * 64 - ifma::kPowerWindow;
    Modulus::select(out, table.data(), d, e, bit);
    std::fill_n(out + d, d, Digit{});
    while (bit > 0) {
      bit -= ifma::kPowerWindow;
      for (std::size_t i = 0; i < ifma::kPowerWindow; ++i) ring.square(out, out, scratch);
      Modulus::select(y, table.data(), d, e, bit);
      ring.multiply_short(out, out, y, scratch);
    }
    // Horner's rule in a^-1, whose Montgomery form is the r-part of `out`.
    for (std::size_t j = ifma::kPowerEntries; j-- > 0;) {
      for (std::size_t i = 0; i < d; ++i) y[i] = table[(d + i) * ifma::kPowerEntries + j];
      ring.mont(term, scratch, y, fermat_->weights[j].data());
      if (j + 1 < ifma::kPowerEntries) {
        ring.mont(sum, scratch, sum, out);
        ring.add(sum, sum, term);
      } else {
        std::copy_n(term, d, sum);
      }
    }
    ring.mont(term, scratch, sum, out);
    ring.add_to_t(out + d, term);
    ring.multiply(out, out, a, scratch);
  }

  Modulus s_;
  std::size_t limbs_;
  std::size_t n_limbs_;
  SecretLimbs exponent_;
  Digits r2_;                               // the pair of R²
  Digits r3_;                               // the pair of R³
  Digits one_;                              // the pair of 1
  std::unique_ptr<FermatExponent> fermat_;  // when the exponent is s − 1
};

// NumberRing computes mod odd numbers, one a lane, in Montgomery form.
class NumberRing {
 public:
  NumberRing(const ConstRows& moduli, std::size_t limbs)
      : moduli_(moduli), limbs_(limbs), one_(ones()), ring_(digits_of(moduli), one_) {}

  [[nodiscard]] const Ring& ring() const { return ring_; }
  [[nodiscard]] const Digit* one() const { return one_.data(); }

  // to_montgomery returns x·R mod m.
  [[nodiscard]] Digits to_montgomery(const ConstRows& x) const {
    SecretLimbs shifted(kLanes * limbs_);
    for (std::size_t l = 0; l < kLanes; ++l) {
      mpz_class value = ifma::to_integer(ConstLimbs(x.lane[l], limbs_));
      value <<= ifma::digits_for(limbs_ * 64) * ifma::kDigitBits;
      value %= ifma::to_integer(ConstLimbs(moduli_.lane[l], limbs_));
      mpz_export(&shifted[l * limbs_], nullptr, -1, 8, 0, 0, value.get_mpz_t());
    }
    return digits_of(rows_of(shifted, limbs_, 0));
  }

  // equal returns the lanes where a, below 2·m, is b < m modulo m.
  [[nodiscard]] BLINDSUM_IFMA unsigned equal(const Digit* a, const Digit* b) const {
    Digits work(2 * ring_.digits());
    Digit* const reduced = work.data();
    ring_.canonical(reduced, a, reduced + ring_.digits());
    __m512i difference = _mm512_setzero_si512();
    for (std::size_t i = 0; i < ring_.digits(); ++i) {
      difference =
          _mm512_or_si512(difference, _mm512_xor_si512(ifma::load(reduced + i), ifma::load(b + i)));
    }
    return _mm512_testn_epi64_mask(difference, difference);
  }

 private:
  [[nodiscard]] BLINDSUM_IFMA Digits digits_of(const ConstRows& numbers) const {
    Digits digits(ifma::digits_for(limbs_ * 64));
    Digits scratch(ifma::limb_scratch(digits.size()));
    ifma::load_digits(digits.data(), digits.size(), numbers, limbs_, scratch.data());
    return digits;
  }
  [[nodiscard]] Digits ones() const {
    std::vector<std::uint64_t> one(limbs_);
    one[0] = 1;
    return to_montgomery(rows_of(one, limbs_, 0));
  }

  ConstRows moduli_;
  std::size_t limbs_;
  Digits one_;
  Ring ring_;
};

// fermat_lanes raises 2 to m − 1 by squaring and doubling. x stays below 2.1·m: a square is
// reduced.
BLINDSUM_IFMA unsigned fermat_lanes(const NumberRing& numbers, const ConstRows& m,
                                    std::size_t bits) {
  const Ring& ring = numbers.ring();
  const std::size_t d = ring.digits();
  Digits work(2 * d);
  Digit* const x = work.data();
  Digit* const q = x + d;
  std::copy_n(numbers.one(), d, x);
  for (std::size_t bit = bits; bit-- > 0;) {
    ring.mont_square(x, q, x);
    unsigned odd = 0;  // the exponent m − 1 is m without its lowest bit
    for (std::size_t l = 0; l < kLanes && bit > 0; ++l) {
      odd |= static_cast<unsigned>(m.lane[l][bit / 64] >> (bit % 64) & 1) << l;
    }
    ring.double_lanes(x, odd);
  }
  return numbers.equal(x, numbers.one());
}

// miller_rabin_lanes raises the bases to e, m − 1 = 2^twos·e, by fixed windows whose look-ups read
// the whole table, and squares on.
BLINDSUM_IFMA unsigned miller_rabin_lanes(const NumberRing& numbers, const Digits& bases,
                                          const SecretLimbs& e, std::size_t twos) {
  const Ring& ring = numbers.ring();
  const std::size_t d = ring.digits();
  ConstRows exponents{};
  std::fill_n(exponents.lane, kLanes, e.data());
  Digits table(ifma::kPowerEntries * d);
  Digits work(4 * d);
  Digit* const x = work.data();
  Digit* const factor = x + d;
  Digit* const q = factor + d;
  Digit* const minus_one = q + d;
  for (std::size_t j = 0; j < ifma::kPowerEntries; ++j) {
    if (j == 0) {
      std::copy_n(numbers.one(), d, x);
    } else {
      ring.mont(x, q, x, bases.data());
    }
    for (std::size_t i = 0; i < d; ++i) table[i * ifma::kPowerEntries + j] = x[i];
  }
  std::size_t bit = e.size() * 64 - ifma::kPowerWindow;
  Modulus::select(x, table.data(), d, exponents, bit);
  while (bit > 0) {
    bit -= ifma::kPowerWindow;
    for (std::size_t i = 0; i < ifma::kPowerWindow; ++i) ring.mont_square(x, q, x);
    Modulus::select(factor, table.data(), d, exponents, bit);
    ring.mont(x, q, x, factor);
  }
  std::fill_n(factor, d, Digit{});
  ring.subtract_mod(minus_one, factor, numbers.one());
  unsigned passed = numbers.equal(x, numbers.one()) | numbers.equal(x, minus_one);
  for (std::size_t i = 1; i < twos; ++i) {
    ring.mont_square(x, q, x);
    passed |= numbers.equal(x, minus_one);
  }
  return passed;
}

}  // namespace

std::unique_ptr<SecretContext> make_ifma_secret_context(ConstLimbs prime, ConstLimbs exponent,
                                                        std::size_t n_limbs) {
  return std::make_unique<IfmaSecretContext>(prime, exponent, n_limbs);
}

unsigned ifma_fermat(ConstLimbs moduli, std::size_t limbs) {
  const ConstRows rows = rows_of(moduli, limbs, 0);
  return fermat_lanes(NumberRing(rows, limbs), rows, limbs * 64) &
         ((1U << moduli.size() / limbs) - 1);
}

unsigned ifma_miller_rabin(ConstLimbs m, ConstLimbs bases) {
  const std::size_t limbs = m.size();
  mpz_class exponent = ifma::to_integer(m) - 1;
  const std::size_t twos = mpz_scan1(exponent.get_mpz_t(), 0);
  exponent >>= twos;
  SecretLimbs e(limbs);
  mpz_export(e.data(), nullptr, -1, 8, 0, 0, exponent.get_mpz_t());
  const NumberRing numbers(rows_of(m, limbs, 0), limbs);
  const Digits a = numbers.to_montgomery(rows_of(bases, limbs, 0));
  return miller_rabin_lanes(numbers, a, e, twos) & ((1U << bases.size() / limbs) - 1);
}

}  // namespace blindsum::crypto::kernels
