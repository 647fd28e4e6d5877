// Kernels: the modular arithmetic under Encryptor, Evaluator and Decryptor, behind one narrow
// interface. Private to crypto.
//
// Numbers are 64-bit limbs, least significant first, contiguous, `count` numbers one after the
// other. L = limbs of n (ceil(bits/64)); a number mod n² has 2L limbs. All inputs are valid and
// reduced: the callers have seen to it. Contexts and tables are immutable and thread-safe; every
// function may be called from several threads at once on disjoint outputs. Functions that
// take no pool stay in their thread: callers split batches over their thread pool in multiples of
// Kernel::batch_grain().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "shared/core/thread_pool.h"

namespace blindsum::crypto::kernels {

using Limbs = std::span<std::uint64_t>;
using ConstLimbs = std::span<const std::uint64_t>;

// FixedBaseLayout says how the powers of one base lie in a table: the exponent is cut into
// `windows` windows, low to high, that differ by at most one bit, the longer ones first. Window j
// has an entry of 2L limbs for each digit d, in the kernel's own form, of
// base^(d·2^first_bit(j)). 1 <= windows <= exponent_bits.
struct FixedBaseLayout {
  std::size_t exponent_bits = 0;
  std::size_t windows = 0;

  [[nodiscard]] std::size_t width(std::size_t j) const {
    return exponent_bits / windows + (j < exponent_bits % windows ? 1 : 0);
  }
  [[nodiscard]] std::size_t first_bit(std::size_t j) const {
    return j * (exponent_bits / windows) + std::min(j, exponent_bits % windows);
  }
  [[nodiscard]] std::size_t first_entry(std::size_t j) const {
    return (j + std::min(j, exponent_bits % windows)) << (exponent_bits / windows);
  }
  [[nodiscard]] std::size_t entries() const { return first_entry(windows); }

  // entry returns where the entry for window j of `exponent` is.
  [[nodiscard]] std::size_t entry(std::size_t j, const std::uint64_t* exponent) const {
    const std::size_t bit = first_bit(j);
    std::uint64_t digit = exponent[bit / 64] >> (bit % 64);
    if (bit % 64 + width(j) > 64) digit |= exponent[bit / 64 + 1] << (64 - bit % 64);
    return first_entry(j) + (digit & ((std::uint64_t{1} << width(j)) - 1));
  }
};

// FixedBase is a table of precomputed powers in somebody else's memory.
struct FixedBase {
  FixedBaseLayout layout;
  ConstLimbs table;  // layout.entries() × 2L limbs
};

// Product is a running product of vectors of numbers mod n², element by element, in whatever form
// the kernel likes.
class Product {
 public:
  virtual ~Product() = default;
  // multiply multiplies the elements [begin, begin + count) by `factors` (count × 2L limbs).
  virtual void multiply(std::size_t begin, ConstLimbs factors, std::size_t count) = 0;
  // read writes the elements [begin, begin + count) as integers (count × 2L limbs).
  virtual void read(std::size_t begin, std::size_t count, Limbs out) const = 0;
};

// PublicContext computes mod n².
class PublicContext {
 public:
  virtual ~PublicContext() = default;

  // fill_fixed_base writes the table of the powers of `base` (2L limbs). A table is for one n,
  // base, layout and kernel.
  virtual void fill_fixed_base(ConstLimbs base, const FixedBaseLayout& layout, Limbs table,
                               ThreadPool& pool) const = 0;

  // encrypt: out[i] = (1 + m_i·n) · base^{r_i} mod n². m: count × L limbs, m_i < n; r: count ×
  // ceil(exponent_bits/64) limbs, r_i < 2^exponent_bits; out: count × 2L.
  virtual void encrypt(const FixedBase& base, ConstLimbs m, ConstLimbs r, std::size_t count,
                       Limbs out) const = 0;

  // make_product returns the running product of `size` elements, all 1.
  [[nodiscard]] virtual std::unique_ptr<Product> make_product(std::size_t size) const = 0;

  // multiply: out[i] = a[i] · b[i] mod n². `out` may be `a`.
  virtual void multiply(ConstLimbs a, ConstLimbs b, std::size_t count, Limbs out) const = 0;

  // power: out[i] = a[i]^{e_i} mod n², e: count × exponent_limbs limbs, public exponents (time
  // depends on them).
  virtual void power(ConstLimbs a, ConstLimbs e, std::size_t exponent_limbs, std::size_t count,
                     Limbs out) const = 0;

  // multi_exponentiate: out[j] = Π_i bases[i]^{w_ji} mod n². `weights` are, for each number of
  // `out`, as many weights as there are bases; they are public (time depends on them). `inverses`
  // are those of the bases, or nothing when no weight is negative. Runs on `pool`.
  virtual void multi_exponentiate(ConstLimbs bases, ConstLimbs inverses,
                                  std::span<const std::int64_t> weights, ThreadPool& pool,
                                  Limbs out) const = 0;

  // multi_exponentiate_slots: out[j] = Π_i bases[i]^{E_ji} mod n², E_ji = Σ_s
  // w_jsi·2^(s·slot_bits). Weights as above, for each number of `out` `slots` rows of them, one
  // after the other; the inverses are always needed; slot_bits >= kSlotMargin + bits of the largest
  // |w|.
  static constexpr unsigned kSlotMargin = 5;
  virtual void multi_exponentiate_slots(ConstLimbs bases, ConstLimbs inverses,
                                        std::span<const std::int64_t> weights, std::size_t slots,
                                        unsigned slot_bits, ThreadPool& pool, Limbs out) const = 0;
};

// Kernel makes contexts. One object per kernel, alive for the whole program.
class Kernel {
 public:
  virtual ~Kernel() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view description() const = 0;
  [[nodiscard]] virtual bool runs_here() const = 0;  // what the CPU and the operating system offer
  [[nodiscard]] virtual std::size_t batch_grain() const = 0;  // e.g. 8 lanes

  [[nodiscard]] virtual std::unique_ptr<PublicContext> make_public(ConstLimbs n) const = 0;
};

// all_kernels lists the kernels of this build, best first; the last is "portable", which runs
// everywhere.
[[nodiscard]] std::span<const Kernel* const> all_kernels();

// active_kernel is chosen once, at first use: the first that runs here, or the one that the
// environment variable BLINDSUM_KERNEL names. Throws ConfigError for an unknown name or one that
// this machine cannot run.
[[nodiscard]] const Kernel& active_kernel();

// ScopedKernel makes `kernel`, which must run here, the active one of the whole process while it
// lives, for programs that compare kernels in one process. Keys keep the kernel that was active
// when they were made, and must be used under that one. Not for several threads at once.
class ScopedKernel {
 public:
  explicit ScopedKernel(const Kernel& kernel);
  ~ScopedKernel();
  ScopedKernel(const ScopedKernel&) = delete;
  ScopedKernel& operator=(const ScopedKernel&) = delete;

 private:
  const Kernel* previous_;
};

}  // namespace blindsum::crypto::kernels
