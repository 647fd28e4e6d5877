// Key generation: two safe primes p = 2p' + 1, q = 2q' + 1 of equal length, top two bits set.
#pragma once

#include <cstdint>
#include <functional>

#include "shared/core/thread_pool.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum::crypto {

// KeyProgress is told now and then how the search goes: primes found (0, 1, 2) and candidates
// tested so far. Returning false ends the search with an Error ("interrupted").
using KeyProgress = std::function<bool(int primes_found, std::uint64_t candidates_tested)>;

// generate_key makes a key of `modulus_bits` from the operating system's randomness (primality
// error <= 2^-128) and tests it: encrypt, add, decrypt. Throws KeyError for a size that `policy`
// does not admit.
[[nodiscard]] SecretKey generate_key(std::size_t modulus_bits, ThreadPool& pool,
                                     KeyPolicy policy = KeyPolicy::kSecure,
                                     const KeyProgress& progress = {});

}  // namespace blindsum::crypto
