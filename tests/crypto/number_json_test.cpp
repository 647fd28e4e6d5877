// python-paillier's JSON forms: what is written can be read, and hostile input is refused.
#include "shared/crypto/number_json.h"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/secret_key_json.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using nlohmann::json;

constexpr auto kPolicy = KeyPolicy::kInsecureInteroperable;

std::string text_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

struct World {
  ThreadPool pool{1};
  SecretKey secret = test::insecure_test_key(512);
  PublicKey key = secret.public_key();
  Encryptor encryptor{key, Randomizer::kFull, pool};

  [[nodiscard]] EncryptedNumber encrypt(const PlainNumber& number) const {
    return EncryptedNumber::encrypt(EncodedNumber::encode(key, number), encryptor);
  }
};

TEST_CASE_FIXTURE(World, "keys and numbers survive their JSON") {
  const std::string public_text = public_key_to_json(key, "a \"comment\"\n");
  CHECK(public_key_from_json(public_text, kPolicy) == key);
  CHECK(json::parse(public_text) == json{{"kty", "DAJ"},
                                         {"alg", "PAI-GN1"},
                                         {"key_ops", {"encrypt"}},
                                         {"n", json::parse(public_text)["n"]},
                                         {"kid", "a \"comment\"\n"}});

  const SecretBytes secret_text = secret_key_to_json(secret, "mine", "theirs");
  const PrivateKeyFile again = secret_key_from_json(secret_text.bytes(), kPolicy);
  CHECK(again.key.public_key() == key);
  CHECK(again.public_kid == "theirs");
  CHECK(std::ranges::equal(again.key.serialize().bytes(), secret.serialize().bytes()));
  const json parsed = json::parse(text_of(secret_text.bytes()));
  CHECK(parsed["kid"] == "mine");
  CHECK(parsed["key_ops"] == json{"decrypt"});
  CHECK(parsed["pub"]["alg"] == "PAI-GN1");

  for (const double value : {0.1, -1e10, 1e-30}) {
    EncryptedNumber number = encrypt(value);
    const std::string text = to_json(number, encryptor);
    const EncryptedNumber received = encrypted_number_from_json(key, text);
    CHECK(received.exponent() == number.exponent());
    CHECK(received.unreleased_ciphertext() == number.unreleased_ciphertext());
    CHECK_FALSE(received.is_fresh());
    CHECK(Decryptor(secret, pool).decrypt(received).to_double() == value);
  }
}

TEST_CASE_FIXTURE(World, "what is written is re-randomised first") {
  const EncryptedNumber a = encrypt(3);
  EncryptedNumber doubled = a * 2;
  const CiphertextVector computed = doubled.unreleased_ciphertext();
  const EncryptedNumber received = encrypted_number_from_json(key, to_json(doubled, encryptor));
  CHECK_FALSE(received.unreleased_ciphertext() == computed);
  CHECK(Decryptor(secret, pool).decrypt(received).to_decimal() == "6");
}

TEST_CASE_FIXTURE(World, "a hostile encrypted number is a DecodeError") {
  EncryptedNumber one = encrypt(1);
  const json good = json::parse(to_json(one, encryptor));
  const test::Integer n(key.modulus_limbs());
  const auto decimal = [](const test::Integer& number) {
    std::string digits(mpz_sizeinbase(number.get(), 10) + 2, ' ');
    mpz_get_str(digits.data(), 10, number.get());
    return std::string(digits.c_str());
  };
  const auto refused = [&](const std::string& text) {
    CAPTURE(text.substr(0, 200));
    CHECK_THROWS_AS((void)encrypted_number_from_json(key, text), DecodeError);
  };
  const auto with = [&](const char* member, const json& value) {
    json changed = good;
    changed[member] = value;
    return changed.dump();
  };
  CHECK_NOTHROW((void)encrypted_number_from_json(key, good.dump()));
  CHECK_NOTHROW((void)encrypted_number_from_json(key, with("other", json{{"x", 1}})));
  CHECK_NOTHROW((void)encrypted_number_from_json(key, with("v", decimal(n * n - 1))));
  CHECK_NOTHROW((void)encrypted_number_from_json(key, with("e", -16384)));

  for (const json& v : std::vector<json>{"",
                                         "0",
                                         "-1",
                                         "+1",
                                         " 1",
                                         "1 ",
                                         "0x1",
                                         "1.0",
                                         "1e5",
                                         "1_0",
                                         "٣",
                                         1,
                                         -1,
                                         1.5,
                                         nullptr,
                                         json::array(),
                                         json::object(),
                                         decimal(n),
                                         decimal(n * 2),
                                         decimal(n * n),
                                         decimal(n * n + 1),
                                         std::string(100000, '9'),
                                         std::string(309, '9'),
                                         std::string(200, '0') + decimal(n * n - 1)}) {
    refused(with("v", v));
  }
  for (const json& e :
       std::vector<json>{"-32", 1.0, -32.5, nullptr, true, 16385, -16385, 2147483648, -2147483649,
                         9223372036854775807, 18446744073709551615U, json::array({1})}) {
    refused(with("e", e));
  }
  refused(with("e", 0).insert(1, "\"e\": 1,"));
  refused(R"({"v": "2", "e": 1e400})");
  refused(R"({"v": "2", "e": 99999999999999999999999})");
  refused(R"({"v": "2"})");
  refused(R"({"e": 1})");
  for (const char* text : {"", " ", "{", "[]", "1", "null", "\"v\"", "{\"v\":}", "{} {}", "\xff",
                           "{\"v\": \"\xff\", \"e\": 1}", "nan"}) {
    refused(text);
  }
  refused(std::string(60000, '['));
  refused(std::string(60000, '{'));
  std::string nested;
  for (int i = 0; i < 10000; ++i) nested += "{\"a\":";
  refused(nested);
  refused(with("x", std::string(kMaxJsonBytes, 'x')));
}

