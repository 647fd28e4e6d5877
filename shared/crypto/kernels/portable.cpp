#include "shared/crypto/kernels/portable.h"

#include <algorithm>
#include <array>
#include <utility>

#include <gmp.h>

#include "shared/crypto/kernels/limbs.h"
#include "shared/crypto/kernels/multi_exponent.h"
#include "shared/crypto/kernels/pair_ring.h"

namespace blindsum::crypto::kernels {
namespace {

// inverse_mod returns a⁻¹ mod m for a unit a.
std::vector<std::uint64_t> inverse_mod(ConstLimbs a, ConstLimbs m) {
  mpz_t value;
  mpz_t modulus;
  mpz_init(value);
  mpz_import(value, a.size(), -1, 8, 0, 0, a.data());
  mpz_roinit_n(modulus, m.data(), sz(m.size()));
  mpz_invert(value, value, modulus);
  std::vector<std::uint64_t> inverse(m.size());
  mpz_export(inverse.data(), nullptr, -1, 8, 0, 0, value);
  mpz_clear(value);
  return inverse;
}

// FixedBaseFiller makes the entries for base^(d·2^o), o the first bit of a window and d a digit, as
// (y, v') for the value y·(1 + v·n)·R, v' = v·R mod n; without the factor R in the last window, so
// that a product of one entry a window, which divides by R once less than there are windows, is the
// plain power.
class FixedBaseFiller {
 public:
  FixedBaseFiller(const PairRing& ring, const FixedBaseLayout& layout, Limbs table)
      : ring_(ring), layout_(layout), table_(table), entry_limbs_(2 * ring.limbs()) {}

  void fill(ConstLimbs base, ThreadPool& pool) const {
    SecretLimbs scratch(ring_.scratch_limbs());
    std::vector<std::uint64_t> bases(layout_.windows * entry_limbs_);
    ring_.from_integer(bases.data(), base.data(), scratch.data());
    ring_.multiply(bases.data(), bases.data(), ring_.power_of_r(3).data(), scratch.data());
    for (std::size_t j = 1; j < layout_.windows; ++j) {
      std::uint64_t* const next = &bases[j * entry_limbs_];
      std::copy_n(next - entry_limbs_, entry_limbs_, next);
      for (std::size_t i = 0; i < layout_.width(j - 1); ++i) {
        ring_.square(next, next, scratch.data());
      }
    }
    pool.parallel_for(layout_.windows,
                      [&](std::size_t j) { fill_window(j, &bases[j * entry_limbs_]); });
  }

 private:
  // fill_window makes the entries of window j from the pair of its base, B·R. It carries the
  // inverse of y along, which costs less than inverting: (y·b)·R⁻¹ = T·(1 − q·T⁻¹·R⁻¹·n) with
  // Montgomery's T and q.
  void fill_window(std::size_t j, const std::uint64_t* base) const {
    const std::size_t h = ring_.limbs();
    const ConstLimbs n(ring_.modulus(), h);
    SecretLimbs scratch(ring_.scratch_limbs());

    // The base as b·(1 + w·n)·R: w' = −t·b⁻¹, and b⁻¹·R².
    const auto b = ConstLimbs(base, h);
    std::vector<std::uint64_t> step(h);
    std::vector<std::uint64_t> w(h);
    const std::vector<std::uint64_t> inverse = inverse_mod(b, n);
    ring_.mont(step.data(), inverse.data(), ring_.r_squared(), scratch.data());  // b⁻¹·R
    ring_.mont(w.data(), base + h, step.data(), scratch.data());                 // t·b⁻¹
    const std::vector<std::uint64_t> zero(h);
    ring_.subtract(w.data(), zero.data(), w.data());
    ring_.mont(step.data(), step.data(), ring_.r_squared(), scratch.data());  // b⁻¹·R²

    // Digit 0: R, or 1 in the last window; and y⁻¹·R.
    std::uint64_t* const first = &table_[layout_.first_entry(j) * entry_limbs_];
    std::vector<std::uint64_t> y_inverse(h);
    if (j + 1 == layout_.windows) {
      std::fill_n(first, entry_limbs_, 0);
      first[0] = 1;
      std::vector<std::uint64_t> one(h);
      one[0] = 1;
      ring_.mont(y_inverse.data(), one.data(), ring_.r_squared(), scratch.data());
    } else {
      const SecretLimbs unit = ring_.power_of_r(1);
      std::copy_n(unit.data(), h, first);
      const std::vector<std::uint64_t> unit_inverse = inverse_mod(ConstLimbs(unit).first(h), n);
      ring_.mont(y_inverse.data(), unit_inverse.data(), ring_.r_squared(), scratch.data());
      ring_.mont(first + h, unit.data() + h, y_inverse.data(), scratch.data());
      ring_.subtract(first + h, zero.data(), first + h);
    }

    std::vector<std::uint64_t> product(entry_limbs_);
    std::vector<std::uint64_t> correction(h);
    for (std::size_t digit = 1; digit < (std::size_t{1} << layout_.width(j)); ++digit) {
      const std::uint64_t* const previous = first + (digit - 1) * entry_limbs_;
      std::uint64_t* const entry = first + digit * entry_limbs_;
      ring_.multiply_short(product.data(), previous, b.data(), scratch.data());
      ring_.mont(y_inverse.data(), y_inverse.data(), step.data(), scratch.data());  // T⁻¹·R
      ring_.mont(correction.data(), product.data() + h, y_inverse.data(), scratch.data());
      std::copy_n(product.data(), h, entry);
      ring_.add(entry + h, previous + h, w.data());
      ring_.subtract(entry + h, entry + h, correction.data());
    }
  }

