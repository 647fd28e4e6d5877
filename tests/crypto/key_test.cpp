// Keys: what is admitted, what hostile bytes do, and generation.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/key_generator.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using test::insecure_test_key;
using test::Integer;

using Span = std::span<const std::uint64_t>;

constexpr auto kTesting = KeyPolicy::kInsecureTesting;

Bytes copy_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

TEST_CASE("a public key survives its file") {
  for (const std::size_t bits : {512, 2048, 3072}) {
    const PublicKey key = insecure_test_key(bits).public_key();
    CHECK(key.modulus_bits() == bits);
    const PublicKey again = PublicKey::parse(key.serialize(), kTesting);
    CHECK(again == key);
    CHECK(again.modulus() == key.modulus());
    CHECK(again.ciphertext_bytes() == bits / 4);
  }
}

TEST_CASE("a secret key survives its file") {
  const SecretKey key = insecure_test_key(512);
  const SecretBytes file = key.serialize();
  const SecretKey again = SecretKey::parse(file.bytes(), kTesting);
  CHECK(again.public_key() == key.public_key());
  CHECK(copy_of(again.serialize().bytes()) == copy_of(file.bytes()));
}

TEST_CASE("sizes below 2048 bits are refused unless they are for testing") {
  const PublicKey small = insecure_test_key(512).public_key();
  CHECK_THROWS_AS((void)PublicKey::from_modulus(small.modulus()), KeyError);
  CHECK_THROWS_AS((void)PublicKey::parse(small.serialize()), KeyError);
  const PublicKey large = insecure_test_key(2048).public_key();
  CHECK_NOTHROW((void)PublicKey::from_modulus(large.modulus()));
  ThreadPool pool(1);
  CHECK_THROWS_AS((void)generate_key(512, pool), KeyError);
  CHECK_THROWS_AS((void)generate_key(126, pool, kTesting), KeyError);
  CHECK_THROWS_AS((void)generate_key(513, pool, kTesting), KeyError);
}

TEST_CASE("a hostile modulus is a KeyError") {
  const Integer good(insecure_test_key(512).public_key().modulus_limbs());
  const auto refused = [](const Bytes& modulus) {
    CHECK_THROWS_AS((void)PublicKey::from_modulus(modulus, kTesting), KeyError);
  };
  refused({});
  refused({0});
  refused({1});
  refused({3});
  refused(Bytes(64, 0));
  refused(Bytes(4096, 0xff));
  refused((good - Integer(1)).big_endian());  // even
  Bytes zero_led = good.big_endian();
  zero_led.insert(zero_led.begin(), 0);
  refused(zero_led);
  refused((good * Integer(3)).big_endian());
  refused((good * Integer(3 * 5)).big_endian());
  refused((good * Integer(65521) * Integer(65519)).big_endian());
  const Integer prime(Span(std::vector<std::uint64_t>{0xffffffffffffffc5}));  // 2^64 − 59
  refused((prime * prime).big_endian());
  refused((prime * prime * prime).big_endian());
  refused((prime * prime * prime * prime * prime).big_endian());
  refused(Integer::power_of_two(511).big_endian());
  refused((Integer::power_of_two(512) - Integer(1)).big_endian());  // divisible by 3
}

TEST_CASE("every damaged byte and every length of a key file is a KeyError") {
  const SecretKey key = insecure_test_key(512);
  const Bytes public_file = key.public_key().serialize();
  const Bytes secret_file = copy_of(key.serialize().bytes());
  const auto parse_public = [](const Bytes& file) { (void)PublicKey::parse(file, kTesting); };
  const auto parse_secret = [](const Bytes& file) { (void)SecretKey::parse(file, kTesting); };
  const auto check = [](const Bytes& file, const auto& parse) {
    for (std::size_t i = 0; i < file.size(); ++i) {
      Bytes damaged = file;
      damaged[i] ^= 0x40;
      CHECK_THROWS_AS(parse(damaged), KeyError);
      CHECK_THROWS_AS(parse(Bytes(file.begin(), file.begin() + static_cast<long>(i))), KeyError);
    }
    Bytes longer = file;
    longer.push_back(0);
    CHECK_THROWS_AS(parse(longer), KeyError);
  };
  check(public_file, parse_public);
  check(secret_file, parse_secret);
  CHECK_THROWS_AS(parse_public(secret_file), KeyError);
  CHECK_THROWS_AS(parse_secret(public_file), KeyError);
}

