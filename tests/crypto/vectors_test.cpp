// Known answers, written by tests/vectors/generate.py in plain Python integers.
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/fixed_point.h"
#include "shared/crypto/packing.h"
#include "shared/crypto/public_key_impl.h"
#include "shared/crypto/secret/decryptor.h"
#include "tests/crypto/test_numbers.h"

namespace blindsum::crypto {
namespace {

using test::numbers_from_hex;
using Fields = std::map<std::string, std::string>;

struct Vector {
  std::string operation;
  Fields fields;
};

std::vector<Vector> read_vectors() {
  std::ifstream file("tests/vectors/vectors.txt");
  REQUIRE_MESSAGE(file, "tests/vectors/vectors.txt: run from the root of the repository");
  std::vector<Vector> vectors;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Vector vector;
    words >> vector.operation;
    for (std::string word; words >> word;) {
      const std::size_t equals = word.find('=');
      vector.fields[word.substr(0, equals)] = word.substr(equals + 1);
    }
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

const std::vector<Vector>& all_vectors() {
  static const std::vector<Vector> vectors = read_vectors();
  return vectors;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  return items;
}

std::vector<std::int64_t> integers(const std::string& list) {
  std::vector<std::int64_t> numbers;
  for (const std::string& item : split(list)) {
    numbers.push_back(std::strtoll(item.c_str(), nullptr, 16));
  }
  return numbers;
}

std::uint64_t number(const Fields& fields, const std::string& name) {
  return std::strtoull(fields.at(name).c_str(), nullptr, 16);
}

Bytes big_endian(const std::string& hex) {
  return from_hex((hex.size() % 2 == 0 ? "" : "0") + hex);
}

// column returns one field of all vectors of an operation and key, so that they run as one batch.
std::vector<std::string> column(const std::string& operation, const std::string& key,
                                const std::string& field, const std::string& randomizer = "") {
  std::vector<std::string> values;
  for (const Vector& vector : all_vectors()) {
    if (vector.operation != operation || vector.fields.at("key") != key) continue;
    if (!randomizer.empty() && vector.fields.at("randomizer") != randomizer) continue;
    values.push_back(vector.fields.at(field));
  }
  REQUIRE(!values.empty());
  return values;
}

TEST_CASE("there are a thousand vectors or more") { CHECK(all_vectors().size() >= 1000); }

TEST_CASE("Paillier gives the known answers, in batches") {
  ThreadPool pool(2);
  for (const Vector& vector : all_vectors()) {
    if (vector.operation != "key") continue;
    const std::string name = vector.fields.at("key");
    CAPTURE(name);
    const SecretKey secret =
        SecretKey::from_primes(big_endian(vector.fields.at("p")), big_endian(vector.fields.at("q")),
                               KeyPolicy::kInsecureTesting);
    const PublicKey key = secret.public_key();
    CHECK(key.modulus() == big_endian(vector.fields.at("n")));
    const std::size_t limbs = key.plaintext_limbs();
    const auto plaintexts = [&](const std::string& operation, const std::string& field) {
      return numbers_from_hex<PlaintextVector>(column(operation, name, field), limbs);
    };
    const auto ciphertexts = [&](const std::string& operation, const std::string& field) {
      return numbers_from_hex<CiphertextVector>(column(operation, name, field), 2 * limbs);
    };

    NaturalVector root(1, limbs);
    test::hex_to_limbs(column("base", name, "h")[0], root[0]);
    CHECK(std::ranges::equal(fixed_base_root(key), root.limbs()));
    NaturalVector base(1, 2 * limbs);
    test::hex_to_limbs(column("base", name, "hs")[0], base[0]);
    CHECK(std::ranges::equal(fixed_base(key), base.limbs()));

    for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort}) {
      const std::string text(to_string(randomizer));
      CAPTURE(text);
      const ObfuscatorSource source(key, randomizer, pool);
      const auto m = numbers_from_hex<PlaintextVector>(column("encrypt", name, "m", text), limbs);
      const auto r = numbers_from_hex<NaturalVector>(column("encrypt", name, "r", text),
                                                     source.random_limbs());
      const auto c =
          numbers_from_hex<CiphertextVector>(column("encrypt", name, "c", text), 2 * limbs);
      CHECK(source.encrypt_with(m.limbs(), r.limbs()) == c);
    }

    const Evaluator evaluator(key, pool);
    CHECK(evaluator.add(ciphertexts("add", "a"), ciphertexts("add", "b")) ==
          ciphertexts("add", "c"));
    CHECK(evaluator.add_plain(ciphertexts("add_plain", "a"), plaintexts("add_plain", "m")) ==
          ciphertexts("add_plain", "c"));
    CHECK(evaluator.multiply_plain(ciphertexts("multiply_plain", "a"),
                                   plaintexts("multiply_plain", "m")) ==
          ciphertexts("multiply_plain", "c"));
    CHECK(evaluator.negate(ciphertexts("negate", "a")) == ciphertexts("negate", "c"));
    CHECK(Decryptor(secret, pool).decrypt(ciphertexts("decrypt", "c")) ==
          plaintexts("decrypt", "m"));
  }
}

TEST_CASE("packing gives the known answers") {
  for (const Vector& vector : all_vectors()) {
    if (vector.operation != "pack" && vector.operation != "unpack") continue;
    const Fields& fields = vector.fields;
    CAPTURE(fields.at("bits"));
    CAPTURE(fields.at("addends"));
    const std::size_t plaintext_bits = number(fields, "size");
    const std::size_t limbs = plaintext_bits / 64 + 1;
    const auto layout =
        PackingLayout::make(static_cast<unsigned>(number(fields, "bits")),
                            static_cast<std::uint32_t>(number(fields, "addends")), plaintext_bits);
    if (vector.operation == "pack") {
      const auto values = integers(fields.at("values"));
      CHECK(PackedEncoder(layout, values.size(), limbs).pack(values) ==
            numbers_from_hex<PlaintextVector>(split(fields.at("out")), limbs));
    } else {
      const auto values = integers(fields.at("out"));
      CHECK(
          PackedEncoder(layout, values.size(), limbs)
              .unpack_sum(numbers_from_hex<PlaintextVector>(split(fields.at("plaintexts")), limbs),
                          static_cast<std::uint32_t>(number(fields, "count"))) == values);
    }
  }
}

TEST_CASE("fixed point gives the known answers, stochastic rounding included") {
  for (const Vector& vector : all_vectors()) {
    if (vector.operation != "fixed") continue;
    const Fields& fields = vector.fields;
    std::vector<double> reals;
    for (const std::string& item : split(fields.at("reals"))) {
      reals.push_back(std::strtod(item.c_str(), nullptr));
    }
    const FixedPoint fixed_point(static_cast<unsigned>(number(fields, "bits")),
                                 std::strtod(fields.at("clip").c_str(), nullptr),
                                 rounding_from_string(fields.at("rounding")));
    const Quantised quantised = fixed_point.encode(
        reals, number(fields, "seed"), static_cast<std::uint32_t>(number(fields, "party")),
        static_cast<std::uint32_t>(number(fields, "round")));
    CHECK(quantised.values == integers(fields.at("values")));
    CHECK(quantised.clipped.size() == number(fields, "clipped"));
  }
}

}  // namespace
}  // namespace blindsum::crypto
