#include "tests/protocol/faulty_session.h"

#include <algorithm>

namespace blindsum::simulation {
namespace {

// ZeroMQ's high-water mark, as the product sets it.
constexpr std::size_t kQueueLength = 16;

}  // namespace

// Sink shows a session the clock of its process, and keeps what it says until its handler returns.
class FaultySession::Sink : public wire::MessageSink {
 public:
  Sink(FaultySession& process, wire::MessageSink& link) : process_(process), link_(link) {}

  bool send(const wire::Peer& to, const wire::Body& body) override {
    Stage& stage = *process_.stage_;
    stage.reach(process_.self_, Point::kSending);
    if (process_.watch_.said) process_.watch_.said(process_.lives_ - 1, to, body);
    for (const FullQueue& full : stage.schedule().full_queues) {
      if (full.peer == process_.self_ && full.when.has(link_.now()) && stage.chance(full.share)) {
        stage.count("full queue");
        stage.trace([&] {
          return to_string(process_.self_) + " cannot queue " + std::string(message_name(body)) +
                 " for " + to_string(to);
        });
        return false;
      }
    }
    if (!process_.reachable(to)) return false;
    process_.outbox_.emplace_back(to, body);
    return true;
  }

  [[nodiscard]] TimeMs now() const override { return link_.now() + process_.skew_; }

