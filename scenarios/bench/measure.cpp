#include "scenarios/bench/measure.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>

#include <benchmark/benchmark.h>
#include <sched.h>

#include "shared/core/error.h"

namespace blindsum::bench {
namespace {

// Collector keeps the repetitions of every benchmark.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(bool is_wall_clock) : is_wall_clock_(is_wall_clock) {}

  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      Timing& timing = timings_[run.run_name.function_name];
      const double total = is_wall_clock_ ? run.real_accumulated_time : run.cpu_accumulated_time;
      timing.seconds.push_back(total / static_cast<double>(run.iterations));
      timing.calls = run.iterations;
    }
  }
  [[nodiscard]] const Timing& timing(const std::string& name) const { return timings_.at(name); }

 private:
  bool is_wall_clock_;
  std::map<std::string, Timing> timings_;
};

void initialize_library() {
  static const bool is_done = [] {
    std::string name = "blindsum-bench";
    std::string interleave = "--benchmark_enable_random_interleaving=true";
    char* arguments[] = {name.data(), interleave.data(), nullptr};
    int count = 2;
    benchmark::Initialize(&count, arguments);
    return true;
  }();
  (void)is_done;
}

}  // namespace

std::vector<Timing> measure(const std::vector<Case>& cases, const Effort& effort) {
  if (cases.empty()) return {};
  initialize_library();
  benchmark::ClearRegisteredBenchmarks();
  std::vector<std::function<void()>> calls;
  calls.reserve(cases.size());
  for (const Case& c : cases) {
    const auto& call = calls.emplace_back(c.prepare());
    auto* const benchmark =
        benchmark::RegisterBenchmark(c.name().c_str(), [&call](benchmark::State& state) {
          for (auto _ : state) call();
        });
    benchmark->Repetitions(effort.repetitions);
    if (c.varies) {
      benchmark->Iterations(1);
    } else {
      benchmark->MinTime(effort.seconds_each);
    }
    if (effort.is_wall_clock) benchmark->UseRealTime();
  }
  Collector collector(effort.is_wall_clock);
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  benchmark::ClearRegisteredBenchmarks();
  std::vector<Timing> timings;
  timings.reserve(cases.size());
  for (const Case& c : cases) timings.push_back(collector.timing(c.name()));
  return timings;
}

std::vector<int> pin_to_processors(std::size_t count) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    throw Error(std::string("sched_getaffinity: ") + std::strerror(errno));
  }
  std::vector<int> chosen;
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && chosen.size() < count; --cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_SET(cpu, &wanted);
    chosen.insert(chosen.begin(), cpu);
  }
  if (chosen.size() < count) {
    throw ConfigError(std::to_string(count) + " threads, but this process may use only " +
                      std::to_string(chosen.size()) + " processors");
  }
  if (sched_setaffinity(0, sizeof wanted, &wanted) != 0) {
    throw Error(std::string("sched_setaffinity: ") + std::strerror(errno));
  }
  return chosen;
}

}  // namespace blindsum::bench
