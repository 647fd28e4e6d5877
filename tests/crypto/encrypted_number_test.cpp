// Encrypted numbers against doubles and 128-bit integers; what is refused; what is released.
#include "shared/crypto/encrypted_number.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/key_generator.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using Inexact = FixedExponent::Inexact;

std::string decimal(mpz_srcptr number) {
  std::string digits(mpz_sizeinbase(number, 10) + 2, ' ');
  mpz_get_str(digits.data(), 10, number);
  return digits.c_str();
}

struct World {
  ThreadPool pool{1};
  SecretKey secret = test::insecure_test_key(512);
  PublicKey key = secret.public_key();
  Encryptor encryptor{key, Randomizer::kHalf, pool};
  Decryptor decryptor{secret, pool};

  [[nodiscard]] EncryptedNumber encrypt(const PlainNumber& number) const {
    return EncryptedNumber::encrypt(EncodedNumber::encode(key, number), encryptor);
  }
  [[nodiscard]] double open(const EncryptedNumber& number) const {
    return decryptor.decrypt(number).to_double();
  }
  [[nodiscard]] std::string open_exactly(const EncryptedNumber& number) const {
    return decryptor.decrypt(number).to_decimal();
  }
};

TEST_CASE_FIXTURE(World, "expressions of encrypted, encoded and plain numbers have their value") {
  const EncryptedNumber a = encrypt(3.5);
  const EncryptedNumber b = encrypt(-2);
  CHECK(open(a + b) == 1.5);
  CHECK(open(a - b) == 5.5);
  CHECK(open(-a) == -3.5);
  CHECK(open(a + 1) == 4.5);
  CHECK(open(1 + a) == 4.5);
  CHECK(open(0.25 - a) == -3.25);
  CHECK(open(a - 0.25) == 3.25);
  CHECK(open(a * -2) == -7.0);
  CHECK(open(-0.5 * a) == -1.75);
  CHECK(open(b * 1e-300) == -2e-300);
  const EncodedNumber half = EncodedNumber::encode(key, 0.5);
  CHECK(open(half * b) == -1.0);
  CHECK(open(half - b) == 2.5);
  CHECK(open(b - half) == -2.5);
  CHECK(open(a * 0) == 0.0);
  CHECK(open_exactly(encrypt(0.1)) == "0.1000000000000000055511151231257827021181583404541015625");
  CHECK(open_exactly(encrypt(PlainNumber::parse("-123456789012345678901234567890"))) ==
        "-123456789012345678901234567890");
}

TEST_CASE_FIXTURE(World, "a linear form of random whole numbers is exact") {
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "encrypted numbers");
  for (int round = 0; round < 20; ++round) {
    std::vector<EncryptedNumber> terms;
    test::Integer expected;
    for (int i = 0; i < 5; ++i) {
      const auto x = static_cast<std::int64_t>(random.next_u64()) >> random.below(60);
      const auto w = static_cast<std::int64_t>(random.next_u64()) >> (8 + random.below(50));
      const EncryptedNumber encrypted = encrypt(x);
      // An exponent below 0 now and then: the value stays.
      const int lower = static_cast<int>(random.below(4));
      terms.push_back((encrypted * w).decrease_exponent_to(-lower));
      expected = expected + test::Integer(x) * test::Integer(w);
    }
    CHECK(open_exactly(sum(terms)) == decimal(expected.get()));
  }
}

TEST_CASE_FIXTURE(World, "random doubles come back bit for bit") {
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "doubles");
  for (int i = 0; i < 200; ++i) {
    const double x = std::ldexp(static_cast<double>(static_cast<std::int64_t>(random.next_u64())),
                                static_cast<int>(random.below(900)) - 450);
    CHECK(EncodedNumber::encode(key, x).to_double() == x);
    if (i < 20) CHECK(open(encrypt(x)) == x);
  }
  for (const double x :
       {std::numeric_limits<double>::denorm_min(), -std::numeric_limits<double>::min(),
        std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest(), -0.0}) {
    CHECK(EncodedNumber::encode(key, x).to_double() == x);
  }
}

TEST_CASE_FIXTURE(World, "what is released is re-randomised, once, and what is computed is not") {
  EncryptedNumber a = encrypt(7);
  CHECK(a.is_fresh());
  const CiphertextVector before = a.unreleased_ciphertext();
  CHECK(a.release(encryptor) == before);

  EncryptedNumber doubled = a * 2;
  CHECK_FALSE(doubled.is_fresh());
  CHECK((a * 2).unreleased_ciphertext() == doubled.unreleased_ciphertext());
  const CiphertextVector computed = doubled.unreleased_ciphertext();
  const CiphertextVector released = doubled.release(encryptor);
  CHECK_FALSE(released == computed);
  CHECK(doubled.release(encryptor) == released);
  CHECK(open(doubled) == 14);

  for (const EncryptedNumber& number :
       {a + a, a + 1, a - 1, -a, a * 0, a.decrease_exponent_to(-3), sum(std::vector{a, a})}) {
    CHECK_FALSE(number.is_fresh());
  }
  EncryptedNumber received(key, before, 0);
  CHECK_FALSE(received.is_fresh());
  CHECK_FALSE(received.release(encryptor) == before);
}

