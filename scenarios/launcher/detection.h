// Private detection: a service with a model, an organisation with records, and neither shows the
// other what it has.
#pragma once

#include <string>

#include "scenarios/launcher/run.h"
#include "scenarios/launcher/terminal.h"

namespace blindsum::launcher {

// run_detection trains a detector on the training set, as a service would on its own data, runs the
// three roles on records of the test set, and scores the same records in the clear: that both do
// not agree, number for number, is an integrity fault. Leaves what EncryptedRun does, and
// service/detector.json (0600), encoding.json, owner/scores.csv (0600).
[[nodiscard]] RunResult run_detection(const RunOptions& options, Progress& progress);

// describe_detection shows what came out, how fast, and who saw what.
[[nodiscard]] std::string describe_detection(const RunOptions& options, const RunResult& result,
                                             const Terminal& terminal);

}  // namespace blindsum::launcher
