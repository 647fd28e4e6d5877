#include "scenarios/launcher/encrypted_run.h"

#include <chrono>

#include "scenarios/launcher/manifest.h"
#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/result_text.h"
#include "scenarios/launcher/scenario.h"
#include "scenarios/launcher/summary.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/random.h"
#include "shared/crypto/encryptor.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kKeyDeadline{600};
constexpr const char* kInterrupted = "interrupted by the user";

}  // namespace

EncryptedRun::EncryptedRun(const RunOptions& options, Progress& progress)
    : options_(options),
      settings_(options.settings),
      progress_(progress),
      folder_(std::filesystem::absolute(options.folder)) {}

RunResult EncryptedRun::go() {
  Ending ending;
  try {
    ending = go_or_throw();
  } catch (const std::exception& error) {
    ending = *options_.stop ? Ending{Fault::kInterrupted, kInterrupted}
                            : Ending{fault_of(error), error.what()};
  }
  progress_.end();
  if (options_.keys.empty()) crypto::remove_tables(folder_ / "keys");
  summary_["status"] = ending.fault == Fault::kNone ? "done" : to_string(ending.fault);
  if (ending.fault != Fault::kNone) summary_["reason"] = ending.reason;
  summary_["mode"] = settings_.mode;
  summary_["task"] = settings_.encrypted_inputs.task;
  summary_["scenario"] = settings_.name;
  summary_["seed"] = settings_.seed;
  summary_["cipher"] = settings_.cipher;
  summary_["key_bits"] = settings_.paillier.key_bits;
  summary_["security"] = security_text(settings_);
  summary_["randomizer"] = settings_.paillier.randomizer;
  summary_["data"] = data_.name;
  summary_["wall_s"] = watch_.seconds();
  describe(summary_);
  write_file_atomic(folder_ / "summary.json", json_text(summary_));
  return {std::move(ending), summary_, false};
}

Ending EncryptedRun::go_or_throw() {
  for (const char* name : {"logs", "records", "roles", "keys"}) {
    std::filesystem::create_directories(folder_ / name);
  }
  for (const char* name : {"roles", "keys"}) {
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
  }
  write_file_atomic(folder_ / "scenario.yaml", to_yaml(settings_));
  lock_.emplace(folder_, FolderLock::Kind::kNew);
  return work();
}

void EncryptedRun::announce(const std::string& what) {
  progress_.say(progress_.terminal().paint(Style::kBold, settings_.name) + ": " + what + ", " +
                security_text(settings_));
  if (settings_.paillier.key_bits < 2048) {
    progress_.warn("WARNING: INSECURE KEY: anybody can factor " +
                   std::to_string(settings_.paillier.key_bits) +
                   " bits; for the replay of the study alone");
  }
  progress_.say("results: " + options_.folder.string());
  data_ = options_.data ? *options_.data
                        : find_data(settings_, options_.data_directory, folder_ / "data",
                                    [this](const std::string& text) { progress_.warn(text); });
  make_keys();
  write_manifest();
}

void EncryptedRun::check_stop() const {
  if (*options_.stop) throw Error(kInterrupted);
}

void EncryptedRun::make_keys() {
  if (!options_.keys.empty()) {
    keys_ = std::filesystem::absolute(options_.keys);
    return;
  }
  keys_ = folder_ / "keys";
  const std::string bits = std::to_string(settings_.paillier.key_bits);
  std::vector<std::string> command{(options_.programs / "blindsum-keyholder").string(),
                                   "keygen",
                                   "--out",
                                   keys_.string(),
                                   "--bits",
                                   bits};
  if (settings_.paillier.key_bits < 2048) command.emplace_back("--insecure");
  progress_.begin_phase("keys", "searching primes");
  Processes processes;
  processes.start("keys", command, folder_ / "logs" / "keys.log");
  const auto exit = processes.wait("keys", kKeyDeadline, *options_.stop);
  check_stop();
  if (!exit || !exit->is_good()) {
    throw KeyError("no key set was made: see " + (folder_ / "logs" / "keys.log").string());
  }
  progress_.end_phase("new " + bits + "-bit key set");
}

void EncryptedRun::write_manifest() const {
  const json manifest = {{"started", utc_now()},
                         {"build", build_of()},
                         {"machine", machine_of()},
                         {"seed", settings_.seed},
                         {"kernel", crypto::kernel_name()},
                         {"security", security_text(settings_)},
                         {"data", to_json(data_)}};
  write_file_atomic(folder_ / "manifest.json", json_text(manifest));
}

FederationPlan EncryptedRun::federation_plan() const {
  FederationPlan plan;
  plan.settings = settings_;
  fill_random(plan.run);
  plan.folder = folder_;
  plan.programs = options_.programs;
  plan.public_key = keys_ / "public.key";
  plan.secret_key = keys_ / "secret.key";
  plan.stop = options_.stop;
  if (options_.keep_traffic) plan.traffic = folder_ / "traffic.log";
  return plan;
}

std::unique_ptr<Federation> EncryptedRun::start(const FederationPlan& plan) const {
  return settings_.runtime == "memory" ? start_in_memory(plan) : start_processes(plan);
}

json EncryptedRun::end_record_of(const wire::Peer& peer) const {
  const auto lines = report::read_records(records_path(folder_, peer));
  if (lines.empty() || !lines.back().value("end", false)) {
    throw Error(peer_name(peer) + " ended without its last record");
  }
  return lines.back();
}

}  // namespace blindsum::launcher
