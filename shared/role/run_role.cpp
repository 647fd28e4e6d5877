#include "shared/role/run_role.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include <CLI/CLI.hpp>
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

constexpr std::chrono::milliseconds kFilePollInterval{100};

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

// private_mib returns the anonymous memory of this process: what it shares with no other. (A file
// that all map counts as private once the others have ended.)
std::optional<double> private_mib() {
  constexpr std::string_view kField = "RssAnon:";
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kField)) return std::strtod(line.c_str() + kField.size(), nullptr) / 1024;
  }
  return std::nullopt;
}

settings::RoleFile role_file_for(wire::Role role, const std::string& path) {
  settings::RoleFile file = settings::read_role_file(path);
  if (file.self.role != role) {
    throw ConfigError(path + ": this file is for " + to_string(file.self));
  }
  return file;
}

// wait_for returns the fault that ended the wait for the file `path`: none when it is there.
Fault wait_for(const std::string& path, double seconds) {
  const report::Stopwatch watch;
  while (!std::filesystem::exists(path)) {
    if (stop_requested) return Fault::kInterrupted;
    if (watch.seconds() >= seconds) {
      spdlog::error("fault=deadline {}: no such role file within {} s", path, seconds);
      return Fault::kDeadline;
    }
    std::this_thread::sleep_for(kFilePollInterval);
  }
  return Fault::kNone;
}

// port_of returns the port at the end of "tcp://host:7300".
int port_of(const std::string& endpoint) {
  try {
    return std::stoi(endpoint.substr(endpoint.rfind(':') + 1));
  } catch (const std::logic_error&) {
    throw ConfigError(endpoint + ": a port is expected at the end");
  }
}

// read_proc_net returns the TCP table of this network namespace. (read_text_file is for regular
// files, whose size is known.)
std::string read_proc_net() {
  std::ifstream file("/proc/net/tcp");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// has_socket looks for a line of the TCP table with this port in this column (0 local, 1 remote)
// and this state. A line is "0: 0100007F:1C84 00000000:0000 0A …", in hexadecimal.
bool has_socket(std::string_view proc_net, std::size_t column, int port, unsigned wanted_state) {
  std::istringstream lines{std::string(proc_net)};
  for (std::string line; std::getline(lines, line);) {
    std::array<unsigned, 2> ports{};
    unsigned state = 0;
    if (std::sscanf(line.c_str(), " %*[0-9]: %*[0-9A-F]:%x %*[0-9A-F]:%x %x", &ports[0], &ports[1],
                    &state) == 3 &&
        ports.at(column) == static_cast<unsigned>(port) && state == wanted_state) {
      return true;
    }
  }
  return false;
}

// RejectionLog tells of refused messages, a few in every ten seconds and then how many more there
// were: who floods a role does not fill its disk.
class RejectionLog {
 public:
  ~RejectionLog() { tell_rest(); }

  void add(std::string_view peer, std::string_view why) {
    if (watch_.seconds() > kWindowS) {
      tell_rest();
      watch_.restart();
      lines_ = 0;
    }
    if (lines_ < kLines) {
      ++lines_;
      spdlog::warn("peer={} rejected: {}", peer, why);
    } else {
      ++untold_;
    }
  }

 private:
  static constexpr double kWindowS = 10;
  static constexpr int kLines = 50;

  void tell_rest() {
    if (untold_ > 0) spdlog::warn("{} more messages were rejected", std::exchange(untold_, 0));
  }

  report::Stopwatch watch_;
  int lines_ = 0;
  std::uint64_t untold_ = 0;
};

int run(wire::Role role, const std::string& path, const MakeProgram& make) {
  const settings::RoleFile file = role_file_for(role, path);
  start_log(to_string(file.self), file.log_level, file.files.log);
  report::RecordWriter records(file.files.records);
  if (const auto round = records.last_round()) {
    const std::string self = to_string(file.self);
    records.note(report::event_now(report::kRestarted, *round, self, self, "was started again"));
  }
  ThreadPool pool(file.threads);
  wire::Traffic traffic;
  const auto run_session = [&] {
    const RoleProgram program = make(file, pool, records);
    wire::ZmqConfig config = settings::zmq_config(file, settings::load_identity(file).curve);
    config.limits = limits_of(file.settings);
    wire::ZmqLink link(std::move(config));
    RejectionLog rejections;
    link.on_rejected = [&rejections](std::string_view peer, std::string_view why) {
      rejections.add(peer, why);
    };
    if (!file.files.endpoint.empty()) {
      write_file_atomic(file.files.endpoint, link.endpoint() + "\n");
    }
    std::optional<wire::TrafficLog> log;
    if (!file.files.traffic.empty()) {
      log.emplace(file.files.traffic);
      link.tap = [&log](wire::Direction direction, const wire::Peer& peer, ByteView message) {
        log->add(direction, peer, message);
      };
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

bool is_at_work(const settings::RoleFile& role, std::string_view proc_net) {
  constexpr unsigned kEstablished = 0x01;
  constexpr unsigned kListening = 0x0A;
  if (!role.link.bind.empty() && !has_socket(proc_net, 0, port_of(role.link.bind), kListening)) {
    return false;
  }
  return std::all_of(role.link.servers.begin(), role.link.servers.end(), [&](const auto& server) {
    return has_socket(proc_net, 1, port_of(server.second), kEstablished);
  });
}

int run_role(wire::Role role, int argc, char** argv, const MakeProgram& make,
             const std::string& more_usage) {
  CLI::App app{
      "Runs one role of a federation. 'blindsum run' and 'blindsum prepare' write its "
      "role file."};
  std::string path;
  double wait_s = 0;
  bool is_health_check = false;
  app.add_option("ROLE_FILE", path, "Role file")->required();
  app.add_option("--wait", wait_s, "Seconds to wait for the role file")
      ->check(CLI::Range(0.0, 86400.0));
  app.add_flag("--health", is_health_check, "Say by the exit code whether this role is at work");
  app.footer(more_usage);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(Fault::kUsage);
  }
  try {
    open_standard_streams();
    start_log("blindsum");
    if (is_health_check) {
      const bool is_healthy = is_at_work(role_file_for(role, path), read_proc_net());
      return is_healthy ? 0 : 1;
    }
    catch_signals();
    allow_many_files();
    forbid_core_files();
    if (wait_s > 0) {
      const Fault fault = wait_for(path, wait_s);
      if (fault != Fault::kNone) return exit_code(fault);
    }
    return run(role, path, make);
  } catch (const std::exception& error) {
    spdlog::error("fault={} {}", to_string(fault_of(error)), error.what());
    return exit_code(fault_of(error));
  }
}

}  // namespace blindsum::role
