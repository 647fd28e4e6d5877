// 'blindsum data fetch' and 'data check' as a user sees them. What the download itself does is
// tested with the launcher.
#include <csignal>
#include <cstdlib>
#include <memory>

#include <doctest/doctest.h>

#include "tests/cli/pty.h"
#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using namespace std::chrono_literals;

// Web serves a folder by tests/launcher/serve.py.
struct Web : Workspace {
  std::filesystem::path site = dir.path() / "site";
  std::string port;
  std::unique_ptr<Program> server;

  Web() {
    std::filesystem::create_directories(site);
    const auto port_file = dir.path() / "port";
    server = std::make_unique<Program>(
        "/usr/bin/python3",
        std::vector<std::string>{"tests/launcher/serve.py", site.string(), port_file.string()},
        dir.path());
    REQUIRE(wait_until(20s, [&] { return std::filesystem::exists(port_file); }));
    port = read_text_file(port_file);
  }
  [[nodiscard]] std::string url(const std::string& way) const {
    return "http://127.0.0.1:" + port + "/" + way;
  }
};

TEST_CASE_FIXTURE(Web, "a server without the files is a data error, exit code 3") {
  const Outcome outcome =
      blindsum({"data", "fetch", (dir.path() / "kdd").string(), "--url", url("good")});
  CHECK(outcome.exit_code == 3);
  CHECK(outcome.err.find("kddcup.data_10_percent.gz: the server answers 404") != std::string::npos);
}

TEST_CASE_FIXTURE(Web, "a file that is not the published one is refused and removed") {
  write_file_atomic(site / "kddcup.data_10_percent.gz", std::string_view("no such data"));
  const Outcome outcome =
      blindsum({"data", "fetch", (dir.path() / "kdd").string(), "--url", url("good")});
  CHECK(outcome.exit_code == 3);
  CHECK(outcome.err.find("not the published file") != std::string::npos);
  CHECK(std::filesystem::is_empty(dir.path() / "kdd"));
}

TEST_CASE_FIXTURE(Web, "Ctrl-C keeps what came, with exit code 130") {
  write_file_atomic(site / "kddcup.data_10_percent.gz", std::string(100000, 'x'));
  const auto part = dir.path() / "kdd" / "kddcup.data_10_percent.gz.part";
  Program program("blindsum",
                  {"data", "fetch", (dir.path() / "kdd").string(), "--url", url("slow")},
                  dir.path());
  REQUIRE(wait_until(
      20s, [&] { return std::filesystem::exists(part) && std::filesystem::file_size(part) > 16; }));
  program.signal(SIGINT);
  const Outcome outcome = program.wait(10s);
  CHECK(outcome.exit_code == 130);
  CHECK(outcome.err.find("goes on where it stopped") != std::string::npos);
  CHECK(std::filesystem::file_size(part) > 16);
}

TEST_CASE_FIXTURE(Web,
                  "the real files are fetched with progress on a terminal, and pass the check") {
  const char* real = std::getenv("BLINDSUM_DATA");
  if (real == nullptr) {
    MESSAGE("BLINDSUM_DATA is not set: skipped");
    return;
  }
  for (const char* name : {"kddcup.data_10_percent.gz", "corrected.gz"}) {
    const auto path = std::filesystem::path(real) / name;
    if (!std::filesystem::exists(path)) {
      MESSAGE("BLINDSUM_DATA holds uncompressed files: skipped");
      return;
    }
    std::filesystem::create_symlink(std::filesystem::absolute(path), site / name);
  }
  const auto target = dir.path() / "kdd";
  const Screen screen = run_on_terminal(
      {blindsum_path(), "data", "fetch", target.string(), "--url", url("good")}, 60);
  INFO(screen.output);
  CHECK(screen.exit_code == 0);
  CHECK(screen.output.find("checksum right") != std::string::npos);
  const Outcome outcome = blindsum({"data", "check", target.string()});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("494021") != std::string::npos);
  CHECK(outcome.out.find("NOT the published") == std::string::npos);
}

}  // namespace
}  // namespace blindsum::test
