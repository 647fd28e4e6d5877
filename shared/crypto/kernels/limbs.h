// Vectors of limbs that are wiped when freed: exponents, primes and the intermediate values of
// secret computations.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "shared/core/random.h"

namespace blindsum::crypto::kernels {

// WipingAllocator overwrites memory before it goes back to the heap.
template <class T>
struct WipingAllocator {
  using value_type = T;

  WipingAllocator() = default;
  template <class U>
  explicit WipingAllocator(const WipingAllocator<U>& /*other*/) {}

  [[nodiscard]] T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* data, std::size_t count) noexcept {
    wipe(data, count * sizeof(T));
    std::allocator<T>().deallocate(data, count);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

using SecretLimbs = std::vector<std::uint64_t, WipingAllocator<std::uint64_t>>;

// used_limbs counts the limbs below the leading zeros.
[[nodiscard]] inline std::size_t used_limbs(std::span<const std::uint64_t> number) {
  std::size_t used = number.size();
  while (used > 0 && number[used - 1] == 0) --used;
  return used;
}

// used_bits counts the bits below the leading zeros.
[[nodiscard]] inline std::size_t used_bits(std::span<const std::uint64_t> number) {
  const std::size_t limbs = used_limbs(number);
  return limbs == 0 ? 0
                    : 64 * limbs - static_cast<std::size_t>(std::countl_zero(number[limbs - 1]));
}

// whole_windows rounds a number of bits up to a multiple of `window`, at least one window.
[[nodiscard]] constexpr std::size_t whole_windows(std::size_t bits, std::size_t window) {
  return std::max<std::size_t>((bits + window - 1) / window, 1) * window;
}

}  // namespace blindsum::crypto::kernels
