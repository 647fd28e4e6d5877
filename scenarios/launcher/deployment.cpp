#include "scenarios/launcher/deployment.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/core/file.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"

namespace blindsum::launcher {
namespace {

using std::filesystem::path;
using std::filesystem::perms;

// How long the other roles may take to end after the key-holder has failed or ended well; and how
// long the key-holder may take when the run is stopped. Docker kills ten seconds after it has
// asked.
constexpr double kFailureGraceS = 1;
constexpr double kFinishGraceS = 5;
constexpr double kMirrorIntervalS = 0.2;

constexpr perms kPassable = perms::owner_all | perms::group_exec | perms::others_exec;
constexpr perms kReadable = kPassable | perms::group_read | perms::others_read;

void make_folder(const path& folder, perms permissions) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) std::filesystem::permissions(folder, permissions, error);
  if (error) throw ConfigError(folder.string() + ": cannot be prepared: " + error.message());
}

void empty_folder(const path& folder) {
  try {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::filesystem::remove_all(entry.path());
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw ConfigError(folder.string() + ": cannot be emptied: " + error.code().message());
  }
}

// Mirror copies a file that grows, as far as it has grown.
class Mirror {
 public:
  Mirror(path from, path to) : from_(std::move(from)), to_(std::move(to)) {}

  void update() {
    std::ifstream source(from_, std::ios::binary);
    if (!source.seekg(static_cast<std::streamoff>(offset_))) return;
    const std::string added{std::istreambuf_iterator<char>(source), {}};
    if (added.empty() && std::filesystem::exists(to_)) return;
    std::ofstream copy(to_, std::ios::binary | std::ios::app);
    if (!copy.write(added.data(), static_cast<std::streamsize>(added.size())).flush()) {
      throw Error(to_.string() + ": cannot be written");
    }
    offset_ += added.size();
  }

 private:
  path from_, to_;
  std::size_t offset_ = 0;
};

// Follower is what is known of one role.
struct Follower {
  wire::Peer peer;
  Mirror records, log;
};

class RemoteFederation : public Federation {
 public:
  RemoteFederation(FederationPlan plan, const path& roles, const std::atomic<bool>& stop)
      : plan_(std::move(plan)), roles_(roles), stop_(&stop) {
    for (const wire::Peer& peer : all_peers(plan_.settings.parties)) {
      const path out = role_folder(roles_, peer) / "out";
      followers_.push_back(
          {peer,
           {out / "records.jsonl", records_path(plan_.folder, peer)},
           {out / "role.log", plan_.folder / "logs" / (to_string(peer) + ".log")}});
    }
  }

  std::optional<Ending> poll() override {
    if (*stop_ && !stopped_) stopped_.emplace();
    if (has_polled_ && mirror_watch_.seconds() < kMirrorIntervalS) return {};
    has_polled_ = true;
    mirror_watch_.restart();
    std::size_t ended = 0;
    std::optional<Ending> key_holder;
    for (Follower& role : followers_) {
      role.records.update();
      role.log.update();
      const std::optional<Ending> ending = ending_of(role.peer);
      ended += ending ? 1 : 0;
      if (role.peer == wire::kKeyHolderPeer) key_holder = ending;
    }
    if (key_holder) {
      if (!finished_) finished_.emplace();
      const double grace_s = key_holder->fault == Fault::kNone ? kFinishGraceS : kFailureGraceS;
      if (ended < followers_.size() && finished_->seconds() < grace_s && !stopped_) return {};
      if (key_holder->fault == Fault::kNone) copy_model();
      return key_holder;
    }
    if (stopped_ && stopped_->seconds() >= kFinishGraceS) {
      return Ending{Fault::kInterrupted, "stopped before the key-holder had ended"};
    }
    return {};
  }

 private:
  // ending_of is what the role's last record says, nothing while there is none.
  [[nodiscard]] std::optional<Ending> ending_of(const wire::Peer& peer) const {
    const path file = records_path(plan_.folder, peer);
    if (!std::filesystem::exists(file)) return {};
    const auto records = report::read_records(file);
    if (records.empty() || !records.back().value("end", false)) return {};
    const Fault fault = fault_from_string(records.back().value("status", ""));
    if (fault == Fault::kNone) return Ending{};
    return Ending{fault, peer_name(peer) + ": " + records.back().value("reason", "")};
  }

  void copy_model() const {
    const Bytes model =
        read_file(role_folder(roles_, wire::kKeyHolderPeer) / "out" / "model.safetensors");
    write_file_atomic(model_path(plan_.folder), model);
  }

