// 'blindsum run' of mode encrypted_inputs: real processes on ciphertexts, equal to plain integers.
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using nlohmann::json;

std::vector<std::string> replay_words(const Workspace& space, std::vector<std::string> sets) {
  std::vector<std::string> words{"run",
                                 "scenarios/seed-replay.yaml",
                                 "--out",
                                 space.out.string(),
                                 "--json",
                                 "--set",
                                 "data.source=synthetic",
                                 "--set",
                                 "encrypted_inputs.train_rows=150",
                                 "--set",
                                 "encrypted_inputs.test_rows=20",
                                 "--set",
                                 "encrypted_inputs.epochs=2",
                                 "--set",
                                 "threads=1"};
  for (std::string& set : sets) words.insert(words.end(), {"--set", std::move(set)});
  return words;
}

TEST_CASE("a replay in processes and in memory has the same integers, in the clear too") {
  const Workspace space;
  json summaries[2];
  for (const bool are_processes : {false, true}) {
    const Outcome outcome = space.blindsum(
        replay_words(space, {"paillier.key_bits=256",
                             std::string("runtime=") + (are_processes ? "processes" : "memory")}));
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    CHECK(outcome.err.find("INSECURE") != std::string::npos);
    json& summary = summaries[are_processes ? 1 : 0];
    summary = json::parse(outcome.out);
    CHECK(summary.at("status") == "done");
    CHECK(summary.at("identical") == true);
    CHECK(summary.at("data") == "synthetic");
    CHECK(summary.at("security").get<std::string>().starts_with("INSECURE"));
    CHECK(summary.at("plain").at("trace") == summary.at("trace"));
    REQUIRE(summary.at("epochs").size() == 2);
    CHECK(summary.at("encryptions") == 41 * 170);
  }
  CHECK(summaries[0].at("trace") == summaries[1].at("trace"));
  CHECK(summaries[0].at("model_digest") == summaries[1].at("model_digest"));
}

TEST_CASE("too few rows, another verb and an insecure key elsewhere are refused") {
  const Workspace space;
  const Outcome few = space.blindsum(
      replay_words(space, {"paillier.key_bits=256", "encrypted_inputs.test_rows=100000"}));
  CHECK(few.exit_code == 3);
  CHECK(few.err.find("encrypted_inputs.test_rows says 100000; use fewer") != std::string::npos);
  const Outcome compare = space.blindsum({"compare", "scenarios/seed-replay.yaml"});
  CHECK(compare.exit_code == 2);
  CHECK(compare.err.find("mode encrypted_inputs is for 'blindsum run' alone") != std::string::npos);
  const Outcome key =
      space.blindsum({"run", "scenarios/kdd-quick.yaml", "--set", "paillier.key_bits=256"});
  CHECK(key.exit_code == 2);
  CHECK(key.err.find("paillier.key_bits: 256 is not allowed; use 2048, 3072 or 4096") !=
        std::string::npos);
}

}  // namespace
}  // namespace blindsum::test
