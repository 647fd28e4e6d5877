// Encryption: c = (1 + m·n) · obfuscator mod n².
#pragma once

#include <memory>
#include <string_view>

#include "shared/core/thread_pool.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

// Randomizer is how an obfuscator is made, and under which assumption encryption hides the
// plaintext.
//   kFull   r^n mod n², r a uniform unit: decisional composite residuosity (DCR) alone. Textbook
//   Paillier 1999. kHalf   h_s^r, h_s = h^n mod n², h = −x² mod n, r uniform of |n|/2 bits:
//   Damgård, Jurik, Nielsen 2010, section 4.2.
//           x is hashed from n, so nobody chooses the base.
//   kShort  the same with r of 320 bits at 3072-bit keys, 288 at 2048 and 352 at 4096: adds the
//   short-exponent discrete-log
//           assumption in safe-prime groups (the practice of RFC 7919).
enum class Randomizer { kFull, kHalf, kShort };

[[nodiscard]] std::string_view to_string(Randomizer randomizer);         // "full", "half", "short"
[[nodiscard]] Randomizer randomizer_from_string(std::string_view name);  // Throws ConfigError.
[[nodiscard]] std::string_view assumption_of(
    Randomizer randomizer);  // one sentence for the records of a run

// Encryptor encrypts under one public key. Randomness is fresh for every ciphertext, from the
// operating system. Thread-safe once made; `pool` must outlive it and is used by one call at a
// time.
class Encryptor {
 public:
  // Makes the fixed-base table for kHalf and kShort (see README.md: tens of megabytes, under a
  // second).
  Encryptor(PublicKey key, Randomizer randomizer, ThreadPool& pool);
  ~Encryptor();
  Encryptor(Encryptor&&) noexcept;
  Encryptor& operator=(Encryptor&&) noexcept;

  [[nodiscard]] const PublicKey& key() const;
  [[nodiscard]] Randomizer randomizer() const;

  // encrypt throws CryptoError when a plaintext is not below n.
  [[nodiscard]] CiphertextVector encrypt(const PlaintextVector& plaintexts) const;

  // rerandomize multiplies every ciphertext by a fresh encryption of zero: same plaintext,
  // unlinkable ciphertext.
  [[nodiscard]] CiphertextVector rerandomize(const CiphertextVector& ciphertexts) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blindsum::crypto
