// Arithmetic of eight independent numbers in the eight lanes of AVX-512 registers, by the 52-bit
// multiply-add of AVX-512 IFMA. Everything here may run only where the processor has it.
//
// A number is D digits of 52 bits, least significant first; digit i of eight numbers is one
// register (Digit). D is a multiple of 10, R = 2^(52·D), and every modulus m is odd and below
// R / 4096. This slack replaces nearly all final subtractions: Montgomery's reduction
//
//   q = −x·m⁻¹ mod R,   T = (x + q·m) / R,   T < x/R + m
//
// takes x < 16·m² to T < (1 + 2^-8)·m, which is as good as reduced for the next product.
//
// Mod m², X is the pair (r, t), 2·D digits, r first:
//
//   X = r − t·R⁻¹·m mod m²,   0 <= r < 4·m,   0 <= t < R.
//
// The quotient q of the reduction of r1·r2 is exactly what the m-part lacks: r1·r2·R⁻¹ =
// T − q·R⁻¹·m over the integers, hence
//
//   X1·X2·R⁻¹ = T − t'·R⁻¹·m,   t' = MontRed(t1·r2 + r1·t2) + q < 9·m + R,
//
// three products and two reductions of D × D digits where working mod m² would take eight. In the
// rare event t' >= R, which only q close to R can bring about, t' − R + (R mod m) < 10·m replaces
// it.
//
// Products are scanned by columns, ten at a time: the ten sums stay in registers while the rows of
// the product pass by, and both streams (the r-part and the t-part) go through at once, sharing the
// digits that they load. A column sums at most 6·D + 1 terms below 2^52, far from 2^64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <immintrin.h>

#include "shared/crypto/kernels/limbs.h"

#define BLINDSUM_IFMA [[gnu::target("avx512f,avx512ifma,avx512vl,avx512dq,avx512bw")]]
#define BLINDSUM_IFMA_INLINE BLINDSUM_IFMA [[gnu::always_inline]] inline

