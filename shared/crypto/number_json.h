// The JSON forms of python-paillier's command line (pheutil) for public keys and encrypted numbers.
// Either program reads what the other writes.
//
//   public key        {"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"<base64url>","kid":…}
//   encrypted number  {"v":"<ciphertext, decimal>","e":<exponent>}
//
// Numbers in base64url are big-endian, without padding. Other members are ignored, as a JWK's are;
// a member given twice, nesting and more than kMaxJsonBytes are refused.
#pragma once

#include <string>
#include <string_view>

#include "shared/crypto/encrypted_number.h"

namespace blindsum::crypto {

inline constexpr std::size_t kMaxJsonBytes = 65536;

// public_key_to_json ends with a newline. `kid` is a comment; it must be UTF-8, or KeyError is
// thrown.
[[nodiscard]] std::string public_key_to_json(const PublicKey& key, std::string_view kid);
// public_key_from_json throws KeyError.
[[nodiscard]] PublicKey public_key_from_json(std::string_view text, KeyPolicy policy);

// to_json releases the number (EncryptedNumber::release) and ends with a newline.
[[nodiscard]] std::string to_json(EncryptedNumber& number, const Encryptor& encryptor);
// encrypted_number_from_json throws DecodeError unless the ciphertext is a unit, 0 < v < n², and
// the exponent is at most kMaxExponent in magnitude.
[[nodiscard]] EncryptedNumber encrypted_number_from_json(const PublicKey& key,
                                                         std::string_view text);

}  // namespace blindsum::crypto
