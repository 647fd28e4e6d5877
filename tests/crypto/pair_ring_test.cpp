// The pair form mod m², against GMP's integers.
#include "shared/crypto/kernels/pair_ring.h"

#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/crypto/test_numbers.h"

namespace blindsum::crypto::kernels {
namespace {

using test::Integer;

// value_of returns r − t·R⁻¹·m mod m².
Integer value_of(const Integer& m, const SecretLimbs& pair) {
  const std::size_t h = pair.size() / 2;
  const Integer square = m * m;
  const Integer r(ConstLimbs(pair).first(h));
  const Integer t(ConstLimbs(pair).last(h));
  const Integer inverse = Integer::power_of_two(64 * h).inverse(square);
  return (r - t * inverse * m).mod(square);
}

// Moduli just below R, far below R, and in between: the corrections are rare, frequent and long.
std::vector<Integer> moduli() {
  std::vector<Integer> result;
  for (const unsigned long bits : {64UL, 128UL, 192UL, 512UL, 1536UL}) {
    result.push_back(Integer::power_of_two(bits) - Integer(59));
    result.push_back(Integer::power_of_two(bits - 1) + Integer(9));
    result.push_back(Integer::power_of_two(bits - 63) + Integer(3));
    SeededRandom random(test::kSeed, "modulus", {bits});
    std::vector<std::uint64_t> limbs(bits / 64);
    for (std::uint64_t& limb : limbs) limb = random.next_u64() | 1;
    result.emplace_back(limbs);
  }
  return result;
}

TEST_CASE("pairs multiply and square like integers mod m², at the edges of r and t too") {
  INFO("seed ", test::kSeed);
  for (const Integer& m : moduli()) {
    const std::size_t h = mpz_size(m.get());
    const std::vector<std::uint64_t> m_limbs = m.limbs(h);
    const PairRing ring(m_limbs);
    const Integer square = m * m;
    const Integer r_inverse = Integer::power_of_two(64 * h).inverse(square);
    SecretLimbs scratch(ring.scratch_limbs());
    SeededRandom random(test::kSeed, "pairs", {h});

    // Halves: 0, 1, the largest, and random; t may be anything below R.
    std::vector<SecretLimbs> pairs;
    for (int r_kind = 0; r_kind < 4; ++r_kind) {
      for (int t_kind = 0; t_kind < 4; ++t_kind) {
        SecretLimbs pair(2 * h);
        if (r_kind == 1) pair[0] = 1;
        if (r_kind == 2) std::ranges::copy((m - Integer(1)).limbs(h), pair.begin());
        if (r_kind == 3) test::random_below(random, m_limbs, Limbs(pair).first(h));
        for (std::size_t i = h; i < 2 * h; ++i) {
          if (t_kind == 2) pair[i] = ~std::uint64_t{0};
          if (t_kind == 3) pair[i] = random.next_u64();
        }
        if (t_kind == 1) pair[h] = 1;
        pairs.push_back(pair);
      }
    }
    for (const SecretLimbs& a : pairs) {
      SecretLimbs out(2 * h);
      ring.square(out.data(), a.data(), scratch.data());
      const Integer value = value_of(m, a);
      CHECK(value_of(m, out) == (value * value * r_inverse).mod(square));
      CHECK(Integer(ConstLimbs(out).first(h)) < m);
      ring.to_integer(out.data(), a.data(), scratch.data());
      CHECK(Integer(ConstLimbs(out)) == value);
      for (const SecretLimbs& b : pairs) {
        ring.multiply(out.data(), a.data(), b.data(), scratch.data());
        CHECK(value_of(m, out) == (value * value_of(m, b) * r_inverse).mod(square));
        CHECK(Integer(ConstLimbs(out).first(h)) < m);
      }
    }
  }
}

TEST_CASE("integers become pairs and come back") {
  INFO("seed ", test::kSeed);
  for (const Integer& m : moduli()) {
    const std::size_t h = mpz_size(m.get());
    const PairRing ring(m.limbs(h));
    const Integer square = m * m;
    SecretLimbs scratch(ring.scratch_limbs());
    SeededRandom random(test::kSeed, "integers", {h});
    std::vector<std::vector<std::uint64_t>> numbers{Integer(0).limbs(2 * h),
                                                    Integer(1).limbs(2 * h), m.limbs(2 * h),
                                                    (square - Integer(1)).limbs(2 * h)};
    for (int i = 0; i < 8; ++i) {
      numbers.emplace_back(2 * h);
      test::random_below(random, square.limbs(2 * h), numbers.back());
    }
    const SecretLimbs r_squared = ring.power_of_r(2);
    for (const auto& x : numbers) {
      SecretLimbs pair(2 * h);
      ring.from_integer(pair.data(), x.data(), scratch.data());  // x/R
      ring.multiply(pair.data(), pair.data(), r_squared.data(), scratch.data());
      std::vector<std::uint64_t> back(2 * h);
      ring.to_integer(back.data(), pair.data(), scratch.data());
      CHECK(back == x);
    }
  }
}

}  // namespace
}  // namespace blindsum::crypto::kernels