namespace blindsum::crypto::kernels::ifma {

inline constexpr std::size_t kLanes = 8;
inline constexpr std::size_t kBlock = 10;
inline constexpr unsigned kDigitBits = 52;
inline constexpr unsigned kSlackBits = 12;
inline constexpr std::uint64_t kDigitMask = (std::uint64_t{1} << kDigitBits) - 1;

// Digit is one digit of eight numbers (in conversions: one limb of eight numbers).
struct alignas(64) Digit {
  std::uint64_t lane[kLanes];
};
using Digits = std::vector<Digit, WipingAllocator<Digit>>;

// digits_for returns D for moduli of `bits` bits.
constexpr std::size_t digits_for(std::size_t bits) {
  constexpr std::size_t kBlockBits = kBlock * kDigitBits;
  return (bits + kSlackBits + kBlockBits - 1) / kBlockBits * kBlock;
}

BLINDSUM_IFMA_INLINE __m512i load(const Digit* digit) { return _mm512_load_si512(digit); }
BLINDSUM_IFMA_INLINE void store(Digit* digit, __m512i value) { _mm512_store_si512(digit, value); }
BLINDSUM_IFMA_INLINE __m512i digit_mask() {
  return _mm512_set1_epi64(static_cast<long long>(kDigitMask));
}

// shift_right, shift_left and shift_right_signed shift every word. (The intrinsics of the same use
// warn in g++ 12.)
BLINDSUM_IFMA_INLINE __m512i shift_right(__m512i x, unsigned bits) {
  return reinterpret_cast<__m512i>(reinterpret_cast<__v8du>(x) >> bits);
}
BLINDSUM_IFMA_INLINE __m512i shift_left(__m512i x, unsigned bits) {
  return reinterpret_cast<__m512i>(reinterpret_cast<__v8du>(x) << bits);
}
BLINDSUM_IFMA_INLINE __m512i shift_right_signed(__m512i x, unsigned bits) {
  return reinterpret_cast<__m512i>(reinterpret_cast<__v8di>(x) >> bits);
}

// ---- Conversions between limbs and digits ----

// transpose turns eight rows of eight words into eight columns. (The full masks are for g++ 12,
// which warns of the plain intrinsics.)
BLINDSUM_IFMA_INLINE void transpose(__m512i (&x)[8]) {
  __m512i y[8];
  for (int i = 0; i < 8; i += 2) {
    y[i] = _mm512_maskz_unpacklo_epi64(0xff, x[i], x[i + 1]);
    y[i + 1] = _mm512_maskz_unpackhi_epi64(0xff, x[i], x[i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    const __m512i a = _mm512_maskz_shuffle_i64x2(0xff, y[i], y[i + 2], 0x88);
    const __m512i b = _mm512_maskz_shuffle_i64x2(0xff, y[i], y[i + 2], 0xdd);
    const __m512i c = _mm512_maskz_shuffle_i64x2(0xff, y[i + 4], y[i + 6], 0x88);
    const __m512i d = _mm512_maskz_shuffle_i64x2(0xff, y[i + 4], y[i + 6], 0xdd);
    x[i] = _mm512_maskz_shuffle_i64x2(0xff, a, c, 0x88);
    x[i + 2] = _mm512_maskz_shuffle_i64x2(0xff, b, d, 0x88);
    x[i + 4] = _mm512_maskz_shuffle_i64x2(0xff, a, c, 0xdd);
    x[i + 6] = _mm512_maskz_shuffle_i64x2(0xff, b, d, 0xdd);
  }
}

BLINDSUM_IFMA_INLINE __mmask8 first_words(std::size_t count) {
  return static_cast<__mmask8>(count >= 8 ? 0xff : (1U << count) - 1);
}

// unpack_one and pack_one make digit k from limbs and limb k from digits; 16 digits are 13 limbs.
template <std::size_t k>
BLINDSUM_IFMA_INLINE void unpack_one(Digit* digits, std::size_t count, const Digit* limbs) {
  if (k >= count) return;
  constexpr std::size_t kLimb = k * kDigitBits / 64;
  constexpr unsigned kShift = k * kDigitBits % 64;
  __m512i digit = shift_right(load(limbs + kLimb), kShift);
  if constexpr (kShift > 64 - kDigitBits) {
    digit = _mm512_or_si512(digit, shift_left(load(limbs + kLimb + 1), 64 - kShift));
  }
  store(digits + k, _mm512_and_si512(digit, digit_mask()));
}

template <std::size_t k>
BLINDSUM_IFMA_INLINE void pack_one(Digit* limbs, std::size_t count, const Digit* digits) {
  if (k >= count) return;
  constexpr std::size_t kDigit = k * 64 / kDigitBits;
  constexpr unsigned kShift = k * 64 % kDigitBits;
  __m512i limb = _mm512_or_si512(shift_right(load(digits + kDigit), kShift),
                                 shift_left(load(digits + kDigit + 1), kDigitBits - kShift));
  if constexpr (kShift > 2 * kDigitBits - 64) {
    limb = _mm512_or_si512(limb, shift_left(load(digits + kDigit + 2), 2 * kDigitBits - kShift));
  }
  store(limbs + k, limb);
}

template <std::size_t... k>
BLINDSUM_IFMA_INLINE void unpack(Digit* digits, std::size_t count, const Digit* limbs,
                                 std::index_sequence<k...> /*16*/) {
  for (std::size_t i = 0; i < count; i += 16) {
    (unpack_one<k>(digits + i, count - i, limbs + i / 16 * 13), ...);
  }
}

template <std::size_t... k>
BLINDSUM_IFMA_INLINE void pack(Digit* limbs, std::size_t count, const Digit* digits,
                               std::index_sequence<k...> /*13*/) {
  for (std::size_t i = 0; i < count; i += 13) {
    (pack_one<k>(limbs + i, count - i, digits + i / 13 * 16), ...);
  }
}

// limb_scratch is the scratch that a conversion of numbers of `digits` digits needs.
constexpr std::size_t limb_scratch(std::size_t digits) { return (digits / 16 + 1) * 13 + 16; }

// Rows are the addresses of eight numbers in limbs.
template <class Word>
struct Rows {
  Word* lane[kLanes];
};

// load_digits reads `limbs` limbs of each row as `digits` digits; what does not fit is cut off.
BLINDSUM_IFMA inline void load_digits(Digit* out, std::size_t digits,
                                      const Rows<const std::uint64_t>& rows, std::size_t limbs,
                                      Digit* scratch) {
  const std::size_t padded = limb_scratch(digits);
  std::size_t i = 0;
  for (; i < limbs && i + 8 <= padded; i += 8) {
    const __mmask8 mask = first_words(limbs - i);
    __m512i x[8];
    for (std::size_t l = 0; l < kLanes; ++l)
      x[l] = _mm512_maskz_loadu_epi64(mask, rows.lane[l] + i);
    transpose(x);
    for (std::size_t l = 0; l < kLanes; ++l) store(scratch + i + l, x[l]);
  }
  for (; i < padded; ++i) store(scratch + i, _mm512_setzero_si512());
  unpack(out, digits, scratch, std::make_index_sequence<16>());
}

// store_digits writes numbers of `limbs` limbs to the first `lanes` rows. At least 16 zero digits
// follow the numbers.
BLINDSUM_IFMA inline void store_digits(const Rows<std::uint64_t>& rows, std::size_t lanes,
                                       std::size_t limbs, const Digit* digits, Digit* scratch) {
  pack(scratch, limbs, digits, std::make_index_sequence<13>());
  for (std::size_t i = 0; i < limbs; i += 8) {
    const __mmask8 mask = first_words(limbs - i);
    __m512i x[8];
    for (std::size_t l = 0; l < kLanes; ++l) x[l] = load(scratch + i + l);
    transpose(x);
    for (std::size_t l = 0; l < lanes; ++l) _mm512_mask_storeu_epi64(rows.lane[l] + i, mask, x[l]);
  }
}

// prefetch_line asks for cache line `i` of every row, if there are rows. A whole entry at once
// would fill the processor's line buffers and stall it.
BLINDSUM_IFMA_INLINE void prefetch_line(const Rows<const std::uint64_t>* rows, std::size_t i) {
  if (rows == nullptr) return;
  constexpr std::size_t kLineWords = 8;
  for (const std::uint64_t* row : rows->lane) __builtin_prefetch(row + i * kLineWords);
}

// ---- Ten columns of a product ----

// Block holds the sums of ten neighbouring columns. Column i + j takes the low halves of a_i·b_j,
// column i + j + 1 the high halves.
struct Block {
  __m512i c[kBlock];
};

// Shape says which columns of a block a row reaches: low halves in [lo_begin, lo_end), high halves
// in [hi_begin, hi_end); column f takes the low half of a_i·b[f − shift].
struct Shape {
  int lo_begin, lo_end, hi_begin, hi_end, shift;
};
inline constexpr Shape kFull{0, 10, 0, 10, 0};
// Row e of the triangle where j ends at 0, and of the one where j begins at D − 1 (b points to D).
constexpr Shape low_triangle(int e) { return {e, 10, e + 1, 10, e}; }
constexpr Shape high_triangle(int e) { return {0, e, 0, e + 1, e}; }
// Row e of the triangle j > i around i = j.
constexpr Shape above_diagonal(int e) { return {2 * e + 1, 10, 2 * e + 2, 10, e}; }
// Row e of the low triangle without the digit that the quotient makes zero and the next.
constexpr Shape quotient_triangle(int e) { return {e + 2, 10, e + 2, 10, e}; }

constexpr bool reaches_low(const Shape& s, int f) { return f >= s.lo_begin && f < s.lo_end; }
constexpr bool reaches_high(const Shape& s, int f) { return f >= s.hi_begin && f < s.hi_end; }

template <Shape s, int f>
BLINDSUM_IFMA_INLINE void add_product(Block& x, __m512i a, __m512i b) {
  if constexpr (reaches_low(s, f)) x.c[f] = _mm512_madd52lo_epu64(x.c[f], a, b);
  if constexpr (reaches_high(s, f + 1)) x.c[f + 1] = _mm512_madd52hi_epu64(x.c[f + 1], a, b);
}

template <Shape s, int f>
BLINDSUM_IFMA_INLINE void step1(Block& x, __m512i a, const Digit* b) {
  if constexpr (reaches_low(s, f) || reaches_high(s, f + 1)) {
    add_product<s, f>(x, a, load(b + (f - s.shift)));
  }
}

template <Shape s, int f>
BLINDSUM_IFMA_INLINE void step2(Block& x, Block& y, __m512i ax, __m512i ay, const Digit* b) {
  if constexpr (reaches_low(s, f) || reaches_high(s, f + 1)) {
    const __m512i digit = load(b + (f - s.shift));
    add_product<s, f>(x, ax, digit);
    add_product<s, f>(y, ay, digit);
  }
}

using Columns = std::make_integer_sequence<int, 11>;  // f + 1: a row begins at f = −1
using Rows10 = std::make_integer_sequence<int, 10>;
using Rows5 = std::make_integer_sequence<int, 5>;

// row1: x += a·b. row2: x += ax·b, y += ay·b.
template <Shape s, int... g>
BLINDSUM_IFMA_INLINE void row1(Block& x, __m512i a, const Digit* b,
                               std::integer_sequence<int, g...> /*columns*/) {
  (step1<s, g - 1>(x, a, b), ...);
}
template <Shape s, int... g>
BLINDSUM_IFMA_INLINE void row2(Block& x, Block& y, __m512i ax, __m512i ay, const Digit* b,
                               std::integer_sequence<int, g...> /*columns*/) {
  (step2<s, g - 1>(x, y, ax, ay, b), ...);
}
// rows add the full rows i in [begin, end) of column block k, low and high add triangles: 1: x +=
// a·b; 2: x += ax·b, y += ay·b; 3: x += a·b, y += at·b + a·bt.
BLINDSUM_IFMA_INLINE void rows1(Block& x, const Digit* a, const Digit* b, std::size_t k,
                                std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    row1<kFull>(x, load(a + i), b + (kBlock * k - i), Columns());
  }
}
BLINDSUM_IFMA_INLINE void rows2(Block& x, Block& y, const Digit* ax, const Digit* ay,
                                const Digit* b, std::size_t k, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    row2<kFull>(x, y, load(ax + i), load(ay + i), b + (kBlock * k - i), Columns());
  }
}
BLINDSUM_IFMA_INLINE void rows3(Block& x, Block& y, const Digit* a, const Digit* at, const Digit* b,
                                const Digit* bt, std::size_t k, std::size_t begin,
                                std::size_t end) {
  rows2(x, y, a, at, b, k, begin, end);
  rows1(y, a, bt, k, begin, end);
}

template <int... e>
BLINDSUM_IFMA_INLINE void low1(Block& x, const Digit* a, const Digit* b,
                               std::integer_sequence<int, e...> /*rows*/) {
  (row1<low_triangle(e)>(x, load(a + e), b, Columns()), ...);
}
template <int... e>
BLINDSUM_IFMA_INLINE void low2(Block& x, Block& y, const Digit* ax, const Digit* ay, const Digit* b,
                               std::integer_sequence<int, e...> /*rows*/) {
  (row2<low_triangle(e)>(x, y, load(ax + e), load(ay + e), b, Columns()), ...);
}
template <int... e>
BLINDSUM_IFMA_INLINE void high1(Block& x, const Digit* a, const Digit* b_end,
                                std::integer_sequence<int, e...> /*rows*/) {
  (row1<high_triangle(e)>(x, load(a + e), b_end, Columns()), ...);
}
template <int... e>
BLINDSUM_IFMA_INLINE void high2(Block& x, Block& y, const Digit* ax, const Digit* ay,
                                const Digit* b_end, std::integer_sequence<int, e...> /*rows*/) {
  (row2<high_triangle(e)>(x, y, load(ax + e), load(ay + e), b_end, Columns()), ...);
}
BLINDSUM_IFMA_INLINE void high3(Block& x, Block& y, const Digit* a, const Digit* at,
                                const Digit* b_end, const Digit* bt_end) {
  high2(x, y, a, at, b_end, Rows10());
  high1(y, a, bt_end, Rows10());
}
template <int... e>
BLINDSUM_IFMA_INLINE void above1(Block& x, const Digit* a, std::integer_sequence<int, e...> /*5*/) {
  (row1<above_diagonal(e)>(x, load(a + e), a, Columns()), ...);
}

// diagonal1 adds a_e² for five digits.
template <int... e>
BLINDSUM_IFMA_INLINE void diagonal1(Block& x, const Digit* a,
                                    std::integer_sequence<int, e...> /*5*/) {
  ((x.c[2 * e] = _mm512_madd52lo_epu64(x.c[2 * e], load(a + e), load(a + e)),
    x.c[2 * e + 1] = _mm512_madd52hi_epu64(x.c[2 * e + 1], load(a + e), load(a + e))),
   ...);
}

template <int... f>
BLINDSUM_IFMA_INLINE void double_all(Block& x, std::integer_sequence<int, f...> /*columns*/) {
  ((x.c[f] = _mm512_add_epi64(x.c[f], x.c[f])), ...);
}
template <int... f>
BLINDSUM_IFMA_INLINE void add_digits(Block& x, const Digit* a,
                                     std::integer_sequence<int, f...> /*columns*/) {
  ((x.c[f] = _mm512_add_epi64(x.c[f], load(a + f))), ...);
}
template <int... f>
BLINDSUM_IFMA_INLINE void clear(Block& x, std::integer_sequence<int, f...> /*columns*/) {
  ((x.c[f] = _mm512_setzero_si512()), ...);
}

// emit writes ten digits of the sums and leaves what remains in `carry`.
template <int... f>
BLINDSUM_IFMA_INLINE void emit(Block& x, __m512i& carry, Digit* out,
                               std::integer_sequence<int, f...> /*columns*/) {
  ((x.c[f] = _mm512_add_epi64(x.c[f], carry),
    store(out + f, _mm512_and_si512(x.c[f], digit_mask())),
    carry = shift_right(x.c[f], kDigitBits)),
   ...);
}

// quotient_digit finds the digit e of q that makes column e divisible by 2^52, and adds its row.
// The sum of a column that became zero carries ceil(c / 2^52), whatever the digit.
template <int e>
BLINDSUM_IFMA_INLINE void quotient_digit(Block& x, __m512i& carry, Digit* q, const Digit* m,
                                         __m512i inverse) {
  const __m512i digit = _mm512_madd52lo_epu64(_mm512_setzero_si512(), x.c[e], inverse);
  store(q + e, digit);
  carry = shift_right(_mm512_add_epi64(x.c[e], digit_mask()), kDigitBits);
  if constexpr (e + 1 < static_cast<int>(kBlock)) {
    const __m512i low = _mm512_madd52lo_epu64(_mm512_setzero_si512(), digit, load(m + 1));
    const __m512i sum = _mm512_add_epi64(x.c[e + 1], carry);
    x.c[e + 1] = _mm512_add_epi64(_mm512_madd52hi_epu64(sum, digit, load(m)), low);
    row1<quotient_triangle(e)>(x, digit, m, Columns());
  }
}
template <int... e>
BLINDSUM_IFMA_INLINE void quotient1(Block& x, __m512i& carry, Digit* q, const Digit* m,
                                    __m512i inverse, std::integer_sequence<int, e...> /*10*/) {
  (quotient_digit<e>(x, carry, q, m, inverse), ...);
}
template <int... e>
BLINDSUM_IFMA_INLINE void quotient2(Block& x, Block& y, __m512i& carry_x, __m512i& carry_y,
                                    Digit* qx, Digit* qy, const Digit* m, __m512i inverse,
                                    std::integer_sequence<int, e...> /*10*/) {
  ((quotient_digit<e>(x, carry_x, qx, m, inverse), quotient_digit<e>(y, carry_y, qy, m, inverse)),
   ...);
}

// ---- The ring ----

// Ring computes mod m and, on pairs, mod m², one modulus a lane. Outputs may be inputs; `q` and
// `scratch` may not. Values that a function calls reduced are below (1 + 2^-8)·m; `canonical` makes
// them smaller than m. Time does not depend on values, but for the correction of t. Thread-safe.
class Ring {
 public:
  // `modulus` and `r_mod_m` = R mod m: D digits each.
  Ring(Digits modulus, Digits r_mod_m)
      : size_(modulus.size()), m_(std::move(modulus)), rho_(std::move(r_mod_m)) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      const std::uint64_t odd = m_[0].lane[l];
      std::uint64_t inverse = odd;  // right to 3 bits; every step doubles them
      for (int i = 0; i < 5; ++i) inverse *= 2 - odd * inverse;
      inverse_.lane[l] = (0 - inverse) & kDigitMask;
    }
  }

  [[nodiscard]] std::size_t digits() const { return size_; }
  [[nodiscard]] const Digit* modulus() const { return m_.data(); }
  // pair_scratch is the scratch, in digits, of the functions on pairs.
  [[nodiscard]] std::size_t pair_scratch() const { return 2 * size_; }

  // multiply: out = a·b·R⁻¹ on pairs, reduced. Returns the lanes whose t was corrected (bit l for
  // lane l). Cost: 10·D² multiply-adds. square: out = a²·R⁻¹. Cost: 7·D².
  // `ahead`: rows that will be read next, asked for 2·D/10 cache lines each while this computes.
  BLINDSUM_IFMA unsigned multiply(Digit* out, const Digit* a, const Digit* b, Digit* scratch,
                                  const Rows<const std::uint64_t>* ahead = nullptr) const {
    return product<true>(out, a, b, scratch, ahead);
  }
  BLINDSUM_IFMA unsigned square(Digit* out, const Digit* a, Digit* scratch) const;

  // multiply_short: out = a·b·R⁻¹ for a pair a and a number b < 4·m of D digits. Cost: 8·D².
  BLINDSUM_IFMA unsigned multiply_short(Digit* out, const Digit* a, const Digit* b,
                                        Digit* scratch) const {
    return product<false>(out, a, b, scratch, nullptr);
  }

  // mont: out = a·b·R⁻¹ mod m, reduced, and Montgomery's quotient q: (out, q) is the pair of
  // a·b·R⁻¹ mod m². a·b < 16·m². Cost: 4·D². mont_square: out = a²·R⁻¹. Cost: 3·D².
  BLINDSUM_IFMA void mont(Digit* out, Digit* q, const Digit* a, const Digit* b,
                          const Rows<const std::uint64_t>* ahead = nullptr) const {
    reduce<true, 0>(out, q, a, b, nullptr, ahead);
  }
  BLINDSUM_IFMA void mont_square(Digit* out, Digit* q, const Digit* a) const;

  // mont_add: out = (a·b + t)·R⁻¹ mod m for t < R. Cost: 4·D².
  BLINDSUM_IFMA void mont_add(Digit* out, Digit* q, const Digit* a, const Digit* b,
                              const Digit* t) const {
    reduce<true, 1>(out, q, a, b, t);
  }

  // mont_reduce: out = t·R⁻¹ mod m, at most m, for t < R; (out, q) is the pair of t·R⁻¹.
  // from_integer: the same for x < 16·m² of 2·D digits, reduced. Cost: 2·D².
  BLINDSUM_IFMA void mont_reduce(Digit* out, Digit* q, const Digit* t) const {
    reduce<false, 1>(out, q, nullptr, nullptr, t);
  }
  BLINDSUM_IFMA void from_integer(Digit* out, Digit* q, const Digit* x) const {
    reduce<false, 2>(out, q, nullptr, nullptr, x);
  }

  // add: out = a + b below R, without reduction. add_to_t: t += b for t < R, b < 4·m, to below R.
  // add_pairs: out = a + b, r unreduced, t below R.
  BLINDSUM_IFMA void add(Digit* out, const Digit* a, const Digit* b) const { sum(out, a, b); }
  BLINDSUM_IFMA void add_to_t(Digit* t, const Digit* b) const { correct(t, sum(t, t, b)); }
  BLINDSUM_IFMA void add_pairs(Digit* out, const Digit* a, const Digit* b) const;

  // double_lanes doubles a in the lanes of `lanes` (bit l for lane l), without reduction: 2·a < R.
  BLINDSUM_IFMA void double_lanes(Digit* a, unsigned lanes) const;

  // canonical subtracts m where a >= m, a < 2·m, and returns those lanes. Cost: 2·D operations.
  BLINDSUM_IFMA unsigned canonical(Digit* out, const Digit* a, Digit* scratch) const;

  // add_mod and subtract_mod: numbers below m, to numbers below m.
  BLINDSUM_IFMA void add_mod(Digit* out, const Digit* a, const Digit* b, Digit* scratch) const;
  BLINDSUM_IFMA void subtract_mod(Digit* out, const Digit* a, const Digit* b) const;

  // to_integer: out = r − u·m mod m², 2·D digits, for r, u < 2·m. Cost: 2·D². `scratch`: 2·D.
  BLINDSUM_IFMA void to_integer(Digit* out, const Digit* r, const Digit* u, Digit* scratch) const;

 private:
  template <bool kProduct, int kAddends>
  BLINDSUM_IFMA void reduce(Digit* out, Digit* q, const Digit* a, const Digit* b, const Digit* x,
                            const Rows<const std::uint64_t>* ahead = nullptr) const;
  template <bool kPair>
  BLINDSUM_IFMA unsigned product(Digit* out, const Digit* a, const Digit* b, Digit* scratch,
                                 const Rows<const std::uint64_t>* ahead) const;
  BLINDSUM_IFMA __m512i sum(Digit* out, const Digit* a, const Digit* b) const;
  BLINDSUM_IFMA unsigned correct(Digit* t, __m512i carry) const;

  [[nodiscard]] std::size_t blocks() const { return size_ / kBlock; }

  std::size_t size_;
  Digits m_;
  Digits rho_;     // R mod m
  Digit inverse_;  // −m⁻¹ mod 2^52
};

