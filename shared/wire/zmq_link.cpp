#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <utility>

#include <zmq.hpp>

#include "shared/wire/connection_guard.h"
#include "shared/wire/delivery.h"
#include "shared/wire/links.h"

namespace blindsum::wire {
namespace {

constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";
constexpr const char* kZapDomain = "blindsum";  // libzmq asks no ZAP handler when it is empty
constexpr std::size_t kKeyCharacters = CurveKeyPair::kCharacters;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 16;

constexpr int kHighWaterMark = 16;
constexpr int kBacklog = 1024;
constexpr int kHandshakeMs = 5'000;
constexpr int kHeartbeatMs = 2'000;
constexpr int kHeartbeatTimeoutMs = 10'000;
constexpr int kKeepAliveIdleS = 10;
constexpr int kKeepAliveIntervalS = 5;
constexpr int kKeepAliveProbes = 3;
constexpr int kReconnectMs = 50;
constexpr int kMaxReconnectMs = 1'000;
// A CURVE MESSAGE command adds 33 bytes; what lies between is left to the codec to refuse.
constexpr std::size_t kCurveOverheadBytes = 64;

// What a connection may have received beside messages that wait to be taken: what lies in the
// kernel (tcp_rmem is 6 MiB at most, unless an administrator has raised it).
constexpr std::uint64_t kKernelBufferBytes = std::uint64_t{8} << 20;

constexpr int kMaxPollMs = 100;
constexpr int kMaxMessagesPerTurn = 16;
constexpr int kMaxHandshakesPerTurn = 64;

void set_curve_key(zmq::socket_t& socket, int option, std::string_view key) {
  if (zmq_setsockopt(socket.handle(), option, key.data(), key.size()) != 0) {
    throw ConfigError("not a CURVE key: " + std::to_string(key.size()) + " characters, expected " +
                      std::to_string(kKeyCharacters) + " of Z85");
  }
}

zmq::socket_t make_socket(zmq::context_t& context, zmq::socket_type type, const ZmqConfig& config) {
  zmq::socket_t socket(context, type);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize,
             static_cast<std::int64_t>(config.limits.max_message_bytes + kCurveOverheadBytes));
  socket.set(zmq::sockopt::sndhwm, kHighWaterMark);
  socket.set(zmq::sockopt::rcvhwm, 0);  // ConnectionGuard bounds what waits
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
  socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kMaxReconnectMs);
  socket.set(zmq::sockopt::zap_domain, kZapDomain);
  const ByteView secret = config.keys.secret_key.bytes();
  set_curve_key(socket, ZMQ_CURVE_PUBLICKEY, config.keys.public_key);
  set_curve_key(socket, ZMQ_CURVE_SECRETKEY,
                {reinterpret_cast<const char*>(secret.data()), secret.size()});
  return socket;
}

// A routing id is the peer's name, '/' and a nonce of its process.
std::string routing_prefix(const Peer& peer) { return to_string(peer) + '/'; }

std::string make_routing_id(const Peer& self) {
  std::array<std::uint8_t, kNonceBytes> nonce;
  fill_random(nonce);
  return routing_prefix(self) + to_hex(nonce);
}

// uninterrupted calls `f` again as long as a signal interrupts it.
template <class F>
auto uninterrupted(F&& f) {
  while (true) {
    try {
      return f();
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
  }
}

// send_frame queues one frame, or returns false when the queue is full.
bool send_frame(zmq::socket_t& socket, zmq::const_buffer frame, bool more = false) {
  const auto flags =
      zmq::send_flags::dontwait | (more ? zmq::send_flags::sndmore : zmq::send_flags::none);
  return uninterrupted([&] { return socket.send(frame, flags).has_value(); });
}

// receive_frames takes one message if there is one: its first frames, at most N, and how many it
// had. `see` is shown each of them.
template <std::size_t N, class See>
std::size_t receive_frames(zmq::socket_t& socket, std::array<zmq::message_t, N>& frames, See see) {
  std::size_t count = 0;
  zmq::message_t ignored;
  for (bool more = true; more; ++count) {
    zmq::message_t& frame = count < N ? frames[count] : ignored;
    if (!uninterrupted([&] { return socket.recv(frame, zmq::recv_flags::dontwait); })) break;
    more = frame.more();
    see(frame);
  }
  return count;
}

bool is_z85(std::uint8_t c) {
  constexpr std::string_view kOthers = ".-:+=^!/*?&<>()[]{}@%$#";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kOthers.find(static_cast<char>(c)) != std::string_view::npos;
}

ByteView view_of(const zmq::message_t& frame) { return {frame.data<std::uint8_t>(), frame.size()}; }

}  // namespace

