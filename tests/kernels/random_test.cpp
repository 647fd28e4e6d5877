// Random cases of every operation at the sizes in use, on all kernels that run here, against GMP's
// integers: a few by default, as many as BLINDSUM_TEST_CASES says (tests/README.md).
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/thread_pool.h"
#include "shared/crypto/kernels/ifma.h"
#include "shared/crypto/kernels/ifma_secret.h"
#include "shared/crypto/kernels/kernel.h"
#include "tests/kernels/oracle.h"

namespace blindsum::crypto::kernels {
namespace {

using test::edge_operands;
using test::Integers;
using test::inverse;
using test::kSeed;
using test::odd_moduli;
using test::power;
using test::power_of_two;
using test::random_below;
using test::random_bits;
using test::to_limbs;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kSizes[] = {2048, 3072, 4096};

std::size_t limbs_of(const mpz_class& value) { return mpz_size(value.get_mpz_t()); }

std::vector<const Kernel*> kernels_here() {
  std::vector<const Kernel*> kernels;
  for (const Kernel* kernel : all_kernels()) {
    if (kernel->runs_here()) kernels.push_back(kernel);
  }
  return kernels;
}

// Setting is a modulus and its context in each kernel.
struct Setting {
  explicit Setting(const mpz_class& modulus)
      : n(modulus), square(modulus * modulus), limbs(limbs_of(modulus)) {
    for (const Kernel* kernel : kernels_here()) {
      contexts.push_back(kernel->make_public(to_limbs(n, limbs)));
    }
  }
  mpz_class n;
  mpz_class square;
  std::size_t limbs;
  std::vector<std::unique_ptr<PublicContext>> contexts;
};

// settings returns moduli of one size: the largest, the smallest, one of long runs, two random.
std::vector<Setting> settings(std::size_t bits) {
  SeededRandom random(kSeed, "random cases", {bits});
  std::vector<Setting> result;
  for (const mpz_class& n : odd_moduli(random, bits, 2)) result.emplace_back(n);
  return result;
}

// run_batches calls wrong(batch, random), which tests kBatch cases and returns how many are wrong,
// over the cores, and expects none.
template <class Wrong>
void run_batches(const std::string& operation, std::size_t bits, const Wrong& wrong) {
  INFO("seed ", kSeed);
  CAPTURE(operation);
  CAPTURE(bits);
  const std::size_t batches = (test::test_cases(5 * kBatch) + kBatch - 1) / kBatch;
  std::atomic<std::size_t> failures = 0;
  ThreadPool pool(0);
  pool.parallel_for(batches, [&](std::size_t batch) {
    SeededRandom random(kSeed, operation, {bits, batch});
    failures += wrong(batch, random);
  });
  CHECK(failures == 0);
  if (std::getenv("BLINDSUM_TEST_CASES") != nullptr) {
    MESSAGE(operation, ", ", bits, " bits: ", batches * kBatch, " cases, ", failures.load(),
            " wrong");
  }
}

// operands returns kBatch numbers below n²: one in four batches is of edges among random numbers,
// one repeats a number in all lanes, the others are random.
Integers operands(const Setting& setting, std::size_t batch, SeededRandom& random) {
  Integers result;
  if (batch % 4 == 1) result = edge_operands(setting.n);
  while (result.size() < kBatch) result.push_back(random_below(random, setting.square));
  random.shuffle(std::span(result));
  if (batch % 4 == 2) {
    for (std::size_t i = 0; i < kBatch; ++i) result[i] = result[i / 8 * 8];
  }
  result.resize(kBatch);
  return result;
}

// differences counts the numbers of `out` that are not the expected ones.
std::size_t differences(const Integers& expected, std::size_t width,
                        const std::vector<std::uint64_t>& out) {
  const std::vector<std::uint64_t> limbs = to_limbs(expected, width);
  std::size_t count = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto at = static_cast<std::ptrdiff_t>(i * width);
    count += !std::equal(limbs.begin() + at, limbs.begin() + at + static_cast<long>(width),
                         out.begin() + at);
  }
  return count;
}

// Powers computes powers of one base mod m from a table of bytes, by GMP's products alone.
class Powers {
 public:
  Powers(mpz_class base, std::size_t exponent_bits, const mpz_class& m) : m_(m) {
    for (std::size_t bit = 0; bit < exponent_bits; bit += 8) {
      Integers row{1};
      while (row.size() < 256) row.emplace_back(row.back() * base % m);
      base = row.back() * base % m;
      rows_.push_back(std::move(row));
    }
  }
  [[nodiscard]] mpz_class operator()(const mpz_class& exponent) const {
    mpz_class product = 1;
    mpz_class rest = exponent;
    for (std::size_t i = 0; rest != 0; ++i) {
      const unsigned long digit = mpz_class(rest % 256).get_ui();
      if (digit != 0) product = product * rows_[i][digit] % m_;
      rest /= 256;
    }
    return product;
  }

