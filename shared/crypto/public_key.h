// The Paillier public key (Paillier 1999) with g = 1 + n, and the one door through which foreign
// numbers enter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shared/core/bytes.h"
#include "shared/core/hash.h"
#include "shared/crypto/plaintext.h"

namespace blindsum::crypto {

// KeyPolicy says which keys are admitted.
//   kSecure                 2048, 3072 or 4096 bits, of safe primes with the top two bits set:
//   every
//                           key of a federation.
//   kInteroperable          any even size from 2048 to 8192 bits, of any primes of equal length:
//   keys
//                           of other Paillier programs. What is weaker: without safe primes the
//                           subgroup of Randomizer kHalf and kShort may be smaller than thought,
//                           so use kFull; and such a key cannot serve threshold decryption.
//   kInsecureInteroperable  the same from 128 bits, where a user insists.
//   kInsecureTesting        any even size from 128 bits, primes that need not be safe; for unit
//                           tests and the replay of historical experiments only.
enum class KeyPolicy { kSecure, kInteroperable, kInsecureInteroperable, kInsecureTesting };

// PublicKey is immutable and cheap to copy (a shared pointer). Thread-safe.
class PublicKey {
 public:
  // from_modulus takes n as big-endian bytes without leading zeros. Throws KeyError when its size
  // is not admitted, its top bit is not set, it is even, or it is a perfect power or has a small
  // factor.
  [[nodiscard]] static PublicKey from_modulus(ByteView modulus,
                                              KeyPolicy policy = KeyPolicy::kSecure);

  // parse reads what serialize writes (versioned, with a check hash). Throws KeyError.
  [[nodiscard]] static PublicKey parse(ByteView file, KeyPolicy policy = KeyPolicy::kSecure);
  [[nodiscard]] Bytes serialize() const;

  [[nodiscard]] std::size_t modulus_bits() const;
  [[nodiscard]] std::size_t plaintext_bits() const { return modulus_bits() - 1; }
  [[nodiscard]] std::size_t plaintext_limbs() const;  // 64-bit limbs of n
  [[nodiscard]] std::size_t ciphertext_limbs() const { return 2 * plaintext_limbs(); }
  [[nodiscard]] std::size_t ciphertext_bytes()
      const;                               // canonical width on the wire: 2 * ceil(bits/8)
  [[nodiscard]] const Digest& id() const;  // SHA-256 over version and n
  [[nodiscard]] Bytes modulus() const;     // big-endian
  [[nodiscard]] std::span<const std::uint64_t> modulus_limbs() const;

  // parse_ciphertexts is the only door for ciphertexts of others: `blob` must be exactly `count`
  // numbers of ciphertext_bytes() bytes, little-endian, each 0 < c < n² with gcd(c, n) = 1. Throws
  // CryptoError naming the index. Cost: one multiplication mod n a ciphertext and one gcd in all.
  [[nodiscard]] CiphertextVector parse_ciphertexts(ByteView blob, std::size_t count) const;
  [[nodiscard]] Bytes serialize_ciphertexts(const CiphertextVector& ciphertexts) const;

  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.id() == b.id(); }

  // Impl is private to shared/crypto.
  struct Impl;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  explicit PublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// kernel_name names the arithmetic kernel of this process: "portable", or what the environment
// variable BLINDSUM_KERNEL says. Throws ConfigError when this machine cannot run it.
[[nodiscard]] std::string_view kernel_name();

}  // namespace blindsum::crypto
