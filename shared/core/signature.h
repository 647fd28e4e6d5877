// Ed25519 signatures (RFC 8032), from libsodium.
#pragma once

#include <array>
#include <cstdint>

#include "shared/core/bytes.h"
#include "shared/core/random.h"

namespace blindsum {

using SigningPublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

// SigningKey signs. It is made from its seed, which is the secret that is kept on disk. Thread-safe
// once made.
class SigningKey {
 public:
  static constexpr std::size_t kSeedBytes = 32;

  // Throws KeyError when the seed has another length.
  explicit SigningKey(ByteView seed);
  [[nodiscard]] static SigningKey generate();

  [[nodiscard]] const SigningPublicKey& public_key() const { return public_key_; }
  [[nodiscard]] SecretBytes seed() const;
  [[nodiscard]] Signature sign(ByteView message) const;

 private:
  SecretBytes secret_;  // seed and public key, as libsodium wants them
  SigningPublicKey public_key_{};
};

// verify tells whether `signature` is the key's on `message`.
[[nodiscard]] bool verify(const SigningPublicKey& key, const Signature& signature,
                          ByteView message);

}  // namespace blindsum
