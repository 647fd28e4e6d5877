// Multi-exponentiation on AVX-512 IFMA: eight rows of weights at once.
#pragma once

#include "shared/crypto/kernels/ifma_modulus.h"
#include "shared/crypto/kernels/multi_exponent.h"

namespace blindsum::crypto::kernels {

// ifma_multi_exponentiate writes a product of `limbs` limbs for every row. `r3` is the pair of R³,
// `one` that of 1. Each lane goes through its own terms, so that zero weights cost nothing unless
// another row of the eight has none. Where AVX-512 IFMA runs.
void ifma_multi_exponentiate(const ifma::Modulus& n, const ifma::Digits& r3,
                             const ifma::Digits& one, std::size_t limbs, ConstLimbs bases,
                             ConstLimbs inverses, const WeightRows& rows, ThreadPool& pool,
                             Limbs out);
void ifma_multi_exponentiate(const ifma::Modulus& n, const ifma::Digits& r3,
                             const ifma::Digits& one, std::size_t limbs, ConstLimbs bases,
                             ConstLimbs inverses, const SlotRows& rows, ThreadPool& pool,
                             Limbs out);

}  // namespace blindsum::crypto::kernels
