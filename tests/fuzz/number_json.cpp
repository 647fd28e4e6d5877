// Keys and numbers in JSON, and numbers in text: what is accepted is written and read again as the
// same, or agrees with strtod. The first byte chooses what the rest is.
#include "shared/crypto/number_json.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "shared/core/error.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/secret_key_json.h"
#include "tests/fuzz/target.h"
#include "tests/support/test_keys.h"

namespace {

using namespace blindsum;
using crypto::EncodedNumber;
using crypto::PlainNumber;

constexpr auto kPolicy = crypto::KeyPolicy::kInsecureInteroperable;

const crypto::SecretKey& secret() {
  static const crypto::SecretKey key = test::insecure_test_key(512);
  return key;
}

void check_public_key(std::string_view text) {
  const auto key =
      fuzz::accepted<KeyError>([&] { return crypto::public_key_from_json(text, kPolicy); });
  if (!key) return;
  fuzz::require(crypto::public_key_from_json(crypto::public_key_to_json(*key, ""), kPolicy) == *key,
                "a public key is not written as it was read");
}

void check_private_key(ByteView text) {
  const auto file =
      fuzz::accepted<KeyError>([&] { return crypto::secret_key_from_json(text, kPolicy); });
  if (!file) return;
  const SecretBytes written = crypto::secret_key_to_json(file->key, "", file->public_kid);
  const auto again = crypto::secret_key_from_json(written.bytes(), kPolicy);
  fuzz::require(std::ranges::equal(again.key.serialize().bytes(), file->key.serialize().bytes()) &&
                    again.public_kid == file->public_kid,
                "a private key is not written as it was read");
}

void check_encrypted_number(std::string_view text) {
  static ThreadPool pool(1);
  static const crypto::Encryptor encryptor(secret().public_key(), crypto::Randomizer::kFull, pool);
  static const crypto::Decryptor decryptor(secret(), pool);
  const crypto::PublicKey& key = secret().public_key();
  auto number =
      fuzz::accepted<DecodeError>([&] { return crypto::encrypted_number_from_json(key, text); });
  if (!number) return;
  const EncodedNumber opened = decryptor.decrypt(*number);
  const auto again = crypto::encrypted_number_from_json(key, crypto::to_json(*number, encryptor));
  fuzz::require(again.exponent() == opened.exponent() &&
                    decryptor.decrypt(again).plaintext() == opened.plaintext(),
                "an encrypted number is not written as it was read");
  (void)fuzz::accepted<CryptoError>([&] { return opened.to_decimal(); });
  (void)fuzz::accepted<CryptoError>([&] { return opened.to_double(); });
}

void check_text(std::string_view text) {
  const auto number = fuzz::accepted<CryptoError>([&] { return PlainNumber::parse(text); });
  if (!number) return;
  const auto encoded = fuzz::accepted<CryptoError>(
      [&] { return EncodedNumber::encode(secret().public_key(), *number); });
  if (!encoded) return;
  // strtod rounds the same digits to nearest; a whole number is exact and rounded once.
  fuzz::require(encoded->to_double() == std::strtod(std::string(text).c_str(), nullptr),
                "a number in text has another value than strtod's");
  const auto again =
      EncodedNumber::encode(secret().public_key(), PlainNumber::parse(encoded->to_decimal()),
                            crypto::EncodingOptions{{}, encoded->exponent()});
  fuzz::require(again.to_decimal() == encoded->to_decimal(), "digits change when read again");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check_public_key(text);
      break;
    case 1:
      check_private_key(rest);
      break;
    case 2:
      check_encrypted_number(text);
      break;
    default:
      check_text(text);
  }
  return 0;
}
