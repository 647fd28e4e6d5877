// The eight-lane arithmetic of the IFMA kernel, lane by lane against GMP's integers.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include "shared/crypto/kernels/ifma.h"
#include "shared/crypto/kernels/ifma_arith.h"
#include "tests/kernels/oracle.h"

namespace blindsum::crypto::kernels::ifma {
namespace {

using test::Integers;
using test::inverse;
using test::kSeed;
using test::mod;
using test::odd_moduli;
using test::power_of_two;
using test::random_below;

void put(Digit* digits, std::size_t count, std::size_t lane, const mpz_class& value) {
  for (std::size_t i = 0; i < count; ++i) {
    const mpz_class digit = value >> (i * kDigitBits);
    digits[i].lane[lane] = mpz_get_ui(digit.get_mpz_t()) & kDigitMask;
  }
}

mpz_class get(const Digit* digits, std::size_t count, std::size_t lane) {
  mpz_class value = 0;
  for (std::size_t i = count; i-- > 0;) value = (value << kDigitBits) + digits[i].lane[lane];
  return value;
}

// Bench is a ring with eight moduli of `bits` bits, its constants for the oracle, and operands.
struct Bench {
  Bench(const Integers& lane_moduli, std::size_t bits)
      : d(digits_for(bits)),
        r(power_of_two(d * kDigitBits)),
        moduli(lane_moduli),
        ring(digits_of(moduli), digits_of(remainders(moduli, r))),
        a(2 * d),
        b(2 * d),
        out(2 * d + 16),
        scratch(4 * d) {
    for (const mpz_class& m : moduli) {
      squares.push_back(m * m);
      r_inverse.push_back(inverse(r, m * m));
    }
  }

  [[nodiscard]] Digits digits_of(const Integers& values) const {
    Digits digits(d);
    for (std::size_t l = 0; l < kLanes; ++l) put(digits.data(), d, l, values[l]);
    return digits;
  }
  static Integers remainders(const Integers& moduli, const mpz_class& value) {
    Integers result;
    for (const mpz_class& m : moduli) result.push_back(value % m);
    return result;
  }

  void set(Digits& pair, std::size_t lane, const mpz_class& first, const mpz_class& second) const {
    put(pair.data(), d, lane, first);
    put(pair.data() + d, d, lane, second);
  }
  [[nodiscard]] mpz_class first(const Digits& pair, std::size_t lane) const {
    return get(pair.data(), d, lane);
  }
  [[nodiscard]] mpz_class second(const Digits& pair, std::size_t lane) const {
    return get(pair.data() + d, d, lane);
  }
  // value returns r − t·R⁻¹·m mod m².
  [[nodiscard]] mpz_class value(const Digits& pair, std::size_t lane) const {
    return mod(first(pair, lane) - second(pair, lane) * r_inverse[lane] * moduli[lane],
               squares[lane]);
  }
  // bounded says whether r < (1 + 2^-8)·m, t < R and every digit is below 2^52.
  [[nodiscard]] bool bounded(const Digits& pair, std::size_t lane) const {
    return 256 * first(pair, lane) < 257 * moduli[lane] &&
           std::all_of(pair.begin(), pair.begin() + static_cast<std::ptrdiff_t>(2 * d),
                       [&](const Digit& digit) { return digit.lane[lane] <= kDigitMask; });
  }