// product: out = a·b·R⁻¹ for a pair a, and for b a pair or its r-part alone.
template <bool kPair>
BLINDSUM_IFMA inline unsigned Ring::product(Digit* out, const Digit* a, const Digit* b,
                                            Digit* scratch,
                                            const Rows<const std::uint64_t>* ahead) const {
  const Digit* const m = m_.data();
  const Digit* const at = a + size_;
  [[maybe_unused]] const Digit* const bt = b + size_;
  Digit* const out_t = out + size_;
  Digit* const q = scratch;
  Digit* const qt = scratch + size_;
  const __m512i inverse = load(&inverse_);
  Block x;
  Block y;
  __m512i carry = _mm512_setzero_si512();
  __m512i carry_t = carry;
  for (std::size_t k = 0; k < blocks(); ++k) {
    const std::size_t i = k * kBlock;
    prefetch_line(ahead, k);
    clear(x, Rows10());
    clear(y, Rows10());
    rows2(x, y, a, at, b, k, 0, i);
    low2(x, y, a + i, at + i, b, Rows10());
    if constexpr (kPair) {
      rows1(y, a, bt, k, 0, i);
      low1(y, a + i, bt, Rows10());
    }
    rows2(x, y, q, qt, m, k, 0, i);
    x.c[0] = _mm512_add_epi64(x.c[0], carry);
    y.c[0] = _mm512_add_epi64(y.c[0], carry_t);
    quotient2(x, y, carry, carry_t, q + i, qt + i, m, inverse, Rows10());
  }
  for (std::size_t k = blocks(); k < 2 * blocks(); ++k) {
    const std::size_t i = (k - blocks()) * kBlock;
    prefetch_line(ahead, k);
    clear(x, Rows10());
    clear(y, Rows10());
    high2(x, y, a + i, at + i, b + size_, Rows10());
    rows2(x, y, a, at, b, k, i + kBlock, size_);
    if constexpr (kPair) {
      high1(y, a + i, bt + size_, Rows10());
      rows1(y, a, bt, k, i + kBlock, size_);
    }
    high2(x, y, q + i, qt + i, m + size_, Rows10());
    rows2(x, y, q, qt, m, k, i + kBlock, size_);
    add_digits(y, q + i, Rows10());
    emit(x, carry, out + i, Rows10());
    emit(y, carry_t, out_t + i, Rows10());
  }
  return correct(out_t, carry_t);
}

