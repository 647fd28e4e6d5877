// What a user sees: on a terminal, in a pipe, and when told to be quiet.
#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/pty.h"
#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

Screen run_on(unsigned columns, const std::map<std::string, std::string>& environment,
              const std::vector<std::string>& more = {}) {
  const Workspace space;
  std::vector<std::string> command = space.run_words(more);
  command.insert(command.begin(), blindsum_path());
  Screen screen = run_on_terminal(command, columns, environment);
  INFO(screen.output);
  CHECK(screen.exit_code == 0);
  return screen;
}

TEST_CASE("on a terminal each phase is one line that is rewritten and fits the terminal") {
  for (const unsigned columns : {40U, 60U, 200U}) {
    CAPTURE(columns);
    const Screen screen = run_on(columns, {});
    std::size_t redrawn = 0;
    for (const std::string& line : screen.lines()) {
      const auto drawings = Screen::drawings(line);
      if (drawings.size() == 1) continue;
      const std::string last = plain(drawings.back());
      if (!last.starts_with("train")) continue;
      redrawn = drawings.size();
      for (const std::string& drawing : drawings) CHECK(plain(drawing).size() < columns);
      CHECK(last.find("round 20/20") != std::string::npos);
    }
    CHECK(redrawn >= 2);
  }
}

TEST_CASE("the last block says quality, protection, times, bytes, digest and folder") {
  const std::string text = plain(run_on(120, {}).output);
  for (const char* word : {"accuracy", "macro-F1", "cost", "NOT ENCRYPTED", "training", "encrypt",
                           "float32", "sha256:", "/out/small-", "recall"}) {
    CHECK_MESSAGE(text.find(word) != std::string::npos, word);
  }
}

TEST_CASE("colours appear on a terminal alone, and never with NO_COLOR or TERM=dumb") {
  const std::string colour = "\033[1m";
  CHECK(run_on(80, {}).output.find(colour) != std::string::npos);
  CHECK(run_on(80, {{"NO_COLOR", ""}}).output.find(colour) != std::string::npos);
  const Screen no_colour = run_on(80, {{"NO_COLOR", "1"}});
  CHECK(no_colour.output.find('m', no_colour.output.find('\033')) != std::string::npos);
  CHECK(no_colour.output.find("\033[1m") == std::string::npos);
  CHECK(no_colour.output.find("\033[0m") == std::string::npos);
  CHECK(no_colour.output.find("\033[K") != std::string::npos);
  CHECK(run_on(80, {{"TERM", "dumb"}}).output.find('\033') == std::string::npos);
}

TEST_CASE("in a pipe a run writes plain lines, about ten for the rounds") {
  const Workspace space;
  const Outcome outcome = space.blindsum(space.run_words({"--set", "rounds=100"}));
  REQUIRE(outcome.exit_code == 0);
  CHECK(outcome.out.find('\033') == std::string::npos);
  CHECK(outcome.out.find('\r') == std::string::npos);
  std::size_t rounds = 0;
  for (std::size_t at = 0; (at = outcome.out.find("\nround ", at)) != std::string::npos; ++at) {
    ++rounds;
  }
  CHECK(rounds == 10);
  CHECK(outcome.out.find("round 100/100") != std::string::npos);
}

TEST_CASE("--quiet prints no progress and --json the summary alone, on a terminal too") {
  const Workspace space;
  CHECK(space.blindsum(space.run_words({"--quiet"})).out.empty());
  const std::string text = run_on(80, {}, {"--json"}).output;
  CHECK(text.find('\033') == std::string::npos);
  const auto begin = text.find("{\r\n");  // after the warning on standard error
  REQUIRE(begin != std::string::npos);
  CHECK(nlohmann::json::parse(text.substr(begin)).at("status") == "done");
}

}  // namespace
}  // namespace blindsum::test
