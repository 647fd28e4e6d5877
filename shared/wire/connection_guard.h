// Bounds what a peer can make a process hold; private to this folder.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include <zmq.hpp>

namespace blindsum::wire {

// ConnectionGuard ends connections that have received `max_bytes` more than was taken from their
// queue. It stands in for ZeroMQ's own limit on queues (ZMQ_RCVHWM), which must be off:
// - that limit counts whole messages, and libzmq gathers the frames of one without limit before it
//   shows any: a peer that never ends its message could fill the memory;
// - libzmq 4.3 aborts the process when a connection breaks, or a heartbeat is due, while its queue
//   is full (zeromq/libzmq issues 3937 and 4767): a peer could end a run by sending much and
//   hanging up.
// The kernel counts the bytes of a connection (TCP_INFO). A thread looks every 50 ms, whatever the
// session is at; what goes over the limit is at most what arrives between two looks. The peer may
// connect again, and begins anew. A descriptor may be given to another connection just before it is
// shut down: that one then has to connect again, too.
class ConnectionGuard {
 public:
  explicit ConnectionGuard(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}
  ~ConnectionGuard();
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  // add watches the connections of `socket`, which has none yet and no other monitor, was made in
  // `context` and outlives the guard. Before start.
  void add(zmq::context_t& context, zmq::socket_t& socket);
  void start();

  // taken is told of every frame: its connection (ZMQ_SRCFD) and size.
  void taken(int descriptor, std::size_t bytes);

  // ended returns how many connections were ended since it was last called.
  [[nodiscard]] std::uint64_t ended() { return ended_.exchange(0); }

 private:
  void watch();
  void take_events(int timeout_ms);
  void take_event(zmq::socket_t& events);
  void look();

  std::uint64_t max_bytes_;
  std::vector<void*> sockets_;
  std::vector<zmq::socket_t> events_;
  std::mutex mutex_;
  std::map<int, std::uint64_t> taken_;  // bytes accounted for, by descriptor
  std::atomic<std::uint64_t> ended_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace blindsum::wire
