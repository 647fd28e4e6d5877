// Private detection by 'blindsum run': real processes, equal to plain integers.
#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

std::vector<std::string> words(const fs::path& out, const std::vector<std::string>& sets) {
  std::vector<std::string> all{"run",
                               "scenarios/private-detection.yaml",
                               "--out",
                               out.string(),
                               "--json",
                               "--set",
                               "data.source=synthetic",
                               "--set",
                               "rounds=30",
                               "--set",
                               "threads=1"};
  for (const std::string& set : sets) all.insert(all.end(), {"--set", set});
  return all;
}

TEST_CASE("processes and memory give the same scores, which only the owner can read") {
  const Workspace space;
  for (const char* activation : {"none", "square"}) {
    CAPTURE(activation);
    std::string scores[2];
    for (const bool are_processes : {false, true}) {
      const fs::path out =
          space.dir.path() / (std::string(activation) + (are_processes ? "p" : "m"));
      const Outcome outcome = space.blindsum(words(
          out,
          {"encrypted_inputs.activation=" + std::string(activation), "encrypted_inputs.hidden=3",
           "encrypted_inputs.test_rows=" + std::string(*activation == 'n' ? "200" : "10"),
           std::string("runtime=") + (are_processes ? "processes" : "memory")}));
      REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
      const json summary = json::parse(outcome.out);
      CHECK(summary.at("status") == "done");
      CHECK(summary.at("identical") == true);
      CHECK(summary.at("data") == "synthetic");
      CHECK(summary.at("accuracy") == summary.at("in_floating_point").at("accuracy"));
      CHECK(summary.at("records_per_s") > 0);
      CHECK(summary.at("views").at("service").at("records") == summary.at("records"));
      const fs::path folder = fs::directory_iterator(out)->path();
      scores[are_processes ? 1 : 0] = read_text_file(folder / "owner" / "scores.csv");
      for (const char* secret : {"owner/scores.csv", "service/detector.json"}) {
        CHECK((fs::status(folder / secret).permissions() & fs::perms::all) ==
              (fs::perms::owner_read | fs::perms::owner_write));
      }
      CHECK_FALSE(fs::exists(folder / "owner" / "scores-in-the-clear.csv"));
    }
    CHECK(scores[0] == scores[1]);
    const auto lines = std::ranges::count(scores[0], '\n');
    CHECK(lines == (*activation == 'n' ? 201 : 11));
    CHECK(scores[0].starts_with("record,class,normal,dos,probe,r2l,u2r\n0,"));
  }
}

TEST_CASE("a batch that does not fit, an insecure key and too few rows are refused") {
  const Workspace space;
  const Outcome batch = space.blindsum(words(space.out, {"encrypted_inputs.batch_rows=86"}));
  CHECK(batch.exit_code == 2);
  CHECK(batch.err.find("use at most 85") != std::string::npos);
  const Outcome key = space.blindsum(words(space.out, {"paillier.key_bits=256"}));
  CHECK(key.exit_code == 2);
  CHECK(key.err.find("is for encrypted_inputs.task replay alone") != std::string::npos);
  const Outcome rows = space.blindsum(words(space.out, {"encrypted_inputs.test_rows=100000"}));
  CHECK(rows.exit_code == 3);
  CHECK(rows.err.find("encrypted_inputs.test_rows says 100000; use fewer") != std::string::npos);
}

}  // namespace
}  // namespace blindsum::test