// Column block k of a² and a·t: pairs (i, j) with i < 5·k come by full rows of both orders, the
// others lie in a triangle with both from 5·k on. Sums are doubled before the diagonal is added. In
// the last block, nothing but the high triangle is left.
BLINDSUM_IFMA inline unsigned Ring::square(Digit* out, const Digit* a, Digit* scratch) const {
  const Digit* const m = m_.data();
  const Digit* const t = a + size_;
  Digit* const out_t = out + size_;
  Digit* const q = scratch;
  Digit* const qt = scratch + size_;
  const __m512i inverse = load(&inverse_);
  const std::size_t last = 2 * blocks() - 1;
  Block x;
  Block y;
  __m512i carry = _mm512_setzero_si512();
  __m512i carry_t = carry;
  for (std::size_t k = 0; k < blocks(); ++k) {
    const std::size_t i = k * kBlock;
    const std::size_t middle = i / 2;
    clear(x, Rows10());
    clear(y, Rows10());
    rows3(x, y, a, t, a, t, k, 0, middle);
    above1(x, a + middle, Rows5());
    low1(y, t + middle, a + middle, Rows10());
    double_all(x, Rows10());
    double_all(y, Rows10());
    diagonal1(x, a + middle, Rows5());
    rows2(x, y, q, qt, m, k, 0, i);
    x.c[0] = _mm512_add_epi64(x.c[0], carry);
    y.c[0] = _mm512_add_epi64(y.c[0], carry_t);
    quotient2(x, y, carry, carry_t, q + i, qt + i, m, inverse, Rows10());
  }
  for (std::size_t k = blocks(); k <= last; ++k) {
    const std::size_t i = (k - blocks()) * kBlock;
    const std::size_t middle = k * kBlock / 2;
    clear(x, Rows10());
    clear(y, Rows10());
    if (k < last) {
      high3(x, y, a + i, t + i, a + size_, t + size_);
      rows3(x, y, a, t, a, t, k, i + kBlock, middle);
      above1(x, a + middle, Rows5());
      low1(y, t + middle, a + middle, Rows10());
      double_all(x, Rows10());
      diagonal1(x, a + middle, Rows5());
    } else {
      high2(x, y, a + i, t + i, a + size_, Rows10());
    }
    double_all(y, Rows10());
    high2(x, y, q + i, qt + i, m + size_, Rows10());
    rows2(x, y, q, qt, m, k, i + kBlock, size_);
    add_digits(y, q + i, Rows10());
    emit(x, carry, out + i, Rows10());
    emit(y, carry_t, out_t + i, Rows10());
  }
  return correct(out_t, carry_t);
}

