#include "scenarios/launcher/run.h"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "scenarios/launcher/attendance.h"
#include "scenarios/launcher/encryption_proof.h"
#include "scenarios/launcher/manifest.h"
#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/quantisation.h"
#include "scenarios/launcher/record_tail.h"
#include "scenarios/launcher/result_text.h"
#include "scenarios/launcher/resume.h"
#include "scenarios/launcher/scenario.h"
#include "scenarios/launcher/summary.h"
#include "shared/core/file.h"
#include "shared/core/random.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/public_key.h"
#include "shared/model/local_training.h"
#include "shared/role/codec.h"
#include "shared/role/run_role.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kKeygenDeadline{600};
constexpr std::chrono::seconds kKeyCheckDeadline{60};
constexpr double kRoundGraceS = 10;
constexpr std::chrono::milliseconds kPollInterval{10};
constexpr double kLookIntervalS = 0.2;

// RunFault is a fault with its name, on the way from where it was found to run_scenario.
struct RunFault {
  Ending ending;
};

[[noreturn]] void fail(Fault fault, std::string reason) {
  throw RunFault{{fault, std::move(reason)}};
}

class Run {
 public:
  Run(const RunOptions& options, Progress& progress)
      : options_(options),
        settings_(options.settings),
        progress_(progress),
        folder_(std::filesystem::absolute(options.folder)) {
    fill_random(id_);
  }

  void go() {
    make_folders({"logs", "records", "shards", "roles", "keys"}, {"shards", "roles", "keys"});
    lock_.emplace(folder_, FolderLock::Kind::kNew);
    if (settings_.runtime == "memory") refuse_process_faults("runtime: memory has no processes");
    (void)role::limits_of(settings_);  // whether bits, parties, key size and network fit
    announce();
    progress_.say("results: " + options_.folder.string());
    require_files();
    std::vector<std::filesystem::path> shards;
    for (std::uint32_t party = 0; party < settings_.parties; ++party) {
      shards.push_back(shard_path(folder_ / "shards", party));
    }
    prepare(options_.keys.empty() ? folder_ / "keys" : std::filesystem::absolute(options_.keys),
            shards);
    train();
  }

  // claim makes sure that the folder holds a run that can go on, and that nobody else does that.
  // Throws ConfigError.
  void claim() {
    lock_.emplace(folder_, FolderLock::Kind::kOld);
    const InterruptedRun interrupted = read_interrupted_run(folder_);
    id_ = interrupted.run;
    keys_ = interrupted.keys;
    take_figures(interrupted.manifest);
    resumes_ = true;
  }

  // go_on is go for a run that was claimed.
  void go_on() {
    announce();
    progress_.say("results: " + options_.folder.string());
    require_files();
    train();
  }

  // prepare_elsewhere is the first half of go, for roles that start elsewhere.
  void prepare_elsewhere(const RoleView& view, const std::filesystem::path& roles) {
    refuse_process_faults("roles that start elsewhere are not the launcher's processes");
    (void)role::limits_of(settings_);
    settings::Enrolment enrolment;
    if (!options_.enrolment.empty()) enrolment = settings::read_enrolment(options_.enrolment);
    make_role_folders(roles, settings_.parties);
    make_folders({"logs"}, {});
    announce();
    std::vector<std::filesystem::path> shards;
    for (std::uint32_t party = 0; party < settings_.parties; ++party) {
      shards.push_back(shard_file(roles, party));
    }
    prepare(role_folder(roles, wire::kKeyHolderPeer), shards);
    std::filesystem::copy_file(data_.test, test_file(roles));
    FederationPlan plan;
    plan.settings = settings_;
    plan.run = id_;
    write_role_folders(plan, view, roles, std::move(enrolment));
    std::filesystem::remove_all(folder_ / "data");  // everybody has his part of it
  }

