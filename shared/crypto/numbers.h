// Between limbs and NTL's integers, for public numbers only: NTL leaves the limbs of a destroyed ZZ
// in freed memory.
#pragma once

#include <cstdint>
#include <span>

#include <NTL/ZZ.h>

#include "shared/core/bytes.h"

namespace blindsum::crypto {

[[nodiscard]] NTL::ZZ to_zz(std::span<const std::uint64_t> limbs);

// copy_to fills `limbs` with `number`, 0 <= number < 2^(64·limbs).
void copy_to(std::span<std::uint64_t> limbs, const NTL::ZZ& number);

// from_big_endian and to_big_endian: `size` bytes, most significant first.
[[nodiscard]] NTL::ZZ from_big_endian(ByteView bytes);
[[nodiscard]] Bytes to_big_endian(const NTL::ZZ& number, std::size_t size);

}  // namespace blindsum::crypto
