// A MessageSink that keeps what a session says, with a clock that the test turns.
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "shared/wire/session.h"

namespace blindsum::test {

class RecordingSink : public wire::MessageSink {
 public:
  bool send(const wire::Peer& to, const wire::Body& body) override {
    if (unreachable.contains(to)) return false;
    sent.emplace_back(to, body);
    return true;
  }
  [[nodiscard]] wire::TimeMs now() const override { return time; }

  // take_last returns the last message of type T that was sent, if any, with its receiver, and
  // forgets all others.
  template <class T>
  std::optional<std::pair<wire::Peer, T>> take_last() {
    std::optional<std::pair<wire::Peer, T>> last;
    for (const auto& [to, body] : sent) {
      if (const auto* typed = std::get_if<T>(&body)) last = {to, *typed};
    }
    sent.clear();
    return last;
  }

  wire::TimeMs time = 1000;
  std::set<wire::Peer> unreachable;
  std::vector<std::pair<wire::Peer, wire::Body>> sent;
};

}  // namespace blindsum::test
