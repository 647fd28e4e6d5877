// A TCP proxy on the loopback interface whose connections can be cut, for the tests of the links.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace blindsum::wire::test {

// TcpProxy passes bytes between one client at a time and the server at `target`
// ("tcp://127.0.0.1:1234").
class TcpProxy {
 public:
  explicit TcpProxy(const std::string& target);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  [[nodiscard]] std::string endpoint() const;

  // cut closes the present connection; the next one is accepted.
  void cut() { cut_ = true; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void serve();
  void pass(int client, int server);

  std::uint16_t target_port_ = 0;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> cut_{false};
  std::atomic<bool> stop_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

}  // namespace blindsum::wire::test
