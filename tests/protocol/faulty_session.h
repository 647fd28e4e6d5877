// A process that crashes, starts again, reads slowly and loses its clock, around a session that
// knows of none of it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/wire/session.h"
#include "tests/protocol/stage.h"

namespace blindsum::simulation {

// Life is one run of a process: its session, and how to ask how that ended.
struct Life {
  std::unique_ptr<wire::Session> session;
  std::function<Fault()> fault;
  std::function<std::string()> reason;
};

// Ending is how a process came to its end.
struct Ending {
  Fault fault = Fault::kNone;
  std::string reason;
};

// FaultySession is one process of the federation for MemoryLink. It makes a new session, by its
// factory, for every life.
class FaultySession : public wire::Session {
 public:
  using Factory = std::function<Life()>;

  // Watch, where set, sees what the process says, in the life that says it, and is told when a
  // handler has come to its end.
  struct Watch {
    std::function<void(std::uint32_t life, const wire::Peer& to, const wire::Body& body)> said;
    std::function<void(const std::optional<Ending>& ending, bool was_killed)> returned;
  };

  FaultySession(const wire::Peer& self, Stage& stage, Factory factory, Watch watch);

  // accepts tells whether a message for this process can be queued now.
  [[nodiscard]] bool accepts() const;

  // kill ends this life, not from within its own work. A process that has come to its end stays so.
  void kill(const Crash& crash, TimeMs now);

  // reachable is asked whether somebody accepts messages; killed is told when this process dies.
  std::function<bool(const wire::Peer& to)> reachable;
  std::function<void(const Crash& crash, TimeMs now)> killed;

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  bool work_ahead() override;
  [[nodiscard]] bool finished() const override { return is_gone_ || ending_.has_value(); }

  // ending is empty for a process that was killed and did not come back.
  [[nodiscard]] const std::optional<Ending>& ending() const { return ending_; }
  [[nodiscard]] std::uint32_t lives() const { return lives_; }
  [[nodiscard]] TimeMs down_ms() const { return down_ms_; }

  // session is that of the last life; null when it was killed.
  [[nodiscard]] wire::Session* session() const { return life_.session.get(); }

 private:
  class Sink;
  struct Letter {
    TimeMs due = 0;
    wire::Peer from;
    wire::Body body;
  };

  template <class Work>
  void work(wire::MessageSink& sink, Work work);
  void boot(wire::MessageSink& sink);
  void read(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink);
  void set_clock(TimeMs now);
  void flush(wire::MessageSink& sink);
  [[nodiscard]] TimeMs pause_at(TimeMs now) const;

  wire::Peer self_;
  Stage* stage_;
  Factory factory_;
  Watch watch_;
  Life life_;
  std::uint32_t lives_ = 0;
  std::optional<TimeMs> wake_at_;  // it is down until then
  bool is_gone_ = false;
  std::optional<Ending> ending_;
  TimeMs skew_ = 0;
  std::vector<ClockJump> jumps_;                           // to come
  std::deque<Letter> inbox_;                               // read slowly, or kept while it was down
  std::vector<std::pair<wire::Peer, wire::Body>> outbox_;  // said since the handler was entered
  TimeMs down_ms_ = 0;
};

}  // namespace blindsum::simulation
