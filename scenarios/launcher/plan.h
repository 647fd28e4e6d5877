// What a run will cost, before anything runs.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/terminal.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

// plan predicts a run on this machine: seconds by phase and round, bytes, memory, security, and how
// much room the sums have. Bytes and headroom are computed and exact; rows are counted in the files
// of the run, from the folder `directory` (as find_data takes it), or those of the published set,
// and called assumed, when they are not there; times come from measuring
// each operation on one thread here, for about a second, under a random modulus that nobody can
// factor; the key-holder's decryption, which needs a secret key, is a fixed share of a measured
// public operation; memory is an estimate. "method" says so number by number. Throws
// ConfigError when the settings do not fit each other, DataError for files that cannot be read.
[[nodiscard]] nlohmann::json plan(const settings::Settings& settings,
                                  const std::filesystem::path& directory = {});

// plan_text formats a plan for people.
[[nodiscard]] std::string plan_text(const nlohmann::json& plan, const Terminal& terminal);

}  // namespace blindsum::launcher
