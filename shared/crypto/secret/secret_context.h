// The arithmetic of decryption. Apart from the public kernels, so that only programs that decrypt
// contain it. Private to crypto_secret.
#pragma once

#include <cstddef>
#include <memory>

#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/secret/marker.h"

namespace blindsum::crypto::kernels {

// SecretContext computes mod s² for a secret prime s (p or q).
class SecretContext {
 public:
  virtual ~SecretContext() = default;
  // power: out[i] = a[i]^e mod s². a: count × 2L limbs (L of n), reduced here mod s²; e is the
  // secret exponent shared by all; out: count × 2·ceil(bits(s)/64) limbs. No secret-dependent
  // branch or look-up where the kernel says so.
  virtual void power(ConstLimbs a, std::size_t count, Limbs out) const = 0;
};

// make_secret_context makes the context that belongs to active_kernel(). `exponent` is secret;
// `n_limbs` is L, the width of n.
[[nodiscard]] std::unique_ptr<SecretContext> make_secret_context(ConstLimbs prime,
                                                                 ConstLimbs exponent,
                                                                 std::size_t n_limbs);

}  // namespace blindsum::crypto::kernels
