// Going on with a run that was interrupted or failed: what its result folder must hold.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "shared/settings/settings.h"
#include "shared/wire/messages.h"

namespace blindsum::launcher {

// FolderLock says that a run lives in a result folder. The processes that are started while it is
// held hold it, too: it is free when the last of them has ended, whatever became of the launcher.
class FolderLock {
 public:
  // Throws ConfigError when another process holds it, or when the folder of an old run has none.
  enum class Kind { kNew, kOld };
  FolderLock(const std::filesystem::path& folder, Kind kind);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

// InterruptedRun is what a result folder says of the run in it.
struct InterruptedRun {
  settings::Settings settings;
  wire::RunId run{};
  std::filesystem::path keys;  // folder of the key set
  nlohmann::json manifest;
};

// settings_of_run reads the settings of the run in `folder`. Throws ConfigError when there is none.
[[nodiscard]] settings::Settings settings_of_run(const std::filesystem::path& folder);

// read_interrupted_run reads the folder of a run that can go on. Throws ConfigError, with what to
// do, when there is none: the run is done; it ended before its roles were started; it ran in
// memory; it has been moved, or its settings changed; the key-holder's state is gone.
[[nodiscard]] InterruptedRun read_interrupted_run(const std::filesystem::path& folder);

// can_resume says whether read_interrupted_run would succeed but for its manifest being whole.
[[nodiscard]] bool can_resume(const std::filesystem::path& folder) noexcept;

}  // namespace blindsum::launcher
