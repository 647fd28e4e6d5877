#include "scenarios/launcher/federation.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "coordinator/make.h"
#include "party/key_holder/make.h"
#include "party/make.h"
#include "scenarios/launcher/data_source.h"
#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/progress.h"
#include "scenarios/launcher/record_tail.h"
#include "shared/core/file.h"
#include "shared/report/records.h"
#include "shared/role/codec.h"
#include "shared/role/run_role.h"
#include "shared/settings/role_file.h"
#include "shared/wire/links.h"

namespace blindsum::launcher {
namespace {

// How long the other roles may go on after one has failed, to say what they know; and how long they
// may take to end after the key-holder has ended well.
constexpr double kFailureGraceS = 1;
constexpr double kFinishGraceS = 5;

// How long one poll may start parties.
constexpr double kStartSliceS = 0.1;

constexpr const char* kAnyPort = "tcp://127.0.0.1:*";

std::uint32_t threads_of(const settings::Settings& settings, const wire::Peer& peer) {
  if (settings.threads > 0) return settings.threads;
  const std::uint32_t processors = std::max(1U, std::thread::hardware_concurrency());
  // Parties work at the same time; the others mostly wait while they do.
  return peer.role == wire::Role::kParty ? std::max(1U, processors / settings.parties) : processors;
}

}  // namespace

settings::PublicIdentity make_identity(const std::filesystem::path& path) {
  const auto identity = settings::Identity::generate();
  settings::write_identity(path, identity);
  return identity.public_identity();
}

settings::RoleFile role_file_of(const FederationPlan& plan, const wire::Peer& peer) {
  settings::RoleFile role;
  role.run = plan.run;
  role.self = peer;
  role.settings = plan.settings;
  role.threads = threads_of(plan.settings, peer);
  role.files.public_key = plan.public_key;
  role.files.tables = plan.public_key.parent_path();
  role.files.identity = plan.folder / "roles" / (to_string(peer) + ".secret");
  role.files.records = records_path(plan.folder, peer);
  if (peer.role == wire::Role::kCoordinator) role.files.traffic = plan.traffic;
  if (settings::is_encrypted_inputs(plan.settings)) {
    if (peer.role == wire::Role::kKeyHolder) role.files.secret_key = plan.secret_key;
    if (peer.role == wire::Role::kParty) {
      role.files.shard = plan.train;
      role.files.test = plan.test;
    }
    if (settings::is_detection(plan.settings)) {
      role.files.model = peer.role == wire::Role::kCoordinator ? detector_path(plan.folder)
                         : peer.role == wire::Role::kKeyHolder ? scores_path(plan.folder)
                                                               : encoding_path(plan.folder);
    }
  } else if (peer.role == wire::Role::kKeyHolder) {
    role.files.secret_key = plan.secret_key;
    role.files.test = plan.test;
    role.files.model = model_path(plan.folder);
    role.files.state = plan.folder / "state";
  } else if (peer.role == wire::Role::kParty) {
    role.files.shard = shard_path(plan.folder / "shards", peer.id);
    if (plan.settings.algorithm == "scaffold") {
      role.files.state = plan.folder / "roles" / (to_string(peer) + ".control");
    }
  }
  return role;
}

namespace {

// records_of returns the role's records, none when they cannot be read.
std::vector<nlohmann::json> records_of(const std::filesystem::path& path) {
  try {
    return report::read_records(path);
  } catch (const Error&) {
    return {};
  }
}

// reason_of is what a role that ended says about it: the reason of its last record, or the last
// error in its log.
std::string reason_of(const FederationPlan& plan, const wire::Peer& peer) {
  const auto records = records_of(records_path(plan.folder, peer));
  if (!records.empty() && records.back().value("end", false)) {
    return records.back().value("reason", "");
  }
  std::string log;
  try {
    log = read_text_file(plan.folder / "logs" / (to_string(peer) + ".log"));
  } catch (const Error&) {
    return "";
  }
  const auto fault = log.rfind("fault=");
  if (fault == std::string::npos) return "";
  const auto text = log.find(' ', fault);
  if (text == std::string::npos) return "";
  return log.substr(text + 1, log.find('\n', text) - text - 1);
}

class ProcessFederation : public Federation {
 public:
  explicit ProcessFederation(const FederationPlan& plan)
      : plan_(plan), rounds_(records_path(plan.folder, wire::kKeyHolderPeer)) {
    std::copy_if(plan_.settings.faults.begin(), plan_.settings.faults.end(),
                 std::back_inserter(faults_), settings::is_of_process);
    if (plan_.resumes) {
      take_rounds();
      std::erase_if(faults_, [&](const auto& fault) { return fault.round <= round_; });
    }
    for (const wire::Peer& peer : all_peers(plan_.settings.parties)) {
      if (*plan_.stop) return;
      if (plan_.resumes) continue;
      enrolment_.emplace(peer, make_identity(role_file_of(plan_, peer).files.identity));
    }
    start(wire::kCoordinatorPeer);
  }

