// Secret randomness: from the operating system alone, never from a seed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shared/core/bytes.h"

namespace blindsum {

// fill_random fills `out` from the operating system's generator (getrandom, through libsodium).
// Safe across fork: nothing is buffered in the process. Thread-safe.
void fill_random(std::span<std::uint8_t> out);

// wipe overwrites memory in a way that the compiler may not remove.
void wipe(void* data, std::size_t size) noexcept;

// SecretBytes owns bytes that must not outlive their use: move-only, wiped when destroyed, moved
// from or shrunk.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size) : bytes_(size) {}
  explicit SecretBytes(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
  ~SecretBytes() { clear(); }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept;

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::span<std::uint8_t> bytes() { return bytes_; }
  [[nodiscard]] ByteView bytes() const { return bytes_; }
  void clear() noexcept;

 private:
  Bytes bytes_;
};

}  // namespace blindsum
