// Encryption with given randomness, for known-answer tests, and
// for the obfuscator pool. Private to shared/crypto.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "shared/core/thread_pool.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/fixed_base_table.h"
#include "shared/crypto/kernels/limbs.h"

namespace blindsum::crypto {

// ObfuscatorSource makes encryptions from randomness r: (1 + m·n)·h_s^r, or (1 + m·n)·r^n for
// kFull.
class ObfuscatorSource {
 public:
  ObfuscatorSource(PublicKey key, Randomizer randomizer, ThreadPool& pool,
                   const TableOptions& table = {});

  [[nodiscard]] const PublicKey& key() const { return key_; }
  [[nodiscard]] Randomizer randomizer() const { return randomizer_; }
  [[nodiscard]] TableInfo table() const;
  [[nodiscard]] std::size_t random_limbs() const;  // per r

  // draw returns `count` fresh values r: uniform below 2^exponent_bits, or below n and not 0 for
  // kFull.
  [[nodiscard]] kernels::SecretLimbs draw(std::size_t count) const;

  // encrypt_with encrypts `plaintexts` (count × L limbs, below n) with r (count × random_limbs()).
  [[nodiscard]] CiphertextVector encrypt_with(std::span<const std::uint64_t> plaintexts,
                                              std::span<const std::uint64_t> r) const;

  // encrypt encrypts with fresh r: out[i], 2L limbs each.
  void encrypt(std::span<const std::uint64_t> plaintexts, std::span<std::uint64_t> out) const;

  // add_encrypted multiplies every ciphertext by a fresh encryption of its plaintext (count × L
  // limbs, below n), in place; with zeros it re-randomises.
  void add_encrypted(std::span<std::uint64_t> ciphertexts,
                     std::span<const std::uint64_t> plaintexts) const;

  // over_ranges calls work(begin, size) on ranges of 0 … count − 1, on all threads. threads is how
  // many there are.
  void over_ranges(std::size_t count,
                   const std::function<void(std::size_t, std::size_t)>& work) const;
  [[nodiscard]] std::size_t threads() const { return pool_->threads(); }

 private:
  void encrypt_range(std::span<const std::uint64_t> plaintexts, std::span<const std::uint64_t> r,
                     std::span<std::uint64_t> out) const;

  PublicKey key_;
  Randomizer randomizer_;
  ThreadPool* pool_;
  std::size_t random_bits_;
  std::shared_ptr<const FixedBaseTable> table_;  // null for kFull
};

// random_bits returns the size of r: |n| for kFull, |n|/2 for kHalf, and 320 at 3072 bits and so on
// for kShort.
[[nodiscard]] std::size_t random_bits(Randomizer randomizer, std::size_t modulus_bits);

// embed: out[i] = 1 + m_i·n, 2L limbs each.
void embed(const PublicKey& key, std::span<const std::uint64_t> m, std::span<std::uint64_t> out);

// check_plaintexts throws CryptoError unless every number is as wide as n and below it.
void check_plaintexts(const PublicKey& key, const PlaintextVector& plaintexts);

// check_ciphertexts throws CryptoError unless every number is as wide as n².
void check_ciphertexts(const PublicKey& key, const CiphertextVector& ciphertexts);

}  // namespace blindsum::crypto