CurveKeyPair make_curve_key_pair() {
  std::array<char, kKeyCharacters + 1> public_key{};
  std::array<char, kKeyCharacters + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    throw ConfigError("this build of ZeroMQ has no CURVE");
  }
  CurveKeyPair keys{public_key.data(), SecretBytes(as_bytes({secret_key.data(), kKeyCharacters}))};
  wipe(secret_key.data(), secret_key.size());
  return keys;
}

CurveKeyPair curve_key_pair_of(SecretBytes secret_key) {
  const ByteView secret = std::as_const(secret_key).bytes();
  std::array<char, kKeyCharacters + 1> text{};
  std::array<char, kKeyCharacters + 1> public_key{};
  const bool has_length = secret.size() == kKeyCharacters;
  if (has_length) std::copy(secret.begin(), secret.end(), text.begin());
  const bool is_key = has_length && std::all_of(secret.begin(), secret.end(), is_z85) &&
                      zmq_curve_public(public_key.data(), text.data()) == 0;
  wipe(text.data(), text.size());
  if (!is_key) {
    throw KeyError("not a CURVE secret key of " + std::to_string(kKeyCharacters) +
                   " Z85 characters");
  }
  return {public_key.data(), std::move(secret_key)};
}

struct ZmqLink::Impl : MessageSink {
  Impl(ZmqLink& link_in, ZmqConfig config_in) : link(link_in), config(std::move(config_in)) {
    guard.emplace((kHighWaterMark + 1) * (config.limits.max_message_bytes + kCurveOverheadBytes) +
                  kKernelBufferBytes);
    if (!config.bind.empty()) listen();
    for (const ZmqConfig::Server& server : config.servers) call(server);
    guard->start();
    config.keys.secret_key.clear();
  }

  void listen() {
    zap = zmq::socket_t(context, zmq::socket_type::rep);
    zap.set(zmq::sockopt::linger, 0);
    zap.bind(kZapEndpoint);
    router = make_socket(context, zmq::socket_type::router, config);
    router.set(zmq::sockopt::curve_server, true);
    router.set(zmq::sockopt::router_mandatory, true);
    router.set(zmq::sockopt::router_handover, true);
    router.set(zmq::sockopt::backlog, kBacklog);
    // Callers send heartbeats and say when their silence ends the connection. A heartbeat of this
    // side's own may hit a connection that another has taken over, which libzmq does not survive.
    router.set(zmq::sockopt::tcp_keepalive, 1);
    router.set(zmq::sockopt::tcp_keepalive_idle, kKeepAliveIdleS);
    router.set(zmq::sockopt::tcp_keepalive_intvl, kKeepAliveIntervalS);
    router.set(zmq::sockopt::tcp_keepalive_cnt, kKeepAliveProbes);
    guard->add(context, router);
    try {
      router.bind(config.bind);
    } catch (const zmq::error_t& error) {
      throw ConfigError("cannot listen on " + config.bind + ": " + error.what());
    }
    endpoint = router.get(zmq::sockopt::last_endpoint);
  }

  void call(const ZmqConfig::Server& server) {
    const auto [at, is_new] =
        dealers.emplace(server.peer, make_socket(context, zmq::socket_type::dealer, config));
    if (!is_new) throw ConfigError(to_string(server.peer) + " is configured twice");
    zmq::socket_t& socket = at->second;
    set_curve_key(socket, ZMQ_CURVE_SERVERKEY, server.public_key);
    socket.set(zmq::sockopt::routing_id, make_routing_id(config.self));
    socket.set(zmq::sockopt::probe_router, true);
    socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
    socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
    socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
    guard->add(context, socket);
    try {
      socket.connect(server.endpoint);
    } catch (const zmq::error_t& error) {
      throw ConfigError("cannot call " + to_string(server.peer) + " at '" + server.endpoint +
                        "': " + error.what());
    }
  }

