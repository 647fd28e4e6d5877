#include "shared/crypto/number_json.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include <sodium.h>

#include "shared/core/error.h"
#include "shared/crypto/encoded_number_impl.h"
#include "shared/crypto/integer.h"
#include "shared/crypto/json_impl.h"

namespace blindsum::crypto {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 3;  // the list of "key_ops" of the public key in a private one
constexpr int kBase64Variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

}  // namespace

json parse_json_object(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    throw DecodeError("more than " + std::to_string(kMaxJsonBytes) + " bytes");
  }
  std::vector<std::set<std::string>> members;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= kMaxDepth) throw DecodeError("nested too deeply");
    }
    if (event == json::parse_event_t::object_start) members.emplace_back();
    if (event == json::parse_event_t::object_end) members.pop_back();
    if (event == json::parse_event_t::key &&
        !members.back().insert(value.get<std::string>()).second) {
      throw DecodeError("'" + value.get<std::string>() + "' is given twice");
    }
    return true;
  };
  try {
    json object = json::parse(text, check);
    if (!object.is_object()) throw DecodeError("a JSON object is expected");
    return object;
  } catch (const json::exception&) {
    throw DecodeError("not JSON");
  }
}

const std::string& text_of(const json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end()) throw DecodeError(std::string("'") + member + "' is missing");
  if (!found->is_string()) throw DecodeError(std::string("'") + member + "' must be text");
  return found->get_ref<const std::string&>();
}

void require_text(const json& object, const char* member, std::string_view expected) {
  if (text_of(object, member) != expected) {
    throw DecodeError(std::string("'") + member + "' must be \"" + std::string(expected) + "\"");
  }
}

std::string kid_of(const json& key) { return key.contains("kid") ? text_of(key, "kid") : ""; }

SecretBytes to_base64url(ByteView bytes) {
  SecretBytes text(sodium_base64_encoded_len(bytes.size(), kBase64Variant));
  sodium_bin2base64(reinterpret_cast<char*>(text.bytes().data()), text.size(), bytes.data(),
                    bytes.size(), kBase64Variant);
  return SecretBytes(text.bytes().first(text.size() - 1));  // without the final 0
}

SecretBytes from_base64url(std::string_view text) {
  SecretBytes bytes(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  if (sodium_base642bin(bytes.bytes().data(), bytes.size(), text.data(), text.size(), nullptr,
                        &size, nullptr, kBase64Variant) != 0) {
    throw DecodeError("not base64url without padding");
  }
  return SecretBytes(bytes.bytes().first(size));
}

std::string json_text(std::string_view text) {
  try {
    return json(text).dump();
  } catch (const json::exception&) {
    throw KeyError("the comment of a key must be UTF-8");
  }
}

PublicKey public_key_of(const json& object, KeyPolicy policy) {
  require_text(object, "kty", "DAJ");
  require_text(object, "alg", "PAI-GN1");
  (void)kid_of(object);
  const std::string& n = text_of(object, "n");
  try {
    return PublicKey::from_modulus(from_base64url(n).bytes(), policy);
  } catch (const DecodeError& error) {
    throw DecodeError(std::string("'n' is ") + error.what());
  }
}

std::string public_key_to_json(const PublicKey& key, std::string_view kid) {
  const SecretBytes n = to_base64url(key.modulus());
  return R"({"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": ")" +
         std::string(n.bytes().begin(), n.bytes().end()) + R"(", "kid": )" + json_text(kid) + "}\n";
}

PublicKey public_key_from_json(std::string_view text, KeyPolicy policy) {
  try {
    return public_key_of(parse_json_object(text), policy);
  } catch (const DecodeError& error) {
    throw KeyError(std::string("not a public key of python-paillier: ") + error.what());
  }
}

std::string to_json(EncryptedNumber& number, const Encryptor& encryptor) {
  const Integer value(number.release(encryptor)[0]);
  return R"({"v": ")" + value.to_decimal() + R"(", "e": )" + std::to_string(number.exponent()) +
         "}\n";
}

EncryptedNumber encrypted_number_from_json(const PublicKey& key, std::string_view text) {
  const json object = parse_json_object(text);
  const std::string& digits = text_of(object, "v");
  // 2^3 < 10: a number of more than bits / 3 digits is longer than n².
  if (digits.empty() || digits.size() > 2 * key.modulus_bits() / 3 + 1 ||
      !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    throw DecodeError("'v' must be a ciphertext in decimal digits, below n² of this key");
  }
  Integer value;
  mpz_set_str(value.get(), digits.c_str(), 10);
  if (value.bits() > 8 * key.ciphertext_bytes()) {
    throw DecodeError("'v' is not below n² of this key");
  }
  const auto exponent = object.find("e");
  if (exponent == object.end() || !exponent->is_number_integer()) {
    throw DecodeError("'e' must be a whole number");
  }
  const bool is_in_range = exponent->is_number_unsigned()
                               ? exponent->get<std::uint64_t>() <= kMaxExponent
                               : exponent->get<std::int64_t>() >= -kMaxExponent;
  if (!is_in_range) {
    throw DecodeError("'e' is at most " + std::to_string(kMaxExponent) + " in magnitude");
  }
  Bytes blob(key.ciphertext_bytes());
  mpz_export(blob.data(), nullptr, -1, 1, 0, 0, value.get());
  try {
    return {key, key.parse_ciphertexts(blob, 1), exponent->get<std::int32_t>()};
  } catch (const CryptoError&) {
    throw DecodeError(
        "'v' is no ciphertext of this key: it must be below n² and have no common "
        "factor with n");
  }
}

}  // namespace blindsum::crypto
