// Runs that end early, through the programs.
#include <map>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using json = nlohmann::json;

struct Run {
  std::filesystem::path folder;
  json summary;
  std::map<std::uint32_t, json> rounds;  // of the key-holder
  std::vector<json> stops;               // events stopped_early

  explicit Run(const std::filesystem::path& from)
      : folder(from), summary(json::parse(read_text_file(from / "summary.json"))) {
    std::istringstream lines(read_text_file(from / "rounds.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const json record = json::parse(line);
      if (record.contains("event")) {
        if (record.at("event") == "stopped_early") stops.push_back(record);
      } else if (record.at("role") == "keyholder") {
        CHECK(rounds.emplace(record.at("round"), record).second);
      }
    }
  }
};

// model_digest_in reads the digest that a model file states.
std::string model_digest_in(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path);
  REQUIRE(bytes.size() > 8);
  const auto header = json::parse(
      bytes.begin() + 8, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(read_le64(bytes, 0)));
  return header.at("__metadata__").at("model_digest");
}

struct Stops : Workspace {
  [[nodiscard]] Run run(const std::string& name, std::vector<std::string> more) const {
    std::vector<std::string> words{"run", scenario.string(), "--out", (out / name).string()};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = blindsum(words);
    REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
    return Run(std::filesystem::directory_iterator(out / name)->path());
  }

  // check_ended requires that `run` has ended in `round`, for `reason`, for good.
  void check_ended(const Run& run, std::uint32_t round, const std::string& reason) const {
    REQUIRE(run.stops.size() == 1);
    CHECK(run.stops[0].at("round") == round);
    CHECK(run.stops[0].at("role") == "keyholder");
    CHECK(run.stops[0].at("detail").get<std::string>().starts_with(reason));
    CHECK(run.rounds.size() == round + 1);
    const std::string digest = run.rounds.at(round).at("model_digest");
    CHECK(run.summary.at("status") == "done");
    CHECK(run.summary.at("model_digest") == digest);
    CHECK(run.summary.at("final").at("accuracy") ==
          run.rounds.at(round).at("evaluation").at("accuracy"));
    CHECK(model_digest_in(run.folder / "model.safetensors") == digest);

    const std::string before = read_text_file(run.folder / "rounds.jsonl");
    const Outcome again = blindsum({"run", "--resume", run.folder.string()});
    CHECK(again.exit_code == 2);
    CHECK(again.err.find("this run is done") != std::string::npos);
    CHECK(read_text_file(run.folder / "rounds.jsonl") == before);
  }
};

TEST_CASE_FIXTURE(Stops, "stop.accuracy ends a run with the model of the round that reached it") {
  const Run whole = run("whole", {});
  CHECK(whole.stops.empty());
  REQUIRE(whole.rounds.size() == 21);
  double wanted = 0;
  std::uint32_t first = 0;
  for (std::uint32_t round = 1; round <= 10; ++round) {
    const double accuracy = whole.rounds.at(round).at("evaluation").at("accuracy");
    if (accuracy > wanted) {
      wanted = accuracy;
      first = round;
    }
  }
  REQUIRE(first > 1);
  const Run ended = run("ended", {"--set", "stop.accuracy=" + json(wanted).dump()});
  check_ended(ended, first, "stop.accuracy");
  CHECK(ended.summary.at("model_digest") == whole.rounds.at(first).at("model_digest"));
}

TEST_CASE_FIXTURE(Stops, "stop.minutes ends a run with the model of the last round in time") {
  const Run ended = run("ended", {"--set", "rounds=100000", "--set", "evaluate_every=100000",
                                  "--set", "stop.minutes=0.02"});
  const auto round = static_cast<std::uint32_t>(ended.rounds.size()) - 1;
  CHECK(round > 0);
  check_ended(ended, round, "stop.minutes");
  for (std::uint32_t before = 1; before < round; ++before) {
    CHECK_FALSE(ended.rounds.at(before).contains("evaluation"));
  }
  CHECK(ended.summary.at("wall_s") >= 1.2);
}

}  // namespace
}  // namespace blindsum::test