  bool send(const Peer& to, const Body& body) override {
    const auto dealer = dealers.find(to);
    const auto route = routes.find(to);
    if (dealer == dealers.end() && route == routes.end()) return false;
    const Bytes bytes = encode_within(config.limits, config.run, body);
    if (dealer != dealers.end()) {
      if (!send_frame(dealer->second, zmq::buffer(bytes))) return false;
    } else if (!send_routed(route->second, bytes)) {
      return false;
    }
    ++traffic.messages_out;
    traffic.bytes_out += bytes.size();
    if (link.tap) link.tap(Direction::kOut, to, bytes);
    return true;
  }

  bool send_routed(const std::string& route, const Bytes& bytes) {
    try {
      return send_frame(router, zmq::buffer(route), true) && send_frame(router, zmq::buffer(bytes));
    } catch (const zmq::error_t& error) {
      if (error.num() == EHOSTUNREACH) return false;
      throw;
    }
  }

  [[nodiscard]] TimeMs now() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  void reject(std::string_view peer, std::string_view why) {
    ++traffic.rejected;
    if (link.on_rejected) link.on_rejected(peer, why);
  }

  // serve_zap answers one question of libzmq, whether a key may connect (ZMQ RFC 27), if there is
  // one.
  bool serve_zap() {
    enum { kVersion, kRequest, kDomain, kAddress, kIdentity, kMechanism, kCredentials, kFrames };
    std::array<zmq::message_t, kFrames> request;
    const std::size_t count = receive_frames(zap, request, [](zmq::message_t&) {});
    if (count == 0) return false;
    std::string user;
    if (count == kFrames && request[kMechanism].to_string_view() == "CURVE" &&
        request[kDomain].to_string_view() == kZapDomain &&
        request[kCredentials].size() == kKeyBytes) {
      std::array<char, kKeyCharacters + 1> key{};
      zmq_z85_encode(key.data(), request[kCredentials].data<std::uint8_t>(), kKeyBytes);
      const auto found = config.allowed.find(key.data());
      if (found != config.allowed.end()) {
        user = to_string(found->second);
      } else {
        reject("?", "key " + std::string(key.data()) + " at " + request[kAddress].to_string() +
                        " is not on the list");
      }
    } else {
      reject("?", "a connection without CURVE");
    }
    const bool known = !user.empty();
    const std::array<std::string_view, 6> reply{"1.0",
                                                request[kRequest].to_string_view(),
                                                known ? "200" : "400",
                                                known ? "OK" : "refused",
                                                user,
                                                ""};
    for (std::size_t i = 0; i < reply.size(); ++i) {
      send_frame(zap, zmq::buffer(reply[i]), i + 1 < reply.size());
    }
    return true;
  }

  // receive_counted takes one message from other processes, if there is one.
  template <std::size_t N>
  std::size_t receive_counted(zmq::socket_t& socket, std::array<zmq::message_t, N>& frames) {
    return receive_frames(socket, frames, [this](zmq::message_t& frame) {
      guard->taken(zmq_msg_get(frame.handle(), ZMQ_SRCFD), frame.size());
    });
  }

  // receive_routed handles one message from a caller, if there is one.
  bool receive_routed(Session& session) {
    std::array<zmq::message_t, 2> frames;
    const std::size_t count = receive_counted(router, frames);
    if (count == 0) return false;
    if (count != 2) {
      reject("?", "a message of " + std::to_string(count) + " frames, expected 2");
      return true;
    }
    const char* const user = zmq_msg_gets(frames[1].handle(), "User-Id");
    if (user == nullptr) {
      reject("?", "a message of an unauthenticated connection");
      return true;
    }
    const Peer from = peer_from_string(user);
    const std::string route = frames[0].to_string();
    if (!route.starts_with(routing_prefix(from))) {
      reject(to_string(from), "a message under another peer's routing id");
    } else if (frames[1].empty()) {
      routes[from] = route;
    } else {
      // After a restart of this end a caller goes on without announcing itself: its connection is
      // new, its socket is not.
      routes.emplace(from, route);
      receive(from, view_of(frames[1]), session);
    }
    return true;
  }

  // receive_called handles one message of the server `from`, if there is one.
  bool receive_called(const Peer& from, zmq::socket_t& socket, Session& session) {
    std::array<zmq::message_t, 1> frames;
    const std::size_t count = receive_counted(socket, frames);
    if (count == 0) return false;
    if (count != 1) {
      reject(to_string(from), "a message of " + std::to_string(count) + " frames, expected 1");
    } else {
      receive(from, view_of(frames[0]), session);
    }
    return true;
  }

