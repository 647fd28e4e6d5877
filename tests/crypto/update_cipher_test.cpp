// Sealing, adding and opening updates, encrypted and not.
#include "shared/crypto/update_cipher.h"

#include <memory>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/packing.h"
#include "shared/crypto/secret/decryptor.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using test::insecure_test_key;

struct Ends {
  std::unique_ptr<UpdateSealer> sealer;
  std::unique_ptr<UpdateAccumulator> accumulator;
  std::unique_ptr<UpdateOpener> opener;
};

class Fixture {
 public:
  [[nodiscard]] Ends make(CipherKind kind) {
    if (kind == CipherKind::kNone) {
      return {make_plain_sealer(8), make_plain_accumulator(8), make_plain_opener(8)};
    }
    return {make_paillier_sealer(secret_.public_key(), Randomizer::kHalf, pool_),
            make_paillier_accumulator(secret_.public_key(), Randomizer::kShort, pool_),
            make_paillier_opener(secret_, pool_)};
  }
  [[nodiscard]] const PublicKey& key() const { return secret_.public_key(); }

 private:
  ThreadPool pool_{2};
  SecretKey secret_ = insecure_test_key(512);
};

PlaintextVector values(std::size_t chunks, std::uint64_t value) {
  PlaintextVector plaintexts(chunks, 8);
  for (std::size_t i = 0; i < chunks; ++i) plaintexts[i][i % 7] = value + i;
  return plaintexts;
}

PlaintextVector scaled(const PlaintextVector& plaintexts, std::uint64_t factor) {
  PlaintextVector result = plaintexts;
  for (std::uint64_t& limb : result.limbs()) limb *= factor;
  return result;
}

TEST_CASE_FIXTURE(Fixture, "both ciphers open the same exact sums") {
  for (const CipherKind kind : {CipherKind::kPaillier, CipherKind::kNone}) {
    const Ends ends = make(kind);
    for (const std::size_t chunks : {1, 8, 11}) {
      ends.accumulator->reset(chunks);
      for (const std::uint64_t factor : {1, 10, 100}) {
        const Bytes payload = ends.sealer->seal(scaled(values(chunks, 5), factor));
        CHECK(payload.size() == chunks * ends.sealer->bytes_each());
        ends.accumulator->add(payload);
      }
      CHECK(ends.opener->open(ends.accumulator->finish(), chunks) ==
            scaled(values(chunks, 5), 111));
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "finishing re-randomises: the sum of one update is not that update") {
  const Ends ends = make(CipherKind::kPaillier);
  ends.accumulator->reset(3);
  const Bytes payload = ends.sealer->seal(values(3, 1));
  ends.accumulator->add(payload);
  const Bytes first = ends.accumulator->finish();
  const Bytes second = ends.accumulator->finish();
  CHECK(first != payload);
  CHECK(first != second);
  CHECK(ends.opener->open(first, 3) == ends.opener->open(second, 3));
}

TEST_CASE_FIXTURE(Fixture, "a bad payload is a CryptoError and leaves the sum as it was") {
  for (const CipherKind kind : {CipherKind::kPaillier, CipherKind::kNone}) {
    const Ends ends = make(kind);
    ends.accumulator->reset(9);
    const Bytes payload = ends.sealer->seal(values(9, 3));
    ends.accumulator->add(payload);
    std::vector<Bytes> bad(4, payload);
    bad[0].pop_back();
    bad[1].push_back(0);
    bad[2].clear();
    bad[3].resize(payload.size() / 9 * 8);
    if (kind == CipherKind::kPaillier) {
      // The last ciphertext is zero, or all ones, or shares a factor with n; the others are fine.
      const std::size_t width = key().ciphertext_bytes();
      for (const int filler : {0x00, 0xff}) {
        bad.push_back(payload);
        std::fill(bad.back().end() - static_cast<long>(width), bad.back().end(),
                  static_cast<std::uint8_t>(filler));
      }
      bad.push_back(payload);
      const Bytes n = test::Integer(key().modulus_limbs()).bytes(width);
      std::copy(n.begin(), n.end(), bad.back().end() - static_cast<long>(width));
    }
    for (const Bytes& wrong : bad) CHECK_THROWS_AS(ends.accumulator->add(wrong), CryptoError);
    for (const Bytes& wrong : bad) CHECK_THROWS_AS((void)ends.opener->open(wrong, 9), CryptoError);
    ends.accumulator->add(payload);
    CHECK(ends.opener->open(ends.accumulator->finish(), 9) == scaled(values(9, 3), 2));
  }
}

TEST_CASE_FIXTURE(Fixture, "a plain sum that overflows its width is a CryptoError and unchanged") {
  const Ends ends = make(CipherKind::kNone);
  ends.accumulator->reset(2);
  PlaintextVector large(2, 8);
  for (std::uint64_t& limb : large[1]) limb = ~std::uint64_t{0};
  const Bytes payload = ends.sealer->seal(large);
  ends.accumulator->add(payload);
  CHECK_THROWS_AS(ends.accumulator->add(payload), CryptoError);
  CHECK(ends.opener->open(ends.accumulator->finish(), 2) == large);
}

TEST_CASE_FIXTURE(Fixture, "an empty sum has no payload and reset forgets") {
  for (const CipherKind kind : {CipherKind::kPaillier, CipherKind::kNone}) {
    const Ends ends = make(kind);
    CHECK_THROWS_AS((void)ends.accumulator->finish(), CryptoError);
    ends.accumulator->reset(1);
    CHECK_THROWS_AS((void)ends.accumulator->finish(), CryptoError);
    ends.accumulator->add(ends.sealer->seal(values(1, 7)));
    ends.accumulator->reset(2);
    CHECK_THROWS_AS((void)ends.accumulator->finish(), CryptoError);
    ends.accumulator->add(ends.sealer->seal(values(2, 7)));
    CHECK(ends.opener->open(ends.accumulator->finish(), 2) == values(2, 7));
  }
}

TEST_CASE_FIXTURE(Fixture, "packed vectors come back as their exact sum through encryption") {
  INFO("seed ", test::kSeed);
  const Ends ends = make(CipherKind::kPaillier);
  const PackedEncoder encoder(PackingLayout::make(24, 10, key().plaintext_bits()), 100, 8);
  SeededRandom random(test::kSeed, "update cipher");
  std::vector<std::int64_t> expected(100);
  ends.accumulator->reset(encoder.plaintexts());
  for (int party = 0; party < 10; ++party) {
    std::vector<std::int64_t> update(100);
    for (std::size_t i = 0; i < update.size(); ++i) {
      update[i] = static_cast<std::int64_t>(random.below((1 << 24) - 1)) - ((1 << 23) - 1);
      expected[i] += update[i];
    }
    ends.accumulator->add(ends.sealer->seal(encoder.pack(update)));
  }
  const auto sum = ends.opener->open(ends.accumulator->finish(), encoder.plaintexts());
  CHECK(encoder.unpack_sum(sum, 10) == expected);
}

TEST_CASE("cipher names are strict") {
  CHECK(cipher_from_string("paillier") == CipherKind::kPaillier);
  CHECK(cipher_from_string(to_string(CipherKind::kNone)) == CipherKind::kNone);
  CHECK_THROWS_AS((void)cipher_from_string("Paillier"), ConfigError);
}

}  // namespace
}  // namespace blindsum::crypto