  // supervise is the second half.
  void supervise(const std::filesystem::path& roles) {
    make_folders({"logs", "records"}, {});
    proof_ = not_proved("the roles ran elsewhere: nothing was recorded");
    take_manifest(run_folder(roles) / "manifest.json");
    progress_.say("results: " + options_.folder.string());
    progress_.begin_phase("start", "waiting for coordinator, key-holder and " +
                                       std::to_string(settings_.parties) + " parties");
    FederationPlan plan;
    plan.settings = settings_;
    plan.folder = folder_;
    const auto federation = follow(plan, roles, *options_.stop);
    const std::atomic<bool> never{false};  // the federation itself sees the request to stop
    end_with(watch_over(*federation, never));
  }

  // finish writes the results of a run that ended so, and returns them.
  RunResult finish(Ending ending) {
    progress_.end();
    // Nobody will use the tables of this run's own key set again.
    if (options_.keys.empty()) crypto::remove_tables(folder_ / "keys");
    Records records;
    try {
      records = gather_records(folder_, settings_.parties);
    } catch (const Error& error) {
      if (ending.fault == Fault::kNone) ending = {Fault::kRoleFailed, error.what()};
    }
    if (ending.fault == Fault::kNone && model_digest_of(records).is_null()) {
      ending = {Fault::kRoleFailed, "the key-holder ended without a model"};
    }
    const json part = part_of(ending, started_, watch_.seconds(), figures_.train_s);
    report::RecordWriter(launcher_records_path(folder_)).end(part);
    records.parts.push_back(part);
    json summary = summary_of(settings_, records, ending, figures_);
    if (is_encrypted()) summary["encryption_proof"] = to_json(proof_);
    write_rounds(folder_ / "rounds.jsonl", records);
    write_file_atomic(folder_ / "summary.json", json_text(summary));
    // A sum that was refused is in the journal, and would be refused again.
    const bool is_over =
        !lock_ || ending.fault == Fault::kNone || ending.fault == Fault::kIntegrity;
    return {std::move(ending), std::move(summary), !is_over && can_resume(folder_)};
  }

 private:
  [[nodiscard]] bool is_encrypted() const { return settings_.cipher != "none"; }

  void refuse_process_faults(const std::string& why) const {
    for (const settings::PlannedFault& fault : settings_.faults) {
      if (!is_of_process(fault)) continue;
      fail(Fault::kUsage, "faults: " + why + " to " + fault.kind +
                              "; use runtime: processes with 'blindsum run', or --set faults=[]");
    }
  }

  void check_stop() const {
    if (*options_.stop) fail(Fault::kInterrupted, "interrupted by the user");
  }

  void make_folders(std::initializer_list<const char*> names,
                    std::initializer_list<const char*> private_names) {
    std::filesystem::create_directories(folder_);
    for (const char* name : names) std::filesystem::create_directories(folder_ / name);
    for (const char* name : private_names) {
      std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
    }
    write_file_atomic(folder_ / "scenario.yaml", to_yaml(settings_));
  }

  // require_files raises the limit of open files, which the roles inherit.
  void require_files() const {
    const std::uint64_t allowed = role::allow_many_files();
    const std::uint64_t needed = role::files_needed(settings_.parties);
    if (settings_.runtime == "memory" || allowed >= needed) return;
    fail(Fault::kUsage, "too few open files are allowed: have " + std::to_string(allowed) +
                            ", need " + std::to_string(needed) + " for " +
                            std::to_string(settings_.parties) + " parties; raise the limit with " +
                            "'ulimit -n " + std::to_string(needed) +
                            "', or use fewer parties or runtime=memory");
  }

