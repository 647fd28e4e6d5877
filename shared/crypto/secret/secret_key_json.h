// The JSON form of python-paillier's command line (pheutil) for private keys.
//
//   {"kty":"DAJ","key_ops":["decrypt"],"p":"<base64url>","q":"<base64url>","pub":{…},"kid":…}
#pragma once

#include <string>
#include <string_view>

#include "shared/core/random.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum::crypto {

// secret_key_to_json ends with a newline. `kid` is a comment for the private key, `public_kid` for
// the public key in it; both must be UTF-8, or KeyError is thrown.
[[nodiscard]] SecretBytes secret_key_to_json(const SecretKey& key, std::string_view kid,
                                             std::string_view public_kid);

// PrivateKeyFile is what secret_key_from_json reads.
struct PrivateKeyFile {
  SecretKey key;
  std::string public_kid;
};

// secret_key_from_json throws KeyError, also when the public key inside is not of p and q.
// python-paillier's primes are not safe ones: `policy` says whether they are admitted.
[[nodiscard]] PrivateKeyFile secret_key_from_json(ByteView text, KeyPolicy policy);

}  // namespace blindsum::crypto
