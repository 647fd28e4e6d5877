// Bounds what one peer can make a listening socket hold; private to this folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

#include <zmq.hpp>

namespace blindsum::wire {

// ConnectionGuard ends connections that have received more than `max_bytes` since a whole message
// of theirs was last taken. libzmq stops reading when a queue holds enough whole messages, but
// gathers the frames of one message without limit before it shows any: a peer that never ends its
// message could fill the memory. The kernel counts the bytes of every connection (TCP_INFO); a
// thread of the guard looks every 50 ms, whatever the session is at. What goes over the limit is at
// most what arrives between two looks. The peer may connect again, and begins anew.
// A descriptor may have been given to another connection just before it is shut down: that one
// then has to connect again, too.
class ConnectionGuard {
 public:
  // `router` must have been made in `context` and outlive the guard; it has no other monitor.
  ConnectionGuard(zmq::context_t& context, zmq::socket_t& router, std::uint64_t max_bytes);
  ~ConnectionGuard();
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  // taken is told of every whole message: the descriptor of its connection (ZMQ_SRCFD).
  void taken(int descriptor);

  // ended returns how many connections were ended since it was last called.
  [[nodiscard]] std::uint64_t ended() { return ended_.exchange(0); }

 private:
  struct Connection {
    std::uint64_t received_before = 0;  // when a message was last taken
    bool has_taken = true;              // since the last look
  };
  void watch();
  void take_events(int timeout_ms);
  void look();

  zmq::socket_t* router_;
  zmq::socket_t events_;
  std::uint64_t max_bytes_;
  std::mutex mutex_;
  std::map<int, Connection> connections_;  // by descriptor
  std::atomic<std::uint64_t> ended_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace blindsum::wire