  FederationPlan plan_;
  path roles_;
  const std::atomic<bool>* stop_;
  std::vector<Follower> followers_;
  bool has_polled_ = false;
  report::Stopwatch mirror_watch_;
  std::optional<report::Stopwatch> finished_, stopped_;
};

}  // namespace

path role_folder(const path& roles, const wire::Peer& peer) { return roles / to_string(peer); }

path run_folder(const path& roles) { return roles / "run"; }

std::string program_name(const wire::Peer& peer) {
  if (peer.role == wire::Role::kCoordinator) return "blindsum-coordinator";
  return peer.role == wire::Role::kKeyHolder ? "blindsum-keyholder" : "blindsum-party";
}

void make_role_folders(const path& roles, std::uint32_t parties) {
  const std::vector<wire::Peer> peers = all_peers(parties);
  for (const wire::Peer& peer : peers) {
    std::error_code ignored;  // a folder that cannot be changed is found below
    std::filesystem::remove(role_folder(roles, peer) / "role.json", ignored);
  }
  for (const wire::Peer& peer : peers) {
    const path folder = role_folder(roles, peer);
    make_folder(folder, kPassable);
    empty_folder(folder);
    make_folder(folder / "data", perms::owner_all);
    make_folder(folder / "out", kReadable);
  }
  make_folder(run_folder(roles), kReadable);
  empty_folder(run_folder(roles));
}

path shard_file(const path& roles, std::uint32_t party) {
  return role_folder(roles, wire::party_peer(party)) / "data" / "shard.csv";
}

path test_file(const path& roles) {
  return role_folder(roles, wire::kKeyHolderPeer) / "data" / "test.csv";
}

namespace {

// require_everybody throws ConfigError unless exactly `peers` are enrolled.
void require_everybody(const settings::Enrolment& enrolment, const std::vector<wire::Peer>& peers) {
  for (const wire::Peer& peer : peers) {
    if (!enrolment.contains(peer)) {
      throw ConfigError("the enrolment has no " + to_string(peer));
    }
  }
  for (const auto& [peer, identity] : enrolment) {
    if (std::find(peers.begin(), peers.end(), peer) == peers.end()) {
      throw ConfigError("the enrolment has " + to_string(peer) + ", the scenario has not");
    }
  }
}

}  // namespace

void write_role_folders(const FederationPlan& plan, const RoleView& view, const path& roles,
                        settings::Enrolment enrolment) {
  const std::vector<wire::Peer> peers = all_peers(plan.settings.parties);
  if (enrolment.empty()) {
    for (const wire::Peer& peer : peers) {
      enrolment.emplace(peer, make_identity(role_folder(roles, peer) / "identity.secret"));
    }
  }
  require_everybody(enrolment, peers);
  const bool is_encrypted = plan.settings.cipher != "none";
  const path key = role_folder(roles, wire::kKeyHolderPeer) / "public.key";
  for (const wire::Peer& peer : peers) {
    const path folder = role_folder(roles, peer);
    if (is_encrypted && peer != wire::kKeyHolderPeer) {
      write_file_atomic(folder / "public.key", read_file(key));
    }
    settings::RoleFile role = role_file_of(plan, peer);
    role.files = {};
    role.files.records = view.out / "records.jsonl";
    role.files.log = view.out / "role.log";
    if (is_encrypted) role.files.public_key = view.secrets / "public.key";
    role.files.identity = view.secrets / "identity.secret";
    role.enrolment = settings::enrolment_for(peer, enrolment);
    const auto call = [&](const wire::Peer& server, int port) {
      role.link.servers.emplace(server, "tcp://" + to_string(server) + ":" + std::to_string(port));
    };
    if (peer == wire::kCoordinatorPeer) {
      role.link.bind = "tcp://*:" + std::to_string(kCoordinatorPort);
    } else {
      call(wire::kCoordinatorPeer, kCoordinatorPort);
    }
    if (peer == wire::kKeyHolderPeer) {
      role.link.bind = "tcp://*:" + std::to_string(kKeyHolderPort);
      if (is_encrypted) role.files.secret_key = view.secrets / "secret.key";
      role.files.test = view.data / "test.csv";
      role.files.model = view.out / "model.safetensors";
      role.files.state = view.out / "state";
    } else if (peer.role == wire::Role::kParty) {
      call(wire::kKeyHolderPeer, kKeyHolderPort);
      role.files.shard = view.data / "shard.csv";
      if (role.settings.algorithm == "scaffold") role.files.state = view.out / "control";
    }
    settings::write_role_file(folder / "role.json", role);
  }
}

std::unique_ptr<Federation> follow(const FederationPlan& plan, const path& roles,
                                   const std::atomic<bool>& stop) {
  return std::make_unique<RemoteFederation>(plan, roles, stop);
}

}  // namespace blindsum::launcher
