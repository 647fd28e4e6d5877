// Runs of mode encrypted_inputs: keys, data, three roles, the same in the clear, and a table.
#pragma once

#include <string>

#include "scenarios/launcher/run.h"
#include "scenarios/launcher/terminal.h"

namespace blindsum::launcher {

// run_replay runs a scenario of mode encrypted_inputs in options.folder, then the same integers in
// the clear, and leaves there scenario.yaml, manifest.json, summary.json and the folders keys,
// logs, records and roles, as far as the run came. That both do not agree bit for bit, at every
// step, is an integrity fault. When it returns, no process of the run is left. A fault is a result,
// not an exception. It cannot be resumed.
[[nodiscard]] RunResult run_replay(const RunOptions& options, Progress& progress);

// describe_replay shows the epochs of a run that was done beside those of the study.
[[nodiscard]] std::string describe_replay(const RunOptions& options, const RunResult& result,
                                          const Terminal& terminal);

// study_network trains the study's network as the study did (five epochs over 10,000 training rows,
// or all if there are fewer, its gradient, each file scaled by its own ranges), in the clear, and
// evaluates it on the first `test_rows` rows of the test file: a report::Evaluation, and "rule" in
// words.
[[nodiscard]] nlohmann::json study_network(const settings::Settings& settings,
                                           const DataSource& data, std::size_t train_rows,
                                           std::size_t test_rows);

}  // namespace blindsum::launcher
