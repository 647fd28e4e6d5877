// Primality tests of secret numbers, on the kernel in use: eight powers at once where AVX-512 IFMA
// runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "shared/crypto/secret/natural.h"

namespace blindsum::crypto {

inline constexpr int kPrimalityRounds = 64;  // 4^-64 = 2^-128, whoever chose the number

// primality_lanes returns how many numbers passes_fermat takes at once, at the cost of one: 8, or 1
// on the portable kernel.
[[nodiscard]] std::size_t primality_lanes();

// passes_fermat tests 1 to primality_lanes() odd numbers above 2 of about equal length: bit i says
// whether 2^(m_i − 1) = 1 mod m_i, which nearly every composite fails. Cost: one power a number, of
// about |m| squarings mod m; the same for up to 8 of them in the lanes.
[[nodiscard]] unsigned passes_fermat(std::span<const Natural> numbers);

// is_probable_prime runs Miller and Rabin's test with base 2 and then `rounds` times with random
// bases: a composite passes with probability at most 4^-rounds (Rabin 1980, theorem 1).
[[nodiscard]] bool is_probable_prime(const Natural& number, int rounds);

// is_safe_prime says whether p and h = (p − 1)/2 are prime; a wrong yes has probability at most
// 4^-kPrimalityRounds. The rounds go to h. Given a prime h > 3, p is prime for certain when
// 2^(p − 1) = 1 mod p and 3 does not divide p (Pocklington 1914: h > sqrt(p) − 1 divides p − 1 and
// gcd(2^((p − 1)/h) − 1, p) = gcd(3, p) = 1).
[[nodiscard]] bool is_safe_prime(const Natural& p);

}  // namespace blindsum::crypto
