// Obfuscators that were made ahead: right, used once, and not inherited.
#include "shared/crypto/obfuscator_pool.h"

#include <set>
#include <vector>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/core/error.h"
#include "shared/crypto/secret/decryptor.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

class Fixture {
 public:
  void fill(std::size_t wanted) {
    while (obfuscators_.prepare(wanted)) {
    }
  }
  [[nodiscard]] PlaintextVector numbers(std::size_t count) const {
    PlaintextVector m(count, secret_.public_key().plaintext_limbs());
    for (std::size_t i = 0; i < count; ++i) m[i][i % m.limbs_each()] = 1000 * i;
    return m;
  }

 protected:
  ThreadPool pool_{2};
  SecretKey secret_ = test::insecure_test_key(512);
  Decryptor decryptor_{secret_, pool_};
  ObfuscatorPool obfuscators_{ObfuscatorSource(secret_.public_key(), Randomizer::kHalf, pool_)};
};

TEST_CASE_FIXTURE(Fixture, "encryptions with and without prepared obfuscators open alike") {
  for (const std::size_t prepared : {0, 1, 7, 8, 20, 40}) {
    CAPTURE(prepared);
    fill(prepared);
    CHECK(obfuscators_.size() >= prepared);
    const PlaintextVector m = numbers(23);
    const CiphertextVector c = obfuscators_.encrypt(m);
    CHECK(decryptor_.decrypt(c) == m);
    const CiphertextVector again = obfuscators_.rerandomize(c);
    CHECK(decryptor_.decrypt(again) == m);
    for (std::size_t i = 0; i < c.size(); ++i) {
      CHECK(std::vector(c[i].begin(), c[i].end()) != std::vector(again[i].begin(), again[i].end()));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "no obfuscator is used twice") {
  const PlaintextVector zeros(12, secret_.public_key().plaintext_limbs());
  std::set<std::vector<std::uint64_t>> seen;
  constexpr std::size_t kTimes = 20;
  for (std::size_t i = 0; i < kTimes; ++i) {
    fill(5 + i);
    const CiphertextVector c = obfuscators_.encrypt(zeros);
    for (std::size_t k = 0; k < c.size(); ++k) seen.emplace(c[k].begin(), c[k].end());
  }
  CHECK(seen.size() == kTimes * zeros.size());
}

TEST_CASE_FIXTURE(Fixture, "preparing stops at what is wanted") {
  CHECK_FALSE(obfuscators_.prepare(0));
  CHECK(obfuscators_.size() == 0);
  fill(40);
  const std::size_t held = obfuscators_.size();
  CHECK(held >= 40);
  CHECK_FALSE(obfuscators_.prepare(40));
  CHECK(obfuscators_.size() == held);
  (void)obfuscators_.encrypt(numbers(3));
  CHECK(obfuscators_.size() == held - 3);
}

TEST_CASE_FIXTURE(Fixture, "a forked child finds the pool empty, and its parent does not") {
  fill(16);
  const std::size_t held = obfuscators_.size();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(obfuscators_.size() == 0 ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(obfuscators_.size() == held);
}

TEST_CASE_FIXTURE(Fixture, "a plaintext that is too large is a CryptoError and costs nothing") {
  fill(8);
  const std::size_t held = obfuscators_.size();
  PlaintextVector m = numbers(1);
  for (std::uint64_t& limb : m.limbs()) limb = ~std::uint64_t{0};
  CHECK_THROWS_AS((void)obfuscators_.encrypt(m), CryptoError);
  CHECK_THROWS_AS((void)obfuscators_.rerandomize(CiphertextVector(1, 3)), CryptoError);
  CHECK(obfuscators_.size() == held);
}

}  // namespace
}  // namespace blindsum::crypto
