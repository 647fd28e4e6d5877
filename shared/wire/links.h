// Links drive sessions: ZmqLink over real sockets, one session a process; MemoryLink many sessions
// in one thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shared/core/random.h"
#include "shared/wire/codec.h"
#include "shared/wire/session.h"
#include "shared/wire/traffic_log.h"

namespace blindsum::wire {

// Traffic counts what a link carried: messages as encoded, without ZeroMQ's and CURVE's own
// framing. What comes in is counted whether or not it is rejected.
struct Traffic {
  std::uint64_t messages_in = 0, messages_out = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  // Unauthenticated, undecodable, of another run or refused by the session.
  std::uint64_t rejected = 0;
};

// CurveKeyPair is a CURVE25519 key pair as ZeroMQ uses it: public key of 40 characters (Z85),
// secret key likewise.
struct CurveKeyPair {
  static constexpr std::size_t kCharacters = 40;
  std::string public_key;
  SecretBytes secret_key;
};
[[nodiscard]] CurveKeyPair make_curve_key_pair();

// curve_key_pair_of works the public key out. Throws KeyError for what is no secret key.
[[nodiscard]] CurveKeyPair curve_key_pair_of(SecretBytes secret_key);

// ZmqConfig: what a process listens on and whom it calls. Every link is CURVE-encrypted and
// mutually authenticated.
struct ZmqConfig {
  Peer self;
  RunId run{};
  CurveKeyPair keys;
  // Listening side (ROUTER), when `bind` is not empty: "tcp://127.0.0.1:*" or with a port; who may
  // connect, by public key.
  std::string bind;
  std::map<std::string, Peer> allowed;
  // Calling side: one DEALER each.
  struct Server {
    Peer peer;
    std::string endpoint;
    std::string public_key;
  };
  std::vector<Server> servers;
  CodecLimits limits;
};

// ZmqLink owns the sockets of one process. All of it runs in the thread that calls run. It listens
// as soon as it is made; clients are let in once run is at work. How peers are told apart:
// PROTOCOL.md.
class ZmqLink {
 public:
  // Throws ConfigError when an endpoint cannot be bound or is malformed.
  explicit ZmqLink(ZmqConfig config);
  ~ZmqLink();

  // endpoint is the bound endpoint with its actual port; empty when nothing is bound.
  [[nodiscard]] std::string endpoint() const;

  // run drives `session` until it has finished, then sends what is queued (for at most linger_ms)
  // and closes; or returns early, without sending, when `stop` becomes true, which it sees within
  // 100 ms when no handler is at work. Once only.
  void run(Session& session, const std::atomic<bool>& stop, int linger_ms = 2000);

  [[nodiscard]] Traffic traffic() const;

  // on_rejected is told of every message that is refused: peer (as text, "?" when unknown) and why.
  std::function<void(std::string_view, std::string_view)> on_rejected;

  // tap, when set, is shown every message as it is encoded: what is received before it is judged,
  // what is sent once it is queued.
  std::function<void(Direction, const Peer&, ByteView)> tap;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// MemoryLink runs a whole federation in one thread, in virtual time from 0: every message is
// encoded, queued, decoded and handled in order of arrival; when nothing is queued, time jumps to
// the next deadline. The same sessions, added in the same order, always run alike. At one time,
// messages go before deadlines. A send to a peer that has finished, or that was never added, is
// false, as it is for a peer that has closed its sockets.
class MemoryLink {
 public:
  explicit MemoryLink(RunId run, CodecLimits limits = {});
  ~MemoryLink();

  // Delivery is one arrival of a message, `delay_ms` after it was sent.
  struct Delivery {
    TimeMs delay_ms = 0;
    Bytes bytes;
  };

  // tamper, when set, decides what becomes of a message that was sent: nothing, one or several
  // arrivals, at once or later, with the same bytes or others. The sender sees no difference.
  std::function<std::vector<Delivery>(const Peer& from, const Peer& to, Bytes bytes)> tamper;

  // on_rejected is told of every message that is refused: who sent it and why.
  std::function<void(std::string_view, std::string_view)> on_rejected;

  // add registers a session, which must outlive the link's run. Throws ConfigError when `self` is
  // there already.
  void add(const Peer& self, Session& session);

  // run starts every session and delivers messages until all have finished, nothing can happen any
  // more, or `stop`. Returns true when all finished. Throws std::logic_error when a session asks
  // for a deadline that never moves.
  bool run(const std::atomic<bool>& stop);

  // now is the virtual time.
  [[nodiscard]] TimeMs now() const;

  [[nodiscard]] Traffic traffic(const Peer& peer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blindsum::wire