TEST_CASE_FIXTURE(World, "an overflow is found when it is decrypted") {
  const EncodedNumber one = EncodedNumber::encode(key, 1);
  // max_int = floor(n/3) − 1: the largest number whose successor is refused.
  const test::Integer n(key.modulus_limbs());
  mpz_t third;
  mpz_init(third);
  mpz_fdiv_q_ui(third, n.get(), 3);
  mpz_sub_ui(third, third, 1);
  const std::string largest = decimal(third);
  mpz_clear(third);

  const EncryptedNumber top = encrypt(PlainNumber::parse(largest));
  CHECK(open_exactly(top) == largest);
  CHECK(open_exactly(-top) == "-" + largest);
  for (const EncryptedNumber& beyond : {top + 1, top + one, top + top, -top - 1, top * 2}) {
    CHECK_THROWS_WITH_AS((void)open_exactly(beyond), doctest::Contains("overflow"), CryptoError);
  }
  CHECK(open_exactly((top + 1) - 1) == largest);
  const EncodedNumber encoded = EncodedNumber::encode(key, PlainNumber::parse(largest));
  CHECK_THROWS_WITH_AS((void)encoded.decrease_exponent_to(-1), doctest::Contains("does not fit"),
                       CryptoError);
}

TEST_CASE_FIXTURE(World, "numbers, exponents and keys that do not go together are refused") {
  const EncryptedNumber a = encrypt(1);
  const SecretKey other = generate_key(512, pool, KeyPolicy::kInsecureTesting);
  const Encryptor foreign(other.public_key(), Randomizer::kFull, pool);
  EncryptedNumber b =
      EncryptedNumber::encrypt(EncodedNumber::encode(other.public_key(), 1), foreign);
  CHECK_THROWS_AS((void)(a + b), CryptoError);
  CHECK_THROWS_AS((void)(a - b), CryptoError);
  CHECK_THROWS_AS((void)(a * EncodedNumber::encode(other.public_key(), 1)), CryptoError);
  CHECK_THROWS_AS((void)(a + EncodedNumber::encode(other.public_key(), 1)), CryptoError);
  CHECK_THROWS_AS((void)decryptor.decrypt(b), CryptoError);
  CHECK_THROWS_AS(b.rerandomize(encryptor), CryptoError);
  CHECK_THROWS_AS(EncryptedNumber::encrypt(EncodedNumber::encode(key, 1), foreign), CryptoError);

  CHECK_THROWS_AS((void)a.decrease_exponent_to(1), CryptoError);
  CHECK_THROWS_AS((void)a.decrease_exponent_to(-200), CryptoError);
  CHECK_THROWS_AS((void)a.decrease_exponent_to(std::numeric_limits<std::int32_t>::min()),
                  CryptoError);
  for (const std::int32_t exponent :
       {kMaxExponent + 1, -kMaxExponent - 1, std::numeric_limits<std::int32_t>::max(),
        std::numeric_limits<std::int32_t>::min()}) {
    CAPTURE(exponent);
    CHECK_THROWS_AS(EncryptedNumber(key, a.unreleased_ciphertext(), exponent), CryptoError);
    CHECK_THROWS_AS(EncodedNumber(key, PlaintextVector(1, key.plaintext_limbs()), exponent),
                    CryptoError);
    CHECK_THROWS_AS((void)EncodedNumber::encode(key, 1, FixedExponent{exponent, Inexact::kRound}),
                    CryptoError);
    // max_exponent lowers an exponent and never raises it.
    if (exponent < 0) {
      CHECK_THROWS_AS((void)EncodedNumber::encode(key, 1, EncodingOptions{{}, exponent}),
                      CryptoError);
    }
  }
  const EncryptedNumber lowest(key, a.unreleased_ciphertext(), -kMaxExponent);
  CHECK_THROWS_AS((void)(lowest * 0.5), CryptoError);
  CHECK_THROWS_AS((void)(lowest + a), CryptoError);
  CHECK_THROWS_AS((void)sum({}), CryptoError);
  CHECK_THROWS_AS(EncryptedNumber(key, CiphertextVector(2, key.ciphertext_limbs()), 0),
                  CryptoError);
  CHECK_THROWS_AS(EncryptedNumber(key, CiphertextVector(1, 1), 0), CryptoError);

  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    CHECK_THROWS_AS((void)PlainNumber(bad), CryptoError);
    CHECK_THROWS_AS((void)EncodedNumber::encode(key, 1, EncodingOptions{bad, {}}), CryptoError);
  }
  for (const double bad : {0.0, -1.0}) {
    CHECK_THROWS_AS((void)EncodedNumber::encode(key, 1, EncodingOptions{bad, {}}), CryptoError);
  }
}

TEST_CASE("text is a number, or refused") {
  ThreadPool pool(1);
  const PublicKey key = test::insecure_test_key(512).public_key();
  const auto value = [&](std::string_view text) {
    return EncodedNumber::encode(key, PlainNumber::parse(text)).to_decimal();
  };
  CHECK(value("12") == "12");
  CHECK(value("-0") == "0");
  CHECK(value("+7") == "7");
  CHECK(value("00012") == "12");
  CHECK(value("-2.5") == "-2.5");
  CHECK(value(".5") == "0.5");
  CHECK(value("3.") == "3");
  CHECK(value("25e-1") == "2.5");
  CHECK(value("1E3") == "1000");
  CHECK(value("-0.0") == "0");
  CHECK(value("9007199254740993") == "9007199254740993");
  for (const std::string_view text :
       {"",      "-",      "+",     "--1",   "+-1", "- 1", " 1",   "1 ",
        "1,5",   "0x10",   "1e",    "1e+",   "nan", "inf", "-inf", "infinity",
        "1e400", "1e-400", "1.2.3", "1_000", "٣",   "."}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)PlainNumber::parse(text), CryptoError);
  }
  CHECK_THROWS_AS((void)PlainNumber::parse(std::string(20001, '1')), CryptoError);
}

}  // namespace
}  // namespace blindsum::crypto
