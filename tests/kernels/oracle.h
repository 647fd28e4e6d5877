// What the tests of the kernels share: GMP's integers as the oracle, seeded numbers, edge operands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include <gmpxx.h>

#include "shared/core/seeded_random.h"

namespace blindsum::test {

inline constexpr std::uint64_t kSeed = 20240229;

using Integers = std::vector<mpz_class>;

// test_cases returns the environment variable BLINDSUM_TEST_CASES, or `by_default`.
inline std::size_t test_cases(std::size_t by_default) {
  const char* const wanted = std::getenv("BLINDSUM_TEST_CASES");
  return wanted == nullptr ? by_default : std::stoull(wanted);
}

inline mpz_class power_of_two(std::size_t exponent) { return mpz_class(1) << exponent; }

inline mpz_class from_limbs(std::span<const std::uint64_t> limbs) {
  mpz_class value;
  mpz_import(value.get_mpz_t(), limbs.size(), -1, 8, 0, 0, limbs.data());
  return value;
}

inline std::vector<std::uint64_t> to_limbs(const mpz_class& value, std::size_t limbs) {
  std::vector<std::uint64_t> result(limbs);
  mpz_export(result.data(), nullptr, -1, 8, 0, 0, value.get_mpz_t());
  return result;
}

inline std::vector<std::uint64_t> to_limbs(const Integers& values, std::size_t limbs) {
  std::vector<std::uint64_t> result;
  for (const mpz_class& value : values) {
    const auto one = to_limbs(value, limbs);
    result.insert(result.end(), one.begin(), one.end());
  }
  return result;
}

// mod returns the remainder in [0, m), also of negative numbers.
inline mpz_class mod(const mpz_class& value, const mpz_class& m) {
  mpz_class result;
  mpz_mod(result.get_mpz_t(), value.get_mpz_t(), m.get_mpz_t());
  return result;
}

inline mpz_class power(const mpz_class& base, const mpz_class& exponent, const mpz_class& m) {
  mpz_class result;
  mpz_powm(result.get_mpz_t(), base.get_mpz_t(), exponent.get_mpz_t(), m.get_mpz_t());
  return result;
}

inline mpz_class inverse(const mpz_class& value, const mpz_class& m) {
  mpz_class result;
  mpz_invert(result.get_mpz_t(), value.get_mpz_t(), m.get_mpz_t());
  return result;
}

inline mpz_class random_bits(SeededRandom& random, std::size_t bits) {
  std::vector<std::uint64_t> limbs((bits + 63) / 64);
  for (std::uint64_t& limb : limbs) limb = random.next_u64();
  return from_limbs(limbs) % power_of_two(bits);
}

inline mpz_class random_below(SeededRandom& random, const mpz_class& bound) {
  return random_bits(random, mpz_sizeinbase(bound.get_mpz_t(), 2) + 64) % bound;
}

// odd_moduli returns odd numbers of exactly `bits` bits: the largest, the smallest, one with long
// runs of ones and zeros, and `randoms` random ones.
inline Integers odd_moduli(SeededRandom& random, std::size_t bits, std::size_t randoms) {
  Integers moduli{power_of_two(bits) - 1, power_of_two(bits - 1) + 1,
                  power_of_two(bits) - power_of_two(bits / 2) + 1};
  for (std::size_t i = 0; i < randoms; ++i) {
    mpz_class m = random_bits(random, bits);
    mpz_setbit(m.get_mpz_t(), 0);
    mpz_setbit(m.get_mpz_t(), bits - 1);
    moduli.push_back(m);
  }
  return moduli;
}

// edge_operands returns numbers below n²: 0, 1, around n and n², and words of ones.
inline Integers edge_operands(const mpz_class& n) {
  const mpz_class square = n * n;
  Integers edges{0, 1, n - 1, n, n + 1, square - n, square - 1};
  for (std::size_t bits = 64; power_of_two(bits) <= square; bits += bits / 2) {
    edges.push_back(power_of_two(bits) - 1);
  }
  return edges;
}

}  // namespace blindsum::test
