// Natural numbers whose memory is wiped: GMP's integers for primes, exponents and what is computed
// from them.
#pragma once

#include <cstdint>
#include <span>

#include <gmp.h>

#include "shared/core/bytes.h"
#include "shared/core/random.h"
#include "shared/crypto/kernels/limbs.h"
#include "shared/crypto/secret/marker.h"

namespace blindsum::crypto {

// Natural owns one mpz_t. Linking this file makes GMP wipe all memory that it frees or reallocates,
// so temporaries are covered as well; what GMP keeps on the stack is not.
class Natural {
 public:
  Natural() { mpz_init(value_); }
  explicit Natural(std::uint64_t value) { mpz_init_set_ui(value_, value); }
  ~Natural() { mpz_clear(value_); }
  Natural(const Natural& other) { mpz_init_set(value_, other.value_); }
  Natural(Natural&& other) noexcept : Natural() { mpz_swap(value_, other.value_); }
  Natural& operator=(Natural other) noexcept {
    mpz_swap(value_, other.value_);
    return *this;
  }

  [[nodiscard]] static Natural from_big_endian(ByteView bytes);
  [[nodiscard]] static Natural from_limbs(std::span<const std::uint64_t> limbs);

  // random_bits returns a uniform number below 2^bits, random_below a uniform number in [0, bound).
  [[nodiscard]] static Natural random_bits(std::size_t bits);
  [[nodiscard]] static Natural random_below(const Natural& bound);

  [[nodiscard]] std::size_t bits() const {
    return mpz_sgn(value_) == 0 ? 0 : mpz_sizeinbase(value_, 2);
  }
  [[nodiscard]] SecretBytes to_big_endian(std::size_t size) const;
  [[nodiscard]] kernels::SecretLimbs to_limbs(std::size_t limbs) const;

  // get gives the number to GMP's functions.
  [[nodiscard]] mpz_ptr get() { return value_; }
  [[nodiscard]] mpz_srcptr get() const { return value_; }

  friend bool operator==(const Natural& a, const Natural& b) {
    return mpz_cmp(a.value_, b.value_) == 0;
  }

 private:
  mpz_t value_;
};

}  // namespace blindsum::crypto
