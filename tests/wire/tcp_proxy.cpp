#include "tests/wire/tcp_proxy.h"

#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace blindsum::wire::test {
namespace {

constexpr int kPollMs = 5;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// copy_some moves what one socket has to the other; false at the end of either.
bool copy_some(int from, int to) {
  std::array<char, 65536> buffer;
  const ssize_t size = recv(from, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t now =
        send(to, buffer.data() + sent, static_cast<std::size_t>(size - sent), MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += now;
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(const std::string& target)
    : target_port_(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)))) {
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, raw, size) != 0 || listen(listener_, 8) != 0 ||
      getsockname(listener_, raw, &size) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

std::string TcpProxy::endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

void TcpProxy::serve() {
  while (!stop_) {
    pollfd item{listener_, POLLIN, 0};
    if (poll(&item, 1, kPollMs) <= 0) continue;
    const int client = accept(listener_, nullptr, nullptr);
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(target_port_);
    if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      ++connections_;
      pass(client, server);
    }
    close(client);
    close(server);
  }
}

void TcpProxy::pass(int client, int server) {
  cut_ = false;
  while (!stop_ && !cut_) {
    pollfd items[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (poll(items, 2, kPollMs) <= 0) continue;
    if (items[0].revents != 0 && !copy_some(client, server)) return;
    if (items[1].revents != 0 && !copy_some(server, client)) return;
  }
}

}  // namespace blindsum::wire::test
