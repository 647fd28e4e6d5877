// What anybody can compute on ciphertexts with the public key. Element-wise on vectors of equal
// size.
#pragma once

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

 private:
  PublicKey key_;
  ThreadPool* pool_;
};

}  // namespace blindsum::crypto
