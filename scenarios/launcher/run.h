// One run of a scenario: keys, data, roles, supervision, results.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/data_source.h"
#include "scenarios/launcher/deployment.h"
#include "scenarios/launcher/federation.h"
#include "scenarios/launcher/progress.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

struct RunOptions {
  settings::Settings settings;
  std::filesystem::path folder;             // result folder, empty or new: see make_result_folder
  std::filesystem::path programs;           // where the role programs are: see programs_directory
  std::filesystem::path data_directory;     // of the KDD files
  std::optional<DataSource> data;           // found already; else it is looked up
  std::filesystem::path keys;               // key set to use; empty: a new one in folder/keys
  std::filesystem::path enrolment;          // prepare_roles: of roles that have their identities
  bool keep_traffic = false;                // leave the recorded traffic in folder/traffic.log
  const std::atomic<bool>* stop = nullptr;  // ends the run as interrupted; must not be null
};

struct RunResult {
  Ending ending;
  nlohmann::json summary;
  bool can_resume = false;  // resume_run can go on with it
};

// run_scenario runs the scenario in options.folder and leaves there scenario.yaml, manifest.json,
// rounds.jsonl, summary.json, model.safetensors and the folders keys, logs, records, roles and
// shards, as far as the run came. Every wait has a deadline: ten minutes for a new key set, start_s
// twice and round_s for the first round, round_s + 10 s for each later one. The traffic of an
// encrypted run of processes is recorded and examined (see encryption_proof.h): that it does not
// pass is an integrity fault. When it returns, no
// process of the run is left. A fault of the run is a result, not an exception.
[[nodiscard]] RunResult run_scenario(const RunOptions& options, Progress& progress);

// resume_run goes on with the run in options.folder, which was interrupted or failed: with the same
// keys, data and role files, from where the key-holder's state has it. Its results are those of the
// whole run. options.settings are those of the folder. Throws ConfigError, as read_interrupted_run
// does, and leaves the folder as it is.
[[nodiscard]] RunResult resume_run(const RunOptions& options, Progress& progress);

// prepare_roles does the first half of a run whose roles start elsewhere: it makes the role folders
// in `roles` (see deployment.h) with a new key set and everybody's data, and leaves in roles/run
// what supervise needs. options.folder is not used.
[[nodiscard]] Ending prepare_roles(const RunOptions& options, const RoleView& view,
                                   const std::filesystem::path& roles, Progress& progress);

// supervise does the second half: it follows the roles that run from those folders to their end,
// and leaves in options.folder what run_scenario does, without keys, roles and shards. It needs to
// read nothing in `roles` but run and the out folders. options.settings are those of the prepared
// run.
[[nodiscard]] RunResult supervise(const RunOptions& options, const std::filesystem::path& roles,
                                  Progress& progress);

// make_result_folder makes parent/<name>-<UTC time>, with -2, -3, … when that exists.
// Throws ConfigError when it cannot be made.
[[nodiscard]] std::filesystem::path make_result_folder(const std::filesystem::path& parent,
                                                       const std::string& name);

// programs_directory is the folder of the running executable.
[[nodiscard]] std::filesystem::path programs_directory();

}  // namespace blindsum::launcher