  std::optional<Ending> poll() override {
    take_rounds();
    for (const auto& [name, exit] : processes_.poll())
      take_exit(wire::peer_from_string(name), exit);
    if (first_failure_) {
      if (processes_.running() > 0 && first_failure_->seconds() < kFailureGraceS) return {};
      processes_.stop_all();
      return worst_;
    }
    if (finished_) {
      if (processes_.running() > 0 && finished_->seconds() < kFinishGraceS) return {};
      processes_.stop_all();
      return Ending{};
    }
    if (*plan_.stop) return Ending{Fault::kInterrupted, "interrupted by the user"};
    start_who_can();
    inject_faults();
    if (!are_parties_started_ && start_watch_.seconds() > plan_.settings.deadlines.start_s) {
      return Ending{Fault::kDeadline, peer_name(awaited()) + " did not listen within " +
                                          fixed(plan_.settings.deadlines.start_s, 1) + " s"};
    }
    return {};
  }

  [[nodiscard]] std::map<wire::Peer, Program> programs() const override {
    std::map<wire::Peer, Program> programs;
    for (const auto& [name, pid] : processes_.pids()) {
      const wire::Peer peer = wire::peer_from_string(name);
      programs.emplace(peer, Program{pid, program_file(peer)});
    }
    return programs;
  }

 private:
  [[nodiscard]] std::filesystem::path program_file(const wire::Peer& peer) const {
    return plan_.programs / (peer.role == wire::Role::kCoordinator ? "blindsum-coordinator"
                             : peer.role == wire::Role::kKeyHolder ? "blindsum-keyholder"
                                                                   : "blindsum-party");
  }
  [[nodiscard]] std::filesystem::path role_path(const wire::Peer& peer, const char* suffix) const {
    return launcher::role_path(plan_.folder, peer, suffix);
  }

  void take_rounds() {
    for (const auto& record : rounds_.next()) round_ = std::max(round_, record.round + 1);
  }

  // start_again starts a role of an earlier part of the run, on a new port.
  void start_again(const wire::Peer& peer) {
    settings::RoleFile role = settings::read_role_file(role_path(peer, ".json"));
    if (!role.link.bind.empty()) {
      role.link.bind = kAnyPort;
      std::filesystem::remove(role.files.endpoint);
    }
    role.link.servers = endpoints_;
    settings::write_role_file(role_path(peer, ".json"), role);
    launch(peer);
  }

  void start(const wire::Peer& peer) {
    if (plan_.resumes) return start_again(peer);
    settings::RoleFile role = role_file_of(plan_, peer);
    role.enrolment = settings::enrolment_for(peer, enrolment_);
    if (peer.role != wire::Role::kParty) {
      role.link.bind = kAnyPort;
      role.files.endpoint = role_path(peer, ".endpoint");
    }
    role.link.servers = endpoints_;
    settings::write_role_file(role_path(peer, ".json"), role);
    launch(peer);
  }