  const PairRing& ring_;
  const FixedBaseLayout& layout_;
  Limbs table_;
  std::size_t entry_limbs_;
};

class PortablePublicContext;

// PortableProduct keeps plain integers mod n².
class PortableProduct : public Product {
 public:
  PortableProduct(const PortablePublicContext& context, std::size_t size);
  void multiply(std::size_t begin, ConstLimbs factors, std::size_t count) override;
  void read(std::size_t begin, std::size_t count, Limbs out) const override;

 private:
  const PortablePublicContext& context_;
  std::vector<std::uint64_t> values_;
};

class PortablePublicContext : public PublicContext {
 public:
  explicit PortablePublicContext(ConstLimbs n)
      : ring_(n), n_squared_(2 * n.size()), r_cubed_(ring_.power_of_r(3)) {
    mpn_sqr(n_squared_.data(), n.data(), sz(n.size()));
  }

  [[nodiscard]] std::size_t width() const { return n_squared_.size(); }

  void fill_fixed_base(ConstLimbs base, const FixedBaseLayout& layout, Limbs table,
                       ThreadPool& pool) const override {
    FixedBaseFiller(ring_, layout, table).fill(base, pool);
  }

  void encrypt(const FixedBase& base, ConstLimbs m, ConstLimbs r, std::size_t count,
               Limbs out) const override {
    const std::size_t h = ring_.limbs();
    const std::size_t r_limbs = (base.layout.exponent_bits + 63) / 64;
    SecretLimbs scratch(ring_.scratch_limbs());
    SecretLimbs state(6 * h);
    for (std::size_t i = 0; i < count; ++i) {
      encrypt_one(base, &m[i * h], &r[i * r_limbs], &out[i * 2 * h], state.data(), scratch.data());
    }
  }

  [[nodiscard]] std::unique_ptr<Product> make_product(std::size_t size) const override {
    return std::make_unique<PortableProduct>(*this, size);
  }

  void multiply(ConstLimbs a, ConstLimbs b, std::size_t count, Limbs out) const override {
    const std::size_t divisor = used_limbs(n_squared_);
    SecretLimbs product(2 * width());
    SecretLimbs quotient(2 * width() - divisor + 1);
    for (std::size_t i = 0; i < count; ++i) {
      mpn_mul_n(product.data(), &a[i * width()], &b[i * width()], sz(width()));
      mpn_tdiv_qr(quotient.data(), product.data(), 0, product.data(), sz(product.size()),
                  n_squared_.data(), sz(divisor));
      std::copy_n(product.data(), divisor, &out[i * width()]);
      std::fill_n(&out[i * width()] + divisor, width() - divisor, 0);
    }
  }

  void power(ConstLimbs a, ConstLimbs e, std::size_t exponent_limbs, std::size_t count,
             Limbs out) const override {
    SecretLimbs scratch(ring_.scratch_limbs());
    SecretLimbs base(width());
    SecretLimbs result(width());
    SecretLimbs one(width());
    one[0] = 1;
    for (std::size_t i = 0; i < count; ++i) {
      const ConstLimbs exponent = e.subspan(i * exponent_limbs, exponent_limbs);
      ring_.from_integer(base.data(), &a[i * width()], scratch.data());
      ring_.multiply(base.data(), base.data(), r_cubed_.data(), scratch.data());
      ring_.power(result.data(), base.data(), exponent, used_bits(exponent), scratch.data());
      ring_.multiply(result.data(), result.data(), one.data(), scratch.data());
      ring_.to_integer(&out[i * width()], result.data(), scratch.data());
    }
  }

