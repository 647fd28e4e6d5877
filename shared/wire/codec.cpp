#include "shared/wire/codec.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

#include <msgpack.hpp>

namespace blindsum::wire {
namespace {

constexpr std::size_t kHeaderFields = 3;  // version, type, run id
constexpr std::size_t kMaxFields = 10;
constexpr std::size_t kMaxReasonCharacters = 200;
constexpr std::size_t kMaxReasonBytes = 256;
constexpr std::size_t kMaxHeaderBytes = 256;  // everything but bins of variable length and text

// visit_fields calls f with every field of `body`, in the order of the wire. The one description of
// the format: encode and decode both read it.
template <class BodyType, class F>
auto visit_fields(BodyType& body, F&& f) {
  using T = std::remove_const_t<BodyType>;
  if constexpr (std::is_same_v<T, Hello>) {
    return f(body.key_id, body.codec_id, body.round);
  } else if constexpr (std::is_same_v<T, RoundStart>) {
    return f(body.round, body.kind, body.weights_hash, body.tag_key, body.weights, body.statistics);
  } else if constexpr (std::is_same_v<T, RoundOpen>) {
    return f(body.round, body.kind, body.weights_hash, body.chunks, body.deadline_ms, body.awaited);
  } else if constexpr (std::is_same_v<T, EncryptedUpdate>) {
    return f(body.round, body.kind, body.key_id, body.codec_id, body.weights_hash, body.signature,
             body.payload);
  } else if constexpr (std::is_same_v<T, UpdateReply>) {
    return f(body.round, body.result);
  } else if constexpr (std::is_same_v<T, EncryptedAggregate>) {
    return f(body.round, body.kind, body.weights_hash, body.contributions, body.payload);
  } else if constexpr (std::is_same_v<T, Finish>) {
    return f(body.rounds, body.model_digest);
  } else if constexpr (std::is_same_v<T, RecordRequest>) {
    return f(body.part, body.first, body.count);
  } else if constexpr (std::is_same_v<T, EncryptedRecords>) {
    return f(body.part, body.first, body.payload);
  } else if constexpr (std::is_same_v<T, RecordLabels>) {
    return f(body.part, body.first, body.labels, body.inputs);
  } else if constexpr (std::is_same_v<T, OpenSums>) {
    return f(body.step, body.part, body.first, body.count, body.payload);
  } else if constexpr (std::is_same_v<T, OpenedSums>) {
    return f(body.step, body.values);
  } else {
    static_assert(std::is_same_v<T, Abort>);
    return f(body.fault, body.reason);
  }
}

// next_character returns the length of the UTF-8 character (RFC 3629) that starts `text`, and
// whether it may be shown; a length of 0 means that there is none.
std::pair<std::size_t, bool> next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {1, lead >= 0x20 && lead != 0x7f};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {0, false};
  std::uint32_t point = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, false};
    point = point << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  if (overlong || surrogate || point > 0x10ffff) return {0, false};
  return {length, point >= 0xa0};
}

