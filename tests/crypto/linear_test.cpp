// Linear combinations and negation of ciphertexts, against NTL's powers and the plaintexts.
#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <NTL/ZZ.h>
#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/numbers.h"
#include "shared/crypto/secret/decryptor.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using test::insecure_test_key;
using test::Integer;
using test::kSeed;
using test::random_plaintexts;

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kEdges[] = {
    0, 1, -1, 2, -2, kMost, kLeast, kLeast + 1, -kMost, 1LL << 62, -(1LL << 62), (1LL << 62) - 1};

NTL::ZZ to_zz(std::int64_t weight) {
  NTL::ZZ value(static_cast<long>(weight));
  return value;
}

// expected_row returns Π c_i^{w_i} mod n² by NTL, one power after the other.
NTL::ZZ expected_row(const CiphertextVector& c, std::span<const std::int64_t> weights,
                     const NTL::ZZ& n_squared) {
  NTL::ZZ product(1);
  for (std::size_t i = 0; i < c.size(); ++i) {
    product =
        MulMod(product, PowerMod(crypto::to_zz(c[i]), to_zz(weights[i]), n_squared), n_squared);
  }
  return product;
}

TEST_CASE("linear combinations are NTL's powers, and decrypt to those of the plaintexts") {
  INFO("seed ", kSeed);
  ThreadPool pool(2);
  for (const std::size_t bits : {512UL, 2048UL}) {
    const SecretKey secret = insecure_test_key(bits);
    const PublicKey key = secret.public_key();
    const Encryptor encryptor(key, Randomizer::kShort, pool);
    const Evaluator evaluator(key, pool);
    const Decryptor decryptor(secret, pool);
    const Integer n(key.modulus_limbs());
    const NTL::ZZ n_squared = sqr(crypto::to_zz(key.modulus_limbs()));
    for (const std::size_t inputs : {1, 2, 7, 8, 13}) {
      SeededRandom random(kSeed, "linear", {bits, inputs});
      const PlaintextVector m = random_plaintexts(random, key, inputs);
      const CiphertextVector c = encryptor.encrypt(m);
      for (const std::size_t rows : {1, 3, 8, 11}) {
        if (bits > 512 && rows % 8 == 3) continue;
        CAPTURE(bits);
        CAPTURE(inputs);
        CAPTURE(rows);
        std::vector<std::int64_t> weights(rows * inputs);
        for (std::size_t i = 0; i < weights.size(); ++i) {
          const std::uint64_t word = random.next_u64();
          // The first row is of zeros if there are others; edges, long and short weights.
          weights[i] = rows > 1 && i < inputs ? 0
                       : i % 3 == 0           ? kEdges[word % std::size(kEdges)]
                       : i % 3 == 1           ? static_cast<std::int64_t>(word)
                                              : static_cast<std::int64_t>(word) >> 52;
        }
        const CiphertextVector result = evaluator.linear_combinations(c, weights, rows);
        REQUIRE(result.size() == rows);
        const PlaintextVector sums = decryptor.decrypt(result);
        for (std::size_t j = 0; j < rows; ++j) {
          const auto row = std::span(weights).subspan(j * inputs, inputs);
          CHECK(crypto::to_zz(result[j]) == expected_row(c, row, n_squared));
          Integer sum(0);
          for (std::size_t i = 0; i < inputs; ++i) {
            sum = sum + Integer(std::as_const(m)[i]) * Integer(static_cast<long>(row[i]));
          }
          CHECK(Integer(std::as_const(sums)[j]) == sum.mod(n));
        }
      }
    }
  }
}

TEST_CASE("packed combinations are one ciphertext of many sums, exactly the powers of slots") {
  INFO("seed ", kSeed);
  ThreadPool pool(2);
  for (const std::size_t bits : {512UL, 2048UL}) {
    const SecretKey secret = insecure_test_key(bits);
    const PublicKey key = secret.public_key();
    const Encryptor encryptor(key, Randomizer::kShort, pool);
    const Evaluator evaluator(key, pool);
    const NTL::ZZ n_squared = sqr(crypto::to_zz(key.modulus_limbs()));
    for (const std::size_t inputs : {1, 3, 9, 41}) {
      SeededRandom random(kSeed, "packed", {bits, inputs});
      const CiphertextVector c = encryptor.encrypt(random_plaintexts(random, key, inputs));
      for (const unsigned weight_bits : {1, 3, 4, 7, 8, 11}) {
        if (bits > 512 && weight_bits != 7) continue;
        const unsigned slot_bits = weight_bits + 5 + weight_bits % 3;
        for (const bool has_negative : {false, true}) {
          const std::size_t rows = 1 + random.below(9);
          const std::size_t slots = 1 + random.below(6);
          CAPTURE(inputs);
          CAPTURE(weight_bits);
          CAPTURE(rows);
          CAPTURE(slots);
          const std::int64_t most = (std::int64_t{1} << weight_bits) - 1;
          std::vector<std::int64_t> weights(rows * slots * inputs);
          for (std::int64_t& weight : weights) {
            // Every third at an edge.
            weight = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most) + 1));
            if (random.below(3) == 0) weight = most;
            if (has_negative && random.below(2) == 0) weight = -weight;
          }
          const auto result = evaluator.packed_combinations(c, weights, rows, slots, slot_bits);
          REQUIRE(result.size() == rows);
          for (std::size_t j = 0; j < rows; ++j) {
            NTL::ZZ expected(1);
            for (std::size_t s = 0; s < slots; ++s) {
              const auto row = std::span(weights).subspan((j * slots + s) * inputs, inputs);
              const NTL::ZZ shift = NTL::power2_ZZ(static_cast<long>(s * slot_bits));
              expected = MulMod(
                  expected, PowerMod(expected_row(c, row, n_squared), shift, n_squared), n_squared);
            }
            CHECK(crypto::to_zz(result[j]) == expected);
          }
        }
      }
    }
    const CiphertextVector c = encryptor.encrypt(PlaintextVector(2, key.plaintext_limbs()));
    const std::vector<std::int64_t> weights{1, -15};
    CHECK_NOTHROW((void)evaluator.packed_combinations(c, weights, 1, 1, 9));
    CHECK_THROWS_AS((void)evaluator.packed_combinations(c, weights, 1, 1, 8), CryptoError);
    CHECK_THROWS_AS((void)evaluator.packed_combinations(c, weights, 1, 2, 9), CryptoError);
    CHECK_THROWS_AS((void)evaluator.packed_combinations(c, {}, 0, 1, 9), CryptoError);
  }
}

