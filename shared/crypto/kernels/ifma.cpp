#include "shared/crypto/kernels/ifma.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <gmpxx.h>

#include "shared/crypto/kernels/ifma_arith.h"
#include "shared/crypto/kernels/ifma_modulus.h"
#include "shared/crypto/kernels/ifma_multi_exponent.h"

namespace blindsum::crypto::kernels {
namespace {

using ifma::broadcast;
using ifma::ConstRows;
using ifma::Digit;
using ifma::Digits;
using ifma::kLanes;
using ifma::Modulus;
using ifma::MutableRows;
using ifma::output_rows;
using ifma::Ring;
using ifma::rows_of;
using ifma::set_lane;

// FixedBaseFiller makes the entries for base^(d·2^o), o the first bit of a window and d a digit, as
// (y, w), L limbs each: the value y·(1 − w·R⁻¹·n)·R, without the last factor R in the last window.
// A product of one entry a window divides by R once less than there are windows and is thus the
// plain power.
class FixedBaseFiller {
 public:
  FixedBaseFiller(const Modulus& n, std::size_t limbs, const FixedBaseLayout& layout, Limbs table)
      : n_(n), limbs_(limbs), layout_(layout), table_(table) {}

  void fill(ConstLimbs base, ThreadPool& pool) const {
    std::vector<mpz_class> bases(layout_.windows);
    bases[0] = ifma::to_integer(base);
    for (std::size_t j = 1; j < layout_.windows; ++j) {
      bases[j] = bases[j - 1];
      for (std::size_t i = 0; i < layout_.width(j - 1); ++i) {
        bases[j] = bases[j] * bases[j] % n_.square();
      }
    }
    pool.parallel_for((layout_.windows + kLanes - 1) / kLanes,
                      [&](std::size_t group) { fill_windows(group * kLanes, bases); });
  }

 private:
  // fill_windows makes the entries of eight windows, one a lane. From one digit to the next, with
  // the base (b, v), Montgomery's T and q of y·b, and the inverse y⁻¹·R carried along:
  //
  //   y·(1 − w·R⁻¹·n)·R · b·(1 − v·R⁻¹·n)·R · R⁻¹ = T·(1 − (w + v + q·T⁻¹)·R⁻¹·n)·R.
  BLINDSUM_IFMA void fill_windows(std::size_t first, const std::vector<mpz_class>& bases) const {
    const Ring& ring = n_.ring();
    const std::size_t d = ring.digits();
    const mpz_class r = n_.power_of_r(1);
    const std::size_t number = d + ifma::kZeroDigits;
    Digits work(9 * number + ifma::limb_scratch(d));
    Digit* const y = work.data();
    Digit* const w = y + number;
    Digit* const inverse = w + number;
    Digit* const b = inverse + number;
    Digit* const v = b + number;
    Digit* const step = v + number;
    Digit* const q = step + number;
    Digit* const term = q + number;
    Digit* const spare = term + number;
    Digit* const limb_scratch = spare + number;

    const std::size_t lanes = std::min(kLanes, layout_.windows - first);
    std::size_t digits = 0;
    for (std::size_t l = 0; l < kLanes; ++l) {
      const std::size_t j = std::min(first + l, layout_.windows - 1);
      digits = std::max(digits, std::size_t{1} << layout_.width(j));
      set_entry(y, w, inverse, l, j + 1 == layout_.windows ? mpz_class(1) : r, r);
      set_entry(b, v, step, l, bases[j] * r % n_.square(), r * r);
    }
    for (std::size_t digit = 0; digit < digits; ++digit) {
      if (digit > 0) {
        ring.mont(y, q, y, b);
        const unsigned wrapped = ring.canonical(y, y, spare);
        ring.mont(inverse, spare, inverse, step);
        ring.canonical(inverse, inverse, spare);
        ring.mont(term, spare, q, inverse);
        ring.canonical(term, term, spare);
        ring.canonical(term, term, spare);
        ring.add_mod(w, w, v, spare);
        ring.add_mod(w, w, term, spare);
        if (wrapped != 0) {  // y lost m, so that q lost R
          for (std::size_t i = 0; i < d; ++i) {
            ifma::store(term + i, _mm512_maskz_mov_epi64(static_cast<__mmask8>(wrapped),
                                                         ifma::load(inverse + i)));
          }
          ring.subtract_mod(w, w, term);
        }
      }
      MutableRows rows_y{};
      MutableRows rows_w{};
      std::size_t used = 0;
      for (std::size_t l = 0; l < lanes && digit < std::size_t{1} << layout_.width(first + l);
           ++l) {
        rows_y.lane[l] = &table_[(layout_.first_entry(first + l) + digit) * 2 * limbs_];
        rows_w.lane[l] = rows_y.lane[l] + limbs_;
        ++used;
      }
      ifma::store_digits(rows_y, used, limbs_, y, limb_scratch);
      ifma::store_digits(rows_w, used, limbs_, w, limb_scratch);
    }
  }

