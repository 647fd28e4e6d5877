// Odd surroundings: output that cannot be written, closed descriptors, names that are not UTF-8.
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

// shell_run is the command line of a run in `space`, for bash.
std::string shell_run(const Workspace& space, const std::string& more = "") {
  std::string text = "'" + blindsum_path() + "'";
  for (const std::string& word : space.run_words()) text += " '" + word + "'";
  return text + " --set rounds=2 " + more;
}

TEST_CASE("a full standard output is an error that says so, and the results are kept") {
  for (const std::string options : {"--json", ""}) {
    CAPTURE(options);
    const Workspace space;
    const Outcome outcome = space.bash(shell_run(space, options) + " > /dev/full");
    INFO(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.err.find("standard output cannot be written") != std::string::npos);
    CHECK(outcome.err.find(space.result().string()) != std::string::npos);
    const auto summary = nlohmann::json::parse(read_text_file(space.result() / "summary.json"));
    CHECK(summary.at("status") == "done");
  }
}

TEST_CASE("other verbs and help notice a full standard output too") {
  const Workspace space;
  for (const std::string verb : {"--help", "run --help-keys", "data synth synthetic"}) {
    CAPTURE(verb);
    const Outcome outcome = space.bash("cd '" + space.dir.path().string() + "' && '" +
                                       blindsum_path() + "' " + verb + " > /dev/full");
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.err.find("standard output cannot be written") != std::string::npos);
  }
}

TEST_CASE("a pipe that closes early does not end the run") {
  const Workspace space;
  const Outcome outcome =
      space.bash("set -o pipefail; " + shell_run(space) + " | head -n 1 >/dev/null");
  CHECK(std::filesystem::exists(space.result() / "model.safetensors"));
  CHECK(outcome.err.find("WARNING: NOT ENCRYPTED") != std::string::npos);
}

TEST_CASE("closed standard streams do no harm: nothing is printed into the results") {
  const Workspace space;
  const Outcome outcome = space.bash(shell_run(space) + " <&- >&- 2>&-");
  CHECK(outcome.exit_code == 0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(space.result())) {
    if (!entry.is_regular_file()) continue;
    const std::string text = read_text_file(entry.path());
    CHECK_MESSAGE(text.find("WARNING: NOT ENCRYPTED") == std::string::npos, entry.path().string());
  }
  const auto summary = nlohmann::json::parse(read_text_file(space.result() / "summary.json"));
  CHECK(summary.at("status") == "done");
}

TEST_CASE("a path that is not UTF-8 is refused by name before anything is made") {
  const Workspace space;
  const std::string odd = (space.dir.path() / "odd-\xff").string();
  for (const std::string option : {"--out", "--data", "--keys"}) {
    CAPTURE(option);
    std::vector<std::string> words{"run", space.scenario.string(), option, odd};
    if (option != "--out") words.insert(words.end(), {"--out", space.out.string()});
    const Outcome outcome = space.blindsum(words);
    INFO(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.err.find("odd-\xff: the path is not UTF-8") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(space.out));
  }
}

TEST_CASE("bytes that are not UTF-8 in a scenario or a data file end with a proper message") {
  const Workspace space;
  const Outcome set = space.blindsum(space.run_words({"--set", "cipher=\xff"}));
  INFO(set.err);
  CHECK(set.exit_code == 2);
  CHECK(set.err.find("cipher") != std::string::npos);
  CHECK(set.err.find("json") == std::string::npos);

  write_file_atomic(space.dir.path() / "odd.yaml", std::string_view("algorithm: \xff\xfe\n"));
  const Outcome scenario = space.blindsum({"run", (space.dir.path() / "odd.yaml").string()});
  INFO(scenario.err);
  CHECK(scenario.exit_code == 2);
  CHECK(scenario.err.find("odd.yaml") != std::string::npos);
  CHECK(scenario.err.find("json") == std::string::npos);

  const Outcome missing =
      space.blindsum({"run", (space.dir.path() / "no-\xff.yaml").string(), "--json"});
  CHECK(missing.exit_code == 2);
  CHECK(missing.err.find("no-\xff.yaml") != std::string::npos);

  const auto data = space.dir.path() / "data";
  std::filesystem::create_directories(data);
  std::string row =
      "0,tcp,http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,0.00,"
      "0.00,9,9,1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00,no\xffrmal.\n";
  write_file_atomic(data / "corrected", std::string_view(row));
  write_file_atomic(data / "kddcup.data_10_percent", std::string_view(row));
  const Outcome label = space.blindsum(
      space.run_words({"--set", "data.source=kdd99", "--data", data.string(), "--json"}));
  INFO(label.err);
  CHECK(label.exit_code == 3);
  CHECK(nlohmann::json::parse(label.out).at("status") == "data");
}

TEST_CASE("too low a limit of open files is named, with what is needed and how to raise it") {
  const Workspace space;
  const Outcome outcome = space.bash("ulimit -n 30; " + shell_run(space));
  INFO(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.find("have 30, need 35 for 3 parties") != std::string::npos);
  CHECK(outcome.err.find("ulimit -n 35") != std::string::npos);
  CHECK(space.bash("ulimit -n 35; " + shell_run(space)).exit_code == 0);
}

TEST_CASE("a folder that cannot be made is a usage error that names it") {
  const Workspace space;
  write_file_atomic(space.dir.path() / "file", std::string_view("x"));
  const Outcome outcome =
      space.blindsum({"data", "synth", (space.dir.path() / "file" / "sub").string()});
  INFO(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.find("file/sub") != std::string::npos);
}

}  // namespace
}  // namespace blindsum::test
