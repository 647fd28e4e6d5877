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
  // of equal length, of the kind that `policy` admits. Throws KeyError, with one
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
  // has_safe_primes is always so under KeyPolicy::kSecure. Cost: as loading the key.
  [[nodiscard]] bool has_safe_primes() const;

  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  explicit SecretKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace blindsum::crypto