  // set_entry writes one lane of y, w and y⁻¹·factor for the value x.
  void set_entry(Digit* y, Digit* w, Digit* inverse, std::size_t lane, const mpz_class& x,
                 const mpz_class& factor) const {
    const mpz_class& m = n_.integer();
    const std::size_t d = n_.digits();
    const mpz_class short_part = x % m;
    mpz_class inverted;
    mpz_invert(inverted.get_mpz_t(), short_part.get_mpz_t(), m.get_mpz_t());
    mpz_class v = (x / m) * inverted % m * n_.power_of_r(1) % m;
    if (v != 0) v = m - v;
    set_lane(y, d, lane, short_part);
    set_lane(w, d, lane, v);
    set_lane(inverse, d, lane, mpz_class(inverted * factor % m));
  }

  const Modulus& n_;
  std::size_t limbs_;
  const FixedBaseLayout& layout_;
  Limbs table_;
};

// IfmaProduct keeps, for eight elements a group, pairs P with a count e: the element is P·R^e. Each
// factor divides by R twice, and one product in read() makes up for all.
class IfmaProduct : public Product {
 public:
  IfmaProduct(const Modulus& n, std::size_t limbs, std::size_t size)
      : n_(n), limbs_(limbs), divisions_(size) {
    const std::size_t width = 2 * n.digits();
    pairs_.resize((size + kLanes - 1) / kLanes * width);
    for (std::size_t i = 0; i < pairs_.size(); i += width) {
      std::fill_n(pairs_[i].lane, kLanes, 1);
    }
  }

  BLINDSUM_IFMA void multiply(std::size_t begin, ConstLimbs factors, std::size_t count) override {
    const Ring& ring = n_.ring();
    const std::size_t width = 2 * n_.digits();
    Digits work(2 * width + ring.pair_scratch() + ifma::limb_scratch(width));
    Digit* const integer = work.data();
    Digit* const factor = integer + width;
    Digit* const scratch = factor + width;
    if (count == 0) return;
    const std::size_t end = begin + count;
    for (std::size_t first = begin / kLanes * kLanes; first < end; first += kLanes) {
      ConstRows rows{};
      __mmask8 present = 0;
      bool fresh = true;
      for (std::size_t l = 0; l < kLanes; ++l) {
        const std::size_t element = std::clamp(first + l, begin, end - 1);
        rows.lane[l] = &factors[(element - begin) * 2 * limbs_];
        if (element != first + l) continue;
        present = static_cast<__mmask8>(present | 1U << l);
        fresh = fresh && divisions_[element] == 0;
      }
      ifma::load_digits(integer, width, rows, 2 * limbs_, scratch);
      ring.from_integer(factor, factor + n_.digits(), integer);
      Digit* const pair = &pairs_[first / kLanes * width];
      if (!fresh) ring.multiply(factor, factor, pair, scratch);
      for (std::size_t i = 0; i < width; ++i) {
        ifma::store(pair + i,
                    _mm512_mask_mov_epi64(ifma::load(pair + i), present, ifma::load(factor + i)));
      }
      for (std::size_t l = 0; l < kLanes; ++l) {
        if ((present >> l & 1) != 0) divisions_[first + l] += fresh ? 1 : 2;
      }
    }
  }