  void announce() {
    progress_.say(progress_.terminal().paint(Style::kBold, settings_.name) + ": " +
                  std::to_string(settings_.parties) + " parties, " +
                  std::to_string(settings_.rounds) + " rounds, " + security_text(settings_));
    const json headroom = headroom_of(settings_);
    progress_.say("fixed point: " + bound_text(quantisation_of(settings_)) + "; " +
                  headroom.at("ciphertexts").dump() + " plaintexts of " +
                  headroom.at("slots").dump() + " slots: " + headroom_text(headroom));
    if (!is_encrypted()) {
      progress_.warn(
          "WARNING: NOT ENCRYPTED: 'cipher: none' sends every update in the clear, for comparison");
    }
  }

  // prepare makes keys and data side by side, and writes the manifest. A new key set goes to
  // `keys`, party k's rows to shards[k].
  void prepare(const std::filesystem::path& keys, std::span<const std::filesystem::path> shards) {
    keys_ = keys;
    // Processes stops key generation on every way out of this function.
    Processes key_processes;
    if (is_encrypted()) start_keys(key_processes);
    prepare_data(shards);
    if (is_encrypted()) finish_keys(key_processes);
    write_manifest();
  }

  void start_keys(Processes& processes) {
    const std::string program = (options_.programs / "blindsum-keyholder").string();
    const auto log = folder_ / "logs" / "keys.log";
    key_watch_.restart();
    if (options_.keys.empty()) {
      processes.start("keys",
                      {program, "keygen", "--out", keys_.string(), "--bits",
                       std::to_string(settings_.paillier.key_bits)},
                      log);
    } else {
      processes.start("keys", {program, "check", "--keys", keys_.string()}, log);
    }
  }

  void finish_keys(Processes& processes) {
    const std::string kind = std::to_string(settings_.paillier.key_bits) + "-bit key set";
    progress_.begin_phase(
        "keys", (options_.keys.empty() ? "searching primes for a new " : "checking the ") + kind);
    const auto deadline = options_.keys.empty() ? kKeygenDeadline : kKeyCheckDeadline;
    const auto exit = processes.wait("keys", deadline, *options_.stop);
    check_stop();
    if (!exit) {
      fail(Fault::kDeadline, "no key set after " + std::to_string(deadline.count()) + " s");
    }
    if (!exit->is_good()) {
      std::string log = read_text_file(folder_ / "logs" / "keys.log");
      log.erase(log.find_last_not_of('\n') + 1);
      fail(exit->by_signal ? Fault::kRoleFailed : Fault::kKeys,
           "blindsum-keyholder " + to_string(*exit) + ": " + log.substr(log.rfind('\n') + 1));
    }
    if (options_.keys.empty()) figures_.keygen_s = key_watch_.seconds();
    settings::RoleFile role;
    role.settings = settings_;
    role.files.public_key = keys_ / "public.key";
    key_id_ = digest_text(role::key_id_of(role::load_public_key(role)));
    progress_.end_phase((options_.keys.empty() ? "new " : "checked ") + kind, key_watch_.seconds());
  }

  void prepare_data(std::span<const std::filesystem::path> shards) {
    const report::Stopwatch watch;
    progress_.begin_phase("data", "reading the records");
    if (options_.data) {
      data_ = *options_.data;
    } else {
      data_ = find_data(settings_, options_.data_directory, folder_ / "data",
                        [this](const std::string& text) { progress_.warn(text); });
    }
    figures_.data = data_.name;
    check_stop();
    class_rows_ = cut_shards(settings_, data_, shards, *options_.stop);
    check_stop();
    figures_.data_s = watch.seconds();
    progress_.end_phase(data_.name + ", cut into " + std::to_string(settings_.parties) +
                        " shards (" + settings_.data.partition.kind + ")");
  }

