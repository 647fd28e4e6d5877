// A listening role with its callers over real sockets, for the tests of ZmqLink.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <zmq.hpp>

#include "shared/wire/links.h"
#include "tests/wire/messages.h"
#include "tests/wire/script.h"

namespace blindsum::wire::test {

using Clock = std::chrono::steady_clock;

inline constexpr TimeMs kPatienceMs = 20'000;  // no test waits that long unless it fails
inline const std::atomic<bool> kNoStop{false};

inline int elapsed_ms(Clock::time_point since) {
  return static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since).count());
}

inline CurveKeyPair copy_of(const CurveKeyPair& keys) {
  return {keys.public_key, SecretBytes(std::as_const(keys.secret_key).bytes())};
}

inline std::string_view secret_of(const CurveKeyPair& keys) {
  const ByteView bytes = keys.secret_key.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// World is a listening role, the coordinator unless told otherwise, that answers every update, and
// parties that may call it.
struct World {
  explicit World(std::uint32_t parties, CodecLimits limits_in = {}, Peer self_in = kCoordinatorPeer)
      : self(self_in), coordinator_keys(make_curve_key_pair()), limits(limits_in) {
    for (std::uint32_t i = 0; i < parties; ++i) party_keys.push_back(make_curve_key_pair());
    coordinator.on_message = [this](const Peer& from, const Body& body, MessageSink& sink) {
      heard.push_back(from);
      if (const auto* update = std::get_if<EncryptedUpdate>(&body)) {
        sink.send(from, UpdateReply{update->round, AcceptResult::kAccepted});
      }
      if (++coordinator.heard == enough) coordinator.done = true;
    };
  }
  ~World() { halt(); }

  ZmqConfig server_config(const std::string& bind = "tcp://127.0.0.1:*") const {
    ZmqConfig config;
    config.self = self;
    config.run = run_id(1);
    config.keys = copy_of(coordinator_keys);
    config.bind = bind;
    config.limits = limits;
    for (std::uint32_t i = 0; i < party_keys.size(); ++i) {
      config.allowed[party_keys[i].public_key] = party_peer(i);
    }
    return config;
  }

  ZmqConfig client_config(std::uint32_t party, const CurveKeyPair& keys) const {
    ZmqConfig config;
    config.self = party_peer(party);
    config.run = run_id(1);
    config.keys = copy_of(keys);
    config.servers.push_back({self, endpoint, coordinator_keys.public_key});
    return config;
  }

  // open makes the coordinator listen, begin lets it work in its own thread.
  void open(const std::string& bind = "tcp://127.0.0.1:*") {
    server = std::make_unique<ZmqLink>(server_config(bind));
    server->on_rejected = [this](std::string_view peer, std::string_view why) {
      rejected.push_back(std::string(peer) + ": " + std::string(why));
    };
    endpoint = server->endpoint();
  }
  void begin() {
    thread = std::thread([this] { server->run(coordinator, stop); });
  }

  // halt ends the coordinator; then its fields may be read.
  void halt() {
    stop = true;
    finish();
  }
  void finish() {
    if (thread.joinable()) thread.join();
  }

  bool was_rejected(std::string_view beginning) const {
    for (const std::string& text : rejected) {
      if (text.starts_with(beginning)) return true;
    }
    return false;
  }

  Peer self;
  CurveKeyPair coordinator_keys;
  std::vector<CurveKeyPair> party_keys;
  CodecLimits limits;
  Script coordinator;
  std::uint32_t enough = 0xffffffffu;
  std::vector<Peer> heard;
  std::vector<std::string> rejected;
  std::unique_ptr<ZmqLink> server;
  std::string endpoint;
  std::atomic<bool> stop{false};
  std::thread thread;
};

// Caller is a party that says `count` updates, one after each reply, and gives up at `patience_ms`.
struct Caller : Script {
  explicit Caller(std::uint32_t count_in, TimeMs patience_ms = kPatienceMs,
                  std::size_t size_in = 5000, Peer to_in = kCoordinatorPeer)
      : count(count_in), size(size_in), to(to_in) {
    on_start = [this, patience_ms](MessageSink& sink) {
      deadline = sink.now() + patience_ms;
      sent = sink.send(to, update_of(0, size));
    };
    on_message = [this](const Peer& from, const Body& body, MessageSink& sink) {
      if (from == to && std::get<UpdateReply>(body).round == heard) ++heard;
      if (heard < count) {
        sink.send(to, update_of(heard, size));
      } else {
        done = true;
      }
    };
    on_time = [this](MessageSink&) { done = true; };
  }
  [[nodiscard]] bool served() const { return heard == count; }

  std::uint32_t count;
  std::size_t size;
  Peer to;
  bool sent = false;
};

inline bool is_served(ZmqConfig config, std::uint32_t updates = 3) {
  const Peer to = config.servers.at(0).peer;
  ZmqLink link(std::move(config));
  Caller caller(updates, kPatienceMs, 5000, to);
  link.run(caller, kNoStop);
  return caller.served();
}
inline bool is_served(const World& world, std::uint32_t party, std::uint32_t updates = 3) {
  return is_served(world.client_config(party, world.party_keys[party]), updates);
}

// RawClient is a DEALER as a hostile peer may make it.
struct RawClient {
  RawClient(zmq::context_t& context, const World& world, const CurveKeyPair* keys,
            const std::string& routing_id)
      : socket(context, zmq::socket_type::dealer) {
    socket.set(zmq::sockopt::linger, 0);
    if (!routing_id.empty()) socket.set(zmq::sockopt::routing_id, routing_id);
    if (keys != nullptr) {
      socket.set(zmq::sockopt::curve_serverkey, world.coordinator_keys.public_key);
      socket.set(zmq::sockopt::curve_publickey, keys->public_key);
      socket.set(zmq::sockopt::curve_secretkey, std::string(secret_of(*keys)));
    }
    socket.connect(world.endpoint);
  }

  void send(ByteView bytes, zmq::send_flags flags = zmq::send_flags::none) {
    socket.send(zmq::const_buffer(bytes.data(), bytes.size()), flags);
  }
  // receive waits for a message.
  [[nodiscard]] bool receive(int patience_ms) {
    socket.set(zmq::sockopt::rcvtimeo, patience_ms);
    zmq::message_t message;
    return socket.recv(message, zmq::recv_flags::none).has_value();
  }

  zmq::socket_t socket;
};

}  // namespace blindsum::wire::test
