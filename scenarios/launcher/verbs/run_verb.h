// What 'blindsum run' and the verbs like it share: their options, and one job with its results.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "scenarios/launcher/run.h"
#include "scenarios/launcher/scenario.h"

namespace blindsum::launcher {

// RunArguments are the options of a verb that runs a scenario.
struct RunArguments {
  std::string scenario;  // empty: not given
  std::string parties;
  std::vector<std::string> sets;
  std::string data, out = "runs", keys;
  bool is_quiet = false, is_json = false, keeps_traffic = false;
  bool takes_any_mode = false;  // else settings refuses mode encrypted_inputs

  // add_scenario_to adds what says which run it is, add_output_to what says where its results go,
  // add_to all that a run takes.
  void add_scenario_to(CLI::App& verb);
  void add_output_to(CLI::App& verb);
  void add_to(CLI::App& verb);

  // settings reads the scenario and applies --parties and --set; overrides are these two as words
  // of a command line.
  [[nodiscard]] settings::Settings settings() const;
  [[nodiscard]] std::vector<std::string> overrides() const;

  // options are those that every kind of run has, without a folder; signals ask it to stop from
  // here on. Throws ConfigError when a path is not UTF-8.
  [[nodiscard]] RunOptions options() const;

  [[nodiscard]] Verbosity verbosity() const {
    return is_quiet || is_json ? Verbosity::kQuiet : Verbosity::kNormal;
  }
};

// Describe makes the text for people of a result, styled for the terminal it goes to.
using Describe = std::function<std::string(const RunOptions&, const RunResult&, const Terminal&)>;

// describe_run is the last block of a run that was done.
[[nodiscard]] std::string describe_run(const RunOptions& options, const RunResult& result,
                                       const Terminal& terminal);

// finish_job prints what `describe` makes of the result, or JSON, or nothing, as the arguments say,
// and what went wrong. Returns the exit code.
[[nodiscard]] int finish_job(const RunArguments& arguments, const RunOptions& options,
                             const RunResult& result, const Terminal& terminal,
                             const Describe& describe);

// run_job makes a result folder named <scenario><suffix>-<time>, does `work` in it, and
// finishes.
[[nodiscard]] int run_job(const RunArguments& arguments, const std::string& suffix,
                          const std::function<RunResult(const RunOptions&, Progress&)>& work,
                          const Describe& describe);

}  // namespace blindsum::launcher
