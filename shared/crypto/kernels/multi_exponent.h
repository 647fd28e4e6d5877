// Multi-exponentiation: products Π c_i^{w_i} of powers of the same numbers, for many rows of signed
// weights. Straus's method with interleaved windows (Möller 2001, "Algorithms for
// multi-exponentiation"): weights are written with few digits that are not 0,
//
//   w_i = Σ_b d_ib·2^b,   d_ib = 0 or odd,
//
// one in w + 1 for windows of w bits. Without negative weights 0 < d_ib < 2^w; with them |d_ib| <
// 2^(w-1) (the width-w non-adjacent form). Either way 2^(w-1) powers of every c_i, half of them of
// its inverse if weights are negative, are made once for all rows, and a row squares its product
// once a bit, whatever the number of factors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/kernels/pair_ring.h"

namespace blindsum::crypto::kernels {

// WeightRows is a matrix of weights as rows of digits. When there are fewer outputs than a machine
// can work on at once, each is cut into parts: row p·outputs + j takes the p-th part of the weights
// of output j.
class WeightRows {
 public:
  // `weights` are `outputs` times `inputs`, row by row; `weights` must outlive this. About
  // `at_once` rows are wanted, and a table of at most `table_entries` if a shorter window can help.
  WeightRows(std::span<const std::int64_t> weights, std::size_t outputs, std::size_t at_once,
             std::size_t table_entries);

  [[nodiscard]] std::size_t rows() const { return outputs_ * parts_; }

  // odd_powers is the number of powers 1, 3, 5, … of each number. The table holds those of the
  // first number, the second and so on, numbers being the inputs and, behind them, their inverses
  // if has_negative().
  [[nodiscard]] std::size_t odd_powers() const {
    return std::size_t{1} << (window_ - (has_negative_ ? 2 : 1));
  }
  [[nodiscard]] bool has_negative() const { return has_negative_; }

  // Terms are, for every bit from the lowest on, the table entries to multiply by.
  using Terms = std::vector<std::vector<std::uint32_t>>;
  [[nodiscard]] Terms terms(std::size_t row) const;

 private:
  std::span<const std::int64_t> weights_;
  std::size_t outputs_;
  std::size_t inputs_;
  std::size_t parts_ = 1;
  unsigned window_ = 1;
  bool has_negative_ = false;
};

// SlotRows is a matrix of weights for exponents that are made of slots: row j has the exponents
// E_ji = Σ_s w_jsi·2^(s·slot_bits). Each weight is written with digits of 4 bits, −8 <= d <= 8, at
// the same places for all, so that rows which go side by side need their factors at the same time;
// 8 consecutive powers of every number serve. Rows are cut into parts as in WeightRows.
class SlotRows {
 public:
  static constexpr unsigned kWindow = 4;
  static constexpr std::size_t kPowers = 8;  // 1, 2, …, 8

  SlotRows(std::span<const std::int64_t> weights, std::size_t slots, unsigned slot_bits,
           std::size_t outputs, std::size_t at_once);

  [[nodiscard]] std::size_t rows() const { return outputs_ * parts_; }
  // A place is where digits stand: digit d of slot s, the highest first. squarings is how often a
  // product is squared on the way from `place` to the next, 0 for the last, which has exponent bit
  // 0.
  [[nodiscard]] std::size_t places() const { return slots_ * digits_each_; }
  [[nodiscard]] std::size_t squarings(std::size_t place) const;

  // entries lists what a row multiplies by at a place: entries of a table that has the kPowers of
  // the first number, the second and so on, numbers being the inputs and behind them their
  // inverses; kNone where there is nothing to do. Rows of a length that differs by one at most.
  static constexpr std::uint32_t kNone = 0xffffffff;
  [[nodiscard]] std::span<const std::uint32_t> entries(std::size_t row, std::size_t place) const;

 private:
  std::size_t outputs_;
  std::size_t slots_;
  unsigned slot_bits_;
  std::size_t inputs_;
  std::size_t parts_;
  std::size_t digits_each_ = 1;
  std::vector<std::uint32_t> entries_;  // by output, place and input
};

// multiply_parts writes the product of the rows of each output, `width` limbs each.
void multiply_parts(const PublicContext& context, std::size_t width, ConstLimbs rows, Limbs out);

inline constexpr std::size_t kPowerTableBytes = std::size_t{64} << 20;

// multi_exponentiate writes a product for every row, on GMP's functions. `bases` and `inverses` are
// as PublicContext::multi_exponentiate takes them. Cost per row: a squaring a bit and a product a
// digit that is not 0.
void multi_exponentiate(const PairRing& ring, ConstLimbs bases, ConstLimbs inverses,
                        const WeightRows& rows, ThreadPool& pool, Limbs out);
void multi_exponentiate(const PairRing& ring, ConstLimbs bases, ConstLimbs inverses,
                        const SlotRows& rows, ThreadPool& pool, Limbs out);

}  // namespace blindsum::crypto::kernels
