#include "shared/role/run_role.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/log.h"
#include "shared/role/codec.h"

namespace blindsum::role {
namespace {

std::atomic<bool> stop_requested{false};

void request_stop(int /*signal*/) { stop_requested = true; }

void catch_signals() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

double peak_rss_mib() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// private_mib returns the memory that this process shares with no other, as the system knows it.
std::optional<double> private_mib() {
  std::ifstream file("/proc/self/smaps_rollup");
  double kib = 0;
  bool is_known = false;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("Private_")) continue;
    kib += std::strtod(line.c_str() + line.find(':') + 1, nullptr);
    is_known = true;
  }
  return is_known ? std::optional(kib / 1024) : std::nullopt;
}

int run(wire::Role role, const char* path, const MakeProgram& make) {
  const settings::RoleFile file = settings::read_role_file(path);
  if (file.self.role != role) {
    throw ConfigError(std::string(path) + ": this file is for " + to_string(file.self));
  }
  start_log(to_string(file.self), file.log_level);
  report::RecordWriter records(file.files.records);
  ThreadPool pool(file.threads);
  wire::Traffic traffic;
  const auto run_session = [&] {
    const RoleProgram program = make(file, pool, records);
    wire::ZmqConfig config = settings::zmq_config(file);
    config.limits = limits_of(file.settings);
    wire::ZmqLink link(std::move(config));
    link.on_rejected = [](std::string_view peer, std::string_view why) {
      spdlog::warn("peer={} rejected: {}", peer, why);
    };
    if (!file.files.endpoint.empty()) {
      write_file_atomic(file.files.endpoint, link.endpoint() + "\n");
    }
    link.run(*program.session, stop_requested);
    traffic = link.traffic();
    Ending ending = program.session->finished()
                        ? program.ending()
                        : Ending{Fault::kInterrupted, "stopped by a signal", {}};
    if (const auto mib = private_mib()) ending.extra["private_mib"] = *mib;
    return ending;
  };
  // However the role ends, its records say so.
  Ending ending;
  try {
    ending = run_session();
  } catch (const std::exception& error) {
    ending = {fault_of(error), error.what(), {}};
    spdlog::error("fault={} {}", to_string(ending.fault), ending.reason);
  }
  records.end(end_record(to_string(file.self), ending, traffic));
  return exit_code(ending.fault);
}

}  // namespace

std::uint64_t allow_many_files() {
  struct rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) throw Error("the limit of open files is unknown");
  const rlim_t before = files.rlim_cur;
  files.rlim_cur = files.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_max : before;
}

std::uint64_t files_needed(std::uint32_t parties) {
  constexpr std::uint64_t kOwn = 32;  // ZeroMQ's own, records, standard streams: about 15 are used
  return parties + kOwn;
}

void forbid_core_files() {
  const struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) {
    throw Error("core files cannot be switched off for this process");
  }
}

nlohmann::json end_record(const std::string& role, const Ending& ending,
                          const wire::Traffic& traffic) {
  nlohmann::json last = {{"end", true},
                         {"role", role},
                         {"status", to_string(ending.fault)},
                         {"reason", ending.reason},
                         {"bytes_in", traffic.bytes_in},
                         {"bytes_out", traffic.bytes_out},
                         {"rejected", traffic.rejected},
                         {"peak_rss_mib", peak_rss_mib()}};
  if (ending.extra.is_object()) last.update(ending.extra);
  return last;
}

int run_role(wire::Role role, const char* role_file, const MakeProgram& make) {
  catch_signals();
  try {
    open_standard_streams();
    start_log("blindsum");
    allow_many_files();
    forbid_core_files();
    return run(role, role_file, make);
  } catch (const std::exception& error) {
    spdlog::error("fault={} {}", to_string(fault_of(error)), error.what());
    return exit_code(fault_of(error));
  }
}

}  // namespace blindsum::role
