#include "scenarios/launcher/resume.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "scenarios/launcher/federation.h"
#include "scenarios/launcher/record_tail.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/settings/role_file.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr const char* kNoRun = ": no run to go on with; name a folder that 'blindsum run' made";

json read_object(const std::filesystem::path& path) {
  json object = json::parse(read_text_file(path), nullptr, false);
  if (!object.is_object()) throw ConfigError(path.string() + ": not a JSON object");
  return object;
}

// require_state throws when the key-holder has ended a round and what it kept of that is gone.
void require_state(const settings::RoleFile& role) {
  std::error_code none;
  const bool has_state = !std::filesystem::is_empty(role.files.state, none) && !none;
  if (has_state || RecordTail(role.files.records).next().empty()) return;
  throw ConfigError(role.files.state.string() +
                    ": the key-holder's state is gone; start the run anew");
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, Kind kind) {
  const auto path = folder / "run.lock";
  // Not closed by exec: the roles hold it as well.
  file_ = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | (kind == Kind::kNew ? O_CREAT : 0), 0600);
  if (file_ < 0 && errno == ENOENT) throw ConfigError(folder.string() + kNoRun);
  if (file_ < 0) throw ConfigError(path.string() + ": cannot be opened: " + std::strerror(errno));
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(file_);
  throw ConfigError(folder.string() + ": a run is going on in this folder; wait for its end");
}

FolderLock::~FolderLock() { ::close(file_); }

settings::Settings settings_of_run(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "scenario.yaml")) {
    throw ConfigError(folder.string() + kNoRun);
  }
  return load_scenario(folder / "scenario.yaml");
}

InterruptedRun read_interrupted_run(const std::filesystem::path& folder) {
  const auto refuse = [&](const std::string& why) -> void {
    throw ConfigError(folder.string() + ": " + why);
  };
  InterruptedRun interrupted;
  interrupted.settings = settings_of_run(folder);
  const settings::Settings& settings = interrupted.settings;
  if (settings.runtime == "memory") refuse("a run in memory keeps no state; start it anew");
  if (std::filesystem::exists(folder / "summary.json") &&
      read_object(folder / "summary.json").value("status", "") == "done") {
    refuse("this run is done; there is nothing to go on with");
  }
  const auto peers = all_peers(settings.parties);
  if (!std::filesystem::exists(folder / "manifest.json") ||
      !std::filesystem::exists(role_path(folder, peers.back(), ".json"))) {
    refuse("the run ended before all its roles were started; start it anew");
  }
  interrupted.manifest = read_object(folder / "manifest.json");
  const Bytes run = from_hex(interrupted.manifest.value("run", ""));
  if (run.size() != interrupted.run.size()) refuse("manifest.json does not name the run");
  std::copy(run.begin(), run.end(), interrupted.run.begin());

  for (const wire::Peer& peer : peers) {
    const auto path = role_path(folder, peer, ".json");
    const settings::RoleFile role = settings::read_role_file(path);
    if (role.run != interrupted.run) refuse(path.string() + " is of another run");
    if (role.files.records != records_path(folder, peer)) {
      refuse("the folder has been moved from " +
             role.files.records.parent_path().parent_path().string() + "; move it back");
    }
    if (settings::to_json(role.settings) != settings::to_json(settings)) {
      refuse("scenario.yaml has other settings than " + path.string() +
             "; a run goes on with those it was started with");
    }
    if (peer != wire::kKeyHolderPeer) continue;
    require_state(role);
    interrupted.keys = role.files.secret_key.parent_path();
  }
  return interrupted;
}

bool can_resume(const std::filesystem::path& folder) noexcept {
  try {
    (void)read_interrupted_run(folder);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace blindsum::launcher
