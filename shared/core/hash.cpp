#include "shared/core/hash.h"

#include <sodium.h>

namespace blindsum {

struct Sha256::State {
  crypto_hash_sha256_state hash;
};

Digest sha256(ByteView bytes) {
  Digest digest;
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return digest;
}

Digest content_hash(ByteView bytes) {
  Digest digest;
  crypto_generichash(digest.data(), digest.size(), bytes.data(), bytes.size(), nullptr, 0);
  return digest;
}

std::string digest_text(const Digest& digest) { return "sha256:" + to_hex(digest); }

Sha256::Sha256() : state_(std::make_unique<State>()) { crypto_hash_sha256_init(&state_->hash); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView bytes) {
  crypto_hash_sha256_update(&state_->hash, bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::update_field(ByteView bytes) {
  update_u64(bytes.size());
  return update(bytes);
}

Sha256& Sha256::update_field(std::string_view text) { return update_field(as_bytes(text)); }

Sha256& Sha256::update_u64(std::uint64_t value) {
  Bytes encoded;
  append_le64(encoded, value);
  return update(encoded);
}

Digest Sha256::finish() {
  Digest digest;
  crypto_hash_sha256_final(&state_->hash, digest.data());
  return digest;
}

}  // namespace blindsum