  BLINDSUM_IFMA void read(std::size_t begin, std::size_t count, Limbs out) const override {
    const Ring& ring = n_.ring();
    const std::size_t width = 2 * n_.digits();
    Digits work(3 * width + ring.pair_scratch());
    Digit* const repair = work.data();
    Digit* const result = repair + width;
    Digit* const moved = result + width;
    Digit* const scratch = moved + width;
    std::uint64_t repaired[kLanes];
    std::fill_n(repaired, kLanes, ~std::uint64_t{0});
    for (std::size_t i = 0; i < count;) {
      // A group from element begin + i on, in lanes 0, 1, …
      const std::size_t lane = (begin + i) % kLanes;
      const std::size_t used = std::min(kLanes - lane, count - i);
      for (std::size_t l = lane; l < lane + used; ++l) {
        const std::uint64_t divisions = divisions_[begin + i + l - lane];
        if (repaired[l] == divisions) continue;
        const auto same =
            static_cast<std::size_t>(std::find(repaired, repaired + kLanes, divisions) - repaired);
        if (same == kLanes) {
          n_.set_pair(repair, l, n_.power_of_r(divisions + 1));
        } else {
          for (std::size_t j = 0; j < width; ++j) repair[j].lane[l] = repair[j].lane[same];
        }
        repaired[l] = divisions;
      }
      ring.multiply(result, &pairs_[(begin + i) / kLanes * width], repair, scratch);
      for (std::size_t j = 0; j < width; ++j) {
        for (std::size_t l = 0; l < used; ++l) moved[j].lane[l] = result[j].lane[lane + l];
      }
      n_.store(output_rows(out, 2 * limbs_, i), used, 2 * limbs_, moved);
      i += used;
    }
  }

 private:
  const Modulus& n_;
  std::size_t limbs_;
  std::vector<Digit> pairs_;
  std::vector<std::uint64_t> divisions_;
};

class IfmaPublicContext : public PublicContext {
 public:
  explicit IfmaPublicContext(ConstLimbs n)
      : n_(n),
        limbs_(n.size()),
        r3_(n_.broadcast_pair(n_.power_of_r(3))),
        r4_(n_.broadcast_pair(n_.power_of_r(4))),
        one_(n_.broadcast_pair(1)),
        minus_r2_(minus_r2(n_)) {}

  void fill_fixed_base(ConstLimbs base, const FixedBaseLayout& layout, Limbs table,
                       ThreadPool& pool) const override {
    FixedBaseFiller(n_, limbs_, layout, table).fill(base, pool);
  }

  BLINDSUM_IFMA void encrypt(const FixedBase& base, ConstLimbs m, ConstLimbs r, std::size_t count,
                             Limbs out) const override {
    const std::size_t r_limbs = (base.layout.exponent_bits + 63) / 64;
    for (std::size_t i = 0; i < count; i += kLanes) {
      encrypt_group(base, rows_of(m.first(count * limbs_), limbs_, i),
                    rows_of(r.first(count * r_limbs), r_limbs, i),
                    output_rows(out.first(count * 2 * limbs_), 2 * limbs_, i),
                    std::min(kLanes, count - i));
    }
  }

  [[nodiscard]] std::unique_ptr<Product> make_product(std::size_t size) const override {
    return std::make_unique<IfmaProduct>(n_, limbs_, size);
  }

