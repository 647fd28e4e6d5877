#include "shared/core/key_derivation.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <string>
#include <utility>

#include <sodium.h>

#include "shared/core/error.h"

namespace blindsum {
namespace {

static_assert(AgreementKey::kSecretBytes == crypto_scalarmult_SCALARBYTES);
static_assert(sizeof(AgreementPublicKey) == crypto_scalarmult_BYTES);
static_assert(kDerivedKeyBytes == crypto_stream_chacha20_ietf_KEYBYTES);

}  // namespace

AgreementKey::AgreementKey(ByteView secret) : secret_(secret) {
  if (secret.size() != kSecretBytes) {
    throw KeyError("an agreement key of " + std::to_string(secret.size()) + " bytes, expected " +
                   std::to_string(kSecretBytes));
  }
  crypto_scalarmult_base(public_key_.data(), secret.data());
}

AgreementKey AgreementKey::generate() {
  SecretBytes secret(kSecretBytes);
  fill_random(secret.bytes());
  return AgreementKey(std::as_const(secret).bytes());
}

SecretBytes AgreementKey::agree(const AgreementPublicKey& other) const {
  SecretBytes point(std::size_t{crypto_scalarmult_BYTES});
  if (crypto_scalarmult(point.bytes().data(), secret_.bytes().data(), other.data()) != 0) {
    throw KeyError("an agreement key of small order");
  }
  const auto [low, high] = std::minmax(public_key_, other);
  Bytes ends(low.begin(), low.end());
  ends.insert(ends.end(), high.begin(), high.end());
  return derive_key(std::as_const(point).bytes(), "blindsum/agreement/1", ends);
}

SecretBytes derive_key(ByteView key, std::string_view purpose, ByteView context) {
  assert(key.size() >= crypto_generichash_KEYBYTES_MIN &&
         key.size() <= crypto_generichash_KEYBYTES_MAX);
  SecretBytes derived(kDerivedKeyBytes);
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), kDerivedKeyBytes);
  Bytes length;
  append_le64(length, purpose.size());
  crypto_generichash_update(&state, length.data(), length.size());
  const ByteView text = as_bytes(purpose);
  crypto_generichash_update(&state, text.data(), text.size());
  crypto_generichash_update(&state, context.data(), context.size());
  crypto_generichash_final(&state, derived.bytes().data(), kDerivedKeyBytes);
  wipe(&state, sizeof state);
  return derived;
}

void expand_key(ByteView key, std::span<std::uint8_t> out) {
  assert(key.size() == kDerivedKeyBytes);
  constexpr std::array<std::uint8_t, crypto_stream_chacha20_ietf_NONCEBYTES> kNonce{};
  crypto_stream_chacha20_ietf(out.data(), out.size(), kNonce.data(), key.data());
}

}  // namespace blindsum
