// What a public key holds; private to shared/crypto.
#pragma once

#include <memory>
#include <vector>

#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

struct PublicKey::Impl {
  std::size_t bits = 0;
  Bytes modulus;                         // big-endian
  std::vector<std::uint64_t> n;          // L limbs
  std::vector<std::uint64_t> n_squared;  // 2L limbs
  Digest id{};
  std::unique_ptr<const kernels::PublicContext> context;

  // has_common_factor says whether gcd(c, n) != 1 for some of the numbers (2L limbs each).
  [[nodiscard]] bool has_common_factor(std::span<const std::uint64_t> numbers) const;
};

// fixed_base_root returns h = −x² mod n, L limbs, where x is the big-endian number made of the
// first ceil((|n| + 128) / 8) bytes of SHA-256(domain, n, 0) ‖ SHA-256(domain, n, 1) ‖ …, reduced
// mod n. Everyone gets the same h and nobody chose it. Throws KeyError when h is 1, −1 or not a
// unit.
[[nodiscard]] std::vector<std::uint64_t> fixed_base_root(const PublicKey& key);

// fixed_base returns h_s = h^n mod n², 2L limbs.
[[nodiscard]] std::vector<std::uint64_t> fixed_base(const PublicKey& key);

}  // namespace blindsum::crypto