  std::size_t d;
  mpz_class r;
  Integers moduli;
  Integers squares;
  Integers r_inverse;
  Ring ring;
  Digits a, b, out, scratch;
};

// eight_moduli returns the edges and five random moduli, or one modulus eight times.
Integers eight_moduli(SeededRandom& random, std::size_t bits, bool equal) {
  Integers moduli = odd_moduli(random, bits, 5);
  if (equal) moduli.assign(kLanes, moduli.back());
  return moduli;
}

constexpr std::size_t kSizes[] = {64, 128, 508, 512, 1024, 1536, 2048, 3072, 4096};

TEST_SUITE("ifma" * doctest::skip(!ifma_kernel().runs_here())) {
  TEST_CASE("pairs multiply and square like integers mod m², every lane its own") {
    INFO("seed ", kSeed);
    for (const std::size_t bits : kSizes) {
      CAPTURE(bits);
      // A case is one product and one square of one lane.
      const std::size_t rounds = test::test_cases(std::max<std::size_t>(320000 / bits, 160)) / 8;
      SeededRandom random(kSeed, "pairs", {bits});
      for (const bool equal : {false, true}) {
        Bench bench(eight_moduli(random, bits, equal), bits);
        std::size_t wrong = 0;
        for (std::size_t round = 0; round < rounds / 2 + 1; ++round) {
          for (std::size_t l = 0; l < kLanes; ++l) {
            const mpz_class& m = bench.moduli[l];
            // Edges of r meet edges of t in turn; two operands out of three are random.
            const auto r_of = [&](std::uint64_t kind) -> mpz_class {
              const Integers edges{0, 1, m - 1, m, m + 1, 4 * m - 1, power_of_two(bits - 1) - 1};
              return kind < edges.size() ? edges[kind] : random_below(random, 4 * m);
            };
            const auto t_of = [&](std::uint64_t kind) -> mpz_class {
              const Integers edges{0, 1, bench.r - 1, bench.r - 2, m, power_of_two(52) - 1};
              return kind < edges.size() ? edges[kind] : random_below(random, bench.r);
            };
            bench.set(bench.a, l, r_of(random.below(21)), t_of(random.below(18)));
            bench.set(bench.b, l, r_of(random.below(21)), t_of(random.below(18)));
          }
          bench.ring.multiply(bench.out.data(), bench.a.data(), bench.b.data(),
                              bench.scratch.data());
          for (std::size_t l = 0; l < kLanes; ++l) {
            const mpz_class product = bench.value(bench.a, l) * bench.value(bench.b, l);
            wrong +=
                bench.value(bench.out, l) != mod(product * bench.r_inverse[l], bench.squares[l]) ||
                !bench.bounded(bench.out, l);
          }
          bench.ring.square(bench.out.data(), bench.a.data(), bench.scratch.data());
          for (std::size_t l = 0; l < kLanes; ++l) {
            const mpz_class x = bench.value(bench.a, l);
            wrong +=
                bench.value(bench.out, l) != mod(x * x * bench.r_inverse[l], bench.squares[l]) ||
                !bench.bounded(bench.out, l);
          }
        }
        CHECK(wrong == 0);
      }
    }
  }

  TEST_CASE("products of pairs may overwrite either operand") {
    SeededRandom random(kSeed, "in place");
    Bench bench(eight_moduli(random, 1024, false), 1024);
    for (std::size_t l = 0; l < kLanes; ++l) {
      bench.set(bench.a, l, random_below(random, bench.moduli[l]), random_below(random, bench.r));
      bench.set(bench.b, l, random_below(random, bench.moduli[l]), random_below(random, bench.r));
    }
    const auto equal = [&](const Digits& x, const Digits& y) {
      for (std::size_t l = 0; l < kLanes; ++l) {
        if (bench.first(x, l) != bench.first(y, l) || bench.second(x, l) != bench.second(y, l)) {
          return false;
        }
      }
      return true;
    };
    bench.ring.multiply(bench.out.data(), bench.a.data(), bench.b.data(), bench.scratch.data());
    Digits x = bench.a;
    bench.ring.multiply(x.data(), x.data(), bench.b.data(), bench.scratch.data());
    CHECK(equal(x, bench.out));
    x = bench.b;
    bench.ring.multiply(x.data(), bench.a.data(), x.data(), bench.scratch.data());
    CHECK(equal(x, bench.out));
    bench.ring.multiply(bench.out.data(), bench.a.data(), bench.a.data(), bench.scratch.data());
    x = bench.a;
    bench.ring.multiply(x.data(), x.data(), x.data(), bench.scratch.data());
    CHECK(equal(x, bench.out));
    bench.ring.square(bench.out.data(), bench.a.data(), bench.scratch.data());
    x = bench.a;
    bench.ring.square(x.data(), x.data(), bench.scratch.data());
    CHECK(equal(x, bench.out));
  }

  // r1·r2 = m mod R makes the quotient R − 1, so that any other contribution brings t to R.
  TEST_CASE("a product whose t would reach R is corrected, and only in the lanes that need it") {
    for (const std::size_t bits : kSizes) {
      CAPTURE(bits);
      SeededRandom random(kSeed, "correction", {bits});
      Bench bench(eight_moduli(random, bits, false), bits);
      const unsigned forced = 0xa6;
      for (std::size_t l = 0; l < kLanes; ++l) {
        const mpz_class& m = bench.moduli[l];
        if ((forced >> l & 1) != 0) {
          bench.set(bench.a, l, 1, bench.r - 1 - static_cast<unsigned long>(l));
          bench.set(bench.b, l, m, random_below(random, bench.r));
        } else {
          bench.set(bench.a, l, 1, 0);  // t' = R − 1 exactly
          bench.set(bench.b, l, m, 0);
        }
      }
      CHECK(bench.ring.multiply(bench.out.data(), bench.a.data(), bench.b.data(),
                                bench.scratch.data()) == forced);
      for (std::size_t l = 0; l < kLanes; ++l) {
        const mpz_class product = bench.value(bench.a, l) * bench.value(bench.b, l);
        CHECK(bench.value(bench.out, l) == mod(product * bench.r_inverse[l], bench.squares[l]));
        CHECK(bench.bounded(bench.out, l));
        if ((forced >> l & 1) == 0) CHECK(bench.second(bench.out, l) == bench.r - 1);
      }
    }
  }

  // For m = x² the square of (x, t) has the quotient R − 1.
  TEST_CASE("a square whose t would reach R is corrected") {
    for (const std::size_t bits : {128UL, 1024UL, 1536UL, 2048UL, 3072UL, 4096UL}) {
      CAPTURE(bits);
      SeededRandom random(kSeed, "square correction", {bits});
      Integers roots;
      Integers moduli;
      for (std::size_t l = 0; l < kLanes; ++l) {
        mpz_class root = random_below(random, power_of_two(bits / 2));
        mpz_setbit(root.get_mpz_t(), 0);
        mpz_setbit(root.get_mpz_t(), bits / 2 - 1);
        roots.push_back(root);
        moduli.emplace_back(root * root);
      }
      Bench bench(moduli, bits);
      const unsigned forced = 0x5b;
      for (std::size_t l = 0; l < kLanes; ++l) {
        bench.set(bench.a, l, roots[l], (forced >> l & 1) != 0 ? mpz_class(bench.r - 1) : 0);
      }
      CHECK(bench.ring.square(bench.out.data(), bench.a.data(), bench.scratch.data()) == forced);
      for (std::size_t l = 0; l < kLanes; ++l) {
        const mpz_class x = bench.value(bench.a, l);
        CHECK(bench.value(bench.out, l) == mod(x * x * bench.r_inverse[l], bench.squares[l]));
        CHECK(bench.bounded(bench.out, l));
      }
    }
  }

  TEST_CASE("reductions mod m return the quotient that completes the pair") {
    INFO("seed ", kSeed);
    for (const std::size_t bits : kSizes) {
      CAPTURE(bits);
      SeededRandom random(kSeed, "reductions", {bits});
      Bench bench(eight_moduli(random, bits, false), bits);
      const std::size_t d = bench.d;
      Digits integer(2 * d);
      for (int round = 0; round < 20; ++round) {
        Integers x;
        for (std::size_t l = 0; l < kLanes; ++l) {
          const mpz_class& m = bench.moduli[l];
          const bool largest = round == 0;
          bench.set(bench.a, l, largest ? mpz_class(4 * m - 1) : random_below(random, 4 * m),
                    largest ? mpz_class(bench.r - 1) : random_below(random, bench.r));
          bench.set(bench.b, l, largest ? mpz_class(4 * m - 1) : random_below(random, 4 * m), 0);
          x.push_back(largest ? mpz_class(m * m - 1) : random_below(random, m * m));
          put(integer.data(), 2 * d, l, x[l]);
        }
        const auto expect = [&](std::size_t lane, const mpz_class& value) {
          CHECK(bench.value(bench.out, lane) ==
                mod(value * bench.r_inverse[lane], bench.squares[lane]));
          CHECK(bench.bounded(bench.out, lane));
        };
        Digit* const out = bench.out.data();
        bench.ring.mont(out, out + d, bench.a.data(), bench.b.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          expect(l, bench.first(bench.a, l) * bench.first(bench.b, l));
        }
        bench.ring.mont_square(out, out + d, bench.a.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          expect(l, bench.first(bench.a, l) * bench.first(bench.a, l));
        }
        bench.ring.mont_add(out, out + d, bench.a.data(), bench.b.data(), bench.a.data() + d);
        for (std::size_t l = 0; l < kLanes; ++l) {
          expect(l, bench.first(bench.a, l) * bench.first(bench.b, l) + bench.second(bench.a, l));
        }
        bench.ring.mont_reduce(out, out + d, bench.a.data() + d);
        for (std::size_t l = 0; l < kLanes; ++l) {
          expect(l, bench.second(bench.a, l));
          CHECK(bench.first(bench.out, l) <= bench.moduli[l]);
        }
        bench.ring.from_integer(out, out + d, integer.data());
        for (std::size_t l = 0; l < kLanes; ++l) expect(l, x[l]);
      }
    }
  }

  TEST_CASE("sums, differences and final reductions are right at m, 0 and R") {
    for (const std::size_t bits : {128UL, 512UL, 3072UL}) {
      CAPTURE(bits);
      SeededRandom random(kSeed, "sums", {bits});
      Bench bench(eight_moduli(random, bits, false), bits);
      const std::size_t d = bench.d;
      Digit* const out = bench.out.data();
      Digits wide(2 * d);
      for (std::uint64_t kind = 0; kind < 36; ++kind) {
        const auto pick = [&](std::uint64_t which, const mpz_class& m) -> mpz_class {
          const Integers edges{0, 1, m - 1, m / 2, m / 2 + 1};
          return which < edges.size() ? edges[which] : random_below(random, m);
        };
        for (std::size_t l = 0; l < kLanes; ++l) {
          bench.set(bench.a, l, pick(kind / 6, bench.moduli[l]), pick(kind % 6, bench.r));
          bench.set(bench.b, l, pick(kind % 6, bench.moduli[l]), pick(kind / 6, bench.r));
        }
        bench.ring.add_mod(out, bench.a.data(), bench.b.data(), bench.scratch.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          CHECK(bench.first(bench.out, l) ==
                mod(bench.first(bench.a, l) + bench.first(bench.b, l), bench.moduli[l]));
        }
        bench.ring.subtract_mod(out, bench.a.data(), bench.b.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          CHECK(bench.first(bench.out, l) ==
                mod(bench.first(bench.a, l) - bench.first(bench.b, l), bench.moduli[l]));
        }
        bench.ring.add_pairs(out, bench.a.data(), bench.b.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          CHECK(bench.value(bench.out, l) ==
                mod(bench.value(bench.a, l) + bench.value(bench.b, l), bench.squares[l]));
          CHECK(bench.second(bench.out, l) < bench.r);
        }
        // r and u up to 2·m − 1.
        for (std::size_t l = 0; l < kLanes; ++l) {
          const mpz_class shift = (kind + l) % 2 == 0 ? bench.moduli[l] : mpz_class(0);
          put(bench.a.data(), d, l, bench.first(bench.a, l) + shift);
          put(bench.b.data(), d, l, bench.first(bench.b, l) + bench.moduli[l] - shift);
        }
        const unsigned reduced = bench.ring.canonical(out, bench.a.data(), bench.scratch.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          CHECK(bench.first(bench.out, l) == bench.first(bench.a, l) % bench.moduli[l]);
          CHECK((reduced >> l & 1) == (bench.first(bench.a, l) >= bench.moduli[l] ? 1 : 0));
        }
        bench.ring.to_integer(wide.data(), bench.a.data(), bench.b.data(), bench.scratch.data());
        for (std::size_t l = 0; l < kLanes; ++l) {
          const mpz_class& m = bench.moduli[l];
          CHECK(get(wide.data(), 2 * d, l) ==
                mod(bench.first(bench.a, l) - bench.first(bench.b, l) * m, bench.squares[l]));
        }
      }
    }
  }

  TEST_CASE(
      "numbers of any width survive the way to digits and back, and nothing else is written") {
    SeededRandom random(kSeed, "conversions");
    for (std::size_t limbs = 1; limbs <= 100; ++limbs) {
      CAPTURE(limbs);
      const std::size_t digits = (limbs * 64 + kDigitBits - 1) / kDigitBits;
      std::vector<std::uint64_t> numbers(kLanes * limbs);
      for (std::uint64_t& limb : numbers) {
        limb = random.below(4) == 0 ? ~std::uint64_t{0} : random.next_u64();
      }
      Digits unpacked(digits + 16);
      Digits scratch(limb_scratch(digits));
      Rows<const std::uint64_t> rows{};
      for (std::size_t l = 0; l < kLanes; ++l) rows.lane[l] = &numbers[l * limbs];
      load_digits(unpacked.data(), digits, rows, limbs, scratch.data());
      for (std::size_t l = 0; l < kLanes; ++l) {
        CHECK(get(unpacked.data(), digits, l) ==
              test::from_limbs(std::span(numbers).subspan(l * limbs, limbs)));
      }
      const std::size_t lanes = limbs % kLanes + 1;
      const std::uint64_t untouched = 0x5a5a5a5a5a5a5a5a;
      std::vector<std::uint64_t> written(kLanes * (limbs + 1), untouched);
      Rows<std::uint64_t> out{};
      for (std::size_t l = 0; l < kLanes; ++l) out.lane[l] = &written[l * (limbs + 1)];
      store_digits(out, lanes, limbs, unpacked.data(), scratch.data());
      for (std::size_t l = 0; l < kLanes; ++l) {
        for (std::size_t i = 0; i <= limbs; ++i) {
          const bool inside = l < lanes && i < limbs;
          CHECK(written[l * (limbs + 1) + i] == (inside ? numbers[l * limbs + i] : untouched));
        }
      }
    }
  }
}

}  // namespace
}  // namespace blindsum::crypto::kernels::ifma
