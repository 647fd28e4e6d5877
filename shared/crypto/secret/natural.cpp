#include "shared/crypto/secret/natural.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace blindsum::crypto {
namespace {

void* allocate(std::size_t size) {
  void* const data = std::malloc(size);
  if (data == nullptr) std::abort();  // GMP has no way to report it
  return data;
}

void release(void* data, std::size_t size) {
  wipe(data, size);
  std::free(data);
}

void* reallocate(void* data, std::size_t old_size, std::size_t new_size) {
  void* const fresh = allocate(new_size);
  std::memcpy(fresh, data, std::min(old_size, new_size));
  release(data, old_size);
  return fresh;
}

// Before main, when no other thread can be inside GMP. The default functions use malloc too, so
// blocks may cross.
[[maybe_unused]] const bool kWipesFreedMemory = [] {
  mp_set_memory_functions(allocate, reallocate, release);
  return true;
}();

}  // namespace

Natural Natural::from_big_endian(ByteView bytes) {
  Natural number;
  mpz_import(number.value_, bytes.size(), 1, 1, 0, 0, bytes.data());
  return number;
}

Natural Natural::from_limbs(std::span<const std::uint64_t> limbs) {
  Natural number;
  mpz_import(number.value_, limbs.size(), -1, 8, 0, 0, limbs.data());
  return number;
}

Natural Natural::random_bits(std::size_t bits) {
  SecretBytes bytes((bits + 7) / 8);
  fill_random(bytes.bytes());
  Natural number = from_big_endian(bytes.bytes());
  mpz_fdiv_r_2exp(number.value_, number.value_, bits);
  return number;
}

Natural Natural::random_below(const Natural& bound) {
  for (;;) {
    Natural number = random_bits(bound.bits());
    if (mpz_cmp(number.value_, bound.value_) < 0) return number;
  }
}

SecretBytes Natural::to_big_endian(std::size_t size) const {
  SecretBytes bytes(size);
  const std::size_t used = (bits() + 7) / 8;
  mpz_export(bytes.bytes().data() + (size - used), nullptr, 1, 1, 0, 0, value_);
  return bytes;
}

kernels::SecretLimbs Natural::to_limbs(std::size_t limbs) const {
  kernels::SecretLimbs result(limbs);
  mpz_export(result.data(), nullptr, -1, 8, 0, 0, value_);
  return result;
}

}  // namespace blindsum::crypto