  void receive(const Peer& from, ByteView bytes, Session& session) {
    ++traffic.messages_in;
    traffic.bytes_in += bytes.size();
    if (link.tap) link.tap(Direction::kIn, from, bytes);
    const auto refusal = deliver(config.limits, config.run, from, bytes, session, *this);
    if (refusal) reject(to_string(from), *refusal);
  }

  // drain calls `receive_one` until there is nothing left, its turn is over, or the session has
  // nothing more to hear. A deadline that passes meanwhile is not kept waiting.
  template <class ReceiveOne>
  void drain(Session& session, const std::atomic<bool>& stop, ReceiveOne&& receive_one) {
    for (int i = 0; i < kMaxMessagesPerTurn && !stop && !session.finished(); ++i) {
      if (!receive_one()) return;
      meet_deadline(session);
    }
  }

  void meet_deadline(Session& session) {
    if (session.finished()) return;
    const auto deadline = session.next_deadline();
    if (deadline && *deadline <= now()) session.on_deadline(*this);
  }

  // wait returns when a socket has something to read, a deadline is due, or it is time to look at
  // `stop`; at once when it may not `block`. Returns whether there is something to read.
  [[nodiscard]] bool wait(std::vector<zmq::pollitem_t>& items, const Session& session,
                          bool block) const {
    TimeMs timeout = block ? kMaxPollMs : 0;
    if (const auto deadline = session.next_deadline()) {
      timeout = std::clamp<TimeMs>(*deadline - now(), 0, timeout);
    }
    try {
      return zmq::poll(items, std::chrono::milliseconds(timeout)) > 0;
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
      return false;
    }
  }

  void run(Session& session, const std::atomic<bool>& stop) {
    std::vector<zmq::pollitem_t> items;
    if (router) {
      items.push_back({zap.handle(), 0, ZMQ_POLLIN, 0});
      items.push_back({router.handle(), 0, ZMQ_POLLIN, 0});
    }
    for (auto& [peer, socket] : dealers) items.push_back({socket.handle(), 0, ZMQ_POLLIN, 0});

    session.start(*this);
    bool has_work_ahead = true;
    while (!stop && !session.finished()) {
      const bool is_quiet = !wait(items, session, !has_work_ahead);
      for (std::uint64_t ended = guard->ended(); ended > 0; --ended) {
        reject("?", "more than may wait to be taken: the connection was closed");
      }
      // Messages go before deadlines, as over MemoryLink: what has arrived is not late because this
      // process was held up. Draining is bounded, so nobody can put a deadline off for ever.
      if (router) {
        for (int i = 0; i < kMaxHandshakesPerTurn && serve_zap(); ++i) {
        }
        drain(session, stop, [&] { return receive_routed(session); });
      }
      for (auto& [peer, socket] : dealers) {
        drain(session, stop, [&, &from = peer, &called = socket] {
          return receive_called(from, called, session);
        });
      }
      meet_deadline(session);
      has_work_ahead = !is_quiet || (!session.finished() && session.work_ahead());
    }
  }

  void close(int linger_ms) {
    guard.reset();
    zap.close();
    if (router) router.set(zmq::sockopt::linger, linger_ms);
    router.close();
    for (auto& [peer, socket] : dealers) socket.set(zmq::sockopt::linger, linger_ms);
    dealers.clear();
    context.close();
  }

  ZmqLink& link;
  ZmqConfig config;
  std::string endpoint;
  Traffic traffic;
  std::map<Peer, std::string> routes;  // under which a caller announced itself last
  zmq::context_t context{1};           // before the sockets: closed after them
  zmq::socket_t zap;
  zmq::socket_t router;
  std::map<Peer, zmq::socket_t> dealers;
  std::optional<ConnectionGuard> guard;  // of both; stopped before they are closed
};

ZmqLink::ZmqLink(ZmqConfig config) : impl_(std::make_unique<Impl>(*this, std::move(config))) {}
ZmqLink::~ZmqLink() = default;

std::string ZmqLink::endpoint() const { return impl_->endpoint; }

void ZmqLink::run(Session& session, const std::atomic<bool>& stop, int linger_ms) {
  if (impl_->context.handle() == nullptr) throw std::logic_error("a ZmqLink runs once");
  impl_->run(session, stop);
  impl_->close(session.finished() ? linger_ms : 0);
}

Traffic ZmqLink::traffic() const { return impl_->traffic; }

}  // namespace blindsum::wire
