// What encoded and encrypted numbers share. Private to shared/crypto.
#pragma once

#include <cstdint>

#include "shared/crypto/encoded_number.h"
#include "shared/crypto/integer.h"

namespace blindsum::crypto {

// max_int returns floor(n/3) − 1, the largest magnitude of an encoded number.
[[nodiscard]] Integer max_int(const PublicKey& key);

// check_exponent throws CryptoError above kMaxExponent, check_decrease also when `to` is above
// `from`.
void check_exponent(std::int64_t exponent);
void check_decrease(std::int32_t from, std::int32_t to);

}  // namespace blindsum::crypto
