#include "shared/wire/connection_guard.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

// The kernel's own header: the C library's lacks tcpi_bytes_received.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "shared/core/error.h"

namespace blindsum::wire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookInterval{50};
// What a frame costs on the wire beside its content, at most: ZMTP's header and CURVE's.
constexpr std::uint64_t kFrameOverheadBytes = 9 + 33;
// What comes without being a message, such as heartbeats, from one look to the next.
constexpr std::uint64_t kOtherBytes = 16;

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

ConnectionGuard::~ConnectionGuard() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  for (void* socket : sockets_) zmq_socket_monitor(socket, nullptr, 0);
}

void ConnectionGuard::add(zmq::context_t& context, zmq::socket_t& socket) {
  const std::string address = "inproc://blindsum.connections." + std::to_string(sockets_.size());
  if (zmq_socket_monitor(socket.handle(), address.c_str(),
                         ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED) != 0) {
    throw Error(std::string("connections cannot be watched: ") + zmq_strerror(errno));
  }
  sockets_.push_back(socket.handle());
  zmq::socket_t& events = events_.emplace_back(context, zmq::socket_type::pair);
  events.set(zmq::sockopt::linger, 0);
  events.connect(address);
}

void ConnectionGuard::start() {
  thread_ = std::thread([this] { watch(); });
}

void ConnectionGuard::taken(int descriptor, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(descriptor);
  if (found != taken_.end()) found->second += bytes + kFrameOverheadBytes;
}

void ConnectionGuard::watch() {
  auto next = Clock::now() + kLookInterval;
  while (!stop_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    take_events(static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (Clock::now() < next) continue;
    look();
    next = Clock::now() + kLookInterval;
  }
}

// take_events waits for news of connections, and takes what there is. libzmq blocks when nobody
// does.
void ConnectionGuard::take_events(int timeout_ms) {
  std::vector<zmq_pollitem_t> items;
  for (zmq::socket_t& events : events_) items.push_back({events.handle(), 0, ZMQ_POLLIN, 0});
  if (zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms) <= 0) return;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if ((items[i].revents & ZMQ_POLLIN) != 0) take_event(events_[i]);
  }
}

// take_event takes one: two frames, number (16 bits) and descriptor (32 bits), and the endpoint.
void ConnectionGuard::take_event(zmq::socket_t& events) {
  zmq::message_t event, endpoint;
  if (zmq_msg_recv(event.handle(), events.handle(), ZMQ_DONTWAIT) < 0) return;
  if (event.more()) zmq_msg_recv(endpoint.handle(), events.handle(), 0);
  std::uint16_t number = 0;
  std::int32_t descriptor = -1;
  if (event.size() != sizeof number + sizeof descriptor) return;
  std::memcpy(&number, event.data(), sizeof number);
  std::memcpy(&descriptor, event.data<char>() + sizeof number, sizeof descriptor);
  const std::lock_guard lock(mutex_);
  if (number == ZMQ_EVENT_DISCONNECTED) {
    taken_.erase(descriptor);
  } else {
    taken_[descriptor] = 0;
  }
}

void ConnectionGuard::look() {
  const std::lock_guard lock(mutex_);
  for (auto at = taken_.begin(); at != taken_.end();) {
    const auto received = received_of(at->first);
    if (!received) {
      at = taken_.erase(at);
      continue;
    }
    // Frames may cost less than they are counted for: nobody gains a credit by that.
    at->second = std::min(*received, at->second + kOtherBytes);
    if (*received - at->second > max_bytes_) {
      shutdown(at->first, SHUT_RDWR);
      ++ended_;
      at = taken_.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace blindsum::wire
