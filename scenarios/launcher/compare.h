// The same training three ways: on one pile of all rows, federated in the clear, federated and
// encrypted.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/run.h"

namespace blindsum::launcher {

// train_centralized trains in this process on all training rows together: in each round one batch
// of parties × batch_rows rows, with the initial weights, optimiser, class weights and evaluations
// of the federated run, in floating point without clipping. The result has the
// form of run_scenario's; once `stop` is true it ends as interrupted.
[[nodiscard]] RunResult train_centralized(const settings::Settings& settings,
                                          const DataSource& data, Progress& progress,
                                          const std::atomic<bool>& stop);

// compare runs the three and writes compare.json into options.folder, beside the result folders
// federated_integer and federated_encrypted. The ending is the first run's that did not end well;
// kIntegrity when the encrypted and the integer run end in different models. The summary is
// compare.json: one summary per run, and "identical".
[[nodiscard]] RunResult compare(const RunOptions& options, Progress& progress);

// comparison_table formats compare.json for people.
[[nodiscard]] std::string comparison_table(const nlohmann::json& comparison);

}  // namespace blindsum::launcher