// presentable cuts `text` to what a reason may be, and puts '?' for every byte that is not UTF-8
// and every control character: it will be shown on terminals of other hosts.
std::string presentable(std::string_view text) {
  std::string result;
  for (std::size_t characters = 0; !text.empty() && characters < kMaxReasonCharacters;
       ++characters) {
    const auto [length, shown] = next_character(text);
    const std::string_view character = shown ? text.substr(0, length) : "?";
    if (result.size() + character.size() > kMaxReasonBytes) break;
    result += character;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

// Packer writes a message to a stream in the only form that decode accepts.
template <class Stream>
class Packer {
 public:
  explicit Packer(Stream& stream) : packer_(stream) {}

  void operator()(const Message& message) {
    std::visit(
        [&](const auto& body) {
          visit_fields(body, [&](const auto&... fields) {
            packer_.pack_array(kHeaderFields + sizeof...(fields));
            field(kProtocolVersion);
            field(static_cast<std::uint32_t>(message.body.index()));
            field(message.run);
            (field(fields), ...);
          });
        },
        message.body);
  }

 private:
  void field(std::uint32_t value) { packer_.pack_uint32(value); }
  void field(RoundKind kind) { packer_.pack_uint32(static_cast<std::uint32_t>(kind)); }
  void field(RecordPart part) { packer_.pack_uint32(static_cast<std::uint32_t>(part)); }
  void field(AcceptResult result) { packer_.pack_uint32(static_cast<std::uint32_t>(result)); }
  template <std::size_t N>
  void field(const std::array<std::uint8_t, N>& bytes) {
    bin(bytes);
  }
  void field(const Bytes& bytes) { bin(bytes); }
  void field(const std::vector<std::uint32_t>& parties) {
    Bytes bytes;
    bytes.reserve(4 * parties.size());
    for (const std::uint32_t party : parties) append_le32(bytes, party);
    bin(bytes);
  }
  void field(const std::vector<Contribution>& contributions) {
    Bytes bytes;
    bytes.reserve(kContributionBytes * contributions.size());
    for (const Contribution& contribution : contributions) {
      append_le32(bytes, contribution.party);
      bytes.insert(bytes.end(), contribution.payload_hash.begin(), contribution.payload_hash.end());
      bytes.insert(bytes.end(), contribution.signature.begin(), contribution.signature.end());
    }
    bin(bytes);
  }
  void field(Fault fault) { str(to_string(fault)); }
  void field(const std::string& reason) { str(presentable(reason)); }

  void bin(ByteView bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(reinterpret_cast<const char*>(bytes.data()),
                          static_cast<std::uint32_t>(bytes.size()));
  }
  void str(std::string_view text) {
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }

  msgpack::packer<Stream> packer_;
};

class AppendStream {
 public:
  explicit AppendStream(Bytes& bytes) : bytes_(bytes) {}
  void write(const char* data, std::size_t size) { bytes_.insert(bytes_.end(), data, data + size); }

 private:
  Bytes& bytes_;
};

// CompareStream compares what is written with given bytes, without storing it.
class CompareStream {
 public:
  explicit CompareStream(ByteView expected) : rest_(expected) {}
  void write(const char* data, std::size_t size) {
    if (size == 0) return;
    equal_ = equal_ && size <= rest_.size() && std::memcmp(data, rest_.data(), size) == 0;
    if (equal_) rest_ = rest_.subspan(size);
  }
  [[nodiscard]] bool equal() const { return equal_ && rest_.empty(); }

 private:
  ByteView rest_;
  bool equal_ = true;
};

// FlatVisitor takes one array of unsigned integers, bins and strings, at most kMaxFields, and stops
// the parser at anything else. It stores views, so a hostile input costs no memory.
class FlatVisitor {
 public:
  enum class Kind { kInteger, kBin, kText };
  struct Field {
    Kind kind;
    std::uint64_t integer;
    ByteView bytes;
  };

  [[nodiscard]] std::span<const Field> fields() const { return {fields_.data(), count_}; }
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

  bool visit_positive_integer(std::uint64_t value) { return add({Kind::kInteger, value, {}}); }
  bool visit_bin(const char* data, std::uint32_t size) {
    return add({Kind::kBin, 0, as_bytes({data, size})});
  }
  bool visit_str(const char* data, std::uint32_t size) {
    if (size > kMaxReasonBytes) return refuse("a text of " + std::to_string(size) + " bytes");
    return add({Kind::kText, 0, as_bytes({data, size})});
  }
  bool start_array(std::uint32_t size) {
    if (in_array_) return refuse("a nested array");
    if (size > kMaxFields) return refuse("an array of " + std::to_string(size) + " fields");
    in_array_ = true;
    return true;
  }
  bool start_array_item() { return true; }
  bool end_array_item() { return true; }
  bool end_array() { return true; }

  bool visit_nil() { return refuse("nil"); }
  bool visit_boolean(bool) { return refuse("a boolean"); }
  bool visit_negative_integer(std::int64_t) { return refuse("a negative integer"); }
  bool visit_float32(float) { return refuse("a float"); }
  bool visit_float64(double) { return refuse("a float"); }
  bool visit_ext(const char*, std::uint32_t) { return refuse("an extension"); }
  bool start_map(std::uint32_t) { return refuse("a map"); }
  bool start_map_key() { return false; }
  bool end_map_key() { return false; }
  bool start_map_value() { return false; }
  bool end_map_value() { return false; }
  bool end_map() { return false; }
  void parse_error(std::size_t, std::size_t) { refuse("a byte that starts no value"); }
  void insufficient_bytes(std::size_t, std::size_t) { refuse("truncated"); }
  [[nodiscard]] bool referenced() const { return true; }
  void set_referenced(bool) {}

 private:
  bool add(Field field) {
    if (!in_array_) return refuse("a value outside the array");
    fields_.at(count_++) = field;
    return true;
  }
  bool refuse(std::string what) {
    if (refusal_.empty()) refusal_ = std::move(what);
    return false;
  }

  std::array<Field, kMaxFields> fields_{};
  std::size_t count_ = 0;
  bool in_array_ = false;
  std::string refusal_;
};

// FieldReader hands out the fields of a message in order, checked for type, length and range.
class FieldReader {
 public:
  FieldReader(std::span<const FlatVisitor::Field> fields, const CodecLimits& limits)
      : fields_(fields), limits_(limits) {}

  void field(std::uint32_t& value) { value = integer(0xffffffffu); }
  void field(RoundKind& kind) { kind = static_cast<RoundKind>(integer(1)); }
  void field(RecordPart& part) { part = static_cast<RecordPart>(integer(1)); }
  void field(AcceptResult& result) { result = static_cast<AcceptResult>(integer(6)); }
  template <std::size_t N>
  void field(std::array<std::uint8_t, N>& bytes) {
    const ByteView view = next(FlatVisitor::Kind::kBin, "bytes").bytes;
    if (view.size() != N) {
      fail(std::to_string(view.size()) + " bytes, expected " + std::to_string(N));
    }
    std::copy(view.begin(), view.end(), bytes.begin());
  }
  void field(Bytes& bytes) {
    const ByteView view = next(FlatVisitor::Kind::kBin, "bytes").bytes;
    bytes.assign(view.begin(), view.end());
  }
  void field(std::vector<std::uint32_t>& parties) {
    list(4, parties, [](ByteView item, std::uint32_t& party) { party = read_le32(item, 0); });
  }
  void field(std::vector<Contribution>& contributions) {
    list(kContributionBytes, contributions, [](ByteView item, Contribution& contribution) {
      contribution.party = read_le32(item, 0);
      const ByteView hash = item.subspan(4, contribution.payload_hash.size());
      const ByteView signature = item.last(contribution.signature.size());
      std::copy(hash.begin(), hash.end(), contribution.payload_hash.begin());
      std::copy(signature.begin(), signature.end(), contribution.signature.begin());
    });
  }
  void field(Fault& fault) {
    fault = fault_from_string(presentable(text()));
    if (fault == Fault::kNone) fail("an abort without a fault");
  }
  void field(std::string& reason) { reason = text(); }

 private:
  const FlatVisitor::Field& next(FlatVisitor::Kind kind, const char* name) {
    const FlatVisitor::Field& found = fields_[index_++];
    if (found.kind != kind) fail(std::string("not ") + name);
    return found;
  }
  // list reads items of `size` bytes each, ascending by party.
  template <class Item, class ReadItem>
  void list(std::size_t size, std::vector<Item>& items, ReadItem read_item) {
    ByteView rest = next(FlatVisitor::Kind::kBin, "bytes").bytes;
    if (rest.size() % size != 0) {
      fail(std::to_string(rest.size()) + " bytes, no list of items of " + std::to_string(size));
    }
    items.reserve(rest.size() / size);
    for (; !rest.empty(); rest = rest.subspan(size)) {
      Item item{};
      read_item(rest.first(size), item);
      const std::uint32_t party = party_of(item);
      if (!items.empty() && party <= party_of(items.back())) {
        fail("parties are not strictly ascending");
      }
      if (party >= limits_.max_parties) {
        fail("party " + std::to_string(party) + ", limit " + std::to_string(limits_.max_parties));
      }
      items.push_back(item);
    }
  }
  static std::uint32_t party_of(std::uint32_t party) { return party; }
  static std::uint32_t party_of(const Contribution& contribution) { return contribution.party; }
  std::uint32_t integer(std::uint32_t max) {
    const std::uint64_t value = next(FlatVisitor::Kind::kInteger, "an integer").integer;
    if (value > max) {
      fail(std::to_string(value) + " is above the maximum of " + std::to_string(max));
    }
    return static_cast<std::uint32_t>(value);
  }
  std::string text() {
    const ByteView view = next(FlatVisitor::Kind::kText, "text").bytes;
    return {view.begin(), view.end()};
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw DecodeError("message field " + std::to_string(index_ - 1) + ": " + what);
  }

  std::span<const FlatVisitor::Field> fields_;
  const CodecLimits& limits_;
  std::size_t index_ = 0;
};

template <std::size_t I = 0>
Body body_of_type(std::uint32_t type) {
  if constexpr (I < std::variant_size_v<Body>) {
    if (type == I) return Body(std::in_place_index<I>);
    return body_of_type<I + 1>(type);
  } else {
    throw DecodeError("message of unknown type " + std::to_string(type));
  }
}

std::size_t payload_size(const Body& body) {
  return std::visit(
      [](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, RoundStart>) {
          return value.weights.size() + value.statistics.size();
        } else if constexpr (std::is_same_v<T, EncryptedUpdate> ||
                             std::is_same_v<T, EncryptedRecords> || std::is_same_v<T, OpenSums>) {
          return value.payload.size();
        } else if constexpr (std::is_same_v<T, RecordLabels>) {
          return value.labels.size() + value.inputs.size();
        } else if constexpr (std::is_same_v<T, OpenedSums>) {
          return value.values.size();
        } else if constexpr (std::is_same_v<T, EncryptedAggregate>) {
          return value.payload.size() + kContributionBytes * value.contributions.size();
        } else if constexpr (std::is_same_v<T, RoundOpen>) {
          return 4 * value.awaited.size();
        } else {
          return std::size_t{0};
        }
      },
      body);
}

}  // namespace

