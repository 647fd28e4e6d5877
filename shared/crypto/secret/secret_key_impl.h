// What a secret key holds; private to shared/crypto/secret.
#pragma once

#include "shared/crypto/secret/natural.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum::crypto {

struct SecretKey::Impl {
  PublicKey public_key;
  Natural p;
  Natural q;
};

// are_far_apart says whether |p − q| is so large that Fermat's factoring of p·q is hopeless: above
// 2^(bits of p − 100), or 2^(half the bits) for the small primes of tests (FIPS 186-5, A.1.3).
[[nodiscard]] bool are_far_apart(const Natural& p, const Natural& q);

}  // namespace blindsum::crypto