  // launch starts the program of `peer` with its role file.
  void launch(const wire::Peer& peer) {
    processes_.start(to_string(peer),
                     {program_file(peer).string(), role_path(peer, ".json").string()},
                     plan_.folder / "logs" / (to_string(peer) + ".log"));
  }

  // awaited is the role that must listen before the next one can start.
  [[nodiscard]] wire::Peer awaited() const {
    return endpoints_.empty() ? wire::kCoordinatorPeer : wire::kKeyHolderPeer;
  }

  void start_who_can() {
    if (are_parties_started_) {
      const report::Stopwatch watch;
      while (next_party_ < plan_.settings.parties && watch.seconds() < kStartSliceS) {
        start(wire::party_peer(next_party_++));
      }
      return;
    }
    const wire::Peer waiting_for = awaited();
    const auto path = role_path(waiting_for, ".endpoint");
    if (!std::filesystem::exists(path)) return;
    std::string endpoint = read_text_file(path, 4096);
    endpoint.erase(endpoint.find_last_not_of('\n') + 1);
    endpoints_.emplace(waiting_for, endpoint);
    // Started again, it listens where the others call it.
    settings::RoleFile role = settings::read_role_file(role_path(waiting_for, ".json"));
    role.link.bind = endpoint;
    settings::write_role_file(role_path(waiting_for, ".json"), role);
    if (waiting_for == wire::kCoordinatorPeer) return start(wire::kKeyHolderPeer);
    are_parties_started_ = true;
  }

  void take_exit(const wire::Peer& peer, const Exit& exit) {
    if (exit.is_good()) {
      if (peer == wire::kKeyHolderPeer) finished_.emplace();
      return;
    }
    if (finished_) {
      spdlog::warn("{} {} after the end of training", peer_name(peer), to_string(exit));
      return;
    }
    if (awaits_restart_.contains(peer)) return;
    if (exit.by_signal && peer.role == wire::Role::kParty) {
      note("party_lost", round_, peer, peer_name(peer) + " " + to_string(exit) + round_text());
      return;
    }
    const auto [ending, weight] = judge(peer, exit);
    if (!first_failure_ || weight > worst_weight_) {
      worst_ = ending;
      worst_weight_ = weight;
    }
    if (!first_failure_) first_failure_.emplace();
  }

  // judge turns a bad exit into an ending. The weightier the nearer to the cause: a fault with a
  // name of its own, then a death by signal, then any other failure; at the same weight the
  // key-holder before the coordinator before parties.
  [[nodiscard]] std::pair<Ending, int> judge(const wire::Peer& peer, const Exit& exit) const {
    const int rank = peer == wire::kKeyHolderPeer ? 2 : peer == wire::kCoordinatorPeer ? 1 : 0;
    if (exit.by_signal) {
      return {{Fault::kRoleFailed, peer_name(peer) + " " + to_string(exit) + round_text()},
              3 + rank};
    }
    const std::string reason = reason_of(plan_, peer);
    const std::string text =
        peer_name(peer) + " " + to_string(exit) + round_text() +
        (reason.empty() ? "; see logs/" + to_string(peer) + ".log" : ": " + reason);
    for (const Fault fault : {Fault::kUsage, Fault::kData, Fault::kKeys, Fault::kQuorumLost,
                              Fault::kIntegrity, Fault::kDeadline, Fault::kStorage}) {
      if (exit.code == exit_code(fault)) return {{fault, text}, 6 + rank};
    }
    return {{Fault::kRoleFailed, text}, rank};
  }

  // round_text says in which round the federation is, by the key-holder's records.
  [[nodiscard]] std::string round_text() const {
    return are_parties_started_ ? " in round " + std::to_string(round_) : " before training began";
  }

