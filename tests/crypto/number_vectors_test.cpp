// Known answers for encoded and encrypted numbers, written by tests/vectors/python_paillier.py.
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <gmp.h>
#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/crypto/encrypted_number.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/secret/decryptor.h"

namespace blindsum::crypto {
namespace {

using nlohmann::json;

const json& all_vectors() {
  static const json vectors = [] {
    std::ifstream file("tests/vectors/python_paillier.json");
    REQUIRE_MESSAGE(file,
                    "tests/vectors/python_paillier.json: run from the root of the repository");
    return json::parse(file);
  }();
  return vectors;
}

const std::string& text(const json& vector, const std::string& field) {
  return vector.at(field).get_ref<const std::string&>();
}

std::int32_t whole(const json& vector, const std::string& field) {
  return static_cast<std::int32_t>(std::stol(text(vector, field)));
}

template <class Vector>
Vector number_from(const std::string& decimal, std::size_t limbs) {
  Vector number(1, limbs);
  mpz_t value;
  REQUIRE(mpz_init_set_str(value, decimal.c_str(), 10) == 0);
  mpz_export(number[0].data(), nullptr, -1, 8, 0, 0, value);
  mpz_clear(value);
  return number;
}

Bytes big_endian(const std::string& decimal) {
  Bytes bytes(1024);
  mpz_t value;
  REQUIRE(mpz_init_set_str(value, decimal.c_str(), 10) == 0);
  std::size_t size = 0;
  mpz_export(bytes.data(), &size, 1, 1, 0, 0, value);
  mpz_clear(value);
  bytes.resize(size);
  return bytes;
}

PlainNumber scalar_of(const json& vector) {
  const std::string& scalar = text(vector, "scalar");
  if (text(vector, "kind") == "whole") return PlainNumber::parse(scalar);
  return {std::strtod(scalar.c_str(), nullptr)};
}

struct World {
  explicit World(const json& vector)
      : secret(SecretKey::from_primes(big_endian(text(vector, "p")), big_endian(text(vector, "q")),
                                      KeyPolicy::kInsecureInteroperable)) {
    CHECK(key().modulus() == big_endian(text(vector, "n")));
  }

  SecretKey secret;
  ThreadPool pool{1};
  Decryptor decryptor{secret, pool};
  ObfuscatorSource source{secret.public_key(), Randomizer::kFull, pool};
  Encryptor encryptor{secret.public_key(), Randomizer::kFull, pool};