// reduce: out = (x + a·b)·R⁻¹ mod m, x of kAddends·D digits, a·b only if kProduct.
template <bool kProduct, int kAddends>
BLINDSUM_IFMA inline void Ring::reduce(Digit* out, Digit* q, const Digit* a, const Digit* b,
                                       const Digit* x,
                                       const Rows<const std::uint64_t>* ahead) const {
  const Digit* const m = m_.data();
  const __m512i inverse = load(&inverse_);
  Block s;
  __m512i carry = _mm512_setzero_si512();
  for (std::size_t k = 0; k < blocks(); ++k) {
    const std::size_t i = k * kBlock;
    prefetch_line(ahead, k);
    clear(s, Rows10());
    if constexpr (kAddends > 0) add_digits(s, x + i, Rows10());
    if constexpr (kProduct) {
      rows1(s, a, b, k, 0, i);
      low1(s, a + i, b, Rows10());
    }
    rows1(s, q, m, k, 0, i);
    s.c[0] = _mm512_add_epi64(s.c[0], carry);
    quotient1(s, carry, q + i, m, inverse, Rows10());
  }
  for (std::size_t k = blocks(); k < 2 * blocks(); ++k) {
    const std::size_t i = (k - blocks()) * kBlock;
    prefetch_line(ahead, k);
    clear(s, Rows10());
    if constexpr (kAddends > 1) add_digits(s, x + size_ + i, Rows10());
    if constexpr (kProduct) {
      high1(s, a + i, b + size_, Rows10());
      rows1(s, a, b, k, i + kBlock, size_);
    }
    high1(s, q + i, m + size_, Rows10());
    rows1(s, q, m, k, i + kBlock, size_);
    emit(s, carry, out + i, Rows10());
  }
}