  BLINDSUM_IFMA void multiply(ConstLimbs a, ConstLimbs b, std::size_t count,
                              Limbs out) const override {
    const Ring& ring = n_.ring();
    const std::size_t d = n_.digits();
    const std::size_t number = 2 * limbs_;
    Digits work(6 * d + ring.pair_scratch() + ifma::limb_scratch(2 * d));
    Digit* const integer = work.data();
    Digit* const x = integer + 2 * d;
    Digit* const y = x + 2 * d;
    Digit* const scratch = y + 2 * d;
    for (std::size_t i = 0; i < count; i += kLanes) {
      ifma::load_digits(integer, 2 * d, rows_of(a.first(count * number), number, i), number,
                        scratch);
      ring.from_integer(x, x + d, integer);
      ifma::load_digits(integer, 2 * d, rows_of(b.first(count * number), number, i), number,
                        scratch);
      ring.from_integer(y, y + d, integer);
      ring.multiply(x, x, y, scratch);
      ring.multiply(x, x, r4_.data(), scratch);
      n_.store(output_rows(out.first(count * number), number, i), std::min(kLanes, count - i),
               number, x);
    }
  }

  BLINDSUM_IFMA void power(ConstLimbs a, ConstLimbs e, std::size_t exponent_limbs,
                           std::size_t count, Limbs out) const override {
    const Ring& ring = n_.ring();
    const std::size_t d = n_.digits();
    const std::size_t number = 2 * limbs_;
    Digits work(4 * d + ring.pair_scratch() + ifma::limb_scratch(2 * d));
    Digit* const integer = work.data();
    Digit* const x = integer + 2 * d;
    Digit* const scratch = x + 2 * d;
    for (std::size_t i = 0; i < count; i += kLanes) {
      const std::size_t lanes = std::min(kLanes, count - i);
      std::size_t used = 0;
      for (std::size_t l = i; l < i + lanes; ++l) {
        used = std::max(used, used_bits(e.subspan(l * exponent_limbs, exponent_limbs)));
      }
      ifma::load_digits(integer, 2 * d, rows_of(a.first(count * number), number, i), number,
                        scratch);
      ring.from_integer(x, x + d, integer);
      ring.multiply(x, x, r3_.data(), scratch);
      n_.power(integer, x, rows_of(e.first(count * exponent_limbs), exponent_limbs, i), used);
      ring.multiply(x, integer, one_.data(), scratch);
      n_.store(output_rows(out.first(count * number), number, i), lanes, number, x);
    }
  }

  void multi_exponentiate(ConstLimbs bases, ConstLimbs inverses,
                          std::span<const std::int64_t> weights, ThreadPool& pool,
                          Limbs out) const override {
    if (out.empty()) return;
    const std::size_t width = 2 * limbs_;
    const WeightRows rows(weights, out.size() / width, kLanes * pool.threads(),
                          kPowerTableBytes / (16 * n_.digits()));
    std::vector<std::uint64_t> products(rows.rows() * width);
    ifma_multi_exponentiate(n_, r3_, one_, limbs_, bases, inverses, rows, pool, products);
    multiply_parts(*this, width, products, out);
  }

  void multi_exponentiate_slots(ConstLimbs bases, ConstLimbs inverses,
                                std::span<const std::int64_t> weights, std::size_t slots,
                                unsigned slot_bits, ThreadPool& pool, Limbs out) const override {
    if (out.empty()) return;
    const std::size_t width = 2 * limbs_;
    const SlotRows rows(weights, slots, slot_bits, out.size() / width, kLanes * pool.threads());
    std::vector<std::uint64_t> products(rows.rows() * width);
    ifma_multi_exponentiate(n_, r3_, one_, limbs_, bases, inverses, rows, pool, products);
    multiply_parts(*this, width, products, out);
  }

 private:
  static Digits minus_r2(const Modulus& n) {
    return broadcast(n.integer() - n.power_of_r(2) % n.integer(), n.digits());
  }

