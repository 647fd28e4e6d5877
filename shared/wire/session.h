// A role without sockets: a state machine that is told what happened and says what to send.
#pragma once

#include <chrono>
#include <optional>

#include "shared/core/error.h"
#include "shared/wire/messages.h"

namespace blindsum::wire {

// Clock of a session: monotonic, in milliseconds from any origin. Virtual time over MemoryLink.
using TimeMs = std::int64_t;

// MessageSink is where a session puts what it wants to say, and where it asks for the time.
class MessageSink {
 public:
  virtual ~MessageSink() = default;

  // send queues `body` for `to` and returns true, or returns false when `to` is not connected or
  // its queue is full: then nothing was queued. Never blocks.
  virtual bool send(const Peer& to, const Body& body) = 0;
  [[nodiscard]] virtual TimeMs now() const = 0;
};

// own_work runs a session's own work within handle and returns its result. A ProtocolError,
// DecodeError or CryptoError of it becomes an Error, which ends the role: no peer is to blame. A
// KeyError stays what it is.
template <class Work>
auto own_work(const Work& work) {
  try {
    return work();
  } catch (const KeyError&) {
    throw;
  } catch (const ProtocolError& error) {
    throw Error(error.what());
  } catch (const DecodeError& error) {
    throw Error(error.what());
  } catch (const CryptoError& error) {
    throw Error(error.what());
  }
}

// Session is one role's part in one run. The driver calls start once, then handle, on_deadline
// and work_ahead in any order, all from one thread, until finished.
class Session {
 public:
  virtual ~Session() = default;
  virtual void start(MessageSink& sink) = 0;

  // handle takes one message of the authenticated peer `from`. A ProtocolError, DecodeError or
  // CryptoError means that the message was bad and the session is as it was: the driver counts it,
  // warns, and goes on. Other exceptions end the run. What the session itself cannot do is not the
  // peer's fault: see own_work.
  virtual void handle(const Peer& from, const Body& body, MessageSink& sink) = 0;

  // next_deadline is when on_deadline wants to be called, if ever.
  [[nodiscard]] virtual std::optional<TimeMs> next_deadline() const = 0;
  virtual void on_deadline(MessageSink& sink) = 0;

  // work_ahead does a small piece (about a millisecond) of work that will be needed later, and
  // returns whether there is more. The driver calls it when there is nothing to receive; what it
  // does may not be seen from outside.
  virtual bool work_ahead() { return false; }

  [[nodiscard]] virtual bool finished() const = 0;
};

}  // namespace blindsum::wire
