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
  std::string scenario;
  std::string parties;
  std::vector<std::string> sets;
  std::string data, out = "runs", keys;
  bool is_quiet = false, is_json = false;

  void add_to(CLI::App& verb);

  // settings reads the scenario and applies --parties and --set.
  [[nodiscard]] settings::Settings settings() const;
};

// Describe makes the text for people of a result, styled for the terminal it goes to.
using Describe = std::function<std::string(const RunOptions&, const RunResult&, const Terminal&)>;

// run_job makes a result folder named <scenario><suffix>-<time>, does `work` in it, and prints what
// `describe` makes of the result, or JSON, or nothing, as the arguments say. Returns the exit code.
[[nodiscard]] int run_job(const RunArguments& arguments, const std::string& suffix,
                          const std::function<RunResult(const RunOptions&, Progress&)>& work,
                          const Describe& describe);

}  // namespace blindsum::launcher
