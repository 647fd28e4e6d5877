// The main loop that the three role programs share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/thread_pool.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/wire/links.h"
#include "shared/wire/session.h"

namespace blindsum::role {

// Ending is how a session ended.
struct Ending {
  Fault fault = Fault::kNone;
  std::string reason;
  nlohmann::json extra;  // more fields for the role's last record
};

// RoleProgram is a session ready to run and how to ask it for its ending.
struct RoleProgram {
  std::unique_ptr<wire::Session> session;
  std::function<Ending()> ending;
};

// program_of wraps a session class that has fault() and reason().
template <class SessionType>
[[nodiscard]] RoleProgram program_of(std::unique_ptr<SessionType> session) {
  auto* raw = session.get();
  return {std::move(session), [raw] { return Ending{raw->fault(), raw->reason(), {}}; }};
}

using MakeProgram =
    std::function<RoleProgram(const settings::RoleFile&, ThreadPool&, report::RecordWriter&)>;

// run_role is the main function of a role's program: `[--wait SECONDS] ROLE_FILE`. It waits for the
// role file when it is told to, reads it, checks that it is for `role`, makes the session, writes
// the endpoint file when the role listens, runs to the end over ZmqLink and writes the last record.
// Returns the exit code of the program; errors are logged, not thrown. SIGINT and SIGTERM end the
// run ("interrupted"). With `--health ROLE_FILE` it starts nothing, and returns 0 when a role with
// this role file is at work in the same network namespace (see is_at_work), else 1.
// `more_usage` is shown by --help.
[[nodiscard]] int run_role(wire::Role role, int argc, char** argv, const MakeProgram& make,
                           const std::string& more_usage = "");

// is_at_work says whether the TCP tables in `proc_net` (/proc/net/tcp, as text) have a socket that
// listens where the role file binds, when it does, and an established connection to the port of
// each server that it calls.
[[nodiscard]] bool is_at_work(const settings::RoleFile& role, std::string_view proc_net);

// allow_many_files raises the limit of open files as far as it goes and returns it: a listener
// needs one for every peer.
std::uint64_t allow_many_files();

// files_needed is how many open files the busiest role of a run needs: one for every peer, and some
// of its own.
[[nodiscard]] std::uint64_t files_needed(std::uint32_t parties);

// forbid_core_files makes this process leave no core file, to a file or to a crash handler, and
// keeps other processes of its user from reading its memory: it may hold a secret. Throws Error
// when the system refuses.
void forbid_core_files();

// end_record is the last line of a role's records.
[[nodiscard]] nlohmann::json end_record(const std::string& role, const Ending& ending,
                                        const wire::Traffic& traffic);

}  // namespace blindsum::role
