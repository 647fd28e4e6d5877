// Linear integrity tags: what lets the key-holder check that an opened sum is the sum of exactly
// the updates that it claims to be, each counted once and unchanged.
//
// A packed plaintext with slots u_1, u_2, … of party i carries in a field of its own
//   t_i = Σ_k a^k·u_k + m_i   mod p,   p = 2^61 - 1,
// where the multiplier a is known to all parties and the key-holder, and the mask m_i to party i
// and the key-holder; both are pseudo-random functions of the tag's context (run, round, chunk,
// key, codec, weights). Tags add up under the encryption as the slots do, so for a sum over the
// parties C the key-holder expects Σ_k a^k·U_k + Σ_C m_i. Whoever knows neither a nor the masks
// makes another sum pass with probability at most (slots + 1) / p for each try: the difference of
// two sums is a non-zero polynomial of degree <= slots in a, or holds a mask that nobody knows.
// (Wegman and Carter 1981, section 3; the linear form is that of Agrawal and Boneh, "Homomorphic
// MACs", ACNS 2009.) A party knows a: in league with the coordinator it could change slots, which
// it can do in its own update anyway, but it could not drop, repeat or scale the update of another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/core/hash.h"

namespace blindsum::crypto {

inline constexpr unsigned kTagBits = 61;
inline constexpr std::uint64_t kTagModulus = (std::uint64_t{1} << kTagBits) - 1;

// Arithmetic mod kTagModulus, on reduced operands but for tag_reduce's, in time that does not
// depend on them.
[[nodiscard]] std::uint64_t tag_reduce(std::uint64_t value);
[[nodiscard]] std::uint64_t tag_multiply(std::uint64_t a, std::uint64_t b);
[[nodiscard]] std::uint64_t tag_add(std::uint64_t a, std::uint64_t b);

// tag_multipliers returns a of each chunk, from the key that all parties and the key-holder have;
// tag_masks returns m_i of each chunk, from the key that party i shares with the key-holder. Keys
// are of 32 bytes. A mask may be used for one plaintext only: `context` must name the round.
[[nodiscard]] std::vector<std::uint64_t> tag_multipliers(ByteView group_key, const Digest& context,
                                                         std::size_t chunks);
[[nodiscard]] std::vector<std::uint64_t> tag_masks(ByteView party_key, const Digest& context,
                                                   std::size_t chunks);

}  // namespace blindsum::crypto
