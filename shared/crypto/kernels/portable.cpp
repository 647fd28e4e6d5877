#include "shared/crypto/kernels/portable.h"

#include <algorithm>
#include <array>
#include <utility>

#include <gmp.h>

#include "shared/crypto/kernels/limbs.h"
#include "shared/crypto/kernels/pair_ring.h"

namespace blindsum::crypto::kernels {
namespace {

constexpr std::size_t kMaxWindow = 10;

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

// PortableFixedBase holds base^(d·2^(w·j)) for every window j of w bits and every digit d, each as
// (y, v') for the value y·(1 + v·n)·R, v' = v·R mod n; without the factor R in the last window, so
// that a product of one entry a window, which divides by R once less than there are windows, is the
// plain power.
class PortableFixedBase : public FixedBase {
 public:
  PortableFixedBase(const PairRing& ring, ConstLimbs base, std::size_t exponent_bits,
                    std::size_t table_bytes, ThreadPool& pool)
      : exponent_bits_(exponent_bits), entry_limbs_(2 * ring.limbs()) {
    window_ = kMaxWindow;
    while (window_ > 1 && bytes_for(window_) > table_bytes) --window_;
    windows_ = (exponent_bits_ + window_ - 1) / window_;
    entries_.resize((windows_ * entry_limbs_) << window_);

    const std::size_t width = 2 * ring.limbs();
    SecretLimbs scratch(ring.scratch_limbs());
    std::vector<std::uint64_t> bases(windows_ * width);
    ring.from_integer(bases.data(), base.data(), scratch.data());
    ring.multiply(bases.data(), bases.data(), ring.power_of_r(3).data(), scratch.data());
    for (std::size_t j = 1; j < windows_; ++j) {
      std::uint64_t* const next = &bases[j * width];
      std::copy_n(next - width, width, next);
      for (std::size_t i = 0; i < window_; ++i) ring.square(next, next, scratch.data());
    }
    pool.parallel_for(windows_, [&](std::size_t j) { fill(ring, j, &bases[j * width]); });
  }

  [[nodiscard]] std::size_t exponent_bits() const override { return exponent_bits_; }
  [[nodiscard]] std::size_t bytes() const override { return entries_.size() * 8; }

  [[nodiscard]] std::size_t windows() const { return windows_; }

  // entry returns y and, after it, v' of the digit of `exponent` in window j.
  [[nodiscard]] const std::uint64_t* entry(std::size_t j, ConstLimbs exponent) const {
    const std::size_t bit = j * window_;
    std::uint64_t digit = exponent[bit / 64] >> (bit % 64);
    if (bit % 64 + window_ > 64 && bit / 64 + 1 < exponent.size()) {
      digit |= exponent[bit / 64 + 1] << (64 - bit % 64);
    }
    digit &= (std::uint64_t{1} << window_) - 1;
    return &entries_[((j << window_) + digit) * entry_limbs_];
  }

 private:
  [[nodiscard]] std::size_t bytes_for(std::size_t window) const {
    return (((exponent_bits_ + window - 1) / window) * entry_limbs_ * 8) << window;
  }