TEST_CASE("random bytes behind a right check hash do not pass as a key") {
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "hostile keys");
  const Bytes public_file = insecure_test_key(512).public_key().serialize();
  const std::size_t header = public_file.size() - 64 - 32;
  for (int i = 0; i < 200; ++i) {
    Bytes file(public_file.begin(), public_file.begin() + static_cast<long>(header - 4));
    const std::size_t size = random.below(80);
    append_le32(file, static_cast<std::uint32_t>(size));
    for (std::size_t j = 0; j < size; ++j) {
      file.push_back(static_cast<std::uint8_t>(random.next_u64()));
    }
    file.back() &= 0xfe;  // even
    const Digest check = sha256(file);
    file.insert(file.end(), check.begin(), check.end());
    CHECK_THROWS_AS((void)PublicKey::parse(file, kTesting), KeyError);
  }
}

TEST_CASE("wrong primes are refused with one message") {
  const auto message_of = [](const Integer& p, const Integer& q) -> std::string {
    try {
      (void)SecretKey::from_primes(p.big_endian(), q.big_endian(), kTesting);
    } catch (const KeyError& error) {
      return error.what();
    }
    return "accepted";
  };
  const Integer p(Span(std::vector<std::uint64_t>{0xffffffffffffffc5}));     // prime
  const Integer near(Span(std::vector<std::uint64_t>{0xffffffffffffffad}));  // prime
  const Integer composite = p - Integer(2);
  const Integer low(Span(std::vector<std::uint64_t>{0x8000000000000000 + 29}));  // prime
  const std::string refused = message_of(p, p);
  CHECK(refused == "the secret key is not valid");
  CHECK(message_of(p, near) == refused);
  CHECK(message_of(p, composite) == refused);
  CHECK(message_of(composite, p) == refused);
  CHECK(message_of(p, low) == refused);
  CHECK(message_of(p, Integer(7)) == refused);
  CHECK(message_of(Integer(0), Integer(0)) == refused);
}

TEST_CASE("a generated key has two safe primes and passes for a key") {
  ThreadPool pool(2);
  for (const std::size_t bits : {512, 512, 512, 512, 1024, 2048}) {
    CAPTURE(bits);
    const KeyPolicy policy = bits < 2048 ? kTesting : KeyPolicy::kSecure;
    int reported = 0;
    const SecretKey key = generate_key(bits, pool, policy, [&](int found, std::uint64_t) {
      reported = found;
      return true;
    });
    CHECK(reported == 2);
    CHECK(key.public_key().modulus_bits() == bits);
    const SecretBytes file = key.serialize();
    CHECK_NOTHROW((void)SecretKey::parse(file.bytes(), policy));
    const std::size_t prime_bytes = bits / 16;
    for (const std::size_t offset : {std::size_t{0}, prime_bytes}) {
      const ByteView prime =
          file.bytes().subspan(file.size() - 32 - 2 * prime_bytes + offset, prime_bytes);
      CHECK(prime[0] >= 0xc0);
      mpz_t number;
      mpz_init(number);
      mpz_import(number, prime.size(), 1, 1, 0, 0, prime.data());
      CHECK(mpz_probab_prime_p(number, 30) != 0);
      mpz_fdiv_q_2exp(number, number, 1);
      CHECK(mpz_probab_prime_p(number, 30) != 0);
      mpz_clear(number);
    }
  }
  CHECK_FALSE(generate_key(128, pool, kTesting).public_key() ==
              generate_key(128, pool, kTesting).public_key());
}

// prime_after returns the first prime above first·2^(8·(size − 1)) whose half is composite.
Bytes prime_after(std::uint8_t first, std::size_t size) {
  Bytes bytes(size, 0);
  bytes[0] = first;
  mpz_t number;
  mpz_t half;
  mpz_inits(number, half, nullptr);
  mpz_import(number, bytes.size(), 1, 1, 0, 0, bytes.data());
  do {
    mpz_nextprime(number, number);
    mpz_fdiv_q_2exp(half, number, 1);
  } while (mpz_probab_prime_p(half, 30) != 0);
  mpz_export(bytes.data(), nullptr, 1, 1, 0, 0, number);
  mpz_clears(number, half, nullptr);
  return bytes;
}

TEST_CASE("primes that are not safe are refused outside tests") {
  const Bytes p = prime_after(0xe0, 128);
  const Bytes q = prime_after(0xc0, 128);
  CHECK_NOTHROW((void)SecretKey::from_primes(p, q, kTesting));
  CHECK_THROWS_WITH_AS((void)SecretKey::from_primes(p, q, KeyPolicy::kSecure),
                       "the secret key is not valid", KeyError);
}