 private:
  mpz_class m_;
  std::vector<Integers> rows_;
};

TEST_CASE("random products mod n², and running products, are GMP's") {
  for (const std::size_t bits : kSizes) {
    const std::vector<Setting> all = settings(bits);
    run_batches("multiply", bits, [&](std::size_t batch, SeededRandom& random) {
      const Setting& setting = all[batch % all.size()];
      const std::size_t width = 2 * setting.limbs;
      const Integers a = operands(setting, batch, random);
      const Integers b = operands(setting, batch / 4, random);
      Integers expected;
      for (std::size_t i = 0; i < kBatch; ++i) expected.emplace_back(a[i] * b[i] % setting.square);
      std::size_t wrong = 0;
      for (const auto& context : setting.contexts) {
        std::vector<std::uint64_t> out(kBatch * width);
        context->multiply(to_limbs(a, width), to_limbs(b, width), kBatch, out);
        wrong += differences(expected, width, out);
      }
      return wrong;
    });
    run_batches("running product", bits, [&](std::size_t batch, SeededRandom& random) {
      const Setting& setting = all[batch % all.size()];
      const std::size_t width = 2 * setting.limbs;
      Integers expected(kBatch, 1);
      std::vector<std::vector<std::uint64_t>> factors;
      for (std::size_t step = 0; step < 3; ++step) {
        const Integers a = operands(setting, batch + step, random);
        for (std::size_t i = 0; i < kBatch; ++i) expected[i] = expected[i] * a[i] % setting.square;
        factors.push_back(to_limbs(a, width));
      }
      std::size_t wrong = 0;
      for (const auto& context : setting.contexts) {
        const auto product = context->make_product(kBatch);
        for (const auto& factor : factors) product->multiply(0, factor, kBatch);
        std::vector<std::uint64_t> out(kBatch * width);
        product->read(0, kBatch, out);
        wrong += differences(expected, width, out);
      }
      return wrong;
    });
  }
}

TEST_CASE("random powers mod n² are GMP's") {
  for (const std::size_t bits : kSizes) {
    const std::vector<Setting> all = settings(bits);
    run_batches("power", bits, [&](std::size_t batch, SeededRandom& random) {
      const Setting& setting = all[batch % all.size()];
      const std::size_t width = 2 * setting.limbs;
      const Integers a = operands(setting, batch, random);
      Integers exponents;
      Integers expected;
      for (std::size_t i = 0; i < kBatch; ++i) {
        exponents.push_back(random_bits(random, random.below(65)));
        expected.push_back(power(a[i], exponents[i], setting.square));
      }
      std::size_t wrong = 0;
      for (const auto& context : setting.contexts) {
        std::vector<std::uint64_t> out(kBatch * width);
        context->power(to_limbs(a, width), to_limbs(exponents, 1), 1, kBatch, out);
        wrong += differences(expected, width, out);
      }
      return wrong;
    });
  }
}

TEST_CASE("random encryptions are GMP's (1 + m·n)·base^r") {
  for (const std::size_t bits : kSizes) {
    const std::size_t exponent_bits = bits / 32 + 224;  // those of `short`
    const std::size_t r_limbs = (exponent_bits + 63) / 64;
    SeededRandom base_random(kSeed, "bases", {bits});
    const Setting setting(odd_moduli(base_random, bits, 1).back());
    const std::size_t width = 2 * setting.limbs;
    mpz_class base;
    do {
      base = random_below(base_random, setting.square);
    } while (gcd(base, setting.n) != 1);
    const Powers powers(base, exponent_bits, setting.square);
    ThreadPool pool(0);
    const FixedBaseLayout layout{exponent_bits, exponent_bits / 7};
    std::vector<std::vector<std::uint64_t>> tables;
    for (const auto& context : setting.contexts) {
      context->fill_fixed_base(to_limbs(base, width), layout,
                               tables.emplace_back(layout.entries() * width), pool);
    }
    run_batches("encrypt", bits, [&](std::size_t batch, SeededRandom& random) {
      Integers m;
      Integers r;
      if (batch % 4 == 1) {
        m = {0, 1, setting.n - 1, power_of_two(bits - 1) - 1};
        r = {power_of_two(exponent_bits) - 1, 0, 1, power_of_two(exponent_bits - 1)};
      }
      while (m.size() < kBatch) {
        m.push_back(random_below(random, setting.n));
        r.push_back(random_bits(random, exponent_bits));
        if (batch % 4 == 2 && r.size() % 8 != 1) r.back() = r[r.size() - 2];
      }
      Integers expected;
      for (std::size_t i = 0; i < kBatch; ++i) {
        expected.emplace_back((1 + m[i] * setting.n) * powers(r[i]) % setting.square);
      }
      std::size_t wrong = 0;
      for (std::size_t k = 0; k < tables.size(); ++k) {
        std::vector<std::uint64_t> out(kBatch * width);
        setting.contexts[k]->encrypt({layout, tables[k]}, to_limbs(m, setting.limbs),
                                     to_limbs(r, r_limbs), kBatch, out);
        wrong += differences(expected, width, out);
      }
      return wrong;
    });
  }
}

TEST_CASE("random multi-exponentiations are products of GMP's powers") {
  constexpr std::size_t kInputs = 4;
  for (const std::size_t bits : kSizes) {
    SeededRandom base_random(kSeed, "inputs", {bits});
    const Setting setting(odd_moduli(base_random, bits, 1).back());
    const std::size_t width = 2 * setting.limbs;
    Integers bases;
    Integers inverses;
    std::vector<Powers> powers;  // of the bases, then of the inverses
    while (bases.size() < kInputs) {
      const mpz_class base = random_below(base_random, setting.square);
      if (gcd(base, setting.n) == 1) bases.push_back(base);
    }
    for (const mpz_class& base : bases) inverses.push_back(inverse(base, setting.square));
    for (const Integers* numbers : {&bases, &inverses}) {
      for (const mpz_class& number : *numbers) powers.emplace_back(number, 64, setting.square);
    }
    run_batches("multi-exponentiate", bits, [&](std::size_t batch, SeededRandom& random) {
      constexpr std::int64_t kEdges[] = {0, 1, -1, INT64_MIN, INT64_MAX, 1LL << 62, -(1LL << 62)};
      std::vector<std::int64_t> weights;
      while (weights.size() < kBatch * kInputs) {
        auto weight = static_cast<std::int64_t>(random.next_u64());
        if (batch % 4 == 1) weight = kEdges[random.below(std::size(kEdges))];
        if (batch % 4 == 2 && !weights.empty()) weight = weights.back();
        if (batch % 4 == 3) weight >>= random.below(64);
        if (batch % 8 == 7) weight &= INT64_MAX;
        weights.push_back(weight);
      }
      Integers expected(kBatch, 1);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const mpz_class weight = static_cast<signed long>(weights[i]);
        mpz_class& element = expected[i / kInputs];
        element = element * powers[i % kInputs + (weight < 0 ? kInputs : 0)](abs(weight)) %
                  setting.square;
      }
      std::size_t wrong = 0;
      ThreadPool alone(1);
      for (const auto& context : setting.contexts) {
        std::vector<std::uint64_t> out(kBatch * width);
        context->multi_exponentiate(to_limbs(bases, width), to_limbs(inverses, width), weights,
                                    alone, out);
        wrong += differences(expected, width, out);
      }
      return wrong;
    });
  }
}

