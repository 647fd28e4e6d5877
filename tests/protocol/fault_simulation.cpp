// test_fault_simulation runs federations under seeded schedules of faults, over MemoryLink and in
// virtual time, and holds the promises of the protocol against every one of them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <spdlog/spdlog.h>

#include "tests/protocol/simulation.h"

namespace blindsum::simulation {
namespace {

// Tally adds up the outcomes of many runs.
struct Tally {
  std::map<std::string, std::uint64_t> endings;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> faults;  // times, runs
  std::uint64_t messages = 0, openings = 0, refused = 0, rounds = 0, unaware = 0, resumed = 0;
  double virtual_s = 0;
  std::map<std::uint64_t, std::vector<std::string>> violations;  // by seed

  void add(std::uint64_t seed, const Outcome& outcome) {
    ++endings[outcome.ending];
    for (const auto& [fault, times] : outcome.faults) {
      faults[fault].first += times;
      ++faults[fault].second;
    }
    messages += outcome.messages;
    openings += outcome.openings;
    refused += outcome.refused;
    rounds += outcome.rounds;
    resumed += outcome.is_resumed ? 1 : 0;
    unaware += outcome.unaware > 0 ? 1 : 0;
    virtual_s += static_cast<double>(outcome.end_ms) / 1000;
    if (!outcome.violations.empty()) violations[seed] = outcome.violations;
  }
};

Outcome run_seed(std::uint64_t seed, Schedule::Mistake mistake, bool is_traced) {
  Schedule schedule = make_schedule(seed);
  schedule.mistake = mistake;
  if (mistake != Schedule::Mistake::kNone) schedule.has_file_store = false;
  if (is_traced) std::printf("%s", schedule.text().c_str());
  try {
    return simulate(schedule, is_traced);
  } catch (const std::exception& error) {
    Outcome outcome;
    outcome.ending = "exception";
    outcome.violations.push_back(std::string("an exception: ") + error.what());
    return outcome;
  }
}

// Work is what a call asks for.
struct Work {
  std::uint64_t first = 1, count = 200;
  unsigned jobs = 1;
  bool is_listed = false;
  Schedule::Mistake mistake = Schedule::Mistake::kNone;
};

Tally run_seeds(const Work& work) {
  Tally tally;
  std::mutex mutex;
  std::atomic<std::uint64_t> next{0};
  const auto run_some = [&] {
    for (std::uint64_t i = next++; i < work.count; i = next++) {
      const std::uint64_t seed = work.first + i;
      Outcome outcome = run_seed(seed, work.mistake, false);
      // A seed must replay as it ran: one in a hundred is held to that.
      if (i % 100 == 0 && run_seed(seed, work.mistake, false) != outcome) {
        outcome.violations.emplace_back("it runs differently each time");
      }
      const std::lock_guard lock(mutex);
      tally.add(seed, outcome);
      if (work.is_listed) {
        std::printf("seed %lu: %s %s\n", seed, outcome.ending.c_str(), outcome.reason.c_str());
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < work.jobs; ++i) threads.emplace_back(run_some);
  run_some();
  for (std::thread& thread : threads) thread.join();
  return tally;
}

void report(const Tally& tally, const Work& work, double seconds, const std::string& program) {
  std::printf("%lu schedules from seed %lu: %.0f s of virtual time, %lu messages, in %.1f s\n",
              work.count, work.first, tally.virtual_s, tally.messages, seconds);
  std::printf("how the key-holder ended:\n");
  for (const auto& [ending, runs] : tally.endings) {
    std::printf("  %-36s %8lu runs\n", ending.c_str(), runs);
  }
  std::printf("  %-36s %8lu runs\n", "(done, and not everybody heard of it)", tally.unaware);
  std::printf("  %-36s %8lu runs\n", "(not done, and resumed to the end)", tally.resumed);
  std::printf("what went wrong:\n");
  for (const auto& [fault, times] : tally.faults) {
    std::printf("  %-36s %8lu times in %lu runs\n", fault.c_str(), times.first, times.second);
  }
  std::printf("opened: %lu sums of %lu rounds, %lu of them refused\n", tally.openings, tally.rounds,
              tally.refused);
  for (const auto& [seed, violations] : tally.violations) {
    for (const std::string& what : violations) std::printf("seed %lu: %s\n", seed, what.c_str());
    std::printf("  %s --seed %lu\n", program.c_str(), seed);
  }
  std::printf("%zu runs broke a promise\n", tally.violations.size());
}

int replay(std::uint64_t seed, Schedule::Mistake mistake) {
  const Outcome outcome = run_seed(seed, mistake, true);
  std::printf("the key-holder ended with %s %s\n", outcome.ending.c_str(), outcome.reason.c_str());
  for (const std::string& what : outcome.violations) std::printf("VIOLATION: %s\n", what.c_str());
  return outcome.violations.empty() ? 0 : 1;
}

int run(int argc, char** argv) {
  CLI::App app{"Runs federations under seeded schedules of faults and checks every promise."};
  Work work;
  work.jobs = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::uint64_t> seeds{work.first, work.count};
  std::uint64_t seed = 0;
  auto* many = app.add_option("--seeds", seeds, "The first seed, and how many")->expected(2);
  auto* one = app.add_option("--seed", seed, "Run this one and print every step")->excludes(many);
  app.add_option("--jobs", work.jobs, "Runs at a time")->check(CLI::PositiveNumber);
  app.add_flag("--list", work.is_listed, "Print how each run ended");
  const std::map<std::string, Schedule::Mistake> mistakes{
      {"forgetful-store", Schedule::Mistake::kForgetfulStore},
      {"low-quorum", Schedule::Mistake::kLowQuorum}};
  app.add_option("--mistake", work.mistake,
                 "Build a mistake in; then a run is good when promises are seen to be broken")
      ->transform(CLI::CheckedTransformer(mistakes));
  CLI11_PARSE(app, argc, argv);
  work.first = seeds[0];
  work.count = seeds[1];
  spdlog::set_level(spdlog::level::off);
  if (*one) return replay(seed, work.mistake);
  const auto begin = std::chrono::steady_clock::now();
  const Tally tally = run_seeds(work);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  report(tally, work, took.count(), argv[0]);
  const bool is_mistaken = work.mistake != Schedule::Mistake::kNone;
  return tally.violations.empty() == is_mistaken ? 1 : 0;
}

}  // namespace
}  // namespace blindsum::simulation

int main(int argc, char** argv) { return blindsum::simulation::run(argc, argv); }
