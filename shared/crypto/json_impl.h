// Reading JSON objects of keys and numbers. Private to shared/crypto.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "shared/core/bytes.h"
#include "shared/core/random.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

// parse_json_object throws DecodeError unless `text` is one object of at most kMaxJsonBytes, with
// no member twice and nested no deeper than a private key.
[[nodiscard]] nlohmann::json parse_json_object(std::string_view text);

// text_of returns a member that must be text. Throws DecodeError.
[[nodiscard]] const std::string& text_of(const nlohmann::json& object, const char* member);

// require_text throws DecodeError unless a member is this text.
void require_text(const nlohmann::json& object, const char* member, std::string_view expected);

// kid_of returns the comment of a key, which may be absent. Throws DecodeError unless it is text.
[[nodiscard]] std::string kid_of(const nlohmann::json& key);

// public_key_of reads the object of a public key. Throws DecodeError or KeyError.
[[nodiscard]] PublicKey public_key_of(const nlohmann::json& object, KeyPolicy policy);

// json_text quotes and escapes. Throws KeyError unless `text` is UTF-8.
[[nodiscard]] std::string json_text(std::string_view text);

// Base64url without padding (RFC 4648, section 5). from_base64url throws DecodeError.
[[nodiscard]] SecretBytes to_base64url(ByteView bytes);
[[nodiscard]] SecretBytes from_base64url(std::string_view text);

}  // namespace blindsum::crypto
