// Secret keys that two roles can both work out, and what is made from them: X25519 agreement (RFC
// 7748), keyed BLAKE2b (RFC 7693) as a pseudo-random function, ChaCha20 (RFC 8439) to stretch its
// output. All from libsodium.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "shared/core/bytes.h"
#include "shared/core/random.h"

namespace blindsum {

inline constexpr std::size_t kDerivedKeyBytes = 32;

using AgreementPublicKey = std::array<std::uint8_t, 32>;

// AgreementKey is one end of a key agreement. Thread-safe.
class AgreementKey {
 public:
  static constexpr std::size_t kSecretBytes = 32;

  // Throws KeyError when the secret has another length.
  explicit AgreementKey(ByteView secret);
  [[nodiscard]] static AgreementKey generate();

  [[nodiscard]] const AgreementPublicKey& public_key() const { return public_key_; }
  [[nodiscard]] ByteView secret() const { return secret_.bytes(); }

  // agree returns the key of 32 bytes that the owners of this key and of `other` share, bound to
  // both public keys: the same from either end. Throws KeyError when `other` is no usable point.
  [[nodiscard]] SecretBytes agree(const AgreementPublicKey& other) const;

 private:
  SecretBytes secret_;
  AgreementPublicKey public_key_{};
};

// derive_key returns a key of 32 bytes: BLAKE2b keyed with `key` (16 to 64 bytes) over `purpose`
// and `context`. Different purposes or contexts give independent keys.
[[nodiscard]] SecretBytes derive_key(ByteView key, std::string_view purpose, ByteView context);

// expand_key fills `out` with the ChaCha20 stream of `key` (32 bytes), from its beginning. Use a
// key for one stream only.
void expand_key(ByteView key, std::span<std::uint8_t> out);

}  // namespace blindsum
