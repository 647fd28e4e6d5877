#include "shared/crypto/integrity_tag.h"

#include <utility>

#include "shared/core/key_derivation.h"

namespace blindsum::crypto {
namespace {

__extension__ using Wide = unsigned __int128;

// reduce returns `value` mod p for value < 2^122 + 2^61.
std::uint64_t reduce(Wide value) {
  const auto low = static_cast<std::uint64_t>(value) & kTagModulus;
  const auto high = static_cast<std::uint64_t>(value >> kTagBits);
  std::uint64_t sum = (low + (high & kTagModulus)) + (high >> kTagBits);
  sum = (sum & kTagModulus) + (sum >> kTagBits);
  const std::uint64_t is_reduced = (sum - kTagModulus) >> 63;  // 1 when sum < p
  return sum - (kTagModulus & (is_reduced - 1));
}

// Each value comes from 128 bits of the stream, so that it is uniform mod p to within 2^-67.
std::vector<std::uint64_t> tag_values(ByteView key, std::string_view purpose, const Digest& context,
                                      std::size_t chunks) {
  constexpr std::size_t kBytesEach = 16;
  const SecretBytes stream_key = derive_key(key, purpose, context);
  SecretBytes stream(chunks * kBytesEach);
  expand_key(stream_key.bytes(), stream.bytes());
  std::vector<std::uint64_t> values(chunks);
  for (std::size_t i = 0; i < chunks; ++i) {
    const ByteView bytes = std::as_const(stream).bytes();
    const Wide high = read_le64(bytes, i * kBytesEach + 8) >> 6;  // 122 bits in all
    values[i] = reduce(high << 64 | read_le64(bytes, i * kBytesEach));
  }
  return values;
}

}  // namespace

std::uint64_t tag_reduce(std::uint64_t value) { return reduce(value); }

std::uint64_t tag_multiply(std::uint64_t a, std::uint64_t b) {
  return reduce(static_cast<Wide>(a) * b);
}

std::uint64_t tag_add(std::uint64_t a, std::uint64_t b) { return reduce(static_cast<Wide>(a) + b); }

std::vector<std::uint64_t> tag_multipliers(ByteView group_key, const Digest& context,
                                           std::size_t chunks) {
  return tag_values(group_key, "blindsum/tag/multiplier/1", context, chunks);
}

std::vector<std::uint64_t> tag_masks(ByteView party_key, const Digest& context,
                                     std::size_t chunks) {
  return tag_values(party_key, "blindsum/tag/mask/1", context, chunks);
}

}  // namespace blindsum::crypto
