// The laws of the homomorphism: what ciphertext arithmetic does to plaintexts.
#include <algorithm>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/secret/decryptor.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using test::insecure_test_key;
using test::Integer;
using test::random_plaintexts;

PlaintextVector combine(const PublicKey& key, const PlaintextVector& a, const PlaintextVector& b,
                        Integer (*operation)(const Integer&, const Integer&)) {
  const Integer n(key.modulus_limbs());
  PlaintextVector result(a.size(), key.plaintext_limbs());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto limbs = operation(Integer(a[i]), Integer(b[i])).mod(n).limbs(a.limbs_each());
    std::ranges::copy(limbs, result[i].begin());
  }
  return result;
}

TEST_CASE("ciphertexts add, subtract, negate and scale like their plaintexts mod n") {
  INFO("seed ", test::kSeed);
  ThreadPool pool(2);
  const SecretKey secret = insecure_test_key(512);
  const PublicKey key = secret.public_key();
  const Evaluator evaluator(key, pool);
  const Decryptor decryptor(secret, pool);
  for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort}) {
    const Encryptor encryptor(key, randomizer, pool);
    // Every size up to two batches of eight lanes, and beyond.
    for (const std::size_t count : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 23, 33}) {
      CAPTURE(count);
      SeededRandom random(test::kSeed, "laws", {count});
      const PlaintextVector a = random_plaintexts(random, key, count);
      const PlaintextVector b = random_plaintexts(random, key, count);
      const CiphertextVector ca = encryptor.encrypt(a);
      const CiphertextVector cb = encryptor.encrypt(b);
      const auto add = [](const Integer& x, const Integer& y) { return x + y; };
      const auto subtract = [](const Integer& x, const Integer& y) { return x - y; };
      const auto multiply = [](const Integer& x, const Integer& y) { return x * y; };
      CHECK(decryptor.decrypt(ca) == a);
      CHECK(decryptor.decrypt(encryptor.rerandomize(ca)) == a);
      CHECK(decryptor.decrypt(evaluator.add(ca, cb)) == combine(key, a, b, add));
      CHECK(decryptor.decrypt(evaluator.subtract(ca, cb)) == combine(key, a, b, subtract));
      CHECK(decryptor.decrypt(evaluator.add_plain(ca, b)) == combine(key, a, b, add));
      CHECK(decryptor.decrypt(evaluator.multiply_plain(ca, b)) == combine(key, a, b, multiply));
      CHECK(evaluator.add(ca, cb) == evaluator.add(cb, ca));
      CHECK(evaluator.negate(evaluator.negate(ca)) == ca);
    }
  }
}

TEST_CASE("small plaintexts are decrypted as by both primes, and larger ones refused") {
  INFO("seed ", test::kSeed);
  ThreadPool pool(2);
  // Below 512 bits one prime does not leave enough free: both are used.
  for (const std::size_t key_bits : {512, 2048}) {
    const SecretKey secret = insecure_test_key(key_bits);
    const PublicKey key = secret.public_key();
    const Decryptor decryptor(secret, pool);
    const Encryptor encryptor(key, Randomizer::kHalf, pool);
    for (const std::size_t bits : {1, 63, 64, 126, 200}) {
      CAPTURE(bits);
      SeededRandom random(test::kSeed, "small", {key_bits, bits});
      for (const std::size_t count : {1, 8, 11}) {
        PlaintextVector small(count, key.plaintext_limbs());
        for (std::size_t i = 0; i < count; ++i) {
          for (std::size_t bit = 0; bit < bits; ++bit) {
            // The largest, then random ones.
            if (i == 0 || random.below(2) == 1) small[i][bit / 64] |= std::uint64_t{1} << bit % 64;
          }
        }
        const CiphertextVector ciphertexts = encryptor.encrypt(small);
        CHECK(decryptor.decrypt_small(ciphertexts, bits) == small);
        CHECK(decryptor.decrypt_small(ciphertexts, bits) == decryptor.decrypt(ciphertexts));
      }
      PlaintextVector large(1, key.plaintext_limbs());
      large[0][bits / 64] = std::uint64_t{1} << bits % 64;
      CHECK_THROWS_AS((void)decryptor.decrypt_small(encryptor.encrypt(large), bits), CryptoError);
      const PlaintextVector any = random_plaintexts(random, key, 1);
      CHECK_THROWS_AS((void)decryptor.decrypt_small(encryptor.encrypt(any), bits), CryptoError);
    }
  }
}

TEST_CASE("3072-bit keys encrypt, add and decrypt with every randomizer") {
  INFO("seed ", test::kSeed);
  ThreadPool pool(2);
  const SecretKey secret = insecure_test_key(3072);
  const PublicKey key = secret.public_key();
  const Decryptor decryptor(secret, pool);
  SeededRandom random(test::kSeed, "3072");
  const PlaintextVector a = random_plaintexts(random, key, 3);
  for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort}) {
    const Encryptor encryptor(key, randomizer, pool);
    const CiphertextVector c = encryptor.encrypt(a);
    CHECK(decryptor.decrypt(Evaluator(key, pool).add(c, encryptor.rerandomize(c))) ==
          combine(key, a, a, [](const Integer& x, const Integer& y) { return x + y; }));
  }
}

