#include "tests/support/program.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/core/file.h"

namespace blindsum::test {
namespace {

std::string program_path(const std::string& name) {
  if (name.starts_with('/')) return name;
  const char* folder = std::getenv("BLINDSUM_BIN");
  if (folder == nullptr)
    throw std::runtime_error("BLINDSUM_BIN is not set: run this test by ctest");
  return std::string(folder) + "/" + name;
}

// Fields of /proc/PID/stat after the parenthesised name: state, parent, ….
bool read_stat(pid_t pid, std::string& name, char& state, pid_t& parent) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  const auto open = line.find('(');
  const auto close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return false;
  name = line.substr(open + 1, close - open - 1);
  std::istringstream rest(line.substr(close + 1));
  return static_cast<bool>(rest >> state >> parent);
}

}  // namespace

Program::Program(const std::string& name, const std::vector<std::string>& arguments,
                 const std::filesystem::path& folder) {
  static int counter = 0;
  const std::string prefix =
      std::filesystem::path(name).filename().string() + "-" + std::to_string(++counter);
  out_ = folder / (prefix + ".out");
  err_ = folder / (prefix + ".err");
  const std::string path = program_path(name);
  std::vector<std::string> words{path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    unsetenv("BLINDSUM_DATA");
    const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int err = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
}

Program::~Program() {
  if (is_running()) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
  }
}

void Program::signal(int number) const { kill(pid_, number); }

bool Program::is_running() {
  if (!has_ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) has_ended_ = true;
  return !has_ended_;
}

Outcome Program::wait(std::chrono::seconds deadline) {
  if (!wait_until(deadline, [&] { return !is_running(); })) {
    throw std::runtime_error("the program still runs at its deadline:\n" + read_text_file(err_));
  }
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  outcome.out = read_text_file(out_);
  outcome.err = read_text_file(err_);
  return outcome;
}

Outcome run_program(const std::string& name, const std::vector<std::string>& arguments,
                    const std::filesystem::path& folder, std::chrono::seconds deadline) {
  return Program(name, arguments, folder).wait(deadline);
}

std::map<pid_t, std::string> children_of(pid_t parent) {
  std::map<pid_t, std::string> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    std::string program;
    char state = 0;
    pid_t its_parent = 0;
    if (read_stat(pid, program, state, its_parent) && its_parent == parent && state != 'Z') {
      children[pid] = program;
    }
  }
  return children;
}

bool is_alive(pid_t pid) {
  std::string program;
  char state = 0;
  pid_t parent = 0;
  return read_stat(pid, program, state, parent) && state != 'Z';
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace blindsum::test
