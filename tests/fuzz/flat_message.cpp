#include "tests/fuzz/flat_message.h"

#include <algorithm>
#include <optional>

namespace blindsum::fuzz {
namespace {

// MessagePack's markers, as far as messages use them.
constexpr std::uint8_t kFixArray = 0x90, kFixText = 0xa0;
constexpr std::uint8_t kBin8 = 0xc4, kBin16 = 0xc5, kBin32 = 0xc6;
constexpr std::uint8_t kUint8 = 0xcc, kUint16 = 0xcd, kUint32 = 0xce;
constexpr std::uint8_t kText8 = 0xd9, kText16 = 0xda;

class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}
  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
  // number reads `width` bytes, big-endian.
  std::optional<std::uint32_t> number(std::size_t width) {
    if (rest_.size() < width) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8 | rest_[i];
    rest_ = rest_.subspan(width);
    return value;
  }
  std::optional<Bytes> bytes(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    const ByteView taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return Bytes(taken.begin(), taken.end());
  }

 private:
  ByteView rest_;
};

void append_number(Bytes& out, std::size_t value, std::size_t width) {
  for (std::size_t i = width; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace

FlatMessage::FlatMessage(ByteView encoded) {
  Reader reader(encoded);
  const auto size = reader.number(1);
  if (!size || (*size & 0xf0U) != kFixArray) return;
  while (!reader.is_at_end()) {
    const auto marker = reader.number(1);
    Field field;
    std::optional<std::uint32_t> length;
    if (*marker < 0x80) {
      field.integer = *marker;
    } else if (*marker >= kUint8 && *marker <= kUint32) {
      const auto value = reader.number(std::size_t{1} << (*marker - kUint8));
      if (!value) break;
      field.integer = *value;
    } else if (*marker >= kBin8 && *marker <= kBin32) {
      field.kind = Kind::kBytes;
      length = reader.number(std::size_t{1} << (*marker - kBin8));
    } else if ((*marker & 0xe0U) == kFixText) {
      field.kind = Kind::kText;
      length = *marker & 0x1fU;
    } else if (*marker == kText8 || *marker == kText16) {
      field.kind = Kind::kText;
      length = reader.number(std::size_t{1} << (*marker - kText8));
    } else {
      break;
    }
    if (field.kind != Kind::kInteger) {
      auto bytes = length ? reader.bytes(*length) : std::nullopt;
      if (!bytes) break;
      field.bytes = std::move(*bytes);
    }
    fields_.push_back(std::move(field));
  }
}

FlatMessage::Field* FlatMessage::at(std::size_t index) {
  return fields_.empty() ? nullptr : &fields_[fields_.size() - 1 - index % fields_.size()];
}

void FlatMessage::set(std::size_t index, std::size_t position, std::uint8_t value) {
  Field* field = at(index);
  if (field == nullptr) return;
  if (field->kind == Kind::kInteger) {
    field->integer = value;
  } else if (!field->bytes.empty()) {
    field->bytes[position % field->bytes.size()] = value;
  }
}

void FlatMessage::add(std::size_t index, std::size_t position, std::int8_t difference) {
  Field* field = at(index);
  if (field == nullptr) return;
  if (field->kind == Kind::kInteger) {
    field->integer += static_cast<std::uint32_t>(difference);
  } else if (!field->bytes.empty()) {
    field->bytes[position % field->bytes.size()] += static_cast<std::uint8_t>(difference);
  }
}

void FlatMessage::resize(std::size_t index, std::int8_t difference) {
  Field* field = at(index);
  if (field == nullptr || field->kind == Kind::kInteger) return;
  const auto size = static_cast<std::int64_t>(field->bytes.size()) + difference;
  field->bytes.resize(static_cast<std::size_t>(std::max<std::int64_t>(size, 0)));
}

void FlatMessage::take(std::size_t index, const FlatMessage& other) {
  Field* field = at(index);
  if (field == nullptr || other.fields_.empty()) return;
  *field = other.fields_[other.fields_.size() - 1 - index % other.fields_.size()];
}

void FlatMessage::remove(std::size_t index) {
  if (!fields_.empty())
    fields_.erase(fields_.end() - 1 - static_cast<long>(index % fields_.size()));
}

void FlatMessage::repeat(std::size_t index) {
  if (const Field* field = at(index)) fields_.push_back(Field(*field));
}

Bytes FlatMessage::encode() const {
  Bytes out{static_cast<std::uint8_t>(kFixArray | (fields_.size() & 0x0fU))};
  for (const Field& field : fields_) {
    if (field.kind == Kind::kInteger) {
      const std::size_t width = field.integer < 0x80      ? 0
                                : field.integer <= 0xff   ? 1
                                : field.integer <= 0xffff ? 2
                                                          : 4;
      if (width > 0) out.push_back(width == 1 ? kUint8 : width == 2 ? kUint16 : kUint32);
      append_number(out, field.integer, std::max<std::size_t>(width, 1));
      continue;
    }
    const std::size_t size = field.bytes.size();
    if (field.kind == Kind::kText && size < 32) {
      out.push_back(static_cast<std::uint8_t>(kFixText | size));
    } else {
      const std::size_t width = size <= 0xff ? 1 : size <= 0xffff ? 2 : 4;
      const std::uint8_t first = field.kind == Kind::kText ? kText8 : kBin8;
      out.push_back(static_cast<std::uint8_t>(first + (width == 1 ? 0 : width == 2 ? 1 : 2)));
      append_number(out, size, width);
    }
    out.insert(out.end(), field.bytes.begin(), field.bytes.end());
  }
  return out;
}

}  // namespace blindsum::fuzz