TEST_CASE("encryption is fresh: equal plaintexts give distinct ciphertexts, whoever encrypts") {
  ThreadPool pool(2);
  const PublicKey key = insecure_test_key(512).public_key();
  for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort}) {
    const Encryptor encryptor(key, randomizer, pool);
    const PlaintextVector zeros(64, key.plaintext_limbs());
    std::set<std::vector<std::uint64_t>> seen;
    const CiphertextVector first = encryptor.encrypt(zeros);
    const CiphertextVector second = Encryptor(key, randomizer, pool).encrypt(zeros);
    const CiphertextVector third = encryptor.rerandomize(first);
    for (const CiphertextVector* batch : {&first, &second, &third}) {
      for (std::size_t i = 0; i < zeros.size(); ++i) {
        const auto limbs = (*batch)[i];
        seen.emplace(limbs.begin(), limbs.end());
      }
    }
    CHECK(seen.size() == 3 * zeros.size());
  }
}

TEST_CASE("encryptors made in several threads share one table and encrypt alike") {
  const SecretKey secret = insecure_test_key(512);
  const PublicKey key = secret.public_key();
  PlaintextVector m(9, key.plaintext_limbs());
  for (std::size_t i = 0; i < m.size(); ++i) m[i][0] = i;
  std::vector<CiphertextVector> results(4);
  std::vector<std::thread> threads;
  for (CiphertextVector& result : results) {
    threads.emplace_back([&] {
      ThreadPool pool(1);
      result = Encryptor(key, Randomizer::kHalf, pool).encrypt(m);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ThreadPool pool(2);
  const Decryptor decryptor(secret, pool);
  for (const CiphertextVector& result : results) CHECK(decryptor.decrypt(result) == m);
}

TEST_CASE("multiplying by zero gives the trivial encryption of zero") {
  ThreadPool pool(1);
  const PublicKey key = insecure_test_key(512).public_key();
  const CiphertextVector c =
      Encryptor(key, Randomizer::kHalf, pool).encrypt(PlaintextVector(2, key.plaintext_limbs()));
  const CiphertextVector product =
      Evaluator(key, pool).multiply_plain(c, PlaintextVector(2, key.plaintext_limbs()));
  for (std::size_t i = 0; i < 2; ++i) CHECK(Integer(product[i]) == Integer(1));
}

TEST_CASE("plaintexts not below n, wrong widths and unequal sizes are CryptoErrors") {
  ThreadPool pool(1);
  const PublicKey key = insecure_test_key(512).public_key();
  const Encryptor encryptor(key, Randomizer::kShort, pool);
  const Evaluator evaluator(key, pool);
  PlaintextVector m(2, key.plaintext_limbs());
  const CiphertextVector c = encryptor.encrypt(m);
  std::ranges::copy(key.modulus_limbs(), m[1].begin());
  CHECK_THROWS_WITH_AS((void)encryptor.encrypt(m), "plaintext 1 is not below the modulus",
                       CryptoError);
  CHECK_THROWS_AS((void)evaluator.add_plain(c, m), CryptoError);
  CHECK_THROWS_AS((void)evaluator.multiply_plain(c, m), CryptoError);
  m[1][0] -= 1;
  CHECK_NOTHROW((void)encryptor.encrypt(m));
  CHECK_THROWS_AS((void)encryptor.encrypt(PlaintextVector(1, 7)), CryptoError);
  CHECK_THROWS_AS((void)encryptor.rerandomize(CiphertextVector(1, 15)), CryptoError);
  CHECK_THROWS_AS((void)evaluator.add(c, CiphertextVector(2, 15)), CryptoError);
  CHECK_THROWS_AS((void)evaluator.add(c, CiphertextVector(1, key.ciphertext_limbs())), CryptoError);
  CHECK_THROWS_AS((void)evaluator.add_plain(c, PlaintextVector(1, key.plaintext_limbs())),
                  CryptoError);
  CHECK_THROWS_AS((void)evaluator.negate(CiphertextVector(1, key.ciphertext_limbs())), CryptoError);
}

TEST_CASE("randomizers have names and assumptions, and unknown names are refused") {
  for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort}) {
    CHECK(randomizer_from_string(to_string(randomizer)) == randomizer);
    CHECK(assumption_of(randomizer).starts_with("decisional composite residuosity"));
  }
  CHECK_THROWS_AS((void)randomizer_from_string("none"), ConfigError);
}

TEST_CASE("the portable kernel is always there, and last") {
  CHECK(kernels::all_kernels().back()->name() == "portable");
  CHECK(kernels::all_kernels().back()->runs_here());
  CHECK(kernels::active_kernel().runs_here());
}

TEST_CASE("kernels can be compared in one process: each keeps tables of its own") {
  ThreadPool pool(1);
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "kernels");
  const kernels::Kernel& before = kernels::active_kernel();
  std::vector<std::pair<const kernels::Kernel*, SecretKey>> keys;
  std::vector<Encryptor> encryptors;  // all alive at once
  for (const kernels::Kernel* kernel : kernels::all_kernels()) {
    if (!kernel->runs_here()) continue;
    const kernels::ScopedKernel scope(*kernel);
    CHECK(kernel_name() == kernel->name());
    keys.emplace_back(kernel, insecure_test_key(512));
    encryptors.emplace_back(keys.back().second.public_key(), Randomizer::kHalf, pool);
  }
  CHECK(&kernels::active_kernel() == &before);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const kernels::ScopedKernel scope(*keys[i].first);
    const PlaintextVector plain = random_plaintexts(random, keys[i].second.public_key(), 9);
    CHECK(Decryptor(keys[i].second, pool).decrypt(encryptors[i].encrypt(plain)) == plain);
  }
}

}  // namespace
}  // namespace blindsum::crypto