  // inject_faults does the faults whose round has come, and ends those whose time is over.
  void inject_faults() {
    if (next_party_ < plan_.settings.parties) return;
    std::erase_if(faults_, [&](const settings::PlannedFault& fault) {
      if (fault.round > round_) return false;
      inject(fault);
      return true;
    });
    std::erase_if(later_, [&](const Later& later) {
      if (later.since.seconds() < later.after_s) return false;
      later.act();
      return true;
    });
  }

  void inject(const settings::PlannedFault& fault) {
    const wire::Peer peer = wire::peer_from_string(fault.role);
    if (!processes_.is_running(fault.role)) return;  // an earlier fault has ended it
    const std::string name = peer_name(peer);
    const std::string seconds = fixed(fault.seconds, 1) + " s";
    if (fault.kind == "pause") {
      note("fault_injected", round_, peer, name + " is stopped for " + seconds + round_text());
      processes_.signal(fault.role, SIGSTOP);
      later_.push_back({{}, fault.seconds, [this, peer, name] {
                          note("fault_ended", round_, peer, name + " goes on" + round_text());
                          processes_.signal(to_string(peer), SIGCONT);
                        }});
      return;
    }
    const bool returns = fault.kind == "restart";
    note("fault_injected", round_, peer,
         name + " is killed" + round_text() + (returns ? ", to return after " + seconds : ""));
    if (returns) {
      awaits_restart_.insert(peer);
      later_.push_back({{}, fault.seconds, [this, peer, name] {
                          note("fault_ended", round_, peer,
                               name + " is started again" + round_text());
                          launch(peer);
                          awaits_restart_.erase(peer);
                        }});
    }
    processes_.signal(fault.role, SIGKILL);
  }

  // Later is something to be done after a while.
  struct Later {
    report::Stopwatch since;
    double after_s;
    std::function<void()> act;
  };

  FederationPlan plan_;
  RecordTail rounds_;                           // of the key-holder
  std::uint32_t round_ = 0;                     // that is going on
  std::vector<settings::PlannedFault> faults_;  // of processes, to come
  std::vector<Later> later_;
  std::set<wire::Peer> awaits_restart_;
  settings::Enrolment enrolment_;
  std::map<wire::Peer, std::string> endpoints_;
  bool are_parties_started_ = false;  // or being started
  std::uint32_t next_party_ = 0;      // to be started
  report::Stopwatch start_watch_;
  std::optional<report::Stopwatch> first_failure_, finished_;
  Ending worst_;
  int worst_weight_ = 0;
  Processes processes_;
};

class MemoryFederation : public Federation {
 public:
  explicit MemoryFederation(const FederationPlan& plan)
      : plan_(plan), previous_logger_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "roles", std::make_shared<spdlog::sinks::basic_file_sink_mt>(
                     (plan_.folder / "logs" / "roles.log").string()));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n %v", spdlog::pattern_time_type::utc);
    spdlog::set_default_logger(std::move(logger));
    thread_ = std::thread([this] { work(); });
  }

  ~MemoryFederation() override {
    stop_ = true;
    thread_.join();
    spdlog::default_logger()->flush();
    spdlog::set_default_logger(previous_logger_);
  }
  MemoryFederation(const MemoryFederation&) = delete;
  MemoryFederation& operator=(const MemoryFederation&) = delete;

  std::optional<Ending> poll() override {
    return is_over_ ? std::optional<Ending>(ending_) : std::nullopt;
  }

 private:
  // Member is one role: its session, its records, and how it ended.
  struct Member {
    wire::Peer peer;
    std::unique_ptr<report::RecordWriter> records;
    role::RoleProgram program;
  };

  void work() {
    try {
      ending_ = run();
    } catch (const std::exception& error) {
      ending_ = {fault_of(error), error.what()};
    }
    is_over_ = true;
  }

