// One whole run of a federation under a schedule of faults, in virtual time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/protocol/schedule.h"

namespace blindsum::simulation {

// Outcome is what became of a run.
struct Outcome {
  std::string ending;  // of the key-holder: the name of a fault, or "killed"
  std::string reason;
  std::map<std::string, std::uint64_t> faults;  // that happened
  std::vector<std::string> violations;          // broken promises: none in a good run
  std::uint64_t messages = 0;
  std::uint64_t openings = 0;  // sums that were opened, again or not
  std::uint64_t refused = 0;   // of them, because they were not their contributors'
  std::uint64_t rounds = 0;    // sums that were right
  TimeMs end_ms = 0;
  bool is_resumed = false;    // after a bad end, and then without faults to a good one
  std::uint64_t unaware = 0;  // processes that did not hear of the good end
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// simulate runs `schedule`; then, if that did not end well, everything again from what the
// key-holder's disk holds and without faults, which must end well unless a sum was refused; and
// holds the promises against
// it. With `is_traced`, it prints every step. Thread-safe.
[[nodiscard]] Outcome simulate(const Schedule& schedule, bool is_traced);

}  // namespace blindsum::simulation
