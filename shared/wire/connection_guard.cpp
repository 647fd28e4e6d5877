#include "shared/wire/connection_guard.h"

#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>

// The kernel's own header: the C library's lacks tcpi_bytes_received.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "shared/core/error.h"

namespace blindsum::wire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kEvents = "inproc://blindsum.connections";
constexpr std::chrono::milliseconds kLookInterval{50};

// received_of returns how many bytes a TCP connection has received; nothing when it is none.
std::optional<std::uint64_t> received_of(int descriptor) {
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) {
    return std::nullopt;
  }
  return info.tcpi_bytes_received;
}

}  // namespace

ConnectionGuard::ConnectionGuard(zmq::context_t& context, zmq::socket_t& router,
                                 std::uint64_t max_bytes)
    : router_(&router), events_(context, zmq::socket_type::pair), max_bytes_(max_bytes) {
  if (zmq_socket_monitor(router.handle(), kEvents, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED) !=
      0) {
    throw Error(std::string("the connections cannot be watched: ") + zmq_strerror(errno));
  }
  events_.set(zmq::sockopt::linger, 0);
  events_.connect(kEvents);
  thread_ = std::thread([this] { watch(); });
}

ConnectionGuard::~ConnectionGuard() {
  stop_ = true;
  thread_.join();
  zmq_socket_monitor(router_->handle(), nullptr, 0);
}

void ConnectionGuard::taken(int descriptor) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(descriptor);
  if (found != connections_.end()) found->second.has_taken = true;
}

void ConnectionGuard::watch() {
  auto next = Clock::now() + kLookInterval;
  while (!stop_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now());
    take_events(static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (Clock::now() < next) continue;
    look();
    next = Clock::now() + kLookInterval;
  }
}

// take_events waits for news of connections, and takes what there is. libzmq blocks when nobody
// does.
void ConnectionGuard::take_events(int timeout_ms) {
  zmq_pollitem_t item{events_.handle(), 0, ZMQ_POLLIN, 0};
  if (zmq_poll(&item, 1, timeout_ms) <= 0) return;
  for (;;) {
    // Two frames: number of the event (16 bits) and descriptor (32 bits); the endpoint.
    zmq::message_t event, endpoint;
    if (zmq_msg_recv(event.handle(), events_.handle(), ZMQ_DONTWAIT) < 0) return;
    if (event.more()) zmq_msg_recv(endpoint.handle(), events_.handle(), 0);
    std::uint16_t number = 0;
    std::int32_t descriptor = -1;
    if (event.size() != sizeof number + sizeof descriptor) continue;
    std::memcpy(&number, event.data(), sizeof number);
    std::memcpy(&descriptor, event.data<char>() + sizeof number, sizeof descriptor);
    const std::lock_guard lock(mutex_);
    if (number == ZMQ_EVENT_ACCEPTED) {
      connections_[descriptor] = {};
    } else {
      connections_.erase(descriptor);
    }
  }
}

void ConnectionGuard::look() {
  const std::lock_guard lock(mutex_);
  for (auto at = connections_.begin(); at != connections_.end();) {
    Connection& connection = at->second;
    const auto received = received_of(at->first);
    if (!received) {
      at = connections_.erase(at);
      continue;
    }
    if (connection.has_taken) {
      connection = {*received, false};
    } else if (*received - connection.received_before > max_bytes_) {
      shutdown(at->first, SHUT_RDWR);
      ++ended_;
      at = connections_.erase(at);
      continue;
    }
    ++at;
  }
}

}  // namespace blindsum::wire
