// Secret exponentiation on AVX-512 IFMA. Belongs to the library crypto_secret.
#pragma once

#include <cstddef>
#include <memory>

#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/secret/secret_context.h"

namespace blindsum::crypto::kernels {

// make_ifma_secret_context makes the context of the kernel "ifma", where it runs. No branch and no
// address depends on the prime, the exponent or the bases, but for the set-up and a correction that
// fewer than one product in 2^8 (2^20 at 1536 bits) takes; the length of the exponent shows.
// `prime` may be any odd number, unless the exponent is prime − 1.
[[nodiscard]] std::unique_ptr<SecretContext> make_ifma_secret_context(ConstLimbs prime,
                                                                      ConstLimbs exponent,
                                                                      std::size_t n_limbs);

// ifma_fermat tests up to eight odd numbers above 2 at once, `limbs` limbs each: bit l of the
// result says whether 2^(m_l − 1) = 1 mod m_l, which nearly every composite fails. Where AVX-512
// IFMA runs. No branch and no address depends on the numbers, but for GMP's division that sets them
// up. Cost: 3·D² multiply-adds a bit for all eight together.
[[nodiscard]] unsigned ifma_fermat(ConstLimbs moduli, std::size_t limbs);

// ifma_miller_rabin is one round of Miller and Rabin's test for each of up to eight bases: with m −
// 1 = 2^k·odd, bit l of the result says whether a_l^odd = 1 or a_l^(2^i·odd) = −1 mod m for some
// i < k. m > 2 is odd; the bases, as many limbs each as m, are below it. Where AVX-512 IFMA runs.
// No address depends on numbers, and of the branches only the length of m and k. Cost: 4·D²
// multiply-adds a bit for all eight together.
[[nodiscard]] unsigned ifma_miller_rabin(ConstLimbs m, ConstLimbs bases);

}  // namespace blindsum::crypto::kernels