  // encrypt_group multiplies one table entry a window. Entries are multiplied in pairs by their
  // short halves first (4·D² multiply-adds), then merged (10·D²), while the w are only added, digit
  // by digit without carries. One product at the end applies them and m:
  //
  //   (r − t·R⁻¹·n)·(1 + m·n − Σw·R⁻¹·n) = r − (t + r·(Σw − m·R))·R⁻¹·n.
  BLINDSUM_IFMA void encrypt_group(FixedBase base, const ConstRows& m, const ConstRows& r,
                                   const MutableRows& out, std::size_t lanes) const {
    const Ring& ring = n_.ring();
    const std::size_t d = n_.digits();
    Digits work(8 * d + ring.pair_scratch() + ifma::limb_scratch(d));
    Digit* const product = work.data();
    Digit* const factor = product + 2 * d;
    Digit* const low = factor + 2 * d;
    Digit* const high = low + d;
    Digit* const sum = high + d;
    Digit* const q = sum + d;
    Digit* const scratch = q + d;

    ifma::load_digits(low, d, m, limbs_, scratch);
    ring.mont(sum, q, low, minus_r2_.data());
    ConstRows low_rows = entries_of(base, 0, r);
    ConstRows high_rows = entries_of(base, 1, r);
    for (std::size_t j = 0; j < base.layout.windows; j += 2) {
      Digit* const target = j == 0 ? product : factor;
      load_entry(low_rows, low, sum, q, scratch);
      if (j + 1 < base.layout.windows) {
        load_entry(high_rows, high, sum, q, scratch);
        low_rows = entries_of(base, j + 2, r);
        ring.mont(target, target + d, low, high, &low_rows);
      } else {
        std::copy_n(low, d, target);
        std::fill_n(target + d, d, Digit{});
      }
      high_rows = entries_of(base, j + 3, r);
      if (j != 0) ring.multiply(product, product, factor, scratch, &high_rows);
    }
    __m512i carry = _mm512_setzero_si512();
    for (std::size_t i = 0; i < d; ++i) {
      carry = _mm512_add_epi64(carry, ifma::load(sum + i));
      ifma::store(sum + i, _mm512_and_si512(carry, ifma::digit_mask()));
      carry = ifma::shift_right(carry, ifma::kDigitBits);
    }
    ring.mont_add(sum, q, product, sum, product + d);
    n_.store(out, lanes, 2 * limbs_, product, sum);
  }

  // entries_of returns where the entries for window j lie; past the end, those of the last window.
  [[nodiscard]] ConstRows entries_of(const FixedBase& base, std::size_t j,
                                     const ConstRows& r) const {
    j = std::min(j, base.layout.windows - 1);
    ConstRows rows{};
    for (std::size_t l = 0; l < kLanes; ++l) {
      rows.lane[l] = &base.table[base.layout.entry(j, r.lane[l]) * 2 * limbs_];
    }
    return rows;
  }

  // load_entry reads y and adds w to `sum`.
  BLINDSUM_IFMA void load_entry(ConstRows rows, Digit* y, Digit* sum, Digit* w,
                                Digit* scratch) const {
    ifma::load_digits(y, n_.digits(), rows, limbs_, scratch);
    for (const std::uint64_t*& row : rows.lane) row += limbs_;
    ifma::load_digits(w, n_.digits(), rows, limbs_, scratch);
    for (std::size_t i = 0; i < n_.digits(); ++i) {
      ifma::store(sum + i, _mm512_add_epi64(ifma::load(sum + i), ifma::load(w + i)));
    }
  }

  Modulus n_;
  std::size_t limbs_;
  Digits r3_;        // the pair of R³
  Digits r4_;        // the pair of R⁴
  Digits one_;       // the pair of 1
  Digits minus_r2_;  // −R² mod n
};

class IfmaKernel : public Kernel {
 public:
  [[nodiscard]] std::string_view name() const override { return "ifma"; }
  [[nodiscard]] std::string_view description() const override {
    return "52-bit digits, eight numbers at a time, on AVX-512 IFMA";
  }
  [[nodiscard]] bool runs_here() const override {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw");
  }
  [[nodiscard]] std::size_t batch_grain() const override { return kLanes; }
  [[nodiscard]] std::unique_ptr<PublicContext> make_public(ConstLimbs n) const override {
    return std::make_unique<IfmaPublicContext>(n);
  }
};

}  // namespace

const Kernel& ifma_kernel() {
  static const IfmaKernel kernel;
  return kernel;
}

}  // namespace blindsum::crypto::kernels