  // fill makes the entries of window j from the pair of its base, B·R. It carries the inverse of y
  // along, which costs less than inverting: (y·b)·R⁻¹ = T·(1 − q·T⁻¹·R⁻¹·n) with Montgomery's T and
  // q.
  void fill(const PairRing& ring, std::size_t j, const std::uint64_t* base) {
    const std::size_t h = ring.limbs();
    const ConstLimbs n(ring.modulus(), h);
    SecretLimbs scratch(ring.scratch_limbs());

    // The base as b·(1 + w·n)·R: w' = −t·b⁻¹, and b⁻¹·R².
    const auto b = ConstLimbs(base, h);
    std::vector<std::uint64_t> step(h);
    std::vector<std::uint64_t> w(h);
    const std::vector<std::uint64_t> inverse = inverse_mod(b, n);
    ring.mont(step.data(), inverse.data(), ring.r_squared(), scratch.data());  // b⁻¹·R
    ring.mont(w.data(), base + h, step.data(), scratch.data());                // t·b⁻¹
    const std::vector<std::uint64_t> zero(h);
    ring.subtract(w.data(), zero.data(), w.data());
    ring.mont(step.data(), step.data(), ring.r_squared(), scratch.data());  // b⁻¹·R²

    // Digit 0: R, or 1 in the last window; and y⁻¹·R.
    std::uint64_t* first = &entries_[(j << window_) * entry_limbs_];
    std::vector<std::uint64_t> y_inverse(h);
    if (j + 1 == windows_) {
      first[0] = 1;
      std::vector<std::uint64_t> one(h);
      one[0] = 1;
      ring.mont(y_inverse.data(), one.data(), ring.r_squared(), scratch.data());
    } else {
      const SecretLimbs unit = ring.power_of_r(1);
      std::copy_n(unit.data(), h, first);
      const std::vector<std::uint64_t> unit_inverse = inverse_mod(ConstLimbs(unit).first(h), n);
      ring.mont(y_inverse.data(), unit_inverse.data(), ring.r_squared(), scratch.data());
      ring.mont(first + h, unit.data() + h, y_inverse.data(), scratch.data());
      ring.subtract(first + h, zero.data(), first + h);
    }

    std::vector<std::uint64_t> product(entry_limbs_);
    std::vector<std::uint64_t> correction(h);
    for (std::size_t digit = 1; digit < (std::size_t{1} << window_); ++digit) {
      const std::uint64_t* const previous = first + (digit - 1) * entry_limbs_;
      std::uint64_t* const entry = first + digit * entry_limbs_;
      ring.multiply_short(product.data(), previous, b.data(), scratch.data());
      ring.mont(y_inverse.data(), y_inverse.data(), step.data(), scratch.data());  // T⁻¹·R
      ring.mont(correction.data(), product.data() + h, y_inverse.data(), scratch.data());
      std::copy_n(product.data(), h, entry);
      ring.add(entry + h, previous + h, w.data());
      ring.subtract(entry + h, entry + h, correction.data());
    }
  }

  std::size_t exponent_bits_;
  std::size_t entry_limbs_;
  std::size_t window_ = 0;
  std::size_t windows_ = 0;
  std::vector<std::uint64_t> entries_;
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

  [[nodiscard]] std::unique_ptr<FixedBase> make_fixed_base(ConstLimbs base,
                                                           std::size_t exponent_bits,
                                                           std::size_t table_bytes,
                                                           ThreadPool& pool) const override {
    return std::make_unique<PortableFixedBase>(ring_, base, exponent_bits, table_bytes, pool);
  }

  void encrypt(const FixedBase& fixed_base, ConstLimbs m, ConstLimbs r, std::size_t count,
               Limbs out) const override {
    const auto& base = dynamic_cast<const PortableFixedBase&>(fixed_base);
    const std::size_t h = ring_.limbs();
    const std::size_t r_limbs = (base.exponent_bits() + 63) / 64;
    SecretLimbs scratch(ring_.scratch_limbs());
    SecretLimbs state(6 * h);
    for (std::size_t i = 0; i < count; ++i) {
      encrypt_one(base, &m[i * h], r.subspan(i * r_limbs, r_limbs), &out[i * 2 * h], state.data(),
                  scratch.data());
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
      const std::size_t used = std::max<std::size_t>(used_limbs(exponent), 1);
      ring_.from_integer(base.data(), &a[i * width()], scratch.data());
      ring_.multiply(base.data(), base.data(), r_cubed_.data(), scratch.data());
      ring_.power(result.data(), base.data(), exponent.first(used), scratch.data());
      ring_.multiply(result.data(), result.data(), one.data(), scratch.data());
      ring_.to_integer(&out[i * width()], result.data(), scratch.data());
    }
  }

 private:
  // encrypt_one multiplies one table entry a window. Entries are multiplied in pairs by their short
  // halves first (4 half products), then merged (10), while the v' are only added; one product at
  // the end applies Σv and m.
  void encrypt_one(const PortableFixedBase& base, const std::uint64_t* m, ConstLimbs r,
                   std::uint64_t* out, std::uint64_t* state, std::uint64_t* scratch) const {
    const std::size_t h = ring_.limbs();
    std::uint64_t* const product = state;
    std::uint64_t* const factor = product + 2 * h;
    std::uint64_t* const sum = factor + 2 * h;
    std::uint64_t* const temporary = sum + h;
    ring_.mont(sum, m, ring_.r_squared(), scratch);
    for (std::size_t j = 0; j < base.windows(); j += 2) {
      std::uint64_t* const target = j == 0 ? product : factor;
      const std::uint64_t* const low = base.entry(j, r);
      ring_.add(sum, sum, low + h);
      if (j + 1 < base.windows()) {
        const std::uint64_t* const high = base.entry(j + 1, r);
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
