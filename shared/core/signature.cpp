#include "shared/core/signature.h"

#include <algorithm>
#include <string>
#include <utility>

#include <sodium.h>

#include "shared/core/error.h"

namespace blindsum {

static_assert(SigningKey::kSeedBytes == crypto_sign_SEEDBYTES);
static_assert(sizeof(SigningPublicKey) == crypto_sign_PUBLICKEYBYTES);
static_assert(sizeof(Signature) == crypto_sign_BYTES);

SigningKey::SigningKey(ByteView seed) : secret_(std::size_t{crypto_sign_SECRETKEYBYTES}) {
  if (seed.size() != kSeedBytes) {
    throw KeyError("a signing key of " + std::to_string(seed.size()) + " bytes, expected " +
                   std::to_string(kSeedBytes));
  }
  crypto_sign_seed_keypair(public_key_.data(), secret_.bytes().data(), seed.data());
}

SigningKey SigningKey::generate() {
  SecretBytes seed(kSeedBytes);
  fill_random(seed.bytes());
  return SigningKey(std::as_const(seed).bytes());
}

SecretBytes SigningKey::seed() const { return SecretBytes(secret_.bytes().first(kSeedBytes)); }

Signature SigningKey::sign(ByteView message) const {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       secret_.bytes().data());
  return signature;
}

bool verify(const SigningPublicKey& key, const Signature& signature, ByteView message) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                     key.data()) == 0;
}

}  // namespace blindsum