  void write_manifest() {
    json manifest = {{"started", utc_now()},
                     {"run", to_hex(id_)},
                     {"build", build_of()},
                     {"machine", machine_of()},
                     {"seed", settings_.seed},
                     {"codec_id", digest_text(role::codec_of(settings_).id())},
                     {"security", security_text(settings_)},
                     {"data", to_json(data_)},
                     {"prepared", {{"keygen_s", figures_.keygen_s}, {"data_s", figures_.data_s}}}};
    manifest["fixed_point"] = quantisation_of(settings_);
    manifest["fixed_point"]["headroom"] = headroom_of(settings_);
    manifest["fixed_point"]["headroom"]["inequality"] =
        headroom_text(manifest["fixed_point"]["headroom"]);
    manifest["shards"] = {{"known_to", "the launcher alone: in a federation nobody sees all of it"},
                          {"class_rows", class_rows_}};
    if (is_encrypted()) {
      figures_.kernel = crypto::kernel_name();
      manifest["kernel"] = figures_.kernel;
      manifest["key_id"] = key_id_;
      manifest["randomizer"] = {
          {"name", settings_.paillier.randomizer},
          {"assumption",
           crypto::assumption_of(crypto::randomizer_from_string(settings_.paillier.randomizer))}};
    }
    write_file_atomic(folder_ / "manifest.json", json_text(manifest));
  }

  // take_manifest keeps the manifest of a prepared run with its results.
  void take_manifest(const std::filesystem::path& path) {
    const std::string text = read_text_file(path);
    take_figures(json::parse(text, nullptr, false));
    write_file_atomic(folder_ / "manifest.json", text);
  }

  void take_figures(const json& manifest) {
    try {
      figures_.data = manifest.at("data").at("source").get<std::string>();
      figures_.kernel = manifest.value("kernel", "");
      figures_.keygen_s = manifest.at("prepared").at("keygen_s").get<double>();
      figures_.data_s = manifest.at("prepared").at("data_s").get<double>();
    } catch (const json::exception& error) {
      throw ConfigError(std::string("manifest.json is not that of a prepared run: ") +
                        error.what());
    }
  }

  void train() {
    FederationPlan plan;
    plan.settings = settings_;
    plan.run = id_;
    plan.folder = folder_;
    plan.programs = options_.programs;
    if (is_encrypted()) {
      plan.public_key = keys_ / "public.key";
      plan.secret_key = keys_ / "secret.key";
    }
    plan.test = data_.test;
    plan.stop = options_.stop;
    plan.resumes = resumes_;
    const bool are_processes = settings_.runtime != "memory";
    if (are_processes && (is_encrypted() || options_.keep_traffic)) plan.traffic = traffic_path();
    proof_ = not_proved(are_processes ? "the run did not come to its end"
                                      : "runtime memory: all roles are one process, nothing is "
                                        "sent");
    progress_.begin_phase("start", (resumes_ ? "going on: " : "") +
                                       std::string("starting coordinator, key-holder and " +
                                                   std::to_string(settings_.parties) + " parties"));
    const auto federation =
        settings_.runtime == "memory" ? start_in_memory(plan) : start_processes(plan);
    const Ending ending = watch_over(*federation, *options_.stop);
    if (are_processes && is_encrypted() && ending.fault == Fault::kNone) prove();
    // A recording that speaks against the run stays.
    if (!options_.keep_traffic && proof_.verdict != Verdict::kFailed) {
      std::error_code ignored;  // one that was never made
      std::filesystem::remove(traffic_path(), ignored);
    }
    end_with(ending);
    check_stop();
    if (proof_.verdict == Verdict::kFailed) {
      fail(Fault::kIntegrity, "the proof of encryption failed: " + proof_.reason +
                                  " (recorded traffic: traffic.log in the folder)");
    }
  }

  [[nodiscard]] std::filesystem::path traffic_path() const { return folder_ / "traffic.log"; }

