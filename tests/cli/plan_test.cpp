// 'blindsum plan': what is computed is exact, what is measured is there, and nothing is left
// behind.
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using nlohmann::json;

json plan_of(const Workspace& space, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words{"plan", space.scenario.string(), "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const Outcome outcome = space.blindsum(words);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return json::parse(outcome.out);
}

TEST_CASE("the bytes of a plan are those that the parties of a run record") {
  const Workspace space;
  const json plan = plan_of(space);
  CHECK_FALSE(std::filesystem::exists(space.out));
  REQUIRE(space.blindsum(space.run_words()).exit_code == 0);
  std::size_t compared = 0;
  std::ifstream rounds(space.result() / "rounds.jsonl");
  for (std::string line; std::getline(rounds, line);) {
    const json record = json::parse(line);
    if (record.at("round") == 0 || !record.at("role").get<std::string>().starts_with("party")) {
      continue;
    }
    CHECK(record.at("bytes_out") == plan.at("bytes").at("up"));
    CHECK(record.at("bytes_in") == plan.at("bytes").at("down"));
    ++compared;
  }
  CHECK(compared == 3 * 20);
}

TEST_CASE("an encrypted plan has the published sizes, a strength, and a method for every number") {
  const Workspace space;
  const json plan =
      plan_of(space, {"--set", "cipher=paillier", "--set", "model.hidden=[41]", "--parties", "10"});
  // README.md: an update of 5,253 parameters is 53 ciphertexts, 40,704 bytes.
  CHECK(plan.at("parameters") == 5253);
  CHECK(plan.at("bytes").at("ciphertexts") == 53);
  CHECK(plan.at("bytes").at("up") == 40704);
  CHECK(plan.at("bytes").at("float32") == 4 * 5253);
  CHECK(plan.at("security_bits") == 128);
  CHECK(plan.at("quorum") == 7);
  CHECK(plan.at("headroom").at("holds") == true);
  CHECK(plan.at("headroom").at("largest_sum") == 10 * ((1 << 24) - 1));
  double sum = 0;
  for (const char* phase : {"train", "encode", "encrypt", "aggregate", "decrypt", "evaluate"}) {
    CAPTURE(phase);
    CHECK(plan.at("phase_s").at(phase).get<double>() > 0);
    CHECK(plan.at("method").dump().find(phase) != std::string::npos);
    sum += plan.at("phase_s").at(phase).get<double>();
  }
  CHECK(plan.at("round_s").get<double>() == doctest::Approx(sum));
  CHECK(plan.at("phase_s").at("encrypt") > plan.at("phase_s").at("encode"));
  CHECK(plan.at("memory_mib").at("party").get<double>() > 1);
}

TEST_CASE("a plan says in words what it predicts, and refuses what a run would refuse") {
  const Workspace space;
  const Outcome outcome = space.blindsum({"plan", space.scenario.string()});
  CHECK(outcome.exit_code == 0);
  for (const char* word : {"NOT ENCRYPTED", "a round", "headroom", "memory", "method", "float32"}) {
    CHECK_MESSAGE(outcome.out.find(word) != std::string::npos, word);
  }
  const Outcome refused =
      space.blindsum({"plan", space.scenario.string(), "--set", "model.hidden=[4096, 4096, 4096]"});
  CHECK(refused.exit_code == 2);
  CHECK(refused.err.find("parameters") != std::string::npos);
}

}  // namespace
}  // namespace blindsum::test
