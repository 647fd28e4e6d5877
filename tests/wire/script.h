// A session made of lambdas, for the tests of the links.
#pragma once

#include <functional>

#include "shared/wire/session.h"

namespace blindsum::wire::test {

// Script calls what is set and ignores the rest; it has finished when `done` is.
struct Script : Session {
  std::function<void(MessageSink&)> on_start;
  std::function<void(const Peer&, const Body&, MessageSink&)> on_message;
  std::function<void(MessageSink&)> on_time;
  std::optional<TimeMs> deadline;
  bool done = false;
  std::uint32_t heard = 0;

  void start(MessageSink& sink) override {
    if (on_start) on_start(sink);
  }
  void handle(const Peer& from, const Body& body, MessageSink& sink) override {
    if (on_message) on_message(from, body, sink);
  }
  [[nodiscard]] std::optional<TimeMs> next_deadline() const override { return deadline; }
  void on_deadline(MessageSink& sink) override {
    if (on_time) on_time(sink);
  }
  [[nodiscard]] bool finished() const override { return done; }
};

}  // namespace blindsum::wire::test
