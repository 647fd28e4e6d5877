// Timing with Google Benchmark.
#pragma once

#include <cstdint>
#include <vector>

#include "scenarios/bench/engine.h"

namespace blindsum::bench {

// Effort says how long to measure and by which clock.
struct Effort {
  int repetitions = 5;
  double seconds_each = 0.2;   // of one repetition, at least one call
  bool is_wall_clock = false;  // wall time for several threads, otherwise the thread's CPU time
};

// Timing is what one case took: seconds per call in every repetition.
struct Timing {
  std::vector<double> seconds;
  std::int64_t calls = 0;  // in each repetition
};

// measure prepares the cases, times them with their repetitions interleaved in random order, so
// that what disturbs the machine disturbs all alike, and returns one Timing a case. Throws what a
// case throws.
[[nodiscard]] std::vector<Timing> measure(const std::vector<Case>& cases, const Effort& effort);

// pin_to_processors binds the process to `count` of the processors that it may use, the highest,
// and returns their numbers, lowest first. Throws Error when there are fewer.
std::vector<int> pin_to_processors(std::size_t count);

}  // namespace blindsum::bench
