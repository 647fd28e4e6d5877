// What anybody can compute on ciphertexts with the public key. Element-wise on vectors of equal
// size, but for linear_combinations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shared/core/thread_pool.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

// Evaluator computes on ciphertexts of one key. Results are deterministic (not re-randomised:
// Encryptor::rerandomize). Thread-safe; `pool` must outlive it. Every function throws CryptoError
// when sizes or widths do not match.
class Evaluator {
 public:
  Evaluator(PublicKey key, ThreadPool& pool);

  [[nodiscard]] CiphertextVector add(const CiphertextVector& a, const CiphertextVector& b) const;
  void add_inplace(CiphertextVector& a, const CiphertextVector& b) const;
  [[nodiscard]] CiphertextVector subtract(const CiphertextVector& a,
                                          const CiphertextVector& b) const;
  [[nodiscard]] CiphertextVector negate(const CiphertextVector& a) const;
  [[nodiscard]] CiphertextVector add_plain(const CiphertextVector& a,
                                           const PlaintextVector& m) const;
  // multiply_plain multiplies plaintexts by m mod n: c^m mod n². m = 0 gives the trivial encryption
  // 1 of zero.
  [[nodiscard]] CiphertextVector multiply_plain(const CiphertextVector& a,
                                                const PlaintextVector& m) const;

  // linear_combinations returns encryptions of Σ_i w_ji·m_i mod n, one for each row w_j of
  // `weights` (row by row, as many weights each as there are ciphertexts): a linear layer on
  // encrypted inputs. Formula: Π_i c_i^{w_ji} mod n², by simultaneous exponentiation. Cost: once,
  // up to 128 powers of every c_i (fewer for few or short weights) and, if a weight is negative, 3
  // products more and a share of one inversion; for each row, a squaring a bit of the largest
  // weight, and for each of its weights a product for one bit in 3 to 9, none for a weight of 0.
  // Memory: up to 64 MiB of powers, or 2 a ciphertext if that is more. Security: weights are
  // public, time and addresses depend on them; a row of zeros gives the trivial encryption 1.
  // Throws CryptoError also when a weight is negative and a ciphertext not a unit.
  [[nodiscard]] CiphertextVector linear_combinations(const CiphertextVector& a,
                                                     std::span<const std::int64_t> weights,
                                                     std::size_t rows) const;

  // packed_combinations returns encryptions of Σ_s 2^(s·slot_bits) · Σ_i w_jsi·m_i mod n: `slots`
  // linear combinations in one ciphertext, so that one decryption opens them all. `weights` has,
  // for each of the `rows` results, `slots` rows of as many weights as there are ciphertexts. A sum
  // that is negative borrows from the slot above: add 2^(slot_bits − 1) to every slot, by
  // add_plain, before it is opened. Formula: Π_i c_i^{E_ji}, E_ji = Σ_s w_jsi·2^(s·slot_bits). Cost
  // per row: slots·slot_bits squarings and, for each weight, a product a digit of 4 bits; once, 8
  // powers of every c_i and of its inverse. Security: as
  // linear_combinations. Throws CryptoError when sizes do not match, slot_bits < 5 + bits of the
  // largest |weight|, or a ciphertext is not a unit.
  [[nodiscard]] CiphertextVector packed_combinations(const CiphertextVector& a,
                                                     std::span<const std::int64_t> weights,
                                                     std::size_t rows, std::size_t slots,
                                                     unsigned slot_bits) const;

 private:
  PublicKey key_;
  ThreadPool* pool_;
};

}  // namespace blindsum::crypto
