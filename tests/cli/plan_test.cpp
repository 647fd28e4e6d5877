// 'blindsum plan': what is computed is exact, what is measured is there, and nothing is left
// behind.
#include <cstdint>
#include <fstream>
#include <set>

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

// Sent is what the parties recorded of the gradient rounds of a run.
struct Sent {
  std::size_t records = 0;
  std::set<std::uint64_t> up, down;
};

Sent sent_in(const std::filesystem::path& rounds_jsonl) {
  Sent sent;
  std::ifstream rounds(rounds_jsonl);
  for (std::string line; std::getline(rounds, line);) {
    const json record = json::parse(line);
    if (record.contains("event") || record.at("round") == 0 ||
        !record.at("role").get<std::string>().starts_with("party")) {
      continue;
    }
    sent.up.insert(record.at("bytes_out").get<std::uint64_t>());
    sent.down.insert(record.at("bytes_in").get<std::uint64_t>());
    ++sent.records;
  }
  return sent;
}

TEST_CASE("whatever the algorithm and the sample, the bytes of a plan are those of a run") {
  for (const char* algorithm :
       {"fedsgd", "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "scaffold"}) {
    CAPTURE(algorithm);
    const Workspace space;
    const std::vector<std::string> settings{"--set", std::string("algorithm=") + algorithm,
                                            "--set", "parties=5",
                                            "--set", "sampling.parties=3",
                                            "--set", "rounds=4",
                                            "--set", "runtime=memory",
                                            "--set", "local.steps=2"};
    const json plan = plan_of(space, settings);
    const Outcome outcome = space.blindsum(space.run_words(settings));
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    const Sent sent = sent_in(space.result() / "rounds.jsonl");
    CHECK(sent.up == std::set{plan.at("bytes").at("up").get<std::uint64_t>()});
    CHECK(sent.down == std::set{plan.at("bytes").at("down").get<std::uint64_t>()});
    CHECK(plan.at("asked") == 3);
    CHECK(static_cast<double>(sent.records) == 4 * plan.at("asked").get<double>());
    CHECK(plan.at("rows").at("update") == (algorithm == std::string("fedsgd") ? 64 : 2 * 64));
  }
}

TEST_CASE("a plan counts the work of local steps and epochs, and whom a round asks") {
  const Workspace space;
  const auto update_rows = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words;
    for (const std::string& set : more) words.insert(words.end(), {"--set", set});
    return plan_of(space, words).at("rows").at("update").get<double>();
  };
  CHECK(update_rows({}) == 64);
  CHECK(update_rows({"local.steps=7"}) == 64);  // fedsgd takes none
  CHECK(update_rows({"algorithm=fedavg"}) == 20 * 64);
  CHECK(update_rows({"algorithm=fedavg", "local.steps=7"}) == 7 * 64);
  // 40,000 rows of three parties are 13,334 at most.
  CHECK(update_rows({"algorithm=fedavg", "local.epochs=3"}) == 3 * 13334);
  CHECK(update_rows({"local.batch_rows=1000000"}) == 13334);

  const json sampled = plan_of(
      space, {"--set", "parties=10", "--set", "sampling.parties=4", "--set", "sampling.extra=2"});
  CHECK(sampled.at("asked") == 6);
  CHECK(sampled.at("counted") == 4);
  CHECK(sampled.at("quorum") == 3);
  // A hundred times the steps take about a hundred times as long.
  const auto train_s = [&](const char* steps) {
    return plan_of(space, {"--set", "algorithm=fedavg", "--set", steps})
        .at("phase_s")
        .at("train")
        .get<double>();
  };
  const double ratio = train_s("local.steps=200") / train_s("local.steps=2");
  CHECK(ratio > 10);
  CHECK(ratio < 1000);
}

TEST_CASE("a plan counts the rows of the files that are there, and says when it assumes") {
  const Workspace space;
  const auto folder = space.dir.path() / "files";
  REQUIRE(
      space
          .blindsum({"data", "synth", folder.string(), "--train-rows", "600", "--test-rows", "500"})
          .exit_code == 0);
  const auto train = folder / "kddcup.data_10_percent", test = folder / "corrected";
  std::set<std::string> distinct;
  std::ifstream lines(test);
  for (std::string line; std::getline(lines, line);) distinct.insert(line);
  const auto rows_of = [&](const std::string& source, const std::vector<std::string>& more,
                           double train_rows) {
    CAPTURE(source);
    std::vector<std::string> words{"--data", folder.string()};
    words.insert(words.end(), more.begin(), more.end());
    const json plan = plan_of(space, words);
    CHECK(plan.at("data") == source);
    CHECK(plan.at("rows").at("train") == train_rows);
    CHECK(plan.at("rows").at("test") == 500);
    CHECK(plan.at("rows").at("distinct_test") == distinct.size());
    CHECK(plan.at("rows").at("are_assumed") == false);
  };
  rows_of("kdd99-modified", {"--set", "data.source=kdd99"}, 600);
  rows_of("kdd99-modified", {"--set", "data.source=auto"}, 600);

  const auto assumed = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"--data", folder.string()};
    words.insert(words.end(), more.begin(), more.end());
    const json plan = plan_of(space, words);
    CHECK(plan.at("rows").at("are_assumed") == true);
    return plan;
  };
  const std::vector<std::string> nsl{"--set", "data.source=nsl_kdd"};
  const std::vector<std::string> csv{"--set", "data.source=csv"};
  const std::vector<std::string> own{"--set", "data.source=auto", "--set",
                                     "data.partition.kind=files"};
  CHECK(assumed(nsl).at("data") == "nsl_kdd");
  CHECK(assumed(nsl).at("rows").at("train") == 125973);
  CHECK(assumed(csv).at("data") == "csv");
  CHECK(assumed(own).at("data") == "party_files");
  const Outcome said = space.blindsum(
      {"plan", space.scenario.string(), "--data", folder.string(), "--set", "data.source=nsl_kdd"});
  CHECK(said.out.find("125973 training rows, 22544 test rows (assumed: the files are not there)") !=
        std::string::npos);

  std::filesystem::copy_file(train, folder / "KDDTrain+.txt");
  std::filesystem::copy_file(test, folder / "KDDTest+.txt");
  rows_of("nsl_kdd", nsl, 600);
  std::filesystem::copy_file(train, folder / "train.csv");
  std::filesystem::copy_file(test, folder / "test.csv");
  rows_of("csv", csv, 600);
  for (const char* party : {"party-0.csv", "party-1.csv", "party-2.csv"}) {
    std::filesystem::copy_file(train, folder / party);
  }
  rows_of("party_files", own, 3 * 600);
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
