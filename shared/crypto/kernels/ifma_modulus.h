// One modulus in all eight lanes of the IFMA arithmetic, and what its users share: conversions,
// powers and results.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <gmpxx.h>

#include "shared/crypto/kernels/ifma_arith.h"
#include "shared/crypto/kernels/kernel.h"

namespace blindsum::crypto::kernels::ifma {

using ConstRows = Rows<const std::uint64_t>;
using MutableRows = Rows<std::uint64_t>;

inline constexpr std::size_t kPowerWindow = 4;
inline constexpr std::size_t kPowerEntries = std::size_t{1} << kPowerWindow;
inline constexpr std::size_t kZeroDigits = 16;  // what store_digits wants after a number

inline mpz_class to_integer(ConstLimbs limbs) {
  mpz_class value;
  mpz_import(value.get_mpz_t(), limbs.size(), -1, 8, 0, 0, limbs.data());
  return value;
}

// set_lane and broadcast write an integer as digits to one lane or to all.
inline void set_lane(Digit* digits, std::size_t count, std::size_t lane, const mpz_class& value) {
  for (std::size_t i = 0; i < count; ++i) {
    mpz_class digit = value >> (i * kDigitBits);
    digits[i].lane[lane] = mpz_get_ui(digit.get_mpz_t()) & kDigitMask;
  }
}

inline Digits broadcast(const mpz_class& value, std::size_t count) {
  Digits digits(count);
  set_lane(digits.data(), count, 0, value);
  for (Digit& digit : digits) std::fill_n(digit.lane, kLanes, digit.lane[0]);
  return digits;
}

// rows_of returns the addresses of up to eight numbers from `first` on; lanes without a number of
// their own repeat the last.
inline ConstRows rows_of(ConstLimbs numbers, std::size_t limbs, std::size_t first) {
  const std::size_t last = numbers.size() / limbs - 1;
  ConstRows rows{};
  for (std::size_t l = 0; l < kLanes; ++l) {
    rows.lane[l] = &numbers[std::min(first + l, last) * limbs];
  }
  return rows;
}

inline MutableRows output_rows(Limbs numbers, std::size_t limbs, std::size_t first) {
  MutableRows rows{};
  for (std::size_t l = 0; l < kLanes && (first + l) * limbs < numbers.size(); ++l) {
    rows.lane[l] = &numbers[(first + l) * limbs];
  }
  return rows;
}

// Modulus is a ring with the same modulus m in all lanes, and what its users share: conversions and
// powers. Scratch is allocated by the call and wiped.
class Modulus {
 public:
  explicit Modulus(ConstLimbs m) : Modulus(to_integer(m)) {}

  explicit Modulus(const mpz_class& m)
      : m_(m),
        square_(m * m),
        digits_(digits_for(mpz_sizeinbase(m.get_mpz_t(), 2))),
        ring_(broadcast(m, digits_), broadcast(power_of_r(1) % m, digits_)),
        unit_(broadcast_pair(power_of_r(1))) {}

  [[nodiscard]] const Ring& ring() const { return ring_; }
  [[nodiscard]] std::size_t digits() const { return digits_; }
  [[nodiscard]] const mpz_class& integer() const { return m_; }
  [[nodiscard]] const mpz_class& square() const { return square_; }

  // power_of_r returns R^k mod m².
  [[nodiscard]] mpz_class power_of_r(std::uint64_t k) const {
    mpz_class result;
    mpz_class base = 2;
    mpz_powm_ui(result.get_mpz_t(), base.get_mpz_t(), k * digits_ * kDigitBits,
                square_.get_mpz_t());
    return result;
  }

  // set_pair writes the pair of x mod m²: r = x mod m, t = −(x / m)·R mod m.
  void set_pair(Digit* pair, std::size_t lane, const mpz_class& x) const {
    const mpz_class r = x % m_;
    mpz_class t = m_ - ((x / m_) << (digits_ * kDigitBits)) % m_;
    set_lane(pair, digits_, lane, r);
    set_lane(pair + digits_, digits_, lane, t);
  }
  [[nodiscard]] Digits broadcast_pair(const mpz_class& x) const {
    Digits pair(2 * digits_);
    for (std::size_t l = 0; l < kLanes; ++l) set_pair(pair.data(), l, x);
    return pair;
  }

