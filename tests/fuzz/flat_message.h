// An encoded message as its fields, for changing them one by one whatever they mean.
#pragma once

#include <vector>

#include "shared/core/bytes.h"

namespace blindsum::fuzz {

// FlatMessage reads the array of integers, byte strings and texts that every message is. What it
// cannot read has no fields. Indices count from the last field, whose number differs between
// messages, and wrap around.
class FlatMessage {
 public:
  explicit FlatMessage(ByteView encoded);

  void set(std::size_t index, std::size_t position, std::uint8_t value);
  void add(std::size_t index, std::size_t position, std::int8_t difference);
  void resize(std::size_t index, std::int8_t difference);
  void take(std::size_t index, const FlatMessage& other);
  void remove(std::size_t index);
  void repeat(std::size_t index);

  [[nodiscard]] Bytes encode() const;

 private:
  enum class Kind { kInteger, kBytes, kText };
  struct Field {
    Kind kind = Kind::kInteger;
    std::uint32_t integer = 0;
    Bytes bytes;
  };
  Field* at(std::size_t index);

  std::vector<Field> fields_;
};

}  // namespace blindsum::fuzz
