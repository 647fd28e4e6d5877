// A TCP connection that says what it likes, for tests of what listens.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/core/bytes.h"

namespace blindsum::wire::test {

class RawTcp {
 public:
  // endpoint is "tcp://127.0.0.1:PORT".
  explicit RawTcp(const std::string& endpoint) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("no connection to " + endpoint);
    }
  }
  ~RawTcp() {
    if (fd_ >= 0) close(fd_);
  }
  RawTcp(RawTcp&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawTcp& operator=(RawTcp&&) = delete;

  // send sends what goes without waiting longer than `patience_ms`, and returns how much that was.
  std::size_t send(ByteView bytes, int patience_ms = 1000) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      pollfd item{fd_, POLLOUT, 0};
      if (poll(&item, 1, patience_ms) <= 0) break;
      const ssize_t now =
          ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (now <= 0) break;
      sent += static_cast<std::size_t>(now);
    }
    return sent;
  }

  // is_closed_within says whether the other side ends the connection; what it says is ignored.
  [[nodiscard]] bool is_closed_within(std::chrono::milliseconds time) const {
    const auto end = std::chrono::steady_clock::now() + time;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd item{fd_, POLLIN, 0};
      if (left.count() < 0 || poll(&item, 1, static_cast<int>(left.count())) <= 0) return false;
      char ignored[4096];
      if (recv(fd_, ignored, sizeof ignored, 0) <= 0) return true;
    }
  }

 private:
  int fd_;
};

// zmtp_greeting is the first 64 bytes of a ZMTP 3.x connection (ZMQ RFC 23).
[[nodiscard]] inline Bytes zmtp_greeting(const std::string& mechanism, std::uint8_t minor = 0) {
  Bytes greeting(64, 0);
  greeting[0] = 0xff;
  greeting[9] = 0x7f;
  greeting[10] = 3;
  greeting[11] = minor;
  std::copy(mechanism.begin(), mechanism.end(), greeting.begin() + 12);
  return greeting;
}

}  // namespace blindsum::wire::test