  // prove examines the recorded traffic of a run that has ended well.
  void prove() {
    progress_.begin_phase("proof", "examining the recorded traffic");
    ProofInput input;
    input.settings = settings_;
    input.traffic = traffic_path();
    input.public_key = keys_ / "public.key";
    input.secret_key = keys_ / "secret.key";
    input.model = model_path(folder_);
    for (const wire::Peer& peer : all_peers(settings_.parties)) {
      if (peer.role == wire::Role::kParty) {
        input.shards.push_back(shard_path(folder_ / "shards", peer.id));
      }
      input.identities.push_back(folder_ / "roles" / (to_string(peer) + ".secret"));
    }
    input.programs = programs_.seen();
    input.rounds = last_round_;
    proof_ = prove_encryption(input, *options_.stop);
    progress_.end_phase("proof of encryption " + std::string(to_string(proof_.verdict)));
  }

  static void end_with(const Ending& ending) {
    if (ending.fault != Fault::kNone) throw RunFault{ending};
  }

  // restarts_s is how long the scenario keeps coordinator and key-holder away on purpose.
  [[nodiscard]] double restarts_s() const {
    double seconds = 0;
    for (const settings::PlannedFault& fault : settings_.faults) {
      if (is_of_process(fault) && !fault.role.starts_with("party")) seconds += fault.seconds;
    }
    return seconds;
  }

  Ending watch_over(Federation& federation, const std::atomic<bool>& stop) {
    report::RecordWriter events(launcher_records_path(folder_));
    RecordTail holder(records_path(folder_, wire::kKeyHolderPeer));
    RecordTail coordinator(records_path(folder_, wire::kCoordinatorPeer));
    RecordTail party(records_path(folder_, wire::party_peer(0)));
    std::map<std::uint32_t, Progress::Round>
        rounds;                 // what is known of those that are not shown yet
    std::uint32_t current = 0;  // round
    bool is_shown = false;      // training, as a phase
    std::optional<report::Stopwatch> train_watch;
    report::Stopwatch look_watch;
    report::Stopwatch quiet;  // since the last record of the key-holder
    double patience_s =
        2 * settings_.deadlines.start_s + settings_.deadlines.round_s + kRoundGraceS + restarts_s();

    const auto take = [&](const report::RoundRecord& record) -> Progress::Round& {
      Progress::Round& round = rounds[record.round];
      round.round = record.round;
      for (const auto& [phase, seconds] : record.phase_s) {
        round.phase_s[phase] = std::max(round.phase_s[phase], seconds);
      }
      return round;
    };
    Attendance attendance(settings_.parties, [this](std::uint32_t round) {
      // Who is missing among the first to come was only slower.
      const std::uint32_t sample = round == 0 ? 0 : settings_.sampling.parties;
      if (round > 0 && settings_.sampling.extra > 0) return std::vector<std::uint32_t>();
      return model::sampled_parties(settings_.parties, sample, settings_.seed, round);
    });
    const auto show = [&](const std::vector<report::Event>& happened) {
      for (const report::Event& event : happened) {
        events.note(event);
        progress_.warn(event.detail);
      }
    };
    if (resumes_) {
      for (const auto& record : holder.next()) {
        (void)attendance.take(record);
        current = std::max(current, record.round + 1);
      }
      for (RecordTail* tail : {&coordinator, &party}) tail->skip();
      train_watch.emplace();
      show({report::event_now("run_resumed", current, "launcher", "launcher",
                              "the run goes on in round " + std::to_string(current))});
    }
    const auto read_records = [&] {
      for (const auto& record : party.next()) take(record);
      for (const auto& record : coordinator.next()) take(record).bytes_up = record.bytes_in;
      for (const auto& record : holder.next()) {
        quiet.restart();
        if (record.round < current)
          continue;  // from the journal of a key-holder that was restarted
        show(attendance.take(record));
        current = record.round + 1;
        last_round_ = record.round;
        patience_s = settings_.deadlines.round_s + kRoundGraceS + restarts_s();
        Progress::Round& shown = take(record);
        shown.evaluation = record.evaluation;
        if (record.round == 0 || (resumes_ && !is_shown)) {
          is_shown = true;
          if (!resumes_) train_watch.emplace();
          progress_.end_phase(record.round == 0 ? "everybody is ready, joint statistics summed"
                                                : "everybody is back");
          progress_.begin(settings_.rounds, record.round);
        } else {
          progress_.round(shown);
        }
        rounds.erase(rounds.begin(), rounds.upper_bound(record.round));
      }
    };

    for (;;) {
      const std::optional<Ending> ending = federation.poll();
      show(federation.take_events());
      // At every poll until all have been seen: a short run may be over before the next look is
      // due.
      if (programs_.seen().size() < settings_.parties + 2 ||
          look_watch.seconds() > kLookIntervalS) {
        programs_.look(federation.programs());
        look_watch.restart();
      }
      read_records();
      if (ending) {
        if (ending->fault == Fault::kIntegrity) {
          events.note(report::event_now("integrity_fault", std::min(current, settings_.rounds),
                                        to_string(wire::kKeyHolderPeer), "launcher",
                                        ending->reason));
        }
        if (train_watch) figures_.train_s = train_watch->seconds();
        return *ending;
      }
      if (stop) return {Fault::kInterrupted, "interrupted by the user"};
      if (quiet.seconds() > patience_s) {
        return {Fault::kDeadline, std::string("the key-holder has not ended a round for ") +
                                      std::to_string(static_cast<int>(patience_s)) + " s"};
      }
      std::this_thread::sleep_for(kPollInterval);
    }
  }