  void multi_exponentiate(ConstLimbs bases, ConstLimbs inverses,
                          std::span<const std::int64_t> weights, ThreadPool& pool,
                          Limbs out) const override {
    if (out.empty()) return;
    const WeightRows rows(weights, out.size() / width(), pool.threads(),
                          kPowerTableBytes / (8 * width()));
    std::vector<std::uint64_t> products(rows.rows() * width());
    kernels::multi_exponentiate(ring_, bases, inverses, rows, pool, products);
    multiply_parts(*this, width(), products, out);
  }

  void multi_exponentiate_slots(ConstLimbs bases, ConstLimbs inverses,
                                std::span<const std::int64_t> weights, std::size_t slots,
                                unsigned slot_bits, ThreadPool& pool, Limbs out) const override {
    if (out.empty()) return;
    const SlotRows rows(weights, slots, slot_bits, out.size() / width(), pool.threads());
    std::vector<std::uint64_t> products(rows.rows() * width());
    kernels::multi_exponentiate(ring_, bases, inverses, rows, pool, products);
    multiply_parts(*this, width(), products, out);
  }

 private:
  // encrypt_one multiplies one table entry a window. Entries are multiplied in pairs by their short
  // halves first (4 half products), then merged (10), while the v' are only added; one product at
  // the end applies Σv and m.
  void encrypt_one(const FixedBase& base, const std::uint64_t* m, const std::uint64_t* r,
                   std::uint64_t* out, std::uint64_t* state, std::uint64_t* scratch) const {
    const std::size_t h = ring_.limbs();
    std::uint64_t* const product = state;
    std::uint64_t* const factor = product + 2 * h;
    std::uint64_t* const sum = factor + 2 * h;
    std::uint64_t* const temporary = sum + h;
    const auto entry = [&](std::size_t j) { return &base.table[base.layout.entry(j, r) * 2 * h]; };
    ring_.mont(sum, m, ring_.r_squared(), scratch);
    for (std::size_t j = 0; j < base.layout.windows; j += 2) {
      std::uint64_t* const target = j == 0 ? product : factor;
      const std::uint64_t* const low = entry(j);
      ring_.add(sum, sum, low + h);
      if (j + 1 < base.layout.windows) {
        const std::uint64_t* const high = entry(j + 1);
        ring_.add(sum, sum, high + h);
        ring_.multiply_short(target, low, high, scratch);
      } else {
        std::copy_n(low, h, target);
        std::fill_n(target + h, h, 0);
      }
      if (j != 0) ring_.multiply(product, product, factor, scratch);
    }
    // (r − t·R⁻¹·n)·(1 + s·n) = r + (r·s − t·R⁻¹)·n, with s·R in `sum`.
    ring_.mont(sum, sum, product, scratch);
    ring_.mont_reduce(temporary, product + h, scratch);
    ring_.subtract(sum, sum, temporary);
    mpn_mul_n(scratch, sum, ring_.modulus(), sz(h));
    mpn_add(out, scratch, sz(2 * h), product, sz(h));
  }

  PairRing ring_;
  std::vector<std::uint64_t> n_squared_;
  SecretLimbs r_cubed_;
};

PortableProduct::PortableProduct(const PortablePublicContext& context, std::size_t size)
    : context_(context), values_(size * context.width()) {
  for (std::size_t i = 0; i < size; ++i) values_[i * context.width()] = 1;
}

void PortableProduct::multiply(std::size_t begin, ConstLimbs factors, std::size_t count) {
  const Limbs values = Limbs(values_).subspan(begin * context_.width(), count * context_.width());
  context_.multiply(values, factors, count, values);
}

void PortableProduct::read(std::size_t begin, std::size_t count, Limbs out) const {
  std::copy_n(&values_[begin * context_.width()], count * context_.width(), out.begin());
}

class PortableKernel : public Kernel {
 public:
  [[nodiscard]] std::string_view name() const override { return "portable"; }
  [[nodiscard]] std::string_view description() const override {
    return "64-bit limbs on GMP's mpn functions, any processor";
  }
  [[nodiscard]] bool runs_here() const override { return true; }
  [[nodiscard]] std::size_t batch_grain() const override { return 1; }
  [[nodiscard]] std::unique_ptr<PublicContext> make_public(ConstLimbs n) const override {
    return std::make_unique<PortablePublicContext>(n);
  }
};

}  // namespace

const Kernel& portable_kernel() {
  static const PortableKernel kernel;
  return kernel;
}

}  // namespace blindsum::crypto::kernels