Bytes encode(const Message& message) {
  assert(!std::holds_alternative<Abort>(message.body) ||
         std::get<Abort>(message.body).fault != Fault::kNone);
  Bytes bytes;
  bytes.reserve(payload_size(message.body) + kMaxHeaderBytes);
  AppendStream stream(bytes);
  Packer packer(stream);
  packer(message);
  return bytes;
}

Message decode(ByteView bytes, const CodecLimits& limits) {
  if (bytes.size() > limits.max_message_bytes) {
    throw DecodeError("message of " + std::to_string(bytes.size()) + " bytes, limit " +
                      std::to_string(limits.max_message_bytes));
  }
  FlatVisitor visitor;
  std::size_t end = 0;
  if (bytes.empty() ||
      !msgpack::parse(reinterpret_cast<const char*>(bytes.data()), bytes.size(), end, visitor)) {
    throw DecodeError("not a message: " + (bytes.empty() ? "no bytes" : visitor.refusal()) +
                      " at byte " + std::to_string(end) + " of " + std::to_string(bytes.size()));
  }
  if (end != bytes.size()) {
    throw DecodeError("message with " + std::to_string(bytes.size() - end) + " trailing bytes");
  }
  const auto fields = visitor.fields();
  if (fields.size() < kHeaderFields) {
    throw DecodeError("message of " + std::to_string(fields.size()) + " fields");
  }

  FieldReader reader(fields, limits);
  std::uint32_t version = 0;
  reader.field(version);
  if (version != kProtocolVersion) {
    throw DecodeError("protocol version " + std::to_string(version) + ", expected " +
                      std::to_string(kProtocolVersion));
  }
  std::uint32_t type = 0;
  reader.field(type);
  Message message{.run = {}, .body = body_of_type(type)};
  reader.field(message.run);
  std::visit(
      [&](auto& body) {
        visit_fields(body, [&](auto&... values) {
          if (fields.size() != kHeaderFields + sizeof...(values)) {
            throw DecodeError(std::string(message_name(message.body)) + " of " +
                              std::to_string(fields.size()) + " fields, expected " +
                              std::to_string(kHeaderFields + sizeof...(values)));
          }
          (reader.field(values), ...);
        });
      },
      message.body);

  CompareStream canonical(bytes);
  Packer packer(canonical);
  packer(message);
  if (!canonical.equal()) {
    throw DecodeError(std::string(message_name(message.body)) + " is not in canonical form");
  }
  return message;
}

}  // namespace blindsum::wire
