// Records that are not KDD'99's, through the programs.
#include <cmath>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/core/seeded_random.h"
#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using json = nlohmann::json;

constexpr const char* kScenario = R"(name: own
parties: 4
rounds: 60
model: { hidden: [8] }
server: { rate: 0.05 }
local: { batch_rows: 64 }
paillier: { key_bits: 2048, randomizer: short }
deadlines: { round_s: 20, start_s: 60 }
data:
  source: csv
  partition: { kind: by_attack }
  schema:
    label: Label
    columns:
      - { name: Protocol, kind: category, values: [6, 17] }
      - { name: Bytes Sent, kind: log }
      - { name: idle, kind: number, low: -50, high: 950 }
      - { name: share, kind: number }
    classes:
      - { name: benign, labels: [BENIGN], costs: [0, 2, 1] }
      - { name: dos, labels: [DDoS, DoS Hulk], costs: [3, 0, 1] }
      - { name: probe, labels: [PortScan], costs: [1, 2, 0] }
)";

// flows are records of four labels that differ in every column, and overlap.
std::string flows(std::size_t rows, std::uint64_t seed, bool has_header) {
  SeededRandom random(seed, "flows");
  std::string text = has_header ? "id,Label, share,Bytes Sent,Protocol,idle,note\n" : "";
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t kind = random.below(10) < 5 ? 0 : 1 + random.below(3);
    const char* labels[] = {"BENIGN", "DDoS", "DoS Hulk", "PortScan"};
    const double level = static_cast<double>(kind);
    const std::string bytes =
        std::to_string((kind == 3 ? -1 : 1) * std::expm1(2 * level + 2 * random.uniform()));
    const std::string share = std::to_string(0.2 * level + 0.4 * random.uniform());
    const std::string idle = std::to_string(300 * level + 300 * random.uniform() - 60);
    const std::string protocol = random.below(20) == 0 ? "1" : random.below(4) < kind ? "17" : "6";
    text += has_header
                ? std::to_string(row) + "," + labels[kind] + "," + share + "," + bytes + "," +
                      protocol + "," + idle + ",x\n"
                : protocol + "," + bytes + "," + idle + "," + share + "," + labels[kind] + "\n";
  }
  return text;
}

struct OwnRecords : Workspace {
  std::filesystem::path data = dir.path() / "flows";

  OwnRecords() {
    write_file_atomic(scenario, kScenario);
    std::filesystem::create_directories(data);
    write_file_atomic(data / "train.csv", flows(3000, 1, true));
    write_file_atomic(data / "test.csv", flows(2000, 2, true));
  }
  [[nodiscard]] Outcome run(const std::string& verb, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{verb,     scenario.string(), "--out", out.string(),
                                   "--data", data.string(),     "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return blindsum(words);
  }
  [[nodiscard]] json summary_of(const Outcome& outcome) const {
    REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
    return json::parse(outcome.out);
  }
};

TEST_CASE_FIXTURE(OwnRecords, "parties train on records of the scenario's own schema, encrypted") {
  const json encrypted = summary_of(run("run"));
  CHECK(encrypted.at("data") == "csv");
  CHECK(encrypted.at("encryption_proof").at("verdict") == "passed");
  CHECK(encrypted.at("classes") == json({"benign", "dos", "probe"}));
  CHECK(encrypted.at("final").at("accuracy") > 0.9);
  const json integers = summary_of(run("run", {"--set", "cipher=none"}));
  CHECK(integers.at("model_digest") == encrypted.at("model_digest"));
  CHECK(integers.at("confusion") == encrypted.at("confusion"));

  // The figures are those of the confusion matrix, by the scenario's costs.
  const int costs[3][3] = {{0, 2, 1}, {3, 0, 1}, {1, 2, 0}};
  double cost = 0, right = 0, rows = 0;
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t p = 0; p < 3; ++p) {
      const auto count = encrypted.at("confusion")[a][p].get<double>();
      rows += count;
      right += a == p ? count : 0;
      cost += costs[a][p] * count;
    }
  }
  CHECK(rows == 2000);
  CHECK(encrypted.at("final").at("accuracy") == right / rows);
  CHECK(encrypted.at("final").at("cost") == cost / rows);
}

