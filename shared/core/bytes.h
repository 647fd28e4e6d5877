// Byte sequences and their hexadecimal form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blindsum {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// as_bytes views the characters of `text` as bytes. The view lives as long as the text.
[[nodiscard]] ByteView as_bytes(std::string_view text);

// to_hex writes two lower-case digits a byte.
[[nodiscard]] std::string to_hex(ByteView bytes);

// from_hex reads what to_hex writes, either case. Throws DecodeError for an odd length or another
// character.
[[nodiscard]] Bytes from_hex(std::string_view hex);

// append_le32 and append_le64 append `value` in little-endian order.
void append_le32(Bytes& out, std::uint32_t value);
void append_le64(Bytes& out, std::uint64_t value);

// read_le32 and read_le64 read at `offset`. Throws DecodeError when the bytes end before.
[[nodiscard]] std::uint32_t read_le32(ByteView bytes, std::size_t offset);
[[nodiscard]] std::uint64_t read_le64(ByteView bytes, std::size_t offset);

}  // namespace blindsum