TEST_CASE("keys of other programs are admitted by name alone, with a floor of 2048 bits") {
  // Primes as python-paillier takes them: not safe, the second bit of one not set.
  const Bytes p = prime_after(0xff, 128);
  const Bytes q = prime_after(0xa0, 128);
  CHECK_THROWS_AS((void)SecretKey::from_primes(p, q, KeyPolicy::kSecure), KeyError);
  CHECK_THROWS_AS((void)SecretKey::from_primes(p, q, kTesting), KeyError);
  const SecretKey key = SecretKey::from_primes(p, q, KeyPolicy::kInteroperable);
  CHECK_FALSE(key.has_safe_primes());
  CHECK(insecure_test_key(512).has_safe_primes());

  const Bytes small_p = prime_after(0xff, 32);
  const Bytes small_q = prime_after(0xa0, 32);
  CHECK_THROWS_WITH_AS((void)SecretKey::from_primes(small_p, small_q, KeyPolicy::kInteroperable),
                       "a modulus of 512 bits is not admitted: an even size from 2048 to 8192",
                       KeyError);
  const SecretKey small =
      SecretKey::from_primes(small_p, small_q, KeyPolicy::kInsecureInteroperable);
  ThreadPool pool(1);
  const PublicKey& small_key = small.public_key();
  for (const Randomizer randomizer : {Randomizer::kFull, Randomizer::kHalf}) {
    PlaintextVector m(1, small_key.plaintext_limbs());
    m[0][1] = 5;
    const CiphertextVector c = Encryptor(small_key, randomizer, pool).encrypt(m);
    CHECK(Decryptor(small, pool).decrypt(c) == m);
  }
}

TEST_CASE("progress that returns false ends the search") {
  ThreadPool pool(2);
  CHECK_THROWS_AS((void)generate_key(512, pool, kTesting, [](int, std::uint64_t) { return false; }),
                  Error);
}

TEST_CASE("foreign ciphertexts must be units of the right range and width") {
  ThreadPool pool(1);
  const SecretKey secret = insecure_test_key(512);
  const PublicKey key = secret.public_key();
  const Integer n(key.modulus_limbs());
  const Integer n2 = n * n;
  const std::size_t width = key.ciphertext_bytes();
  const SecretBytes file = secret.serialize();
  Bytes p_bytes = copy_of(file.bytes().subspan(file.size() - 32 - 64, 32));
  std::reverse(p_bytes.begin(), p_bytes.end());
  std::vector<std::uint64_t> p_limbs;
  for (std::size_t at = 0; at < p_bytes.size(); at += 8) p_limbs.push_back(read_le64(p_bytes, at));
  const Integer p{Span(p_limbs)};

  const auto parse_second = [&](const Integer& c) {
    Bytes blob = Integer(1).bytes(width);
    const Bytes second = c.bytes(width);
    blob.insert(blob.end(), second.begin(), second.end());
    return key.parse_ciphertexts(blob, 2);
  };
  CHECK(parse_second(n2 - Integer(1)).size() == 2);
  CHECK(parse_second(n + Integer(1)).size() == 2);
  for (const Integer& bad : {Integer(0), n, n2, n2 + Integer(1), p, p * Integer(2), n * Integer(5),
                             p * p, Integer::power_of_two(8 * width) - Integer(1)}) {
    CHECK_THROWS_WITH_AS((void)parse_second(bad), doctest::Contains("ciphertext 1"), CryptoError);
  }

  // The one that is not a unit is named wherever it stands, in small batches and large.
  for (const std::size_t count : {1, 7, 8, 9, 17, 40}) {
    for (const std::size_t bad : {std::size_t{0}, count / 2, count - 1}) {
      Bytes batch;
      for (std::size_t i = 0; i < count; ++i) {
        const Bytes c =
            (i == bad ? p * Integer(6) : Integer(static_cast<long>(i) + 2)).bytes(width);
        batch.insert(batch.end(), c.begin(), c.end());
      }
      const std::string message = "ciphertext " + std::to_string(bad) + " is not a unit";
      CHECK_THROWS_WITH_AS((void)key.parse_ciphertexts(batch, count), message.c_str(), CryptoError);
    }
  }

  const Bytes blob = Integer(7).bytes(width);
  CHECK(key.serialize_ciphertexts(key.parse_ciphertexts(blob, 1)) == blob);
  CHECK_THROWS_AS((void)key.parse_ciphertexts(blob, 2), CryptoError);
  CHECK_THROWS_AS((void)key.parse_ciphertexts(blob, 0), CryptoError);
  CHECK_THROWS_AS((void)key.parse_ciphertexts(ByteView(blob).first(width - 1), 1), CryptoError);
  CHECK_THROWS_AS((void)key.parse_ciphertexts(blob, (std::size_t{1} << 63) / width * 2 + 1),
                  CryptoError);
  CHECK(key.parse_ciphertexts({}, 0).size() == 0);
}

}  // namespace
}  // namespace blindsum::crypto
