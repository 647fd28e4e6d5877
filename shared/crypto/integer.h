// Signed integers of GMP for the numbers module. Private to shared/crypto.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include <gmp.h>

namespace blindsum::crypto {

// Integer owns one mpz_t.
class Integer {
 public:
  Integer() { mpz_init(value_); }
  explicit Integer(std::uint64_t value) { mpz_init_set_ui(value_, value); }
  explicit Integer(std::span<const std::uint64_t> limbs) : Integer() {
    mpz_import(value_, limbs.size(), -1, sizeof(std::uint64_t), 0, 0, limbs.data());
  }
  ~Integer() { mpz_clear(value_); }
  Integer(const Integer& other) { mpz_init_set(value_, other.value_); }
  Integer(Integer&& other) noexcept : Integer() { mpz_swap(value_, other.value_); }
  Integer& operator=(Integer other) noexcept {
    mpz_swap(value_, other.value_);
    return *this;
  }

  [[nodiscard]] mpz_ptr get() { return value_; }
  [[nodiscard]] mpz_srcptr get() const { return value_; }
  [[nodiscard]] std::size_t bits() const {
    return mpz_sgn(value_) == 0 ? 0 : mpz_sizeinbase(value_, 2);
  }

  // copy_to writes the magnitude, which must fit.
  void copy_to(std::span<std::uint64_t> limbs) const {
    std::fill(limbs.begin(), limbs.end(), 0);
    mpz_export(limbs.data(), nullptr, -1, sizeof(std::uint64_t), 0, 0, value_);
  }
  [[nodiscard]] std::string to_decimal() const {
    std::string digits(mpz_sizeinbase(value_, 10) + 2, '\0');
    mpz_get_str(digits.data(), 10, value_);
    digits.resize(digits.find('\0'));
    return digits;
  }

 private:
  mpz_t value_;
};

}  // namespace blindsum::crypto
