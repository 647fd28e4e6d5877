// What runs of mode encrypted_inputs have in common: result folder, keys, data, roles.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/federation.h"
#include "scenarios/launcher/resume.h"
#include "scenarios/launcher/run.h"
#include "shared/report/records.h"

namespace blindsum::launcher {

// EncryptedRun is one run. It leaves scenario.yaml, manifest.json, summary.json and the folders
// keys, logs, records and roles in options.folder, as far as it came. A fault of the run is a
// result, not an exception. References must outlive it.
class EncryptedRun {
 public:
  EncryptedRun(const RunOptions& options, Progress& progress);
  virtual ~EncryptedRun() = default;
  EncryptedRun(const EncryptedRun&) = delete;
  EncryptedRun& operator=(const EncryptedRun&) = delete;

  // go runs it. Once.
  RunResult go();

 protected:
  // work is the run itself, in a folder that is there, with data_. It calls announce first.
  virtual Ending work() = 0;
  // describe adds to the summary what is known whatever happens.
  virtual void describe(nlohmann::json& summary) const = 0;

  // announce says what is going to happen, makes keys and looks the data up.
  void announce(const std::string& what);
  void check_stop() const;  // Throws when the user wants an end.
  [[nodiscard]] FederationPlan federation_plan() const;
  [[nodiscard]] std::unique_ptr<Federation> start(const FederationPlan& plan) const;
  // end_record_of returns the last line of a role's records. Throws when it has none.
  [[nodiscard]] nlohmann::json end_record_of(const wire::Peer& peer) const;

  const RunOptions& options_;
  const settings::Settings& settings_;
  Progress& progress_;
  std::filesystem::path folder_;
  DataSource data_;
  nlohmann::json summary_ = nlohmann::json::object();

 private:
  Ending go_or_throw();
  void make_keys();
  void write_manifest() const;

  std::filesystem::path keys_;
  std::optional<FolderLock> lock_;
  report::Stopwatch watch_;
};

}  // namespace blindsum::launcher
