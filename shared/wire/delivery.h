// What both links do with a message; private to this folder.
#pragma once

#include <optional>
#include <string>

#include "shared/wire/codec.h"
#include "shared/wire/session.h"

namespace blindsum::wire {

// encode_within encodes `body`. Throws ConfigError when it is longer than every receiver's limit:
// such a message would vanish on the way.
[[nodiscard]] Bytes encode_within(const CodecLimits& limits, const RunId& run, const Body& body);

// deliver decodes `bytes` and lets `session` handle them, or returns why the message was refused:
// undecodable, of another run, or a ProtocolError, DecodeError or CryptoError of the session.
// IntegrityError, KeyError and all else pass through.
[[nodiscard]] std::optional<std::string> deliver(const CodecLimits& limits, const RunId& run,
                                                 const Peer& from, ByteView bytes, Session& session,
                                                 MessageSink& sink);

}  // namespace blindsum::wire
