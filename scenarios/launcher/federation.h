// A federation that runs: its roles as processes, or all of them in this process.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "shared/core/error.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/settings/settings.h"
#include "shared/wire/messages.h"

namespace blindsum::launcher {

// Ending is how a run ended. `reason` names the role and what happened.
struct Ending {
  Fault fault = Fault::kNone;
  std::string reason;
};

// FederationPlan is what the roles are made from. The folder has the subfolders logs, roles,
// records and shards.
struct FederationPlan {
  settings::Settings settings;
  wire::RunId run{};
  std::filesystem::path folder;
  std::filesystem::path programs;                // folder of the role programs
  std::filesystem::path public_key, secret_key;  // empty when cipher is none
  std::filesystem::path test;                    // test set
  std::filesystem::path train;                   // mode encrypted_inputs: whole training set
  std::filesystem::path traffic;                 // of the coordinator; empty: not recorded
  const std::atomic<bool>* stop = nullptr;       // ends what takes long; must not be null
  bool resumes = false;  // the role files are there, of an earlier part of the run
};

// records_path is where `peer` writes its records; model_path where the key-holder writes the
// model.
[[nodiscard]] std::filesystem::path records_path(const std::filesystem::path& folder,
                                                 const wire::Peer& peer);
[[nodiscard]] std::filesystem::path model_path(const std::filesystem::path& folder);
// Of private detection: the service's model, what it tells of its inputs, the owner's scores.
[[nodiscard]] std::filesystem::path detector_path(const std::filesystem::path& folder);
[[nodiscard]] std::filesystem::path encoding_path(const std::filesystem::path& folder);
[[nodiscard]] std::filesystem::path scores_path(const std::filesystem::path& folder);

// role_path is where start_processes keeps what belongs to `peer`: ".json" is its role file.
[[nodiscard]] std::filesystem::path role_path(const std::filesystem::path& folder,
                                              const wire::Peer& peer, const char* suffix);

// peer_name is what people call a role: "party 3", "key-holder". all_peers lists coordinator,
// key-holder, parties.
[[nodiscard]] std::string peer_name(const wire::Peer& peer);
[[nodiscard]] std::vector<wire::Peer> all_peers(std::uint32_t parties);

// role_file_of is the role file of `peer` but for its link and enrolment.
[[nodiscard]] settings::RoleFile role_file_of(const FederationPlan& plan, const wire::Peer& peer);

// make_identity writes a new identity to `path` and returns its public half.
[[nodiscard]] settings::PublicIdentity make_identity(const std::filesystem::path& path);

// Federation runs until it ends or is destroyed; then nothing of it runs any more.
class Federation {
 public:
  virtual ~Federation() = default;

  // poll does what is due and returns the ending once there is one. Never blocks for long. Throws
  // Error when a role cannot be started.
  virtual std::optional<Ending> poll() = 0;

  // take_events returns what happened beside the ordinary course since the last call.
  [[nodiscard]] std::vector<report::Event> take_events() { return std::exchange(events_, {}); }

  // programs lists the roles that run as processes of their own on this machine now, and what they
  // were started from.
  struct Program {
    pid_t pid = 0;
    std::filesystem::path file;
  };
  [[nodiscard]] virtual std::map<wire::Peer, Program> programs() const { return {}; }

 protected:
  void note(std::string event, std::uint32_t round, const wire::Peer& peer, std::string detail) {
    events_.push_back(
        report::event_now(std::move(event), round, to_string(peer), "launcher", std::move(detail)));
  }

 private:
  std::vector<report::Event> events_;
};

// start_processes runs every role as a process, everyone with a fresh identity:
// the coordinator first, the key-holder when it listens, then the parties, some at every
// poll. A party that is killed by a signal has dropped out, and the others go on as long as the
// key-holder does; a coordinator or key-holder that dies, or a role that fails by itself, ends the
// federation. The process faults of the scenario are done here, when the key-holder's records show
// that their round has come. When the plan resumes a run, every role gets its old role file with
// the new ports, and faults up to the round that ran then are not done again. Once `stop` is true
// nothing more is started, and poll says so.
[[nodiscard]] std::unique_ptr<Federation> start_processes(const FederationPlan& plan);

// start_in_memory runs the same sessions over MemoryLink in one thread of this process. Their log
// lines go to logs/roles.log.
[[nodiscard]] std::unique_ptr<Federation> start_in_memory(const FederationPlan& plan);

}  // namespace blindsum::launcher