  // power: out = a^e on pairs in Montgomery form (X·R for X), one exponent below 2^exponent_bits a
  // lane. Every look-up reads the whole table: neither time nor addresses depend on e, but on
  // `exponent_bits`.
  BLINDSUM_IFMA void power(Digit* out, const Digit* a, const ConstRows& e,
                           std::size_t exponent_bits) const {
    Digits table = power_table(a);
    Digits work(2 * digits_ + ring_.pair_scratch());
    Digit* const factor = work.data();
    Digit* const scratch = factor + 2 * digits_;
    std::size_t bit = whole_windows(exponent_bits, kPowerWindow) - kPowerWindow;
    select(out, table.data(), 2 * digits_, e, bit);
    while (bit > 0) {
      bit -= kPowerWindow;
      for (std::size_t i = 0; i < kPowerWindow; ++i) ring_.square(out, out, scratch);
      select(factor, table.data(), 2 * digits_, e, bit);
      ring_.multiply(out, out, factor, scratch);
    }
  }

  // power_table returns a^0, …, a^15 on pairs, digit i of all entries side by side.
  [[nodiscard]] BLINDSUM_IFMA Digits power_table(const Digit* a) const {
    Digits table(kPowerEntries * 2 * digits_);
    Digits work(2 * digits_ + ring_.pair_scratch());
    Digit* const power = work.data();
    std::copy(unit_.begin(), unit_.end(), power);
    for (std::size_t j = 0; j < kPowerEntries; ++j) {
      if (j == 1) std::copy_n(a, 2 * digits_, power);
      if (j > 1) ring_.multiply(power, power, a, power + 2 * digits_);
      for (std::size_t i = 0; i < 2 * digits_; ++i) table[i * kPowerEntries + j] = power[i];
    }
    return table;
  }

  // select looks up the first `width` digits of the entry that the bits of e from `bit` on name, in
  // every lane its own, by reading all entries.
  BLINDSUM_IFMA static void select(Digit* out, const Digit* table, std::size_t width,
                                   const ConstRows& e, std::size_t bit) {
    Digit index;
    for (std::size_t l = 0; l < kLanes; ++l) {
      index.lane[l] = (e.lane[l][bit / 64] >> (bit % 64)) & (kPowerEntries - 1);
    }
    constexpr int kOrAnd = 0xf8;  // a | (b & c)
    __m512i mask[kPowerEntries];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kPowerEntries; ++i) {
      mask[i] = _mm512_movm_epi64(
          _mm512_cmpeq_epi64_mask(load(&index), _mm512_set1_epi64(static_cast<long long>(i))));
    }
    for (std::size_t i = 0; i < width; ++i) {
      __m512i even = _mm512_setzero_si512();
      __m512i odd = even;
#pragma GCC unroll 8
      for (std::size_t j = 0; j < kPowerEntries; j += 2) {
        const Digit* const entries = table + i * kPowerEntries + j;
        even = _mm512_ternarylogic_epi64(even, mask[j], load(entries), kOrAnd);
        odd = _mm512_ternarylogic_epi64(odd, mask[j + 1], load(entries + 1), kOrAnd);
      }
      ifma::store(out + i, _mm512_or_si512(even, odd));
    }
  }

  // store writes the pair X as integers of `limbs` limbs to the first `lanes` rows.
  BLINDSUM_IFMA void store(const MutableRows& rows, std::size_t lanes, std::size_t limbs,
                           const Digit* pair) const {
    Digits work(2 * digits_);
    Digit* const u = work.data();
    ring_.mont_reduce(u, u + digits_, pair + digits_);
    store(rows, lanes, limbs, pair, u);
  }

  // store writes r − u·m mod m², r and u below 2·m.
  BLINDSUM_IFMA void store(const MutableRows& rows, std::size_t lanes, std::size_t limbs,
                           const Digit* r, const Digit* u) const {
    const std::size_t width = 2 * digits_;
    Digits work(width + kZeroDigits + std::max(width, limb_scratch(width)));
    Digit* const integer = work.data();
    Digit* const scratch = integer + width + kZeroDigits;
    ring_.to_integer(integer, r, u, scratch);
    store_digits(rows, lanes, limbs, integer, scratch);
  }

 private:
  mpz_class m_;
  mpz_class square_;
  std::size_t digits_;
  Ring ring_;
  Digits unit_;  // the pair of R
};

}  // namespace blindsum::crypto::kernels::ifma
