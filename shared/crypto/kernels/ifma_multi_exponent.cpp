#include "shared/crypto/kernels/ifma_multi_exponent.h"

#include <algorithm>
#include <array>
#include <vector>

namespace blindsum::crypto::kernels {
namespace {

using ifma::ConstRows;
using ifma::Digit;
using ifma::Digits;
using ifma::kLanes;
using ifma::Modulus;
using ifma::MutableRows;
using ifma::Ring;

// load_words reads `count` words of each row; store_words writes those of the first `lanes` rows.
BLINDSUM_IFMA void load_words(Digit* out, std::size_t count, const ConstRows& rows) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask8 mask = ifma::first_words(count - i);
    __m512i x[kLanes];
    for (std::size_t l = 0; l < kLanes; ++l) {
      x[l] = _mm512_maskz_loadu_epi64(mask, rows.lane[l] + i);
    }
    ifma::transpose(x);
    for (std::size_t l = 0; l < std::min(kLanes, count - i); ++l) ifma::store(out + i + l, x[l]);
  }
}
BLINDSUM_IFMA void store_words(const MutableRows& rows, std::size_t lanes, std::size_t count,
                               const Digit* words) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t used = std::min(kLanes, count - i);
    __m512i x[kLanes];
    for (std::size_t l = 0; l < kLanes; ++l) {
      x[l] = l < used ? ifma::load(words + i + l) : _mm512_setzero_si512();
    }
    ifma::transpose(x);
    for (std::size_t l = 0; l < lanes; ++l) {
      _mm512_mask_storeu_epi64(rows.lane[l] + i, ifma::first_words(used), x[l]);
    }
  }
}

// PowerTable holds powers of numbers, the odd ones or 1, 2, 3, …, each a pair of 2·D digits in
// Montgomery form, and behind them the pair of R.
class PowerTable {
 public:
  PowerTable(const Modulus& n, const Digits& r3, std::size_t limbs, std::size_t numbers,
             std::size_t powers, bool odd)
      : n_(n),
        r3_(r3),
        limbs_(limbs),
        powers_(powers),
        odd_(odd),
        width_(2 * n.digits()),
        entries_(numbers * powers),
        words_((entries_ + 1) * width_) {
    Digits unit(width_);
    n.set_pair(unit.data(), 0, n.power_of_r(1));
    for (std::size_t i = 0; i < width_; ++i) words_[entries_ * width_ + i] = unit[i].lane[0];
  }

  [[nodiscard]] const std::uint64_t* entry(std::size_t i) const { return &words_[i * width_]; }
  [[nodiscard]] const std::uint64_t* unit() const { return entry(entries_); }

  // fill makes the powers of up to eight of `numbers`, from `first` on; the table has them from
  // number `first + offset` on.
  BLINDSUM_IFMA void fill(ConstLimbs numbers, std::size_t first, std::size_t offset) {
    const Ring& ring = n_.ring();
    const std::size_t lanes = std::min(kLanes, numbers.size() / (2 * limbs_) - first);
    Digits work((powers_ + 2) * width_ + ring.pair_scratch() + ifma::limb_scratch(width_));
    Digit* const square = work.data();
    Digit* const powers = square + width_;
    Digit* const integer = powers + powers_ * width_;
    Digit* const scratch = integer + width_;
    ifma::load_digits(integer, width_, ifma::rows_of(numbers, 2 * limbs_, first), 2 * limbs_,
                      scratch);
    ring.from_integer(powers, powers + n_.digits(), integer);
    ring.multiply(powers, powers, r3_.data(), scratch);
    if (powers_ > 1 && odd_) ring.square(square, powers, scratch);
    for (std::size_t j = 0; j < powers_; ++j) {
      Digit* const power = powers + j * width_;
      if (j > 0 && odd_) {
        ring.multiply(power, power - width_, square, scratch);
      } else if (j % 2 == 1) {  // power j + 1
        ring.square(power, powers + j / 2 * width_, scratch);
      } else if (j > 0) {
        ring.multiply(power, power - width_, powers, scratch);
      }
      MutableRows rows{};
      for (std::size_t l = 0; l < lanes; ++l) {
        rows.lane[l] = &words_[((offset + first + l) * powers_ + j) * width_];
      }
      store_words(rows, lanes, width_, power);
    }
  }

 private:
  const Modulus& n_;
  const Digits& r3_;
  std::size_t limbs_;
  std::size_t powers_;
  bool odd_;
  std::size_t width_;
  std::size_t entries_;
  std::vector<std::uint64_t> words_;
};

