#include "scenarios/launcher/processes.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/core/error.h"

namespace blindsum::launcher {
namespace {

using Clock = std::chrono::steady_clock;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

bool is_harmless(std::string_view variable) {
  constexpr std::array<std::string_view, 5> kNames{
      "PATH=", "HOME=", "TMPDIR=", "LANG=", "LD_LIBRARY_PATH="};
  const auto name = variable.substr(0, variable.find('='));
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view known) { return variable.starts_with(known); }) ||
         name.starts_with("LC_") || name.starts_with("BLINDSUM_") || name.ends_with("SAN_OPTIONS");
}

std::vector<char*> harmless_environment() {
  std::vector<char*> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (is_harmless(*variable)) variables.push_back(*variable);
  }
  variables.push_back(nullptr);
  return variables;
}

// ChildPlan is everything that the child needs between fork and exec, where it may not allocate
// memory.
struct ChildPlan {
  char* const* arguments;
  char* const* environment;
  int log;
  int null;
  int error_pipe;
  pid_t parent;
};

[[noreturn]] void become(const ChildPlan& plan) {
  const auto give_up = [&] {
    const int why = errno;
    [[maybe_unused]] const ssize_t put = ::write(plan.error_pipe, &why, sizeof why);
    _exit(127);
  };
  setpgid(0, 0);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up();
  if (getppid() != plan.parent) _exit(127);  // the launcher ended before the line above
  const struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) give_up();
  sigset_t signals;
  sigemptyset(&signals);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGHUP, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  if (dup2(plan.null, STDIN_FILENO) < 0 || dup2(plan.log, STDOUT_FILENO) < 0 ||
      dup2(plan.log, STDERR_FILENO) < 0) {
    give_up();
  }
  execve(plan.arguments[0], plan.arguments, plan.environment);
  give_up();
  _exit(127);
}

Exit exit_from(int status) {
  return WIFSIGNALED(status) ? Exit{true, WTERMSIG(status)} : Exit{false, WEXITSTATUS(status)};
}

// reap returns how `pid` ended, or nothing when it still runs.
std::optional<Exit> reap(pid_t pid) {
  int status = 0;
  pid_t got = 0;
  do {
    got = waitpid(pid, &status, WNOHANG);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  if (got < 0) return Exit{true, SIGKILL};  // somebody else has reaped it
  return exit_from(status);
}

std::atomic<bool> stop{false};

void request_stop(int) { stop = true; }

}  // namespace

std::string to_string(const Exit& exit) {
  return (exit.by_signal ? "was killed by signal " : "exited with ") + std::to_string(exit.code);
}

Processes::~Processes() { stop_all(); }

void Processes::start(const std::string& name, const std::vector<std::string>& command,
                      const std::filesystem::path& log) {
  if (command.empty() || is_running(name))
    throw Error(name + ": nothing to start, or runs already");
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));  // execve takes it so
  }
  arguments.push_back(nullptr);
  const std::vector<char*> environment = harmless_environment();
  const FileDescriptor log_file(
      ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (log_file.get() < 0) {
    throw Error(log.string() + ": cannot be opened: " + std::strerror(errno));
  }
  const FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::array<int, 2> ends{};
  if (null.get() < 0 || pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw Error(name + ": cannot be started: " + std::strerror(errno));
  }
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);

  const ChildPlan plan{arguments.data(), environment.data(), log_file.get(),
                       null.get(),       write_end.get(),    getpid()};
  const pid_t pid = fork();
  if (pid == 0) become(plan);
  if (pid < 0) throw Error(name + ": cannot be started: " + std::strerror(errno));
  setpgid(pid, pid);  // as the child does: whoever is first
  write_end.close();
  int why = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &why, sizeof why);  // ends when exec closes the pipe
  } while (got < 0 && errno == EINTR);
  if (got == sizeof why) {
    waitpid(pid, nullptr, 0);
    throw Error(command[0] + ": cannot be started: " + std::strerror(why));
  }
  ended_.erase(name);
  running_.emplace(name, pid);
}

std::vector<std::pair<std::string, Exit>> Processes::poll() {
  std::vector<std::pair<std::string, Exit>> ended;
  for (auto child = running_.begin(); child != running_.end();) {
    const auto exit = reap(child->second);
    if (!exit) {
      ++child;
      continue;
    }
    ended.emplace_back(child->first, *exit);
    ended_[child->first] = *exit;
    child = running_.erase(child);
  }
  return ended;
}

std::optional<Exit> Processes::wait(const std::string& name, std::chrono::milliseconds timeout,
                                    const std::atomic<bool>& stop_flag) {
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    poll();
    if (const auto found = ended_.find(name); found != ended_.end()) return found->second;
    if (stop_flag || Clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(poll_interval());
  }
}

std::chrono::milliseconds Processes::poll_interval() const {
  return std::chrono::milliseconds(10 + running_.size() / 10);
}

void Processes::signal(const std::string& name, int number) {
  if (const auto found = running_.find(name); found != running_.end()) kill(-found->second, number);
}

void Processes::signal_all(int number) noexcept {
  for (const auto& [name, pid] : running_) {
    if (kill(-pid, number) != 0) kill(pid, number);
  }
}

void Processes::stop_all(std::chrono::milliseconds grace) noexcept {
  if (running_.empty()) return;
  std::map<std::string, pid_t> leaders;
  try {
    leaders = running_;
    signal_all(SIGTERM);
    signal_all(SIGCONT);
    const auto deadline = Clock::now() + grace;
    for (poll(); !running_.empty() && Clock::now() < deadline; poll()) {
      std::this_thread::sleep_for(poll_interval());
    }
  } catch (...) {  // out of memory: what follows needs none
  }
  signal_all(SIGKILL);
  for (const auto& [name, pid] : running_) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  running_.clear();
  // What the children themselves had started.
  for (const auto& [name, pid] : leaders) kill(-pid, SIGKILL);
}

const std::atomic<bool>& stop_requested() { return stop; }

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = request_stop;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction present = {};
    sigaction(number, nullptr, &present);
    if (present.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);  // nohup stays nohup
  }
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace blindsum::launcher