BLINDSUM_IFMA inline void Ring::mont_square(Digit* out, Digit* q, const Digit* a) const {
  const Digit* const m = m_.data();
  const __m512i inverse = load(&inverse_);
  const std::size_t last = 2 * blocks() - 1;
  Block x;
  __m512i carry = _mm512_setzero_si512();
  for (std::size_t k = 0; k < blocks(); ++k) {
    const std::size_t i = k * kBlock;
    clear(x, Rows10());
    rows1(x, a, a, k, 0, i / 2);
    above1(x, a + i / 2, Rows5());
    double_all(x, Rows10());
    diagonal1(x, a + i / 2, Rows5());
    rows1(x, q, m, k, 0, i);
    x.c[0] = _mm512_add_epi64(x.c[0], carry);
    quotient1(x, carry, q + i, m, inverse, Rows10());
  }
  for (std::size_t k = blocks(); k <= last; ++k) {
    const std::size_t i = (k - blocks()) * kBlock;
    const std::size_t middle = k * kBlock / 2;
    clear(x, Rows10());
    high1(x, a + i, a + size_, Rows10());
    if (k < last) {
      rows1(x, a, a, k, i + kBlock, middle);
      above1(x, a + middle, Rows5());
      double_all(x, Rows10());
      diagonal1(x, a + middle, Rows5());
    }
    high1(x, q + i, m + size_, Rows10());
    rows1(x, q, m, k, i + kBlock, size_);
    emit(x, carry, out + i, Rows10());
  }
}