  [[nodiscard]] const PublicKey& key() const { return secret.public_key(); }
  [[nodiscard]] EncryptedNumber encrypted(const std::string& c, std::int32_t exponent) const {
    return {key(), number_from<CiphertextVector>(c, key().ciphertext_limbs()), exponent};
  }
  [[nodiscard]] EncryptedNumber encrypted(const json& vector, const std::string& name) const {
    return encrypted(text(vector, name), whole(vector, name + "_exponent"));
  }
  [[nodiscard]] EncodedNumber encoded(const json& vector) const {
    const auto exponent = vector.contains("exponent") ? "exponent" : "m_exponent";
    return {key(), number_from<PlaintextVector>(text(vector, "m"), key().plaintext_limbs()),
            whole(vector, exponent)};
  }
};

// for_each calls check(vector, world) for the vectors of one operation.
template <class Check>
void for_each(const std::string& operation, int at_least, Check check) {
  static std::map<std::string, std::unique_ptr<World>> worlds;
  int count = 0;
  for (const json& vector : all_vectors()) {
    std::unique_ptr<World>& world = worlds[text(vector, "key")];
    if (!world) world = std::make_unique<World>(vector);  // the first vector of a key holds it
    if (text(vector, "operation") != operation) continue;
    CAPTURE(vector.dump());
    check(vector, *world);
    ++count;
  }
  CHECK(count >= at_least);
}

void check_equal(const EncryptedNumber& number, const EncryptedNumber& expected) {
  CHECK(number.unreleased_ciphertext() == expected.unreleased_ciphertext());
  CHECK(number.exponent() == expected.exponent());
}

template <class Encode>
void check_encoding(const json& vector, const World& world, Encode encode) {
  if (vector.contains("overflow")) {
    CHECK_THROWS_WITH_AS((void)encode(), doctest::Contains("does not fit"), CryptoError);
    return;
  }
  const EncodedNumber number = encode();
  const EncodedNumber expected = world.encoded(vector);
  CHECK(number.plaintext() == expected.plaintext());
  CHECK(number.exponent() == expected.exponent());
}

TEST_CASE("numbers are encoded as by python-paillier's rules") {
  for_each("encode", 200, [](const json& vector, const World& world) {
    EncodingOptions options;
    if (vector.contains("precision")) {
      options.precision = std::strtod(text(vector, "precision").c_str(), nullptr);
    }
    if (vector.contains("max_exponent")) options.max_exponent = whole(vector, "max_exponent");
    check_encoding(vector, world,
                   [&] { return EncodedNumber::encode(world.key(), scalar_of(vector), options); });
  });
}

TEST_CASE("at a fixed exponent a number is encoded, or rounded on request alone") {
  for_each("encode_at", 100, [](const json& vector, const World& world) {
    using Inexact = FixedExponent::Inexact;
    const auto encode = [&](Inexact inexact) {
      return EncodedNumber::encode(world.key(), scalar_of(vector),
                                   FixedExponent{whole(vector, "at"), inexact});
    };
    check_encoding(vector, world, [&] { return encode(Inexact::kRound); });
    if (vector.at("exact").get<bool>()) {
      check_encoding(vector, world, [&] { return encode(Inexact::kRefuse); });
    } else {
      CHECK_THROWS_AS((void)encode(Inexact::kRefuse), CryptoError);
    }
  });
}

TEST_CASE("encoded numbers are decoded to all digits and to the nearest double") {
  for_each("decode", 100, [](const json& vector, const World& world) {
    const EncodedNumber number = world.encoded(vector);
    if (vector.contains("overflow")) {
      for (int i = 0; i < 3; ++i) {
        CHECK_THROWS_WITH_AS(i == 0
                                 ? (void)number.to_double()
                                 : (i == 1 ? (void)number.to_decimal() : (void)number.is_whole()),
                             doctest::Contains("overflow"), CryptoError);
      }
      return;
    }
    const std::string& decimal = text(vector, "decimal");
    CHECK(number.to_decimal() == decimal);
    CHECK(number.is_whole() == (decimal.find('.') == std::string::npos));
    if (vector.at("double").is_null()) {
      CHECK_THROWS_WITH_AS((void)number.to_double(), doctest::Contains("too large"), CryptoError);
    } else {
      CHECK(number.to_double() == std::strtod(text(vector, "double").c_str(), nullptr));
    }
  });
}

TEST_CASE("encryption with a given r and decryption give the known answers") {
  for_each("encrypt", 20, [](const json& vector, const World& world) {
    const EncodedNumber number = world.encoded(vector);
    const auto r = number_from<NaturalVector>(text(vector, "r"), world.source.random_limbs());
    const EncryptedNumber expected = world.encrypted(text(vector, "c"), number.exponent());
    CHECK(world.source.encrypt_with(number.plaintext().limbs(), r.limbs()) ==
          expected.unreleased_ciphertext());
    const EncodedNumber decrypted = world.decryptor.decrypt(expected);
    CHECK(decrypted.plaintext() == number.plaintext());
    CHECK(decrypted.to_decimal() == text(vector, "decimal"));
    EncryptedNumber fresh = EncryptedNumber::encrypt(number, world.encryptor);
    CHECK(world.decryptor.decrypt(fresh).plaintext() == number.plaintext());
  });
}

TEST_CASE("sums, differences and products of encrypted numbers give the known ciphertexts") {
  for_each("add", 20, [](const json& vector, const World& world) {
    check_equal(world.encrypted(vector, "a") + world.encrypted(vector, "b"),
                world.encrypted(vector, "c"));
  });
  for_each("subtract", 20, [](const json& vector, const World& world) {
    check_equal(world.encrypted(vector, "a") - world.encrypted(vector, "b"),
                world.encrypted(vector, "c"));
  });
  for_each("add_encoded", 20, [](const json& vector, const World& world) {
    const auto add = [&] { return world.encrypted(vector, "a") + world.encoded(vector); };
    if (vector.contains("overflow")) {
      CHECK_THROWS_AS((void)add(), CryptoError);
      return;
    }
    check_equal(add(), world.encrypted(vector, "c"));
    check_equal(world.encoded(vector) + world.encrypted(vector, "a"), world.encrypted(vector, "c"));
    check_equal(world.encrypted(vector, "a") - (-world.encoded(vector)),
                world.encrypted(vector, "c"));
  });
  for_each("add_plain", 10, [](const json& vector, const World& world) {
    const PlainNumber scalar = scalar_of(vector);
    check_equal(world.encrypted(vector, "a") + scalar, world.encrypted(vector, "c"));
    check_equal(scalar + world.encrypted(vector, "a"), world.encrypted(vector, "c"));
    check_equal(world.encrypted(vector, "a") - (-scalar), world.encrypted(vector, "c"));
  });
  for_each("multiply", 40, [](const json& vector, const World& world) {
    const PlainNumber scalar = scalar_of(vector);
    const EncodedNumber encoded = EncodedNumber::encode(world.key(), scalar);
    check_equal(world.encrypted(vector, "a") * scalar, world.encrypted(vector, "c"));
    check_equal(encoded * world.encrypted(vector, "a"), world.encrypted(vector, "c"));
  });
  for_each("decrease", 20, [](const json& vector, const World& world) {
    check_equal(world.encrypted(vector, "a").decrease_exponent_to(whole(vector, "c_exponent")),
                world.encrypted(vector, "c"));
  });
  for_each("sum", 10, [](const json& vector, const World& world) {
    std::vector<EncryptedNumber> numbers;
    for (const json& item : vector.at("numbers")) {
      const auto& words = item.get_ref<const std::string&>();
      const std::size_t colon = words.find(':');
      numbers.push_back(world.encrypted(
          words.substr(0, colon), static_cast<std::int32_t>(std::stol(words.substr(colon + 1)))));
    }
    check_equal(sum(numbers), world.encrypted(vector, "c"));
  });
}

}  // namespace
}  // namespace blindsum::crypto