TEST_CASE_FIXTURE(OwnRecords, "files with and without a header train the same model") {
  const json named = summary_of(run("run", {"--set", "cipher=none", "--set", "runtime=memory"}));
  write_file_atomic(data / "train.csv", flows(3000, 1, false));
  write_file_atomic(data / "test.csv", flows(2000, 2, false));
  const json bare = summary_of(run("run", {"--set", "cipher=none", "--set", "runtime=memory"}));
  CHECK(bare.at("model_digest") == named.at("model_digest"));
  CHECK(bare.at("confusion") == named.at("confusion"));
}

TEST_CASE_FIXTURE(OwnRecords, "records of the scenario's own schema are compared") {
  const Outcome outcome = run("compare", {"--set", "rounds=10", "--set", "runtime=memory"});
  const json comparison = summary_of(outcome);
  CHECK(comparison.at("status") == "done");
  CHECK(comparison.at("identical") == true);
  CHECK_FALSE(comparison.at("sanity").contains("study_network"));
  CHECK(comparison.at("sanity").at("majority_class").at("rule") == "always benign");
  CHECK(comparison.at("gains")[0].at("alone").size() == 3);
  CHECK(comparison.at("local").at("per_party")[0].at("class_rows").size() == 3);
  const Outcome shown =
      blindsum({"compare", scenario.string(), "--out", (dir.path() / "x").string(), "--data",
                data.string(), "--set", "rounds=2", "--set", "runtime=memory"});
  REQUIRE_MESSAGE(shown.exit_code == 0, shown.err);
  CHECK(shown.out.find("benign") != std::string::npos);
  CHECK(shown.out.find("probe") != std::string::npos);
}

TEST_CASE_FIXTURE(OwnRecords, "parties bring files of the scenario's own schema") {
  for (int party = 0; party < 4; ++party) {
    write_file_atomic(data / ("party-" + std::to_string(party) + ".csv"),
                      flows(500, 10 + static_cast<std::uint64_t>(party), true));
  }
  const std::vector<std::string> files{"--set", "data.partition.kind=files", "--set",
                                       "cipher=none"};
  const json summary = summary_of(run("run", files));
  CHECK(summary.at("final").at("accuracy") > 0.9);
  write_file_atomic(data / "party-2.csv", flows(500, 12, false));
  const Outcome mixed = run("run", files);
  CHECK(mixed.exit_code == 3);
  CHECK(mixed.err.find("party-2.csv:1: another header than that of party-0.csv") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(OwnRecords, "what is wrong with a file is said with its line, before a run") {
  const auto check = [&] {
    return blindsum({"data", "check", data.string(), "--scenario", scenario.string()});
  };
  const Outcome good = check();
  REQUIRE_MESSAGE(good.exit_code == 0, good.err);
  CHECK(good.out.find("rows 3000: benign ") != std::string::npos);
  CHECK(good.out.find("rows of an unknown value") != std::string::npos);
  write_file_atomic(data / "train.csv", flows(20, 1, false) + "6,NaN,0,0,BENIGN\n");
  const Outcome bad = check();
  CHECK(bad.exit_code == 3);
  CHECK(bad.err.find("train.csv:21: 'NaN' is not a number in column Bytes Sent") !=
        std::string::npos);
  std::filesystem::remove(data / "train.csv");
  const Outcome missing = check();
  CHECK(missing.exit_code == 3);
  CHECK(missing.err.find("put CSV files with the columns of data.schema there") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(OwnRecords, "a column whose sums cannot be encrypted names the remedy") {
  write_file_atomic(data / "train.csv",
                    flows(400, 1, false) + "6,1,0,3e5,BENIGN\n6,1,0,3e5,DDoS\n");
  const Outcome outcome = run("run", {"--set", "cipher=none"});
  CHECK(outcome.exit_code == 3);
  CHECK(outcome.err.find("column 'share': its values are too large to be summed; give it low and "
                         "high, or kind log") != std::string::npos);
}

}  // namespace
}  // namespace blindsum::test