// correct subtracts R from t + carry·R where the carry is 1, and adds R mod m there.
BLINDSUM_IFMA inline unsigned Ring::correct(Digit* t, __m512i carry) const {
  const __mmask8 lanes = _mm512_test_epi64_mask(carry, carry);
  if (lanes == 0) [[likely]] {
    return 0;
  }
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    sum = _mm512_add_epi64(sum, load(t + i));
    sum = _mm512_mask_add_epi64(sum, lanes, sum, load(rho_.data() + i));
    store(t + i, _mm512_and_si512(sum, digit_mask()));
    sum = shift_right(sum, kDigitBits);
  }
  return lanes;
}

// sum: out = a + b; returns what it carries beyond R.
BLINDSUM_IFMA inline __m512i Ring::sum(Digit* out, const Digit* a, const Digit* b) const {
  __m512i carry = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    carry = _mm512_add_epi64(carry, _mm512_add_epi64(load(a + i), load(b + i)));
    store(out + i, _mm512_and_si512(carry, digit_mask()));
    carry = shift_right(carry, kDigitBits);
  }
  return carry;
}

BLINDSUM_IFMA inline void Ring::add_pairs(Digit* out, const Digit* a, const Digit* b) const {
  sum(out, a, b);
  __m512i carry = sum(out + size_, a + size_, b + size_);
  // t < 2·R − 1; after one correction it may reach R once more, by less than R mod m.
  for (int round = 0; round < 2; ++round) {
    const __mmask8 lanes = _mm512_test_epi64_mask(carry, carry);
    carry = _mm512_setzero_si512();
    for (std::size_t i = 0; i < size_; ++i) {
      carry = _mm512_add_epi64(carry, load(out + size_ + i));
      carry = _mm512_mask_add_epi64(carry, lanes, carry, load(rho_.data() + i));
      store(out + size_ + i, _mm512_and_si512(carry, digit_mask()));
      carry = shift_right(carry, kDigitBits);
    }
  }
}

