// Primality tests on the kernel in use, against numbers of known nature and GMP's own test.
#include "shared/crypto/secret/primality.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/seeded_random.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using test::kSeed;

Natural power_of_two_plus(unsigned exponent, long addend) {
  Natural number;
  mpz_setbit(number.get(), exponent);
  if (addend < 0) {
    mpz_sub_ui(number.get(), number.get(), static_cast<unsigned long>(-addend));
  } else {
    mpz_add_ui(number.get(), number.get(), static_cast<unsigned long>(addend));
  }
  return number;
}

Natural random_odd(SeededRandom& random, std::size_t bits) {
  std::vector<std::uint64_t> limbs((bits + 63) / 64);
  for (std::uint64_t& limb : limbs) limb = random.next_u64();
  Natural number = Natural::from_limbs(limbs);
  mpz_fdiv_r_2exp(number.get(), number.get(), bits);
  mpz_setbit(number.get(), 0);
  mpz_setbit(number.get(), bits - 1);
  return number;
}

// prime_after returns the first number above `number` that GMP takes for a prime.
Natural prime_after(const Natural& number) {
  Natural prime;
  mpz_nextprime(prime.get(), number.get());
  return prime;
}

bool is_prime_for_gmp(const Natural& number) { return mpz_probab_prime_p(number.get(), 40) != 0; }

bool is_fermat_for_gmp(const Natural& number) {
  Natural power(2);
  Natural exponent;
  mpz_sub_ui(exponent.get(), number.get(), 1);
  mpz_powm(power.get(), power.get(), exponent.get(), number.get());
  return power == Natural(1);
}

std::string text(const Natural& number) {
  std::string hex(mpz_sizeinbase(number.get(), 16) + 1, '\0');
  mpz_get_str(hex.data(), 16, number.get());
  return hex;
}

// carmichael returns (6k + 1)·(12k + 1)·(18k + 1) with three prime factors of `bits` bits (Chernick
// 1939): 2^(m − 1) = 1 mod m, as for all bases without a common factor.
Natural carmichael(SeededRandom& random, std::size_t bits) {
  for (;;) {
    Natural k = random_odd(random, bits - 4);
    Natural product(1);
    bool all_prime = true;
    for (const unsigned long multiple : {6, 12, 18}) {
      Natural factor;
      mpz_mul_ui(factor.get(), k.get(), multiple);
      mpz_add_ui(factor.get(), factor.get(), 1);
      all_prime = all_prime && is_prime_for_gmp(factor);
      mpz_mul(product.get(), product.get(), factor.get());
      if (!all_prime) break;
    }
    if (all_prime) return product;
  }
}

TEST_CASE("all numbers to 4000 and the known pseudoprimes are told apart") {
  for (unsigned long i = 0; i <= 4000; ++i) {
    CAPTURE(i);
    const Natural number(i);
    CHECK(is_probable_prime(number, 16) == is_prime_for_gmp(number));
    CHECK(is_safe_prime(number) == (is_prime_for_gmp(number) && is_prime_for_gmp(Natural(i / 2))));
  }
  // Strong pseudoprimes to base 2, to all bases up to 7, 37 and so on; Carmichael numbers.
  for (const unsigned long composite : {2047UL,
                                        3277UL,
                                        4033UL,
                                        4681UL,
                                        8321UL,
                                        15841UL,
                                        29341UL,
                                        3215031751UL,
                                        3474749660383UL,
                                        341550071728321UL,
                                        3825123056546413051UL,
                                        561UL,
                                        1105UL,
                                        1729UL,
                                        2465UL,
                                        2821UL,
                                        6601UL,
                                        8911UL,
                                        10585UL,
                                        825265UL,
                                        321197185UL}) {
    CAPTURE(composite);
    const Natural number(composite);
    CHECK(is_fermat_for_gmp(number));
    CHECK(passes_fermat(std::span(&number, 1)) == 1);
    CHECK_FALSE(is_probable_prime(number, kPrimalityRounds));
    CHECK_FALSE(is_safe_prime(number));
  }
}

TEST_CASE("Mersenne's and Fermat's numbers pass with base 2, and only the primes with others") {
  for (const unsigned exponent : {61, 89, 107, 127, 521, 607, 1279, 2203}) {
    CAPTURE(exponent);
    CHECK(is_probable_prime(power_of_two_plus(exponent, -1), kPrimalityRounds));
  }
  for (const unsigned exponent : {67, 101, 257, 523, 1531, 1543, 2039}) {
    CAPTURE(exponent);
    const Natural number = power_of_two_plus(exponent, -1);
    CHECK(passes_fermat(std::span(&number, 1)) == 1);
    CHECK(is_probable_prime(number, 0));  // base 2 alone is fooled
    CHECK_FALSE(is_probable_prime(number, kPrimalityRounds));
  }
  CHECK(is_probable_prime(power_of_two_plus(16, 1), kPrimalityRounds));
  for (const unsigned exponent : {64, 128, 256, 512, 1024}) {
    CAPTURE(exponent);
    const Natural number = power_of_two_plus(exponent, 1);
    CHECK(passes_fermat(std::span(&number, 1)) == 1);
    CHECK_FALSE(is_probable_prime(number, kPrimalityRounds));
  }
}

