// Making a coordinator from its role file.
#pragma once

#include <memory>

#include "coordinator/coordinator.h"
#include "shared/core/thread_pool.h"
#include "shared/role/run_role.h"
#include "shared/settings/role_file.h"

namespace blindsum::coordinator {

// make_coordinator loads what the role file names. `pool` and `records` must outlive the result.
// When its settings have faults of its own, it is a TamperingCoordinator. Throws KeyError or
// ConfigError when a file is missing or does not fit the settings.
[[nodiscard]] std::unique_ptr<Coordinator> make_coordinator(const settings::RoleFile& role,
                                                            ThreadPool& pool,
                                                            report::RecordWriter& records);

// make_program makes the session that the mode of the settings asks for: a Coordinator or a
// ComputeService. Its ending is complete with what the launcher reads.
[[nodiscard]] role::RoleProgram make_program(const settings::RoleFile& role, ThreadPool& pool,
                                             report::RecordWriter& records);

}  // namespace blindsum::coordinator
