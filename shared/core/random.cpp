#include "shared/core/random.h"

#include <sodium.h>

#include "shared/core/error.h"

namespace blindsum {

void fill_random(std::span<std::uint8_t> out) {
  static const bool is_ready = sodium_init() >= 0;
  if (!is_ready) throw CryptoError("the operating system offers no randomness");
  randombytes_buf(out.data(), out.size());
}

void wipe(void* data, std::size_t size) noexcept {
  if (size > 0) sodium_memzero(data, size);
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    clear();
    bytes_ = std::move(other.bytes_);
  }
  return *this;
}

void SecretBytes::clear() noexcept {
  wipe(bytes_.data(), bytes_.size());
  bytes_.clear();
}

}  // namespace blindsum
