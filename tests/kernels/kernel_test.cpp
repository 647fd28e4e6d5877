// Every kernel that runs on this machine, operation by operation, against GMP's integers.
#include "shared/crypto/kernels/kernel.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/thread_pool.h"
#include "shared/crypto/kernels/ifma.h"
#include "shared/crypto/kernels/ifma_secret.h"
#include "tests/kernels/oracle.h"

namespace blindsum::crypto::kernels {
namespace {

using test::edge_operands;
using test::from_limbs;
using test::Integers;
using test::inverse;
using test::kSeed;
using test::mod;
using test::odd_moduli;
using test::power;
using test::power_of_two;
using test::random_below;
using test::random_bits;
using test::to_limbs;

constexpr std::size_t kCount = 17;
constexpr std::uint64_t kUntouched = 0x5a5a5a5a5a5a5a5a;

// for_each_modulus calls body(kernel, n, random) for odd n of many sizes, edges and random ones.
template <class Body>
void for_each_modulus(const char* purpose, const Body& body) {
  INFO("seed ", kSeed);
  for (const Kernel* kernel : all_kernels()) {
    if (!kernel->runs_here()) continue;
    for (const std::size_t bits :
         {128UL, 192UL, 250UL, 512UL, 1024UL, 1088UL, 2048UL, 3072UL, 4096UL}) {
      SeededRandom random(kSeed, purpose, {bits});
      Integers moduli = odd_moduli(random, bits, 2);
      if (bits > 2048) moduli.erase(moduli.begin(), moduli.end() - 2);
      for (const mpz_class& n : moduli) {
        CAPTURE(kernel->name());
        CAPTURE(bits);
        CAPTURE(n.get_str(16));
        body(*kernel, n, random);
      }
    }
  }
}

std::size_t limbs_of(const mpz_class& value) { return mpz_size(value.get_mpz_t()); }

// operands returns kCount numbers below n²: edges first, then random ones.
Integers operands(const mpz_class& n, SeededRandom& random) {
  Integers result = edge_operands(n);
  random.shuffle(std::span(result));
  while (result.size() < kCount) result.push_back(random_below(random, n * n));
  result.resize(kCount);
  return result;
}

// check_prefixes calls run(count, out) for counts from 1 to kCount, all of them for short numbers,
// and expects the first `count` of `expected` in `out` and nothing written behind.
template <class Run>
void check_prefixes(const Integers& expected, std::size_t width, const Run& run) {
  const std::vector<std::uint64_t> limbs = to_limbs(expected, width);
  for (std::size_t count = 1; count <= expected.size(); ++count) {
    if (width > 40 && count % 8 > 1) continue;
    CAPTURE(count);
    std::vector<std::uint64_t> out(count * width + 8, kUntouched);
    run(count, Limbs(out).first(count * width));
    CHECK(std::equal(limbs.begin(), limbs.begin() + static_cast<std::ptrdiff_t>(count * width),
                     out.begin()));
    CHECK(std::all_of(out.end() - 8, out.end(),
                      [](std::uint64_t limb) { return limb == kUntouched; }));
  }
}

TEST_CASE("products mod n² are GMP's, for every count and in place") {
  for_each_modulus("multiply", [](const Kernel& kernel, const mpz_class& n, SeededRandom& random) {
    const std::size_t width = 2 * limbs_of(n);
    const auto context = kernel.make_public(to_limbs(n, limbs_of(n)));
    const Integers a = operands(n, random);
    const Integers b = operands(n, random);
    Integers expected;
    for (std::size_t i = 0; i < kCount; ++i) expected.emplace_back(a[i] * b[i] % (n * n));
    const auto a_limbs = to_limbs(a, width);
    const auto b_limbs = to_limbs(b, width);
    check_prefixes(expected, width, [&](std::size_t count, Limbs out) {
      context->multiply(ConstLimbs(a_limbs).first(out.size()),
                        ConstLimbs(b_limbs).first(out.size()), count, out);
    });
    auto in_place = a_limbs;
    context->multiply(in_place, b_limbs, kCount, in_place);
    CHECK(in_place == to_limbs(expected, width));
  });
}

TEST_CASE("powers mod n² are GMP's, every element with its own exponent") {
  for_each_modulus("power", [](const Kernel& kernel, const mpz_class& n, SeededRandom& random) {
    const std::size_t width = 2 * limbs_of(n);
    const auto context = kernel.make_public(to_limbs(n, limbs_of(n)));
    const Integers a = operands(n, random);
    Integers exponents{0, 1, 2, power_of_two(64) - 1, power_of_two(127)};
    while (exponents.size() < kCount) exponents.push_back(random_bits(random, 128));
    Integers expected;
    for (std::size_t i = 0; i < kCount; ++i) expected.push_back(power(a[i], exponents[i], n * n));
    const auto a_limbs = to_limbs(a, width);
    const auto e_limbs = to_limbs(exponents, 3);  // one limb more than needed
    check_prefixes(expected, width, [&](std::size_t count, Limbs out) {
      context->power(ConstLimbs(a_limbs).first(out.size()), ConstLimbs(e_limbs).first(3 * count), 3,
                     count, out);
    });
  });
}

TEST_CASE("encryptions are (1 + m·n)·base^r, for tables from tiny to large") {
  for_each_modulus("encrypt", [](const Kernel& kernel, const mpz_class& n, SeededRandom& random) {
    const std::size_t limbs = limbs_of(n);
    const std::size_t bits = mpz_sizeinbase(n.get_mpz_t(), 2);
    ThreadPool pool(2);
    const auto context = kernel.make_public(to_limbs(n, limbs));
    mpz_class base;
    do {
      base = random_below(random, n * n);
    } while (gcd(base, n) != 1);
    for (const std::size_t exponent_bits : {std::size_t{65}, std::min<std::size_t>(bits, 200)}) {
      Integers m{0, 1, n - 1, power_of_two(bits - 1) - 1};
      Integers r{0, 1, power_of_two(exponent_bits) - 1, power_of_two(exponent_bits - 1)};
      while (m.size() < kCount) {
        m.push_back(random_below(random, n));
        r.push_back(random_bits(random, exponent_bits));
      }
      Integers expected;
      for (std::size_t i = 0; i < kCount; ++i) {
        expected.emplace_back((1 + m[i] * n) * power(base, r[i], n * n) % (n * n));
      }
      const std::size_t r_width = (exponent_bits + 63) / 64;
      const auto m_limbs = to_limbs(m, limbs);
      const auto r_limbs = to_limbs(r, r_width);
      for (const std::size_t windows : {exponent_bits, exponent_bits / 2, std::size_t{47},
                                        std::size_t{24}, exponent_bits / 9}) {
        CAPTURE(exponent_bits);
        CAPTURE(windows);
        const FixedBaseLayout layout{exponent_bits, windows};
        std::vector<std::uint64_t> table(layout.entries() * 2 * limbs, ~std::uint64_t{0});
        context->fill_fixed_base(to_limbs(base, 2 * limbs), layout, table, pool);
        check_prefixes(expected, 2 * limbs, [&](std::size_t count, Limbs out) {
          context->encrypt({layout, table}, ConstLimbs(m_limbs).first(count * limbs),
                           ConstLimbs(r_limbs).first(count * r_width), count, out);
        });
      }
    }
  });
}

TEST_CASE("a running product multiplies each range by what it was given") {
  for_each_modulus("product", [](const Kernel& kernel, const mpz_class& n, SeededRandom& random) {
    const std::size_t width = 2 * limbs_of(n);
    const auto context = kernel.make_public(to_limbs(n, limbs_of(n)));
    const auto product = context->make_product(kCount);
    Integers expected(kCount, 1);
    const auto check = [&](std::size_t begin, std::size_t count) {
      std::vector<std::uint64_t> out(count * width);
      product->read(begin, count, out);
      const Integers part(expected.begin() + static_cast<std::ptrdiff_t>(begin),
                          expected.begin() + static_cast<std::ptrdiff_t>(begin + count));
      CHECK(out == to_limbs(part, width));
    };
    check(0, kCount);
    struct Range {
      std::size_t begin, count;
    };
    for (const Range range : {Range{0, kCount}, Range{0, kCount}, Range{3, 2}, Range{8, 8},
                              Range{5, 12}, Range{16, 1}, Range{0, kCount}}) {
      Integers factors = operands(n, random);
      for (mpz_class& factor : factors) {
        if (factor == 0) factor = 1;  // would hide what follows
      }
      for (std::size_t i = 0; i < range.count; ++i) {
        mpz_class& element = expected[range.begin + i];
        element = element * factors[i] % (n * n);
      }
      factors.resize(range.count);
      product->multiply(range.begin, to_limbs(factors, width), range.count);
      check(0, kCount);
      check(5, 9);
      check(16, 1);
    }
    product->multiply(0, to_limbs(Integers(kCount, 0), width), kCount);
    expected.assign(kCount, 0);
    check(0, kCount);
  });
}

TEST_CASE("thirty products in a row stay exact") {
  for_each_modulus("long product",
                   [](const Kernel& kernel, const mpz_class& n, SeededRandom& random) {
                     const std::size_t width = 2 * limbs_of(n);
                     const auto context = kernel.make_public(to_limbs(n, limbs_of(n)));
                     const auto product = context->make_product(1);
                     mpz_class expected = 1;
                     for (int i = 0; i < 30; ++i) {
                       const mpz_class factor = random_below(random, n * n);
                       expected = expected * factor % (n * n);
                       product->multiply(0, to_limbs(factor, width), 1);
                     }
                     std::vector<std::uint64_t> out(width);
                     product->read(0, 1, out);
                     CHECK(from_limbs(out) == expected);
                   });
}

// weights_of returns `count` weights of one kind: zeros, signs, extremes, dense, sparse or equal.
std::vector<std::int64_t> weights_of(std::size_t kind, std::size_t count, SeededRandom& random) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kEdges[] = {0,
                                     1,
                                     -1,
                                     kLeast,
                                     kLeast + 1,
                                     -(kLeast + 1),
                                     std::int64_t{1} << 62,
                                     -(std::int64_t{1} << 62),
                                     (std::int64_t{1} << 62) - 1};
  std::vector<std::int64_t> weights(count);
  const auto equal = static_cast<std::int64_t>(random.next_u64());
  for (std::int64_t& weight : weights) {
    const std::uint64_t word = random.next_u64();
    switch (kind) {
      case 0:
        break;
      case 1:
        weight = static_cast<std::int64_t>(word % 3) - 1;
        break;
      case 2:
        weight = kEdges[word % std::size(kEdges)];
        break;
      case 3:
        weight = static_cast<std::int64_t>(word);
        break;
      case 4:
        weight = static_cast<std::int64_t>(word % 256);  // none is negative
        break;
      case 5:
        weight = random.below(10) == 0 ? static_cast<std::int64_t>(word) >> 40 : 0;
        break;
      default:
        weight = equal;
    }
  }
  return weights;
}
constexpr std::size_t kWeightKinds = 7;

// weighted_product returns Π bases[i]^weights[i] mod m.
mpz_class weighted_product(const Integers& bases, const Integers& inverses,
                           std::span<const std::int64_t> weights, const mpz_class& m) {
  mpz_class product = 1;
  for (std::size_t i = 0; i < bases.size(); ++i) {
    const mpz_class weight = static_cast<signed long>(weights[i]);
    product = product * power(weight < 0 ? inverses[i] : bases[i], abs(weight), m) % m;
  }
  return product;
}

// unit_below returns a random unit mod n², below n².
mpz_class unit_below(const mpz_class& n, SeededRandom& random) {
  for (;;) {
    mpz_class unit = random_below(random, n * n);
    if (gcd(unit, n) == 1) return unit;
  }
}

TEST_CASE("multi-exponentiation is the product of GMP's powers, for every shape and kind of row") {
  for_each_modulus("weights", [](const Kernel& kernel, const mpz_class& n, SeededRandom& random) {
    const std::size_t width = 2 * limbs_of(n);
    const bool is_long = width > 40;
    const auto context = kernel.make_public(to_limbs(n, limbs_of(n)));
    for (const std::size_t threads : {1, 2}) {
      ThreadPool pool(threads);
      for (const std::size_t inputs : {0, 1, 2, 9, 17}) {
        Integers bases{1, n * n - 1, n + 1, 2};
        while (bases.size() < inputs) bases.push_back(unit_below(n, random));
        bases.resize(inputs);
        Integers inverses;
        for (const mpz_class& base : bases) inverses.push_back(inverse(base, n * n));
        for (const std::size_t outputs : {0, 1, 2, 7, 8, 9, 16, 19}) {
          const std::size_t kind = random.below(kWeightKinds);
          if (is_long && (kind != 2 || threads == 1 || inputs > 9)) continue;
          CAPTURE(threads);
          CAPTURE(inputs);
          CAPTURE(outputs);
          CAPTURE(kind);
          const std::vector<std::int64_t> weights = weights_of(kind, inputs * outputs, random);
          Integers expected;
          for (std::size_t j = 0; j < outputs; ++j) {
            expected.push_back(weighted_product(
                bases, inverses, std::span(weights).subspan(j * inputs, inputs), n * n));
          }
          std::vector<std::uint64_t> out(outputs * width + 8, kUntouched);
          const bool is_signed = std::ranges::any_of(weights, [](auto w) { return w < 0; });
          context->multi_exponentiate(
              to_limbs(bases, width),
              is_signed ? to_limbs(inverses, width) : std::vector<std::uint64_t>(), weights, pool,
              Limbs(out).first(outputs * width));
          const auto limbs = to_limbs(expected, width);
          CHECK(std::equal(limbs.begin(), limbs.end(), out.begin()));
          CHECK(std::all_of(out.end() - 8, out.end(),
                            [](std::uint64_t limb) { return limb == kUntouched; }));
        }
      }
    }
  });
}

TEST_CASE("secret powers mod s² are GMP's, whatever the length of n" *
          doctest::skip(!ifma_kernel().runs_here())) {
  INFO("seed ", kSeed);
  for (const std::size_t bits : {64UL, 128UL, 256UL, 1024UL, 1536UL, 2048UL}) {
    SeededRandom random(kSeed, "secret", {bits});
    Integers moduli = odd_moduli(random, bits, 2);
    for (int i = 0; i < 2; ++i) {
      mpz_class& prime =
          moduli.emplace_back(random_bits(random, bits - 1) + power_of_two(bits - 1));
      do {
        mpz_nextprime(prime.get_mpz_t(), prime.get_mpz_t());
      } while (i == 0 && prime % 16 != 1);  // s − 2 with other digits at the end
    }
    if (bits > 1024) moduli.erase(moduli.begin(), moduli.begin() + 4);
    for (const mpz_class& s : moduli) {
      const bool is_prime = mpz_probab_prime_p(s.get_mpz_t(), 20) != 0;
      CAPTURE(s.get_str(16));
      const std::size_t limbs = limbs_of(s);
      for (const std::size_t n_limbs : {2 * limbs - 1, 2 * limbs, 2 * limbs + 1}) {
        if (bits > 256 && n_limbs != 2 * limbs) continue;
        const mpz_class limit = power_of_two(2 * n_limbs * 64);
        Integers a{0, 1, s - 1, s, mod(s * s, limit), mod(s * s - 1, limit), limit - 1};
        while (a.size() < kCount) a.push_back(random_below(random, limit));
        // With the exponent s − 1, s is prime: the interface asks for it.
        for (const mpz_class& e : Integers{s - (is_prime ? 1 : 3), 0, 1, 65537, s - 2}) {
          if (bits > 256 && e != 0 && e != s - 1 && is_prime) continue;
          CAPTURE(e.get_str(16));
          const auto context =
              make_ifma_secret_context(to_limbs(s, limbs), to_limbs(e, limbs), n_limbs);
          Integers expected;
          for (const mpz_class& x : a) expected.push_back(power(x, e, s * s));
          const auto a_limbs = to_limbs(a, 2 * n_limbs);
          check_prefixes(expected, 2 * limbs, [&](std::size_t count, Limbs out) {
            context->power(ConstLimbs(a_limbs).first(count * 2 * n_limbs), count, out);
          });
        }
      }
    }
  }
}

TEST_CASE("Fermat's test tells primes and composites apart, up to eight at once" *
          doctest::skip(!ifma_kernel().runs_here())) {
  INFO("seed ", kSeed);
  for (const std::size_t bits : {64UL, 128UL, 250UL, 512UL, 1024UL, 1536UL, 2048UL}) {
    CAPTURE(bits);
    SeededRandom random(kSeed, "fermat", {bits});
    const std::size_t limbs = (bits + 63) / 64;
    mpz_class prime = random_bits(random, bits - 1);
    mpz_nextprime(prime.get_mpz_t(), prime.get_mpz_t());
    for (std::size_t count = 1; count <= 8; ++count) {
      Integers numbers;
      unsigned expected = 0;
      for (std::size_t l = 0; l < count; ++l) {
        mpz_class m = prime;
        if (random.below(2) == 0) {
          m = random_bits(random, bits);
          mpz_setbit(m.get_mpz_t(), 0);
          mpz_setbit(m.get_mpz_t(), bits / 2);
        }
        numbers.push_back(m);
        expected |= static_cast<unsigned>(power(2, m - 1, m) == 1) << l;
      }
      CHECK(ifma_fermat(to_limbs(numbers, limbs), limbs) == expected);
    }
  }
  // 341 and 561 are pseudoprimes to base 2; the others are small primes and composites.
  const Integers small{3, 5, 9, 15, 341, 561, 7919, 7917};
  CHECK(ifma_fermat(to_limbs(small, 1), 1) == 0b01110011);
}

TEST_CASE("Miller and Rabin's rounds are GMP's powers, base by base" *
          doctest::skip(!ifma_kernel().runs_here())) {
  INFO("seed ", kSeed);
  for (const std::size_t bits : {64UL, 250UL, 508UL, 512UL, 1536UL, 2048UL}) {
    CAPTURE(bits);
    SeededRandom random(kSeed, "rounds", {bits});
    Integers moduli = odd_moduli(random, bits, 1);
    mpz_class prime = random_bits(random, bits - 1);
    mpz_nextprime(prime.get_mpz_t(), prime.get_mpz_t());
    moduli.push_back(prime);
    const mpz_class square = power_of_two(bits / 2) - 1;
    moduli.emplace_back(square * square);  // m = 1 mod 2^(bits / 2 + 1)
    for (const mpz_class& m : moduli) {
      CAPTURE(m.get_str(16));
      mpz_class odd = m - 1;
      const std::size_t twos = mpz_scan1(odd.get_mpz_t(), 0);
      odd >>= twos;
      for (std::size_t count = 1; count <= 8; ++count) {
        Integers bases{1, m - 1, 2};
        while (bases.size() < count) bases.push_back(random_below(random, m));
        bases.resize(count);
        unsigned expected = 0;
        for (std::size_t l = 0; l < count; ++l) {
          mpz_class x = power(bases[l], odd, m);
          bool passes = x == 1;
          for (std::size_t i = 0; i < twos; ++i) {
            passes = passes || x == m - 1;
            x = x * x % m;
          }
          expected |= static_cast<unsigned>(passes) << l;
        }
        const std::size_t limbs = limbs_of(m);
        CHECK(ifma_miller_rabin(to_limbs(m, limbs), to_limbs(bases, limbs)) == expected);
      }
    }
  }
}

}  // namespace
}  // namespace blindsum::crypto::kernels
