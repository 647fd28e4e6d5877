// The Paillier secret key. Linked by the key-holder and tests alone.
#pragma once

#include <memory>

#include "shared/core/bytes.h"
#include "shared/core/random.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

// SecretKey holds p and q and what decryption by CRT needs. Move-only; wiped when destroyed.
class SecretKey {
 public:
  // parse reads what serialize writes (versioned, with a check hash) and validates it: p ≠ q primes
  // of equal length with the top two bits set, safe primes under kSecure. Throws KeyError, with one
  // message for every defect of the secret part.
  [[nodiscard]] static SecretKey parse(ByteView file, KeyPolicy policy = KeyPolicy::kSecure);
  [[nodiscard]] SecretBytes serialize() const;
  // from_primes takes p and q big-endian; for tests and known-answer vectors.
  [[nodiscard]] static SecretKey from_primes(ByteView p, ByteView q,
                                             KeyPolicy policy = KeyPolicy::kSecure);
  ~SecretKey();
  SecretKey(SecretKey&&) noexcept;
  SecretKey& operator=(SecretKey&&) noexcept;

  [[nodiscard]] const PublicKey& public_key() const;

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  explicit SecretKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace blindsum::crypto