TEST_CASE("primes with every power of two in p - 1 are primes") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "twos");
  for (const unsigned long twos : {1, 2, 3, 51, 52, 63, 64, 65, 200}) {
    CAPTURE(twos);
    Natural number;
    do {  // odd·2^twos + 1
      number = random_odd(random, 320 - twos);
      mpz_mul_2exp(number.get(), number.get(), twos);
      mpz_add_ui(number.get(), number.get(), 1);
    } while (!is_prime_for_gmp(number));
    CHECK(is_probable_prime(number, kPrimalityRounds));
  }
}

TEST_CASE("Fermat's test gives GMP's answer, whatever stands in the other lanes") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "fermat lanes");
  for (const std::size_t bits : {63UL, 64UL, 65UL, 255UL, 256UL, 508UL, 509UL, 511UL, 768UL, 1023UL,
                                 1024UL, 1535UL, 1536UL, 2047UL, 2048UL}) {
    CAPTURE(bits);
    const Natural prime = prime_after(random_odd(random, bits - 1));
    const Natural fooling = carmichael(random, 60);
    for (std::size_t count = 1; count <= primality_lanes(); ++count) {
      for (const bool are_equal : {true, false}) {
        std::vector<Natural> numbers(count,
                                     random.below(2) == 0 ? prime : random_odd(random, bits));
        unsigned expected = 0;
        for (std::size_t i = 0; i < count; ++i) {
          if (!are_equal) {
            const std::uint64_t kind = random.below(4);
            numbers[i] = kind == 0 ? prime : kind == 1 ? fooling : random_odd(random, bits);
          }
          expected |= static_cast<unsigned>(is_fermat_for_gmp(numbers[i])) << i;
        }
        CAPTURE(count);
        CHECK(passes_fermat(numbers) == expected);
      }
    }
  }
}

TEST_CASE("safe primes pass, and nothing that is nearly one") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "safe primes");
  for (const test::InsecureTestKey& key : test::kInsecureTestKeys) {
    for (const std::string_view hex : {key.p, key.q}) {
      const Natural p = Natural::from_big_endian(from_hex(hex));
      CAPTURE(text(p));
      CHECK(is_safe_prime(p));
      Natural near;
      mpz_add_ui(near.get(), p.get(), 2);
      CHECK_FALSE(is_safe_prime(near));
      mpz_add_ui(near.get(), p.get(), 1);
      CHECK_FALSE(is_safe_prime(near));
      mpz_fdiv_q_2exp(near.get(), p.get(), 1);
      CHECK(is_probable_prime(near, kPrimalityRounds));
      CHECK_FALSE(is_safe_prime(near));
      mpz_mul(near.get(), p.get(), p.get());
      CHECK_FALSE(is_safe_prime(near));
    }
  }
  for (int i = 0; i < 20; ++i) {
    // A prime whose half is composite, and a composite whose half is prime.
    Natural prime;
    do {
      prime = prime_after(random_odd(random, 200));
      mpz_fdiv_q_2exp(prime.get(), prime.get(), 1);
    } while (is_prime_for_gmp(prime));
    mpz_mul_2exp(prime.get(), prime.get(), 1);
    mpz_add_ui(prime.get(), prime.get(), 1);
    CAPTURE(text(prime));
    CHECK(is_probable_prime(prime, kPrimalityRounds));
    CHECK_FALSE(is_safe_prime(prime));
    Natural composite;
    do {
      composite = prime_after(random_odd(random, 200));
      mpz_mul_2exp(composite.get(), composite.get(), 1);
      mpz_add_ui(composite.get(), composite.get(), 1);
    } while (is_prime_for_gmp(composite));
    CAPTURE(text(composite));
    CHECK_FALSE(is_safe_prime(composite));
  }
}

TEST_CASE("large Carmichael numbers and products of two primes are composite") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "composites");
  for (const std::size_t bits : {40UL, 128UL, 170UL}) {
    const Natural number = carmichael(random, bits);
    CAPTURE(text(number));
    CHECK(passes_fermat(std::span(&number, 1)) == 1);
    CHECK_FALSE(is_probable_prime(number, kPrimalityRounds));
  }
  // (k + 1)·(2k + 1) with both prime fools a base with the highest probability, near 1/4.
  Natural product;
  for (;;) {
    Natural first = prime_after(random_odd(random, 250));
    Natural second;
    mpz_mul_2exp(second.get(), first.get(), 1);
    mpz_sub_ui(second.get(), second.get(), 1);
    if (!is_prime_for_gmp(second)) continue;
    mpz_mul(product.get(), first.get(), second.get());
    break;
  }
  CHECK_FALSE(is_probable_prime(product, kPrimalityRounds));
}

}  // namespace
}  // namespace blindsum::crypto