// multiply_rows makes the products of up to eight rows. At every bit, each lane takes its next term
// or, when it has no more, 1.
BLINDSUM_IFMA void multiply_rows(const Modulus& n, const Digits& one, const PowerTable& table,
                                 const WeightRows& rows, std::size_t first, std::size_t lanes,
                                 std::size_t limbs, const MutableRows& out) {
  const Ring& ring = n.ring();
  const std::size_t width = 2 * n.digits();
  Digits work(2 * width + ring.pair_scratch());
  Digit* const product = work.data();
  Digit* const factor = product + width;
  Digit* const scratch = factor + width;
  std::array<WeightRows::Terms, kLanes> terms;
  std::size_t bits = 0;
  for (std::size_t l = 0; l < lanes; ++l) {
    terms[l] = rows.terms(first + l);
    bits = std::max(bits, terms[l].size());
  }
  ConstRows entries{};
  std::fill_n(entries.lane, kLanes, table.unit());
  load_words(product, width, entries);
  for (std::size_t bit = bits; bit-- > 0;) {
    if (bit + 1 < bits) ring.square(product, product, scratch);
    for (std::size_t i = 0;; ++i) {
      bool is_done = true;
      for (std::size_t l = 0; l < lanes; ++l) {
        const bool has_term = bit < terms[l].size() && i < terms[l][bit].size();
        entries.lane[l] = has_term ? table.entry(terms[l][bit][i]) : table.unit();
        is_done = is_done && !has_term;
      }
      if (is_done) break;
      load_words(factor, width, entries);
      ring.multiply(product, product, factor, scratch);
    }
  }
  ring.multiply(product, product, one.data(), scratch);
  n.store(out, lanes, limbs, product);
}

// multiply_rows makes the products of up to eight rows of slots.
BLINDSUM_IFMA void multiply_rows(const Modulus& n, const Digits& one, const PowerTable& table,
                                 const SlotRows& rows, std::size_t first, std::size_t lanes,
                                 std::size_t limbs, const MutableRows& out) {
  const Ring& ring = n.ring();
  const std::size_t width = 2 * n.digits();
  Digits work(2 * width + ring.pair_scratch());
  Digit* const product = work.data();
  Digit* const factor = product + width;
  Digit* const scratch = factor + width;
  ConstRows entries{};
  std::fill_n(entries.lane, kLanes, table.unit());
  load_words(product, width, entries);
  for (std::size_t place = 0; place < rows.places(); ++place) {
    std::array<std::span<const std::uint32_t>, kLanes> terms;
    std::size_t most = 0;
    for (std::size_t l = 0; l < lanes; ++l) {
      terms[l] = rows.entries(first + l, place);
      most = std::max(most, terms[l].size());
    }
    for (std::size_t i = 0; i < most; ++i) {
      bool is_one = true;
      for (std::size_t l = 0; l < lanes; ++l) {
        const std::uint32_t entry = i < terms[l].size() ? terms[l][i] : SlotRows::kNone;
        entries.lane[l] = entry == SlotRows::kNone ? table.unit() : table.entry(entry);
        is_one = is_one && entry == SlotRows::kNone;
      }
      if (is_one) continue;
      load_words(factor, width, entries);
      ring.multiply(product, product, factor, scratch);
    }
    for (std::size_t i = rows.squarings(place); i > 0; --i) {
      ring.square(product, product, scratch);
    }
  }
  ring.multiply(product, product, one.data(), scratch);
  n.store(out, lanes, limbs, product);
}

template <class RowsType>
void multi_exponentiate(const Modulus& n, const Digits& r3, const Digits& one, std::size_t limbs,
                        ConstLimbs bases, ConstLimbs inverses, const RowsType& rows,
                        bool has_inverses, std::size_t powers, bool odd, ThreadPool& pool,
                        Limbs out) {
  const std::size_t inputs = bases.size() / (2 * limbs);
  const std::size_t groups = (inputs + kLanes - 1) / kLanes;
  const std::size_t signs = has_inverses ? 2 : 1;
  PowerTable table(n, r3, limbs, signs * inputs, powers, odd);
  pool.parallel_for(signs * groups, [&](std::size_t i) {
    table.fill(i < groups ? bases : inverses, i % groups * kLanes, i < groups ? 0 : inputs);
  });
  pool.parallel_for((rows.rows() + kLanes - 1) / kLanes, [&](std::size_t i) {
    const std::size_t first = i * kLanes;
    multiply_rows(n, one, table, rows, first, std::min(kLanes, rows.rows() - first), 2 * limbs,
                  ifma::output_rows(out, 2 * limbs, first));
  });
}

}  // namespace

void ifma_multi_exponentiate(const Modulus& n, const Digits& r3, const Digits& one,
                             std::size_t limbs, ConstLimbs bases, ConstLimbs inverses,
                             const WeightRows& rows, ThreadPool& pool, Limbs out) {
  multi_exponentiate(n, r3, one, limbs, bases, inverses, rows, rows.has_negative(),
                     rows.odd_powers(), true, pool, out);
}

void ifma_multi_exponentiate(const Modulus& n, const Digits& r3, const Digits& one,
                             std::size_t limbs, ConstLimbs bases, ConstLimbs inverses,
                             const SlotRows& rows, ThreadPool& pool, Limbs out) {
  multi_exponentiate(n, r3, one, limbs, bases, inverses, rows, true, SlotRows::kPowers, false, pool,
                     out);
}

}  // namespace blindsum::crypto::kernels
