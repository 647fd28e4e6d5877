// Child processes: started without secrets, watched, and never left behind.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace blindsum::launcher {

// Exit is how a process ended.
struct Exit {
  bool by_signal = false;
  int code = 0;  // exit code, or the signal's number
  [[nodiscard]] bool is_good() const { return !by_signal && code == 0; }
};
[[nodiscard]] std::string to_string(const Exit& exit);  // "exited with 3", "was killed by signal 9"

// Processes starts and watches named child processes. Each is the leader of its own process group,
// is killed by the kernel when the thread that started it ends, writes no core file, and gets only
// harmless variables of the environment (search paths, language, sanitizer options, BLINDSUM_…).
// Use one thread that lives as long as the children. Not thread-safe.
class Processes {
 public:
  Processes() = default;
  ~Processes();  // stops what still runs
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  // start runs `command` (a path and its arguments) with standard output and error appended to
  // `log` and nothing to read. Throws Error when it cannot be started. `name` must be new.
  void start(const std::string& name, const std::vector<std::string>& command,
             const std::filesystem::path& log);

  // poll collects the processes that have ended since the last call.
  std::vector<std::pair<std::string, Exit>> poll();

  // wait returns when `name` has ended, or nothing when `timeout` passes or `stop` becomes true
  // before.
  std::optional<Exit> wait(const std::string& name, std::chrono::milliseconds timeout,
                           const std::atomic<bool>& stop);

  // signal sends `number` to the process group of `name`; nothing when it does not run.
  void signal(const std::string& name, int number);

  [[nodiscard]] std::size_t running() const { return running_.size(); }
  [[nodiscard]] bool is_running(const std::string& name) const { return running_.contains(name); }

  // pids lists what runs, by name.
  [[nodiscard]] const std::map<std::string, pid_t>& pids() const { return running_; }

  // poll_interval is how long a loop around poll may sleep: 10 ms, more with hundreds of children.
  [[nodiscard]] std::chrono::milliseconds poll_interval() const;

  // stop_all asks every process group to end (SIGTERM, and SIGCONT for those that were stopped),
  // and after `grace` kills it. When it returns, none runs.
  void stop_all(std::chrono::milliseconds grace = std::chrono::seconds(2)) noexcept;

 private:
  void signal_all(int number) noexcept;

  std::map<std::string, pid_t> running_;
  std::map<std::string, Exit> ended_;
};

// stop_requested is the flag that SIGINT, SIGTERM and SIGHUP set once catch_stop_signals was
// called.
[[nodiscard]] const std::atomic<bool>& stop_requested();
void catch_stop_signals();

}  // namespace blindsum::launcher
