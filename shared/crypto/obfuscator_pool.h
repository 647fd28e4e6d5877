// Obfuscators made ahead, while a role waits. Private to shared/crypto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "shared/crypto/encryptor_impl.h"

namespace blindsum::crypto {

// ObfuscatorPool holds encryptions of zero. Each is used once and wiped; a forked child finds its
// copy empty. Not thread-safe: it belongs to the thread of its role.
class ObfuscatorPool {
 public:
  explicit ObfuscatorPool(ObfuscatorSource source) : source_(std::move(source)) {}
  ~ObfuscatorPool();
  ObfuscatorPool(const ObfuscatorPool&) = delete;
  ObfuscatorPool& operator=(const ObfuscatorPool&) = delete;

  [[nodiscard]] const ObfuscatorSource& source() const { return source_; }
  [[nodiscard]] std::size_t size() const;

  // prepare makes one batch of obfuscators (as many as the kernel works on at a time, for every
  // thread) unless there are `wanted`. Returns whether some are still missing.
  bool prepare(std::size_t wanted);

  // encrypt and rerandomize take what there is from the pool and make the rest.
  // Throws CryptoError for numbers of the wrong size.
  [[nodiscard]] CiphertextVector encrypt(const PlaintextVector& plaintexts);
  [[nodiscard]] CiphertextVector rerandomize(const CiphertextVector& ciphertexts);

 private:
  void drop();
  void multiply_by_taken(std::span<std::uint64_t> numbers);

  ObfuscatorSource source_;
  std::vector<std::uint64_t> obfuscators_;  // 2L limbs each
  std::uint64_t generation_ = 0;            // of this process, see obfuscator_pool.cpp
};

}  // namespace blindsum::crypto
