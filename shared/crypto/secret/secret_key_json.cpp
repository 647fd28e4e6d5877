#include "shared/crypto/secret/secret_key_json.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/crypto/json_impl.h"
#include "shared/crypto/number_json.h"
#include "shared/crypto/secret/secret_key_impl.h"

namespace blindsum::crypto {
namespace {

using nlohmann::json;

// WipedJson wipes the texts of a private key when it goes. (What the parser held meanwhile it does
// not reach.)
class WipedJson {
 public:
  explicit WipedJson(json value) : value_(std::move(value)) {}
  ~WipedJson() {
    for (auto& member : value_) {
      if (!member.is_string()) continue;
      auto& text = member.get_ref<std::string&>();
      wipe(text.data(), text.size());
    }
  }
  WipedJson(const WipedJson&) = delete;
  WipedJson& operator=(const WipedJson&) = delete;

  [[nodiscard]] const json& get() const { return value_; }

 private:
  json value_;
};

std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// append writes `text` at `at` and returns the place after it.
std::uint8_t* append(std::uint8_t* at, std::string_view text) {
  return std::copy(text.begin(), text.end(), at);
}

}  // namespace

SecretBytes secret_key_to_json(const SecretKey& key, std::string_view kid,
                               std::string_view public_kid) {
  const auto prime = [](const Natural& number) {
    return to_base64url(number.to_big_endian((number.bits() + 7) / 8).bytes());
  };
  const SecretBytes p = prime(key.impl().p);
  const SecretBytes q = prime(key.impl().q);
  std::string pub = public_key_to_json(key.public_key(), public_kid);
  pub.pop_back();  // the newline
  const std::string_view head = R"({"kty": "DAJ", "key_ops": ["decrypt"], "p": ")";
  const std::string_view middle = R"(", "q": ")";
  const std::string tail = R"(", "pub": )" + pub + R"(, "kid": )" + json_text(kid) + "}\n";
  SecretBytes text(head.size() + p.size() + middle.size() + q.size() + tail.size());
  std::uint8_t* at = append(text.bytes().data(), head);
  at = append(append(at, as_text(p.bytes())), middle);
  append(append(at, as_text(q.bytes())), tail);
  return text;
}

PrivateKeyFile secret_key_from_json(ByteView text, KeyPolicy policy) {
  try {
    const WipedJson file(parse_json_object(as_text(text)));
    const json& object = file.get();
    require_text(object, "kty", "DAJ");
    (void)kid_of(object);
    const auto operations = object.find("key_ops");
    if (operations == object.end() || !operations->is_array() ||
        std::find(operations->begin(), operations->end(), json("decrypt")) == operations->end()) {
      throw DecodeError("'key_ops' must list \"decrypt\"");
    }
    if (object.contains("lambda") && !object.contains("p")) {
      throw DecodeError(
          "it holds 'lambda' and 'mu', as old versions wrote them; 'p' and 'q' are "
          "needed");
    }
    const auto pub = object.find("pub");
    if (pub == object.end() || !pub->is_object()) {
      throw DecodeError("'pub' must be the public key");
    }
    const PublicKey public_key = public_key_of(*pub, policy);
    const SecretBytes p = from_base64url(text_of(object, "p"));
    const SecretBytes q = from_base64url(text_of(object, "q"));
    PrivateKeyFile result{SecretKey::from_primes(p.bytes(), q.bytes(), policy), kid_of(*pub)};
    if (!(result.key.public_key() == public_key)) {
      throw DecodeError("'pub' is not the public key of 'p' and 'q'");
    }
    return result;
  } catch (const DecodeError& error) {
    throw KeyError(std::string("not a private key of python-paillier: ") + error.what());
  }
}

}  // namespace blindsum::crypto
