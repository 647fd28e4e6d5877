// What a run was made with: program, libraries, machine.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace blindsum::launcher {

// build_of: Blindsum's version, the compiler, and the shared libraries that are loaded (file names,
// which hold their versions).
[[nodiscard]] nlohmann::json build_of();

// machine_of: processor, number of processors, memory, operating system.
[[nodiscard]] nlohmann::json machine_of();

// utc_now is the time as "2026-01-31T12:00:00Z"; compact as "20260131T120000Z".
[[nodiscard]] std::string utc_now(bool is_compact = false);

}  // namespace blindsum::launcher
