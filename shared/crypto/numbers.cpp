#include "shared/crypto/numbers.h"

#include <algorithm>
#include <bit>

namespace blindsum::crypto {

static_assert(std::endian::native == std::endian::little);

NTL::ZZ to_zz(std::span<const std::uint64_t> limbs) {
  const auto bytes = std::as_bytes(limbs);
  return NTL::ZZFromBytes(reinterpret_cast<const unsigned char*>(bytes.data()),
                          static_cast<long>(bytes.size()));
}

void copy_to(std::span<std::uint64_t> limbs, const NTL::ZZ& number) {
  const auto bytes = std::as_writable_bytes(limbs);
  NTL::BytesFromZZ(reinterpret_cast<unsigned char*>(bytes.data()), number,
                   static_cast<long>(bytes.size()));
}

NTL::ZZ from_big_endian(ByteView bytes) {
  Bytes reversed(bytes.rbegin(), bytes.rend());
  return NTL::ZZFromBytes(reversed.data(), static_cast<long>(reversed.size()));
}

Bytes to_big_endian(const NTL::ZZ& number, std::size_t size) {
  Bytes bytes(size);
  NTL::BytesFromZZ(bytes.data(), number, static_cast<long>(size));
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

}  // namespace blindsum::crypto