TEST_CASE("a hostile key is a KeyError, and its message holds nothing of a private key") {
  const SecretKey key = test::insecure_test_key(512);
  const SecretBytes secret_text = secret_key_to_json(key, "a", "b");
  const json good = json::parse(text_of(secret_text.bytes()));
  const std::string p_text = good["p"];

  const auto refused = [&](const std::string& text) {
    CAPTURE(text.substr(0, 300));
    try {
      (void)secret_key_from_json(as_bytes(text), kPolicy);
      FAIL_CHECK("admitted");
    } catch (const KeyError& error) {
      CHECK(std::string(error.what()).find(p_text.substr(0, 8)) == std::string::npos);
    }
  };
  const auto with = [&](const json::json_pointer& member, const json& value) {
    json changed = good;
    changed[member] = value;
    return changed.dump();
  };
  const auto without = [&](const char* member) {
    json changed = good;
    changed.erase(member);
    return changed.dump();
  };
  using Pointer = json::json_pointer;
  for (const char* member : {"kty", "key_ops", "p", "q", "pub"}) refused(without(member));
  for (const char* member : {"/kty", "/key_ops", "/p", "/q", "/pub", "/kid", "/pub/n", "/pub/kty",
                             "/pub/alg", "/pub/kid"}) {
    for (const json& value :
         std::vector<json>{1, 1.5, nullptr, true, json::array({1}), json{{"n", 1}}}) {
      refused(with(Pointer(member), value));
    }
  }
  for (const char* member : {"/kty", "/p", "/q", "/pub/n", "/pub/kty", "/pub/alg"}) {
    for (const char* value : {"", "A", "=", "AA==", "AQ", "é", "+/+/", "AAAA", "a b"}) {
      refused(with(Pointer(member), value));
    }
    refused(with(Pointer(member), std::string(8000, 'A')));
    refused(with(Pointer(member), std::string(8000, '_')));
  }
  refused(with(Pointer("/key_ops"), json::array({"encrypt"})));
  refused(with(Pointer("/q"), good["p"]));
  refused(with(Pointer("/p"), good["pub"]["n"]));
  const SecretKey other = test::insecure_test_key(2048);
  refused(with(Pointer("/pub"), json::parse(public_key_to_json(other.public_key(), ""))));
  refused(good.dump().insert(1, "\"p\": \"AQ\","));
  refused(R"({"kty": "DAJ", "key_ops": ["decrypt"], "lambda": "AQ", "mu": "AQ", "pub": {}})");
  refused("");
  refused("[]");

  CHECK_NOTHROW((void)secret_key_from_json(as_bytes(good.dump()), kPolicy));
  CHECK_NOTHROW((void)secret_key_from_json(as_bytes(without("kid")), kPolicy));
  CHECK_THROWS_AS((void)secret_key_from_json(secret_text.bytes(), KeyPolicy::kInteroperable),
                  KeyError);

  const json pub = good["pub"];
  CHECK(public_key_from_json(pub.dump(), kPolicy) == key.public_key());
  CHECK_THROWS_AS((void)public_key_from_json(pub.dump(), KeyPolicy::kInteroperable), KeyError);
  CHECK_THROWS_AS((void)public_key_from_json(good.dump(), kPolicy), KeyError);
  CHECK_THROWS_AS((void)public_key_from_json("{", kPolicy), KeyError);
  CHECK_THROWS_AS((void)public_key_to_json(key.public_key(), "\xff"), KeyError);
}

}  // namespace
}  // namespace blindsum::crypto
