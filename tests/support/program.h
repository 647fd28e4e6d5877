// Running the real programs from a test: arguments, output, signals, and a deadline for everything.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace blindsum::test {

// Outcome of a program that has ended. `exit_code` is 128 + the signal's number when a signal ended
// it.
struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Program is one running child process. The destructor kills it if it still runs.
class Program {
 public:
  // Starts build/…/bin/<name> (the folder comes from the environment variable BLINDSUM_BIN), or
  // `name` itself when it is an absolute path. Output goes to files in `folder`. BLINDSUM_DATA is
  // taken out of the environment: a test says what data it uses.
  Program(const std::string& name, const std::vector<std::string>& arguments,
          const std::filesystem::path& folder);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;

  // wait returns the outcome, or throws std::runtime_error when the program still runs at the
  // deadline.
  Outcome wait(std::chrono::seconds deadline);
  [[nodiscard]] bool is_running();

 private:
  pid_t pid_ = -1;
  bool has_ended_ = false;
  int status_ = 0;
  std::filesystem::path out_, err_;
};

// run_program starts a program and waits for it.
[[nodiscard]] Outcome run_program(const std::string& name,
                                  const std::vector<std::string>& arguments,
                                  const std::filesystem::path& folder,
                                  std::chrono::seconds deadline = std::chrono::seconds(120));

// children_of lists the direct children of a process: pid → program name as the kernel shows it (at
// most 15 characters).
[[nodiscard]] std::map<pid_t, std::string> children_of(pid_t parent);

// is_alive says whether a process exists and is not a zombie.
[[nodiscard]] bool is_alive(pid_t pid);

// wait_until polls `condition` until it holds or the deadline has passed, and returns whether it
// held.
template <class Condition>
[[nodiscard]] bool wait_until(std::chrono::milliseconds deadline, Condition condition);

void sleep_ms(int ms);

template <class Condition>
bool wait_until(std::chrono::milliseconds deadline, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    sleep_ms(10);
  }
  return condition();
}

}  // namespace blindsum::test
