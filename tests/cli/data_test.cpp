// Other files than the contest's, through the programs.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/data/encoder.h"
#include "shared/model/network.h"
#include "shared/report/records.h"
#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using json = nlohmann::json;

// make_nsl_kdd rewrites the synthetic pair in `from` as NSL-KDD has its own: no dot, a difficulty.
void make_nsl_kdd(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::create_directories(to);
  for (const auto& [old_name, new_name] : {std::pair{"kddcup.data_10_percent", "KDDTrain+.txt"},
                                           std::pair{"corrected", "KDDTest+.txt"}}) {
    std::ifstream in(from / old_name);
    std::ofstream out(to / new_name);
    int row = 0;
    for (std::string line; std::getline(in, line); ++row) {
      REQUIRE(line.ends_with('.'));
      out << line.substr(0, line.size() - 1) << ',' << row % 22 << '\n';
    }
    REQUIRE(row > 1000);
  }
}

// predictions counts, by class, what the model in `model` takes the records in `path` for, from
// nothing but these two files.
std::vector<std::uint64_t> predictions(const std::filesystem::path& model,
                                       const std::filesystem::path& path) {
  const report::Tensors file = report::read_safetensors(model);
  data::Scaler scaler;
  json::parse(file.metadata.at("mean")).get_to(scaler.mean);
  json::parse(file.metadata.at("deviation")).get_to(scaler.deviation);
  model::Parameters parameters;
  for (const report::Tensor& tensor : file.tensors) {
    parameters.insert(parameters.end(), tensor.values.begin(), tensor.values.end());
  }
  ThreadPool pool(1);
  const model::Confusion confusion =
      model::evaluate({122, {8}, 5, model::Activation::kRelu}, parameters,
                      data::encode_onehot(data::read_kdd(path), scaler), pool);
  std::vector<std::uint64_t> counts(5, 0);
  for (const auto& actual : confusion.counts) {
    for (std::size_t c = 0; c < counts.size(); ++c) counts[c] += actual.at(c);
  }
  return counts;
}

struct NslKdd : Workspace {
  std::filesystem::path contest = dir.path() / "contest", nsl = dir.path() / "nsl";

