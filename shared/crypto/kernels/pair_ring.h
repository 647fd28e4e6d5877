// Arithmetic mod m² for an odd m on pairs of numbers mod m: about 10 half products where working
// mod m² takes 16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <gmp.h>

#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/kernels/limbs.h"

namespace blindsum::crypto::kernels {

static_assert(std::is_same_v<mp_limb_t, std::uint64_t>, "limbs are 64-bit words");

// sz is a number of limbs as GMP takes it.
[[nodiscard]] inline mp_size_t sz(std::size_t limbs) { return static_cast<mp_size_t>(limbs); }

// PairRing holds X mod m² as the pair (r, t) of H limbs each (H = limbs of m, R = 2^(64H)):
//
//   X = r − t·R⁻¹·m mod m²,   0 <= r < m,  0 <= t < R.
//
// Montgomery's reduction of x = r1·r2 returns T and, for free, its quotient q with T·R = x + q·m
// exactly. Hence
//
//   X1·X2·R⁻¹ = T − (MontRed(t1·r2 + t2·r1) + q)·R⁻¹·m mod m²,
//
// three products and two reductions mod m; every multiplication divides by R. When T >= m it is
// reduced and q falls by R; t, which may reach R, is corrected by R mod m. Both corrections are
// rare for m just below R and frequent for others.
//
// A pair is 2H limbs, r first. Outputs may be inputs. Not constant-time (GMP's products, the
// corrections). Thread-safe; every call needs its own `scratch` of scratch_limbs().
class PairRing {
 public:
  explicit PairRing(ConstLimbs modulus);

  [[nodiscard]] std::size_t limbs() const { return h_; }
  [[nodiscard]] const std::uint64_t* modulus() const { return m_.data(); }
  [[nodiscard]] const std::uint64_t* r_squared() const { return r2_.data(); }  // R² mod m
  [[nodiscard]] std::size_t scratch_limbs() const { return 7 * h_; }

  // power_of_r returns the pair of R^k, k >= 1.
  [[nodiscard]] SecretLimbs power_of_r(unsigned k) const;

  // multiply: out = a·b·R⁻¹. square: out = a²·R⁻¹.
  void multiply(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b,
                std::uint64_t* scratch) const;
  void square(std::uint64_t* out, const std::uint64_t* a, std::uint64_t* scratch) const;

  // multiply_short: out = a·b·R⁻¹ for plain numbers a, b < m of H limbs: one product and one
  // reduction.
  void multiply_short(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b,
                      std::uint64_t* scratch) const;

  // from_integer: out = x·R⁻¹ for an integer x < m² of 2H limbs. to_integer undoes the pair form:
  // out < m², 2H limbs.
  void from_integer(std::uint64_t* out, const std::uint64_t* x, std::uint64_t* scratch) const;
  void to_integer(std::uint64_t* out, const std::uint64_t* a, std::uint64_t* scratch) const;

  // Numbers mod m, H limbs, reduced. mont: out = a·b·R⁻¹ mod m; a < R suffices when b < m.
  void mont(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b,
            std::uint64_t* scratch) const;
  void mont_reduce(std::uint64_t* out, const std::uint64_t* a, std::uint64_t* scratch) const;
  void add(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b) const;
  void subtract(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b) const;

  // power: out = a^e for e below 2^exponent_bits, all in Montgomery form (X·R for X). One look-up
  // reads the whole table, so no address depends on `e`.
  void power(std::uint64_t* out, const std::uint64_t* a, ConstLimbs e, std::size_t exponent_bits,
             std::uint64_t* scratch) const;

 private:
  int reduce(std::uint64_t* out, std::uint64_t* x, std::uint64_t top, std::uint64_t* q) const;
  void fix(std::uint64_t* t, int carry) const;

  std::size_t h_;
  std::uint64_t inverse_;  // −m⁻¹ mod 2^64
  SecretLimbs m_;
  SecretLimbs r1_;        // R mod m
  SecretLimbs minus_r1_;  // −R mod m
  SecretLimbs r2_;        // R² mod m
  SecretLimbs unit_;      // the pair of R
};

}  // namespace blindsum::crypto::kernels
