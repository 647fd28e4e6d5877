// Vectors of limbs that are wiped when freed: exponents, primes and the intermediate values of
// secret computations.
#pragma once

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

}  // namespace blindsum::crypto::kernels