  Ending run() {
    ThreadPool pool(plan_.settings.threads);
    wire::MemoryLink link(plan_.run, role::limits_of(plan_.settings));
    link.on_rejected = [](std::string_view peer, std::string_view why) {
      spdlog::warn("peer={} rejected: {}", peer, why);
    };
    settings::Enrolment enrolment;
    for (const wire::Peer& peer : all_peers(plan_.settings.parties)) {
      if (stop_) return {Fault::kInterrupted, ""};
      enrolment.emplace(peer, make_identity(role_file_of(plan_, peer).files.identity));
    }
    std::vector<Member> members;
    for (const wire::Peer& peer : all_peers(plan_.settings.parties)) {
      if (stop_) return {Fault::kInterrupted, ""};
      settings::RoleFile role = role_file_of(plan_, peer);
      role.enrolment = settings::enrolment_for(peer, enrolment);
      role.files.state.clear();  // nothing of this process outlives it
      Member member{peer, std::make_unique<report::RecordWriter>(role.files.records), {}};
      const auto make = peer.role == wire::Role::kCoordinator ? coordinator::make_program
                        : peer.role == wire::Role::kKeyHolder ? key_holder::make_program
                                                              : party::make_program;
      member.program = make(role, pool, *member.records);
      members.push_back(std::move(member));
    }
    for (Member& member : members) link.add(member.peer, *member.program.session);
    (void)link.run(stop_);

    std::optional<Ending> of_holder;
    for (Member& member : members) {
      const bool has_finished = member.program.session->finished();
      const role::Ending ending =
          has_finished ? member.program.ending() : role::Ending{Fault::kInterrupted, "stopped", {}};
      if (has_finished && member.peer == wire::kKeyHolderPeer) {
        of_holder = {ending.fault, ending.reason};
      }
      member.records->end(
          role::end_record(to_string(member.peer), ending, link.traffic(member.peer)));
    }
    if (of_holder) return *of_holder;
    return {Fault::kRoleFailed, "the roles stopped talking to each other; see logs/roles.log"};
  }

  FederationPlan plan_;
  std::shared_ptr<spdlog::logger> previous_logger_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> is_over_{false};
  Ending ending_;  // written before is_over_
  std::thread thread_;
};

}  // namespace

std::filesystem::path records_path(const std::filesystem::path& folder, const wire::Peer& peer) {
  return folder / "records" / (to_string(peer) + ".jsonl");
}

std::filesystem::path model_path(const std::filesystem::path& folder) {
  return folder / "model.safetensors";
}

std::filesystem::path detector_path(const std::filesystem::path& folder) {
  return folder / "service" / "detector.json";
}

std::filesystem::path encoding_path(const std::filesystem::path& folder) {
  return folder / "encoding.json";
}

std::filesystem::path scores_path(const std::filesystem::path& folder) {
  return folder / "owner" / "scores.csv";
}

std::filesystem::path role_path(const std::filesystem::path& folder, const wire::Peer& peer,
                                const char* suffix) {
  return folder / "roles" / (to_string(peer) + suffix);
}

std::string peer_name(const wire::Peer& peer) {
  if (peer.role == wire::Role::kCoordinator) return "coordinator";
  if (peer.role == wire::Role::kKeyHolder) return "key-holder";
  return "party " + std::to_string(peer.id);
}

std::vector<wire::Peer> all_peers(std::uint32_t parties) {
  std::vector<wire::Peer> peers{wire::kCoordinatorPeer, wire::kKeyHolderPeer};
  for (std::uint32_t id = 0; id < parties; ++id) peers.push_back(wire::party_peer(id));
  return peers;
}

std::unique_ptr<Federation> start_processes(const FederationPlan& plan) {
  return std::make_unique<ProcessFederation>(plan);
}

std::unique_ptr<Federation> start_in_memory(const FederationPlan& plan) {
  return std::make_unique<MemoryFederation>(plan);
}

}  // namespace blindsum::launcher
