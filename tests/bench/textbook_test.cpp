// The baseline computes Paillier's scheme: known results, and both ways between it and the product.
#include "scenarios/bench/textbook.h"

#include <memory>

#include <doctest/doctest.h>

#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/secret/decryptor.h"
#include "tests/support/test_keys.h"

namespace blindsum::bench {
namespace {

using namespace crypto;

Textbook textbook_of(std::size_t modulus_bits) {
  for (const test::InsecureTestKey& key : test::kInsecureTestKeys) {
    if (key.modulus_bits == modulus_bits) return {from_hex(key.p), from_hex(key.q)};
  }
  throw std::invalid_argument("no test key of this size");
}

// numbers returns 0, 1, n − 1 and powers of two below n.
std::vector<mpz_class> numbers(const mpz_class& n) {
  std::vector<mpz_class> result{0, 1, n - 1, n - 2};
  for (std::size_t bit = 1; bit + 1 < mpz_sizeinbase(n.get_mpz_t(), 2); bit = 3 * bit + 1) {
    result.push_back(mpz_class(1) << bit);
  }
  return result;
}

template <class Vector>
Vector vector_of(const std::vector<mpz_class>& integers, std::size_t limbs) {
  Vector result(integers.size(), limbs);
  for (std::size_t i = 0; i < integers.size(); ++i) copy_limbs(result[i], integers[i]);
  return result;
}

TEST_CASE("the textbook method on p = 7, q = 11 is arithmetic mod 5929") {
  const Bytes p{7};
  const Bytes q{11};
  const Textbook textbook(p, q);
  CHECK(textbook.n() == 77);
  // (1 + 42·77)·2^77 mod 5929, worked out with Python's integers.
  CHECK(textbook.decrypt(2713) == 42);
  mpz_class sum = 2713;
  textbook.add_inplace(sum, 2713);
  CHECK(sum == 2480);
  CHECK(textbook.decrypt(sum) == 7);  // 84 mod 77
  CHECK(textbook.multiply_plain(2713, 5) == 3068);
  CHECK(textbook.decrypt(3068) == 56);  // 210 mod 77
  for (int m = 0; m < 77; ++m) CHECK(textbook.decrypt(1 + 77 * m) == m);
}

TEST_CASE("the product decrypts what the textbook method encrypts, and the other way round") {
  ThreadPool pool(1);
  for (const std::size_t bits : {512UL, 2048UL}) {
    CAPTURE(bits);
    const Textbook textbook = textbook_of(bits);
    const SecretKey secret = test::insecure_test_key(bits);
    const PublicKey& key = secret.public_key();
    REQUIRE(textbook.n() == integer_of(key.modulus_limbs()));
    const Decryptor decryptor(secret, pool);
    const Evaluator evaluator(key, pool);
    const auto plain = numbers(textbook.n());
    const auto plaintexts = vector_of<PlaintextVector>(plain, key.plaintext_limbs());

    std::vector<mpz_class> theirs;
    for (const mpz_class& m : plain) theirs.push_back(textbook.encrypt(m));
    const auto ciphertexts = vector_of<CiphertextVector>(theirs, key.ciphertext_limbs());
    CHECK(decryptor.decrypt(ciphertexts) == plaintexts);

    for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort}) {
      const CiphertextVector ours = Encryptor(key, randomizer, pool).encrypt(plaintexts);
      const CiphertextVector sums = evaluator.add(ours, ciphertexts);
      const CiphertextVector products = evaluator.multiply_plain(ours, plaintexts);
      for (std::size_t i = 0; i < plain.size(); ++i) {
        CHECK(textbook.decrypt(integer_of(ours[i])) == plain[i]);
        mpz_class sum = integer_of(ours[i]);
        textbook.add_inplace(sum, theirs[i]);
        CHECK(sum == integer_of(sums[i]));
        CHECK(textbook.multiply_plain(integer_of(ours[i]), plain[i]) == integer_of(products[i]));
      }
    }
  }
}

TEST_CASE("two textbook encryptions of one plaintext differ") {
  const Textbook textbook = textbook_of(512);
  CHECK(textbook.encrypt(5) != textbook.encrypt(5));
}

}  // namespace
}  // namespace blindsum::bench
