#include "shared/wire/delivery.h"

namespace blindsum::wire {

Bytes encode_within(const CodecLimits& limits, const RunId& run, const Body& body) {
  Bytes bytes = encode({run, body});
  if (bytes.size() > limits.max_message_bytes) {
    throw ConfigError(std::string(message_name(body)) + " of " + std::to_string(bytes.size()) +
                      " bytes, the limit is " + std::to_string(limits.max_message_bytes));
  }
  return bytes;
}

std::optional<std::string> deliver(const CodecLimits& limits, const RunId& run, const Peer& from,
                                   ByteView bytes, Session& session, MessageSink& sink) {
  try {
    const Message message = decode(bytes, limits);
    if (message.run != run) {
      return std::string(message_name(message.body)) + " of run " + to_hex(message.run);
    }
    session.handle(from, message.body, sink);
    return std::nullopt;
  } catch (const IntegrityError&) {
    throw;
  } catch (const KeyError&) {
    throw;
  } catch (const ProtocolError& error) {
    return error.what();
  } catch (const DecodeError& error) {
    return error.what();
  } catch (const CryptoError& error) {
    return error.what();
  }
}

}  // namespace blindsum::wire