  NslKdd() {
    REQUIRE(blindsum({"data", "synth", contest.string()}).exit_code == 0);
    make_nsl_kdd(contest, nsl);
  }
  // words are those of a run in memory on the files in `folder`.
  [[nodiscard]] std::vector<std::string> words(const std::string& verb,
                                               const std::filesystem::path& folder,
                                               std::vector<std::string> more = {}) const {
    std::vector<std::string> all{verb,
                                 scenario.string(),
                                 "--out",
                                 (out / folder.filename()).string(),
                                 "--data",
                                 folder.string(),
                                 "--json",
                                 "--set",
                                 "data.source=auto"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_CASE_FIXTURE(NslKdd,
                  "NSL-KDD files train the model that the same records of the contest train") {
  const Outcome ours = blindsum(words("run", nsl));
  REQUIRE_MESSAGE(ours.exit_code == 0, ours.err);
  const json summary = json::parse(ours.out);
  CHECK(summary.at("data") == "nsl_kdd");
  const json theirs = json::parse(blindsum(words("run", contest)).out);
  CHECK(theirs.at("data") == "synthetic");
  CHECK(summary.at("model_digest") == theirs.at("model_digest"));
  CHECK(summary.at("confusion") == theirs.at("confusion"));

  const Outcome checked = blindsum({"data", "check", nsl.string()});
  CHECK(checked.exit_code == 0);
  CHECK(checked.out.find("KDDTrain+.txt") != std::string::npos);
  CHECK(checked.out.find("KDD'99") == std::string::npos);
}

TEST_CASE_FIXTURE(NslKdd, "NSL-KDD files are compared, and a set that is not there is named") {
  const Outcome compared = blindsum(
      words("compare", nsl,
            {"--set", "rounds=3", "--set", "cipher=paillier", "--set", "paillier.key_bits=2048"}));
  REQUIRE_MESSAGE(compared.exit_code == 0, compared.err);
  const json comparison = json::parse(compared.out);
  CHECK(comparison.at("identical") == true);
  CHECK(comparison.at("federated_encrypted").at("data") == "nsl_kdd");

  const Outcome other = blindsum(words("run", nsl, {"--set", "data.source=csv"}));
  CHECK(other.exit_code == 3);
  CHECK(other.err.find("neither train.csv nor train.csv.gz is there") != std::string::npos);
}

TEST_CASE_FIXTURE(NslKdd, "files that 'data synth' made are called synthetic wherever they go") {
  const std::string mark = read_text_file(contest / "SYNTHETIC.txt");
  std::istringstream lines(mark);
  std::string line;
  REQUIRE(std::getline(lines, line));
  CHECK(line ==
        "SYNTHETIC DATA, made by blindsum and no real traffic: seed 1, 40000 training and 20000 "
        "test rows, table " +
            digest_text(sha256(as_bytes(read_text_file(std::filesystem::current_path() /
                                                       "shared/data/synthetic_table.txt")))));
  for (const std::string file : {"kddcup.data_10_percent", "corrected"}) {
    REQUIRE(std::getline(lines, line));
    CHECK(line == (file == "corrected" ? "test " : "train ") +
                      to_hex(sha256(as_bytes(read_text_file(contest / file)))));
  }
  CHECK_FALSE(std::getline(lines, line));

  const auto run = [&](const std::filesystem::path& folder) {
    const Outcome outcome = blindsum(words("run", folder, {"--set", "rounds=2"}));
    REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
    const bool warns =
        outcome.err.find("WARNING: SYNTHETIC DATA is used, no real traffic") != std::string::npos;
    const auto source = json::parse(outcome.out).at("data").get<std::string>();
    CHECK(warns == (source == "synthetic"));
    const auto result = std::filesystem::directory_iterator(out / folder.filename())->path();
    CHECK(json::parse(read_text_file(result / "manifest.json")).at("data").at("source") == source);
    const Outcome checked = blindsum({"data", "check", folder.string()});
    CHECK(checked.exit_code == 0);
    CHECK((checked.out.find("SYNTHETIC DATA") != std::string::npos) == warns);
    return source;
  };
  CHECK(run(contest) == "synthetic");

  // Files elsewhere, one file changed, and a mark that is not whole: nobody knows what they are.
  const auto copy_to = [&](const char* name) {
    const auto folder = dir.path() / name;
    std::filesystem::copy(contest, folder);
    return folder;
  };
  const auto moved = copy_to("moved");
  CHECK(run(moved) == "synthetic");
  const auto unmarked = copy_to("unmarked");
  std::filesystem::remove(unmarked / "SYNTHETIC.txt");
  CHECK(run(unmarked) == "kdd99-modified");
  for (const char* file : {"kddcup.data_10_percent", "corrected"}) {
    const auto changed = copy_to(file);
    const std::string text = read_text_file(changed / file);
    write_file_atomic(changed / file, text.substr(text.find('\n') + 1));
    CHECK(run(changed) == "kdd99-modified");
  }
  const auto cut = copy_to("cut");
  write_file_atomic(cut / "SYNTHETIC.txt", mark.substr(0, mark.size() - 1));
  CHECK(run(cut) == "kdd99-modified");

  // What a run made for itself is marked, too; and comparisons say what they are over.
  const Outcome own = blindsum(run_words({"--set", "rounds=2", "--set", "runtime=memory"}));
  REQUIRE_MESSAGE(own.exit_code == 0, own.err);
  std::filesystem::path made;
  for (const auto& folder : std::filesystem::directory_iterator(out)) {
    if (std::filesystem::exists(folder.path() / "data")) made = folder.path() / "data";
  }
  CHECK(read_text_file(made / "SYNTHETIC.txt") == mark);
  const Outcome compared =
      blindsum({"compare", scenario.string(), "--baselines", "--data", contest.string(), "--out",
                (out / "compared").string(), "--set", "rounds=2", "--set", "data.source=auto"});
  REQUIRE_MESSAGE(compared.exit_code == 0, compared.err);
  CHECK(compared.out.find(
            "\ndata: SYNTHETIC data: the figures say nothing about real traffic\nrun ") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(NslKdd, "parties bring files of their own") {
  const auto own = dir.path() / "own";
  std::filesystem::create_directories(own);
  std::filesystem::copy_file(contest / "corrected", own / "test.csv");
  // The contest's rows in turn, 1000 each for parties 0 and 1, and the rest for party 2.
  std::ifstream in(contest / "kddcup.data_10_percent");
  std::array<std::string, 3> files;
  std::size_t row = 0;
  for (std::string line; std::getline(in, line); ++row) {
    files.at(std::min<std::size_t>(2, row / 1000)) += line + "\n";
  }
  const std::vector<std::string> sets{"--set", "data.partition.kind=files"};
  for (std::size_t party = 0; party < 3; ++party) {
    const Outcome missing = blindsum(words("run", own, sets));
    CHECK(missing.exit_code == 3);
    CHECK(missing.err.find("neither party-" + std::to_string(party) + ".csv nor") !=
          std::string::npos);
    write_file_atomic(own / ("party-" + std::to_string(party) + ".csv"), files.at(party));
  }
  std::filesystem::remove_all(out);
  const Outcome outcome = blindsum(words("run", own, sets));
  REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
  CHECK(json::parse(outcome.out).at("data") == "party_files");
  const auto folder = std::filesystem::directory_iterator(out / "own")->path();
  for (std::size_t party = 0; party < 3; ++party) {
    CHECK(read_text_file(folder / "shards" / ("party-" + std::to_string(party) + ".csv")) ==
          files.at(party));
  }
  const Outcome compared = blindsum(words(
      "compare", own, {"--set", "data.partition.kind=files", "--set", "rounds=2", "--baselines"}));
  REQUIRE_MESSAGE(compared.exit_code == 0, compared.err);
  const json comparison = json::parse(compared.out);
  CHECK(comparison.at("local").at("per_party")[0].at("rows") == 1000);
  CHECK(comparison.at("local").at("per_party")[2].at("rows") == row - 2000);

  const auto digest = [&](const std::string& cipher) {
    const Outcome run =
        blindsum(words("run", own,
                       {"--set", "data.partition.kind=files", "--set", "rounds=3", "--set",
                        "paillier.key_bits=2048", "--set", "cipher=" + cipher}));
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    const json summary = json::parse(run.out);
    CHECK(summary.at("cipher") == cipher);
    CHECK(summary.at("key_bits") == (cipher == "none" ? json() : json(2048)));
    return summary.at("model_digest").get<std::string>();
  };
  CHECK(digest("paillier") == digest("none"));

  write_file_atomic(own / "party-1.csv", std::string_view("1,2,3\n"));
  const Outcome broken = blindsum(words("run", own, sets));
  CHECK(broken.exit_code == 3);
  CHECK(broken.err.find("party-1.csv:1: 3 fields") != std::string::npos);
  const Outcome both = blindsum(words(
      "run", own, {"--set", "data.partition.kind=files", "--set", "data.zero_day.attack=smurf"}));
  CHECK(both.exit_code == 2);
}

TEST_CASE_FIXTURE(NslKdd, "the summary says what a zero-day attack is taken for") {
  std::ifstream test(contest / "corrected");
  std::string smurfs;  // the lines of that attack, and no others
  std::uint64_t rows = 0;
  for (std::string line; std::getline(test, line);) {
    if (!line.ends_with(",smurf.")) continue;
    smurfs += line + "\n";
    ++rows;
  }
  REQUIRE(rows > 0);
  write_file_atomic(dir.path() / "smurfs", smurfs);
  for (const std::string known_to : {"nobody", "party-1"}) {
    std::filesystem::remove_all(out);
    const Outcome outcome = blindsum(words(
        "run", contest,
        {"--set", "data.zero_day.attack=smurf", "--set", "data.zero_day.known_to=" + known_to}));
    REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
    const json summary = json::parse(outcome.out);
    const json& zero_day = summary.at("zero_day");
    CHECK(zero_day.at("attack") == "smurf");
    CHECK(zero_day.at("known_to") == known_to);
    CHECK(zero_day.at("test_rows") == rows);
    CHECK(zero_day.at("taken_for_its_class") <= zero_day.at("taken_for_an_attack"));
    CHECK(zero_day.at("taken_for_an_attack") <= rows);
    const auto folder = std::filesystem::directory_iterator(out / "contest")->path();
    const auto taken = predictions(folder / "model.safetensors", dir.path() / "smurfs");
    CHECK(std::accumulate(taken.begin(), taken.end(), std::uint64_t{0}) == rows);
    CHECK(zero_day.at("taken_for_its_class") == taken.at(1));
    CHECK(zero_day.at("taken_for_an_attack") == rows - taken.at(0));
    // Its class is dos, whose records in the test set are these and others.
    CHECK(zero_day.at("taken_for_its_class") <= summary.at("confusion")[1][1]);
  }
  const Outcome unknown = blindsum(words("run", contest, {"--set", "data.zero_day.attack=smruf"}));
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("smurf") != std::string::npos);
}

TEST_CASE_FIXTURE(Workspace, "a fitted table makes synthetic files of the sizes asked for") {
  const std::string real = (dir.path() / "real").string();
  const std::string drawn = (dir.path() / "drawn").string();
  const std::string table = (dir.path() / "table.txt").string();
  const auto rows = [](const std::string& path) {
    const std::string text = read_text_file(path);
    return std::count(text.begin(), text.end(), '\n');
  };
  REQUIRE(blindsum({"data", "synth", real, "--seed", "7"}).exit_code == 0);
  REQUIRE(blindsum({"data", "fit", real, "--out", table}).exit_code == 0);
  const std::vector<std::string> synth{"data", "synth",       drawn, "--table",
                                       table,  "--seed",      "3",   "--train-rows",
                                       "900",  "--test-rows", "300"};
  const Outcome made = blindsum(synth);
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  CHECK(rows(drawn + "/kddcup.data_10_percent") == 900);
  CHECK(rows(drawn + "/corrected") == 300);
  CHECK(blindsum({"data", "check", drawn}).exit_code == 0);

  write_file_atomic(table, std::string_view());
  const Outcome empty = blindsum(synth);
  CHECK(empty.exit_code == 3);
  CHECK(empty.err.find("line 0: expected 'blindsum-synthetic 1'") != std::string::npos);
  const Outcome missing = blindsum({"data", "fit", drawn + "-not", "--out", table});
  CHECK(missing.exit_code == 3);
}

TEST_CASE_FIXTURE(Workspace, "a model trained on synthetic rows alone knows real traffic") {
  const char* data = std::getenv("BLINDSUM_DATA");
  if (data == nullptr || !std::filesystem::exists(std::filesystem::path(data) / "corrected.gz")) {
    MESSAGE("BLINDSUM_DATA holds no corrected.gz: skipped");
    return;
  }
  const std::filesystem::path mixed = dir.path() / "mixed";
  REQUIRE(blindsum({"data", "synth", mixed.string()}).exit_code == 0);
  std::filesystem::remove(mixed / "corrected");
  std::filesystem::copy_file(std::filesystem::path(data) / "corrected.gz", mixed / "corrected.gz");
  const std::string scenarios = std::filesystem::current_path() / "scenarios";
  const Outcome run =
      blindsum({"run", scenarios + "/kdd-iid-10.yaml", "--data", mixed.string(), "--out",
                out.string(), "--set", "cipher=none", "--set", "runtime=memory", "--json"});
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  const json summary = json::parse(run.out);
  CHECK(summary.at("data") == "kdd99-modified");
  CHECK(summary.at("final").at("accuracy") >= 0.92);
  CHECK(summary.at("final").at("macro_f1") >= 0.58);
}

TEST_CASE(
    "the table of algorithms and partitions is written, and a second call runs nothing again") {
  const Workspace space;
  const std::string root = std::filesystem::current_path();
  const auto out = space.dir.path() / "table";
  const std::string command =
      "cd '" + space.dir.path().string() + "' && env -u BLINDSUM_DATA python3 '" + root +
      "/scenarios/reproduce.py' --quick --programs '" + std::string(std::getenv("BLINDSUM_BIN")) +
      "' --out '" + out.string() + "'";
  const Outcome first = space.bash(command);
  REQUIRE_MESSAGE(first.exit_code == 0, first.err);
  CHECK(first.err.find("reproduce: 3-iid-fedavg-1") != std::string::npos);
  CHECK(first.out.find("ended in the same model: sha256:") != std::string::npos);
  const std::string table = read_text_file(out / "table.md");
  CHECK(table.starts_with("synthetic data, 1 seed"));
  for (const char* partition : {"iid", "by-attack"}) {
    for (const char* training : {"centralized", "local", "fedsgd", "fedavg"}) {
      CHECK(table.find("| 3 | " + std::string(partition) + " | " + training + " | ") !=
            std::string::npos);
    }
  }
  // The figure in the table is the one of the run.
  const json summary = json::parse(read_text_file(out / "cells" / "3-iid-fedsgd-1.json"));
  char figure[32];
  std::snprintf(figure, sizeof figure, "| fedsgd | %.2f ",
                100 * summary["final"]["accuracy"].get<double>());
  CHECK(table.find(figure) != std::string::npos);
  CHECK(read_text_file(out / "plot.svg").starts_with("<svg"));

  const Outcome second = space.bash(command);
  CHECK(second.exit_code == 0);
  CHECK(second.err.find("reproduce: 3-") == std::string::npos);
  CHECK(read_text_file(out / "table.md") == table);
}

}  // namespace
}  // namespace blindsum::test
