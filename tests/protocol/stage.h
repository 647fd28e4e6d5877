// What the parts of one simulated run share: the schedule, counts of what happened, a trace.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "shared/core/seeded_random.h"
#include "tests/protocol/schedule.h"

namespace blindsum::simulation {

// Killed is thrown where a process is killed. It is no std::exception: nothing in the product may
// take it for an error.
struct Killed {
  Crash crash;
};

// Stage is handed to every part of one run.
class Stage {
 public:
  Stage(const Schedule& schedule, bool is_traced)
      : schedule_(&schedule), random_(schedule.seed, "fault-stage"), is_traced_(is_traced) {}

  [[nodiscard]] const Schedule& schedule() const { return *schedule_; }
  void set_schedule(const Schedule& schedule) { schedule_ = &schedule; }
  [[nodiscard]] SeededRandom& random() { return random_; }
  [[nodiscard]] bool chance(double share) { return share > 0 && random_.uniform() < share; }

  // reach notes that `peer` has come to `point`, and throws Killed when it dies there.
  void reach(const wire::Peer& peer, Point point);

  // count notes that a fault has happened.
  void count(const std::string& fault) { ++counts_[fault]; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const { return counts_; }

  // violate notes that a promise was broken.
  void violate(const std::string& what);
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

  // trace prints a line; `what` is called only when somebody reads it.
  template <class What>
  void trace(What what) const {
    if (is_traced_) print(what());
  }

  std::function<TimeMs()> now;

 private:
  void print(const std::string& line) const;

  const Schedule* schedule_;
  SeededRandom random_;
  bool is_traced_;
  std::map<wire::Peer, std::array<std::uint32_t, kPoints>> reached_;
  std::map<std::string, std::uint64_t> counts_;
  std::vector<std::string> violations_;
};

}  // namespace blindsum::simulation
