#include "tests/cli/pty.h"

#include <array>
#include <cstdlib>
#include <regex>
#include <stdexcept>

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

namespace blindsum::test {
namespace {

std::vector<std::string> split(const std::string& text, const std::string& at) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = text.find(at); end != std::string::npos; end = text.find(at, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + at.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace

std::vector<std::string> Screen::lines() const { return split(output, "\r\n"); }

std::vector<std::string> Screen::drawings(const std::string& line) {
  return split(line, "\r\033[K");
}

std::string plain(const std::string& text) {
  return std::regex_replace(text, std::regex("\033\\[[0-9;]*[mK]"), "");
}

Screen run_on_terminal(const std::vector<std::string>& command, unsigned columns,
                       const std::map<std::string, std::string>& environment) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  struct winsize size = {};
  size.ws_row = 30;
  size.ws_col = static_cast<unsigned short>(columns);
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid < 0) throw std::runtime_error("forkpty failed");
  if (pid == 0) {
    unsetenv("BLINDSUM_DATA");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  Screen screen;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t got = read(terminal, piece.data(), piece.size());
    if (got <= 0) break;  // EIO once the program has gone
    screen.output.append(piece.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  close(terminal);
  screen.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return screen;
}

}  // namespace blindsum::test