TEST_CASE("every edge weight alone, and rows of the same weight, give NTL's powers") {
  ThreadPool pool(1);
  const PublicKey key = insecure_test_key(512).public_key();
  const NTL::ZZ n_squared = sqr(crypto::to_zz(key.modulus_limbs()));
  const CiphertextVector c =
      Encryptor(key, Randomizer::kHalf, pool).encrypt(PlaintextVector(9, key.plaintext_limbs()));
  const Evaluator evaluator(key, pool);
  for (const std::int64_t weight : kEdges) {
    CAPTURE(weight);
    const std::vector<std::int64_t> weights(9 * 9, weight);
    const CiphertextVector result = evaluator.linear_combinations(c, weights, 9);
    for (std::size_t j = 0; j < 9; ++j) {
      CHECK(crypto::to_zz(result[j]) == expected_row(c, std::span(weights).first(9), n_squared));
    }
    CiphertextVector single(1, key.ciphertext_limbs());
    std::ranges::copy(c[4], single[0].begin());
    const CiphertextVector power = evaluator.linear_combinations(single, std::span(&weight, 1), 1);
    CHECK(crypto::to_zz(power[0]) == expected_row(single, std::span(&weight, 1), n_squared));
  }
}

TEST_CASE("no ciphertexts and no rows are no work, and every other mismatch is a CryptoError") {
  ThreadPool pool(1);
  const PublicKey key = insecure_test_key(512).public_key();
  const Evaluator evaluator(key, pool);
  const CiphertextVector c =
      Encryptor(key, Randomizer::kShort, pool).encrypt(PlaintextVector(3, key.plaintext_limbs()));
  const std::vector<std::int64_t> weights(6, 5);
  CHECK(evaluator.linear_combinations(c, {}, 0).size() == 0);
  const CiphertextVector ones = evaluator.linear_combinations(CiphertextVector(), {}, 2);
  REQUIRE(ones.size() == 2);
  for (std::size_t j = 0; j < 2; ++j) CHECK(Integer(ones[j]) == Integer(1));
  CHECK(evaluator.linear_combinations(c, weights, 2).size() == 2);
  for (const std::size_t rows : {0, 1, 3, 6}) {
    CHECK_THROWS_AS((void)evaluator.linear_combinations(c, weights, rows), CryptoError);
  }
  CHECK_THROWS_WITH_AS((void)evaluator.linear_combinations(c, std::span(weights).first(5), 2),
                       "5 weights are not 2 rows for 3 ciphertexts", CryptoError);
  CHECK_THROWS_AS((void)evaluator.linear_combinations(CiphertextVector(), weights, 2), CryptoError);
  CHECK_THROWS_AS((void)evaluator.linear_combinations(CiphertextVector(3, 15), weights, 2),
                  CryptoError);
}

TEST_CASE("negation inverts batches of every size, and names the ciphertext that has no inverse") {
  INFO("seed ", kSeed);
  ThreadPool pool(2);
  const PublicKey key = insecure_test_key(512).public_key();
  const Evaluator evaluator(key, pool);
  const Encryptor encryptor(key, Randomizer::kShort, pool);
  SeededRandom random(kSeed, "negate");
  for (std::size_t count = 0; count <= 35; ++count) {
    CAPTURE(count);
    CiphertextVector c = encryptor.encrypt(random_plaintexts(random, key, count));
    const CiphertextVector product = evaluator.add(c, evaluator.negate(c));
    for (std::size_t i = 0; i < count; ++i) CHECK(Integer(product[i]) == Integer(1));
    if (count == 0) continue;
    const std::size_t bad = random.below(count);
    std::ranges::fill(c[bad], 0);
    std::ranges::copy(key.modulus_limbs(), c[bad].begin());
    const std::string message = "ciphertext " + std::to_string(bad) + " is not a unit";
    CHECK_THROWS_WITH_AS((void)evaluator.negate(c), message.c_str(), CryptoError);
    CHECK_THROWS_AS((void)evaluator.linear_combinations(c, std::vector<std::int64_t>(count, -1), 1),
                    CryptoError);
  }
}

}  // namespace
}  // namespace blindsum::crypto