// The expected powers of a·g^i are e·f^i, where e and f are GMP's powers of a and g: three numbers
// in a batch cost a power.
TEST_CASE("random secret powers mod s² are GMP's, for a prime s and the exponent s - 1" *
          doctest::skip(!ifma_kernel().runs_here())) {
  for (const std::size_t bits : kSizes) {
    SeededRandom prime_random(kSeed, "primes", {bits});
    mpz_class s = random_bits(prime_random, bits / 2 - 1) + power_of_two(bits / 2 - 1);
    mpz_nextprime(s.get_mpz_t(), s.get_mpz_t());
    const mpz_class square = s * s;
    const std::size_t limbs = limbs_of(s);
    for (const mpz_class& e : Integers{s - 1, s - 3}) {
      const auto context =
          make_ifma_secret_context(to_limbs(s, limbs), to_limbs(e, limbs), 2 * limbs);
      run_batches(
          e == s - 1 ? "secret power to s - 1" : "secret power to s - 3", bits,
          [&](std::size_t batch, SeededRandom& random) {
            const mpz_class start = random_below(random, square);
            const mpz_class factor = random_below(random, square);
            const mpz_class step = power(factor, e, square);
            Integers a{start};
            Integers expected{power(start, e, square)};
            while (a.size() < kBatch) {
              const bool is_equal = batch % 4 == 2 && a.size() % 8 != 0;
              a.emplace_back(is_equal ? a.back() : a.back() * factor % square);
              expected.emplace_back(is_equal ? expected.back() : expected.back() * step % square);
            }
            if (batch % 4 == 1) {
              const Integers edges{0, 1, s - 1, s, square - 1, power_of_two(bits) - 1};
              for (std::size_t i = 0; i < edges.size(); ++i) {
                a[9 * i] = edges[i];
                expected[9 * i] = power(edges[i], e, square);
              }
            }
            std::vector<std::uint64_t> out(kBatch * 2 * limbs);
            context->power(to_limbs(a, 4 * limbs), kBatch, out);
            return differences(expected, 2 * limbs, out);
          });
    }
  }
}