 private:
  FaultySession& process_;
  wire::MessageSink& link_;
};

FaultySession::FaultySession(const wire::Peer& self, Stage& stage, Factory factory, Watch watch)
    : self_(self), stage_(&stage), factory_(std::move(factory)), watch_(std::move(watch)) {
  for (const ClockJump& jump : stage.schedule().clock_jumps) {
    if (jump.peer == self) jumps_.push_back(jump);
  }
  std::sort(jumps_.begin(), jumps_.end(),
            [](const ClockJump& a, const ClockJump& b) { return a.at < b.at; });
}

bool FaultySession::accepts() const {
  if (finished()) return false;
  if (wake_at_ && stage_->schedule().while_down == Schedule::WhileDown::kRefused) return false;
  return inbox_.size() < kQueueLength;
}

TimeMs FaultySession::pause_at(TimeMs now) const {
  TimeMs pause = 0;
  for (const SlowReader& slow : stage_->schedule().slow_readers) {
    if (slow.peer == self_ && slow.when.has(now)) pause = std::max(pause, slow.pause_ms);
  }
  return pause;
}

void FaultySession::set_clock(TimeMs now) {
  while (!jumps_.empty() && jumps_.front().at <= now) {
    skew_ += jumps_.front().by_ms;
    stage_->count("clock jump");
    stage_->trace([&] {
      return "the clock of " + to_string(self_) + " jumps by " +
             std::to_string(jumps_.front().by_ms) + " ms";
    });
    jumps_.erase(jumps_.begin());
  }
}

void FaultySession::flush(wire::MessageSink& sink) {
  for (const auto& [to, body] : std::exchange(outbox_, {})) sink.send(to, body);
}

// work runs a piece of the session's work, and whatever may become of the process meanwhile.
template <class Work>
void FaultySession::work(wire::MessageSink& sink, Work work) {
  Sink inner(*this, sink);
  bool was_killed = false;
  try {
    stage_->reach(self_, Point::kHandling);
    try {
      work(inner);
    } catch (const IntegrityError&) {
      throw;
    } catch (const KeyError&) {
      throw;
    } catch (const ProtocolError& error) {
      stage_->trace([&] { return to_string(self_) + " refuses: " + error.what(); });
    } catch (const DecodeError& error) {
      stage_->trace([&] { return to_string(self_) + " refuses: " + error.what(); });
    } catch (const CryptoError& error) {
      stage_->trace([&] { return to_string(self_) + " refuses: " + error.what(); });
    }
    stage_->reach(self_, Point::kHandled);
    if (life_.session && life_.session->finished()) ending_ = {life_.fault(), life_.reason()};
  } catch (const Killed& death) {
    was_killed = true;
    stage_->trace([&] {
      return to_string(self_) + " dies " + std::string(to_string(death.crash.point)) +
             (death.crash.loses_sends && !outbox_.empty()
                  ? ", " + std::to_string(outbox_.size()) + " messages lost"
                  : "");
    });
    if (death.crash.loses_sends) outbox_.clear();
    kill(death.crash, sink.now());
    killed(death.crash, sink.now());
  } catch (const std::exception& error) {
    ending_ = {fault_of(error), error.what()};
  }
  flush(sink);
  if (ending_) {
    stage_->trace([&] {
      return to_string(self_) + " ends: " + std::string(to_string(ending_->fault)) + ' ' +
             ending_->reason;
    });
  }
  if (watch_.returned) watch_.returned(ending_, was_killed);
}

void FaultySession::kill(const Crash& crash, TimeMs now) {
  if (finished() || wake_at_) return;
  stage_->count("kill " +
                (self_.role == wire::Role::kParty ? std::string("party") : to_string(self_)) +
                (crash.comes_back ? "" : " for good"));
  stage_->trace([&] { return to_string(self_) + " is killed"; });
  life_ = {};
  inbox_.clear();
  is_gone_ = !crash.comes_back;
  if (!crash.comes_back) return;
  wake_at_ = now + crash.down_ms;
  down_ms_ += crash.down_ms;
}

void FaultySession::boot(wire::MessageSink& sink) {
  wake_at_.reset();
  stage_->trace([&] { return to_string(self_) + " starts, life " + std::to_string(lives_); });
  ++lives_;
  work(sink, [&](wire::MessageSink& inner) {
    life_ = factory_();
    life_.session->start(inner);
  });
}

void FaultySession::start(wire::MessageSink& sink) {
  for (const LateStart& late : stage_->schedule().late_starts) {
    if (late.peer == self_) wake_at_ = std::max(wake_at_.value_or(0), late.at);
  }
  if (!wake_at_) return boot(sink);
  stage_->count("late start");
  down_ms_ += *wake_at_;
}

void FaultySession::read(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  stage_->trace([&] {
    return to_string(self_) + " reads " + std::string(message_name(body)) + " of " +
           to_string(from);
  });
  work(sink, [&](wire::MessageSink& inner) { life_.session->handle(from, body, inner); });
}

void FaultySession::handle(const wire::Peer& from, const wire::Body& body,
                           wire::MessageSink& sink) {
  set_clock(sink.now());
  const TimeMs pause = pause_at(sink.now());
  if (wake_at_) {
    stage_->count("message for a process that is down");
    if (stage_->schedule().while_down != Schedule::WhileDown::kKept) return;
    if (inbox_.size() < kQueueLength) inbox_.push_back({*wake_at_, from, body});
  } else if (pause > 0 || !inbox_.empty()) {
    stage_->count("message read slowly");
    const TimeMs begin = inbox_.empty() ? sink.now() : std::max(sink.now(), inbox_.back().due);
    inbox_.push_back({begin + pause, from, body});
  } else {
    read(from, body, sink);
  }
}

std::optional<wire::TimeMs> FaultySession::next_deadline() const {
  if (wake_at_) return wake_at_;
  std::optional<wire::TimeMs> next = life_.session->next_deadline();
  if (next) *next -= skew_;
  const auto take = [&](TimeMs time) { next = next ? std::min(*next, time) : time; };
  if (!inbox_.empty()) take(inbox_.front().due);
  if (!jumps_.empty()) take(jumps_.front().at);
  return next;
}

void FaultySession::on_deadline(wire::MessageSink& sink) {
  const TimeMs now = sink.now();
  set_clock(now);
  if (wake_at_) {
    if (now >= *wake_at_) boot(sink);
    return;
  }
  if (!inbox_.empty() && inbox_.front().due <= now) {
    const Letter letter = std::move(inbox_.front());
    inbox_.pop_front();
    return read(letter.from, letter.body, sink);
  }
  const auto deadline = life_.session->next_deadline();
  if (deadline && *deadline - skew_ <= now) {
    work(sink, [&](wire::MessageSink& inner) { life_.session->on_deadline(inner); });
  }
}

bool FaultySession::work_ahead() {
  return !wake_at_ && life_.session && life_.session->work_ahead();
}

}  // namespace blindsum::simulation