BLINDSUM_IFMA inline void Ring::double_lanes(Digit* a, unsigned lanes) const {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    const __m512i digit = load(a + i);
    sum = _mm512_add_epi64(
        sum, _mm512_mask_add_epi64(digit, static_cast<__mmask8>(lanes), digit, digit));
    store(a + i, _mm512_and_si512(sum, digit_mask()));
    sum = shift_right(sum, kDigitBits);
  }
}

BLINDSUM_IFMA inline unsigned Ring::canonical(Digit* out, const Digit* a, Digit* scratch) const {
  __m512i difference = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    difference = _mm512_add_epi64(difference, load(a + i));
    difference = _mm512_sub_epi64(difference, load(m_.data() + i));
    store(scratch + i, _mm512_and_si512(difference, digit_mask()));
    difference = shift_right_signed(difference, kDigitBits);
  }
  const __mmask8 lanes = _mm512_testn_epi64_mask(difference, difference);
  for (std::size_t i = 0; i < size_; ++i) {
    store(out + i, _mm512_mask_mov_epi64(load(a + i), lanes, load(scratch + i)));
  }
  return lanes;
}

BLINDSUM_IFMA inline void Ring::add_mod(Digit* out, const Digit* a, const Digit* b,
                                        Digit* scratch) const {
  sum(out, a, b);
  canonical(out, out, scratch);
}

BLINDSUM_IFMA inline void Ring::subtract_mod(Digit* out, const Digit* a, const Digit* b) const {
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    sum = _mm512_add_epi64(sum, _mm512_sub_epi64(load(a + i), load(b + i)));
    store(out + i, _mm512_and_si512(sum, digit_mask()));
    sum = shift_right_signed(sum, kDigitBits);
  }
  const __mmask8 negative = _mm512_test_epi64_mask(sum, sum);
  sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    sum = _mm512_add_epi64(sum, load(out + i));
    sum = _mm512_mask_add_epi64(sum, negative, sum, load(m_.data() + i));
    store(out + i, _mm512_and_si512(sum, digit_mask()));
    sum = shift_right(sum, kDigitBits);
  }
}

// With r = r' + k·m, k in {0, 1}, r' < m: X = r' + s·m where s = k − u mod m.
BLINDSUM_IFMA inline void Ring::to_integer(Digit* out, const Digit* r, const Digit* u,
                                           Digit* scratch) const {
  Digit* const s = scratch;
  Digit* const low = scratch + size_;
  canonical(s, u, low);
  const auto wrapped = static_cast<__mmask8>(canonical(low, r, out));
  // s = k − u, plus m where that is negative; u < m.
  __m512i sum = _mm512_maskz_set1_epi64(wrapped, 1);
  for (std::size_t i = 0; i < size_; ++i) {
    sum = _mm512_sub_epi64(sum, load(s + i));
    store(s + i, _mm512_and_si512(sum, digit_mask()));
    sum = shift_right_signed(sum, kDigitBits);
  }
  const __mmask8 negative = _mm512_test_epi64_mask(sum, sum);
  sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < size_; ++i) {
    sum = _mm512_add_epi64(sum, load(s + i));
    sum = _mm512_mask_add_epi64(sum, negative, sum, load(m_.data() + i));
    store(s + i, _mm512_and_si512(sum, digit_mask()));
    sum = shift_right(sum, kDigitBits);
  }
  const Digit* const m = m_.data();
  Block x;
  __m512i carry = _mm512_setzero_si512();
  for (std::size_t k = 0; k < 2 * blocks(); ++k) {
    clear(x, Rows10());
    if (k < blocks()) {
      add_digits(x, low + k * kBlock, Rows10());
      rows1(x, s, m, k, 0, k * kBlock);
      low1(x, s + k * kBlock, m, Rows10());
    } else {
      const std::size_t i = (k - blocks()) * kBlock;
      high1(x, s + i, m + size_, Rows10());
      rows1(x, s, m, k, i + kBlock, size_);
    }
    emit(x, carry, out + k * kBlock, Rows10());
  }
}

}  // namespace blindsum::crypto::kernels::ifma
