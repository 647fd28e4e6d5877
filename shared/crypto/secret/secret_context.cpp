#include "shared/crypto/secret/secret_context.h"

#include <gmp.h>

#include "shared/crypto/kernels/limbs.h"
#include "shared/crypto/kernels/pair_ring.h"
#ifdef BLINDSUM_HAS_IFMA
#include "shared/crypto/kernels/ifma.h"
#include "shared/crypto/kernels/ifma_secret.h"
#endif

namespace blindsum::crypto::kernels {
namespace {

// PortableSecretContext works mod s² in pairs mod s.
class PortableSecretContext : public SecretContext {
 public:
  PortableSecretContext(ConstLimbs prime, ConstLimbs exponent, std::size_t n_limbs)
      : ring_(prime),
        exponent_(exponent.begin(),
                  exponent.begin() + static_cast<std::ptrdiff_t>(used_limbs(exponent))),
        square_(2 * prime.size()),
        r_cubed_(ring_.power_of_r(3)),
        n_limbs_(n_limbs) {
    mpn_sqr(square_.data(), prime.data(), sz(prime.size()));
  }

  void power(ConstLimbs a, std::size_t count, Limbs out) const override {
    const std::size_t width = square_.size();
    const std::size_t divisor = used_limbs(square_);
    const std::size_t a_limbs = 2 * n_limbs_;
    SecretLimbs scratch(ring_.scratch_limbs());
    SecretLimbs quotient(a_limbs - divisor + 1);
    SecretLimbs reduced(width);
    SecretLimbs base(width);
    SecretLimbs one(width);
    one[0] = 1;
    for (std::size_t i = 0; i < count; ++i) {
      mpn_tdiv_qr(quotient.data(), reduced.data(), 0, &a[i * a_limbs], sz(a_limbs), square_.data(),
                  sz(divisor));
      ring_.from_integer(base.data(), reduced.data(), scratch.data());
      ring_.multiply(base.data(), base.data(), r_cubed_.data(), scratch.data());
      ring_.power(base.data(), base.data(), exponent_, 64 * exponent_.size(), scratch.data());
      ring_.multiply(base.data(), base.data(), one.data(), scratch.data());
      ring_.to_integer(&out[i * width], base.data(), scratch.data());
    }
  }

 private:
  PairRing ring_;
  SecretLimbs exponent_;
  SecretLimbs square_;
  SecretLimbs r_cubed_;
  std::size_t n_limbs_;
};

}  // namespace

std::unique_ptr<SecretContext> make_secret_context(ConstLimbs prime, ConstLimbs exponent,
                                                   std::size_t n_limbs) {
#ifdef BLINDSUM_HAS_IFMA
  if (&active_kernel() == &ifma_kernel()) {
    return make_ifma_secret_context(prime, exponent, n_limbs);
  }
#endif
  return std::make_unique<PortableSecretContext>(prime, exponent, n_limbs);
}

}  // namespace blindsum::crypto::kernels
