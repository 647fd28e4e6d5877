#include "scenarios/launcher/processes.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

const std::atomic<bool> kNeverStop{false};

// Fixture runs shell commands as children.
struct Fixture {
  test::TempDir folder;
  Processes processes;

  void shell(const std::string& name, const std::string& command) {
    processes.start(name, {"/bin/sh", "-c", command}, log(name));
  }
  [[nodiscard]] std::filesystem::path log(const std::string& name) const {
    return folder.path() / (name + ".log");
  }
  // output waits until the log of `name` has a complete line and returns it.
  [[nodiscard]] std::string line_of(const std::string& name) const {
    for (int i = 0; i < 1000; ++i) {
      const std::string text = read_text_file(log(name));
      if (const auto end = text.find('\n'); end != std::string::npos) return text.substr(0, end);
      std::this_thread::sleep_for(10ms);
    }
    return "";
  }
};

// is_alive says whether `pid` exists and is no zombie.
bool is_alive(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(status, text)) return false;
  return text.at(text.rfind(')') + 2) != 'Z';
}

bool ends_soon(pid_t pid) {
  for (int i = 0; i < 500; ++i) {
    if (!is_alive(pid)) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an exit code is reported, once") {
  shell("three", "exit 3");
  shell("zero", "exit 0");
  const auto three = processes.wait("three", 10s, kNeverStop);
  const auto zero = processes.wait("zero", 10s, kNeverStop);
  REQUIRE(three);
  REQUIRE(zero);
  CHECK(to_string(*three) == "exited with 3");
  CHECK_FALSE(three->is_good());
  CHECK(zero->is_good());
  CHECK(processes.poll().empty());
  CHECK(processes.running() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a death by signal is told apart from an exit") {
  shell("victim", "kill -9 $$");
  const auto exit = processes.wait("victim", 10s, kNeverStop);
  REQUIRE(exit);
  CHECK(exit->by_signal);
  CHECK(to_string(*exit) == "was killed by signal 9");
}

TEST_CASE_FIXTURE(Fixture, "poll names who has ended and leaves the others") {
  processes.start("long", {"/bin/sleep", "60"}, log("long"));
  shell("short", "exit 7");
  std::vector<std::pair<std::string, Exit>> ended;
  while (ended.empty()) ended = processes.poll();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].first == "short");
  CHECK(ended[0].second.code == 7);
  CHECK(processes.is_running("long"));
  CHECK_FALSE(processes.is_running("short"));
}

TEST_CASE_FIXTURE(Fixture, "waiting ends at the deadline, and when a stop is asked for") {
  processes.start("long", {"/bin/sleep", "60"}, log("long"));
  const auto begin = Clock::now();
  CHECK_FALSE(processes.wait("long", 100ms, kNeverStop));
  CHECK(Clock::now() - begin >= 100ms);
  CHECK(Clock::now() - begin < 5s);
  const std::atomic<bool> stop{true};
  CHECK_FALSE(processes.wait("long", 1h, stop));
}

TEST_CASE_FIXTURE(Fixture, "standard output and error go to the log, standard input is empty") {
  shell("talker", "read x; echo \"got <$x>\"; echo error >&2");
  REQUIRE(processes.wait("talker", 10s, kNeverStop));
  CHECK(read_text_file(log("talker")) == "got <>\nerror\n");
}

TEST_CASE_FIXTURE(Fixture, "what cannot be started is an Error and leaves nothing") {
  CHECK_THROWS_AS(processes.start("x", {"/no/such/program"}, log("x")), Error);
  CHECK_THROWS_AS(processes.start("x", {}, log("x")), Error);
  CHECK_THROWS_AS(processes.start("x", {"/bin/sleep", "1"}, folder.path() / "no" / "log"), Error);
  CHECK(processes.running() == 0);
  processes.start("x", {"/bin/sleep", "60"}, log("x"));
  CHECK_THROWS_AS(processes.start("x", {"/bin/sleep", "60"}, log("x")), Error);
}

TEST_CASE_FIXTURE(Fixture, "a child gets no variable that might be a secret, and no core file") {
  REQUIRE(setenv("SECRET_TOKEN", "hunter2", 1) == 0);
  REQUIRE(setenv("BLINDSUM_EXAMPLE", "seen", 1) == 0);
  shell("env", "env; ulimit -c");
  REQUIRE(processes.wait("env", 10s, kNeverStop));
  unsetenv("SECRET_TOKEN");
  unsetenv("BLINDSUM_EXAMPLE");
  const std::string text = read_text_file(log("env"));
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(text.find("BLINDSUM_EXAMPLE=seen") != std::string::npos);
  CHECK(text.ends_with("\n0\n"));
}

TEST_CASE_FIXTURE(Fixture, "stopping asks first") {
  shell("polite", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
  REQUIRE(line_of("polite") == "ready");
  processes.stop_all(10s);
  CHECK(processes.running() == 0);
  CHECK(read_text_file(log("polite")).ends_with("bye\n"));
}

TEST_CASE_FIXTURE(Fixture, "stopping kills who does not listen, and what it has started") {
  shell("deaf", "trap '' TERM; sleep 60 & echo $!; wait; sleep 60");
  const pid_t grandchild = std::stoi(line_of("deaf"));
  CHECK(is_alive(grandchild));
  const auto begin = Clock::now();
  processes.stop_all(200ms);
  CHECK(Clock::now() - begin < 5s);
  CHECK(processes.running() == 0);
  CHECK(ends_soon(grandchild));
}

TEST_CASE("no child is left behind when an exception goes by") {
  const test::TempDir folder;
  const auto log = folder.path() / "sleeper.log";
  try {
    Processes processes;
    processes.start("sleeper", {"/bin/sh", "-c", "echo $$; exec sleep 60"}, log);
    while (read_text_file(log).find('\n') == std::string::npos) std::this_thread::sleep_for(5ms);
    throw Error("something went wrong");
  } catch (const Error&) {
  }
  CHECK_FALSE(is_alive(std::stoi(read_text_file(log))));
}

TEST_CASE("no child is left behind when the launcher is killed") {
  const test::TempDir folder;
  const auto log = folder.path() / "orphan.log";
  const pid_t launcher = fork();
  REQUIRE(launcher >= 0);
  if (launcher == 0) {
    Processes processes;
    processes.start("orphan", {"/bin/sh", "-c", "echo $$; exec sleep 60"}, log);
    for (;;) pause();
  }
  while (!std::filesystem::exists(log) || read_text_file(log).find('\n') == std::string::npos) {
    std::this_thread::sleep_for(5ms);
  }
  const pid_t orphan = std::stoi(read_text_file(log));
  CHECK(is_alive(orphan));
  kill(launcher, SIGKILL);
  waitpid(launcher, nullptr, 0);
  CHECK(ends_soon(orphan));
}

TEST_CASE_FIXTURE(Fixture, "fifty children at once are all reaped") {
  for (int i = 0; i < 50; ++i) {
    processes.start("sleeper-" + std::to_string(i), {"/bin/sleep", "60"}, log("sleepers"));
  }
  CHECK(processes.running() == 50);
  processes.stop_all();
  CHECK(processes.running() == 0);
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}