  const RunOptions& options_;
  const settings::Settings& settings_;
  Progress& progress_;
  std::filesystem::path folder_;
  std::filesystem::path keys_;
  std::string key_id_;
  wire::RunId id_{};
  DataSource data_;
  Figures figures_;
  std::vector<ClassRows> class_rows_;  // of the shards
  bool resumes_ = false;
  std::optional<FolderLock> lock_;
  const std::string started_ = utc_now();
  ProgramWatch programs_;
  std::uint32_t last_round_ = 0;  // that the key-holder has ended
  Proof proof_ = not_proved("the run did not come to its end");
  report::Stopwatch watch_;
  report::Stopwatch key_watch_;
};

// ending_of does `work` and returns how it ended.
template <class Work>
Ending ending_of(Work work) {
  try {
    work();
    return {};
  } catch (const RunFault& fault) {
    return fault.ending;
  } catch (const std::exception& error) {
    return {fault_of(error), error.what()};
  }
}

}  // namespace

RunResult run_scenario(const RunOptions& options, Progress& progress) {
  Run run(options, progress);
  return run.finish(ending_of([&] { run.go(); }));
}

RunResult resume_run(const RunOptions& options, Progress& progress) {
  Run run(options, progress);
  run.claim();
  return run.finish(ending_of([&] { run.go_on(); }));
}

Ending prepare_roles(const RunOptions& options, const RoleView& view,
                     const std::filesystem::path& roles, Progress& progress) {
  RunOptions here = options;
  here.folder = run_folder(roles);
  here.keys.clear();
  Run run(here, progress);
  return ending_of([&] { run.prepare_elsewhere(view, std::filesystem::absolute(roles)); });
}

RunResult supervise(const RunOptions& options, const std::filesystem::path& roles,
                    Progress& progress) {
  Run run(options, progress);
  return run.finish(ending_of([&] { run.supervise(std::filesystem::absolute(roles)); }));
}

std::filesystem::path make_result_folder(const std::filesystem::path& parent,
                                         const std::string& name) {
  const std::string stem = name + "-" + utc_now(true);
  try {
    std::filesystem::create_directories(parent);
    for (int attempt = 1;; ++attempt) {
      auto folder = parent / (attempt == 1 ? stem : stem + "-" + std::to_string(attempt));
      if (std::filesystem::create_directory(folder)) return folder;
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw ConfigError(parent.string() +
                      ": no result folder can be made there: " + error.code().message());
  }
}

std::filesystem::path programs_directory() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

}  // namespace blindsum::launcher
