// What 'blindsum prepare' and 'blindsum compose' share.
#pragma once

#include <filesystem>

#include "scenarios/launcher/deployment.h"
#include "scenarios/launcher/verbs/run_verb.h"

namespace blindsum::launcher {

// prepare_job prepares the roles of a run in the folder `roles`, and says what went wrong. Returns
// the exit code.
[[nodiscard]] int prepare_job(const RunArguments& arguments, const RoleView& view,
                              const std::filesystem::path& roles,
                              const std::filesystem::path& enrolment = {});

}  // namespace blindsum::launcher