TEST_CASE("random numbers pass Fermat's test and rounds of Miller and Rabin's as by GMP" *
          doctest::skip(!ifma_kernel().runs_here())) {
  for (const std::size_t bits : kSizes) {
    SeededRandom prime_random(kSeed, "candidates", {bits});
    const std::size_t limbs = bits / 128;
    mpz_class prime = random_bits(prime_random, bits / 2 - 1);
    mpz_nextprime(prime.get_mpz_t(), prime.get_mpz_t());
    run_batches("primality", bits, [&](std::size_t batch, SeededRandom& random) {
      std::size_t wrong = 0;
      for (std::size_t group = 0; group < kBatch; group += 8) {
        if (group % 16 == 0) {
          Integers numbers(8, prime);
          unsigned expected = 0;
          for (std::size_t l = 0; l < 8; ++l) {
            if (random.below(8) != 0) numbers[l] = random_bits(random, bits / 2 - 1) * 2 + 1;
            expected |= static_cast<unsigned>(power(2, numbers[l] - 1, numbers[l]) == 1) << l;
          }
          wrong += static_cast<unsigned>(
              __builtin_popcount(expected ^ ifma_fermat(to_limbs(numbers, limbs), limbs)));
          continue;
        }
        const mpz_class m =
            batch % 2 == 0 ? prime : mpz_class(random_bits(random, bits / 2 - 2) * 4 + 3);
        Integers bases{1, m - 1};
        while (bases.size() < 8) bases.push_back(random_below(random, m));
        unsigned expected = 0;
        for (std::size_t l = 0; l < 8; ++l) {
          mpz_class odd = m - 1;
          const std::size_t twos = mpz_scan1(odd.get_mpz_t(), 0);
          odd >>= twos;
          mpz_class x = power(bases[l], odd, m);
          bool passes = x == 1;
          for (std::size_t i = 0; i < twos; ++i, x = x * x % m) passes = passes || x == m - 1;
          expected |= static_cast<unsigned>(passes) << l;
        }
        const std::size_t m_limbs = limbs_of(m);
        wrong += static_cast<unsigned>(__builtin_popcount(
            expected ^ ifma_miller_rabin(to_limbs(m, m_limbs), to_limbs(bases, m_limbs))));
      }
      return wrong;
    });
  }
}

}  // namespace
}  // namespace blindsum::crypto::kernels
