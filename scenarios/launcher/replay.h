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

}  // namespace blindsum::launcher
