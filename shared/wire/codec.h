// The strict MessagePack codec. Format: PROTOCOL.md.
#pragma once

#include "shared/core/bytes.h"
#include "shared/wire/messages.h"

namespace blindsum::wire {

// Limits of what decode accepts; everything beyond is a DecodeError before memory is taken for it.
struct CodecLimits {
  std::size_t max_message_bytes = std::size_t{16} << 20;
  std::uint32_t max_parties = 100'000;
};

// kContributionBytes is what a contributor adds to an aggregate.
inline constexpr std::size_t kContributionBytes = 4 + sizeof(Digest) + sizeof(Signature);

[[nodiscard]] Bytes encode(const Message& message);

// decode accepts exactly what encode writes: version, type, array sizes, canonical integers, no
// trailing bytes. Throws DecodeError.
[[nodiscard]] Message decode(ByteView bytes, const CodecLimits& limits);

}  // namespace blindsum::wire
