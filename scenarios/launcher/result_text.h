// The last words of a run, for people.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "scenarios/launcher/terminal.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

// result_text says what came out of a run that was done: quality, whether it was encrypted, times
// by phase, bytes against float32, model digest, and where the results are. `summary` is
// summary.json.
[[nodiscard]] std::string result_text(const settings::Settings& settings,
                                      const nlohmann::json& summary,
                                      const std::filesystem::path& folder,
                                      const Terminal& terminal);

// security_text names the protection of a run: "NOT ENCRYPTED", or the cipher, its key size, its
// strength and the randomizer.
[[nodiscard]] std::string security_text(const settings::Settings& settings);

// data_text says what the data are that DataSource calls `source`.
[[nodiscard]] std::string data_text(const std::string& source);

}  // namespace blindsum::launcher
