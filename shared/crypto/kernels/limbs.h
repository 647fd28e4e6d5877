// Vectors of limbs that are wiped when freed: exponents, primes and the intermediate values of
// secret computations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

}  // namespace blindsum::crypto::kernels
