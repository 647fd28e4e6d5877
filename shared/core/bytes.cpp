#include "shared/core/bytes.h"

#include "shared/core/error.h"

namespace blindsum {
namespace {

template <class Integer>
void append_le(Bytes& out, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

template <class Integer>
Integer read_le(ByteView bytes, std::size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(Integer)) {
    throw DecodeError("truncated: " + std::to_string(bytes.size()) + " bytes, an integer of " +
                      std::to_string(sizeof(Integer)) + " expected at offset " +
                      std::to_string(offset));
  }
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value |= static_cast<Integer>(bytes[offset + i]) << (8 * i);
  }
  return value;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

Bytes from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) throw DecodeError("hexadecimal text of odd length");
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_digit(hex[i]);
    const int low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) {
      throw DecodeError("not a hexadecimal digit at position " + std::to_string(i));
    }
    bytes.push_back(static_cast<std::uint8_t>(16 * high + low));
  }
  return bytes;
}

void append_le32(Bytes& out, std::uint32_t value) { append_le(out, value); }
void append_le64(Bytes& out, std::uint64_t value) { append_le(out, value); }

std::uint32_t read_le32(ByteView bytes, std::size_t offset) {
  return read_le<std::uint32_t>(bytes, offset);
}
std::uint64_t read_le64(ByteView bytes, std::size_t offset) {
  return read_le<std::uint64_t>(bytes, offset);
}

}  // namespace blindsum
