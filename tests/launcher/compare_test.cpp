#include "scenarios/launcher/compare.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "party/key_holder/key_store.h"
#include "scenarios/launcher/baselines.h"
#include "scenarios/launcher/gains.h"
#include "shared/core/file.h"
#include "shared/data/synthetic.h"
#include "shared/report/records.h"
#include "shared/role/learning.h"
#include "tests/data/rows.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using nlohmann::json;

const std::atomic<bool> kNeverStop{false};
const std::atomic<bool> kStop{true};

json read_json(const std::filesystem::path& path) { return json::parse(read_text_file(path)); }

// Fixture is a folder with a small pair of data files and the settings of a small scenario.
struct Fixture {
  test::TempDir folder;
  settings::Settings settings;
  Progress progress{Verbosity::kQuiet};

  Fixture() {
    data::write_synthetic(folder.path() / "data", 7, {3000, 1500});
    settings.name = "small";
    settings.parties = 4;
    settings.rounds = 6;
    settings.model.hidden = {8};
    settings.data.source = "kdd99";
    settings.data.partition.kind = "by_attack";
    settings.local.batch_rows = 64;
    settings.evaluate_every = 2;
    settings.runtime = "memory";
    settings.paillier = {2048, "short"};
    settings.deadlines = {20, 30};
  }

  [[nodiscard]] DataSource source() const {
    return find_data(settings, folder.path() / "data", "", [](const auto&) {});
  }

  [[nodiscard]] RunOptions options(const std::string& name) const {
    RunOptions options;
    options.settings = settings;
    options.folder = folder.path() / name;
    options.data_directory = folder.path() / "data";
    options.keys = folder.path() / "keys";
    const char* programs = std::getenv("BLINDSUM_BIN");
    options.programs = programs != nullptr ? std::filesystem::path(programs)
                                           : programs_directory().parent_path() / "bin";
    options.stop = &kNeverStop;
    return options;
  }
};

// write_digests writes rounds.jsonl of a run whose key-holder recorded these digests in round 0, 1,
// …, and whose parties recorded none.
void write_digests(const std::filesystem::path& run, const std::vector<std::string>& digests) {
  std::filesystem::create_directories(run);
  Records records;
  for (std::uint32_t round = 0; round < digests.size(); ++round) {
    report::RoundRecord record;
    record.round = round;
    record.role = "party-0";
    record.bytes_out = 1000 + round;
    records.rounds.push_back(record);
    record.role = "keyholder";
    record.model_digest = digests[round];
    records.rounds.push_back(record);
  }
  write_rounds(run / "rounds.jsonl", records);
}

model::Confusion confusion_of(std::size_t actual, std::vector<std::uint64_t> predicted) {
  model::Confusion confusion(5);
  confusion.counts[actual] = std::move(predicted);
  return confusion;
}

}  // namespace

TEST_CASE("mean and deviation are those of a sample") {
  const Spread eight = spread_of({2, 4, 4, 4, 5, 5, 7, 9});  // squares around 5 add up to 32
  CHECK(eight.mean == 5);
  CHECK(eight.deviation == doctest::Approx(std::sqrt(32.0 / 7)).epsilon(1e-15));
  CHECK(spread_of({1e9 + 1, 1e9 + 2, 1e9 + 3}).deviation == 1);
  CHECK(spread_of({0.9}).mean == 0.9);
  CHECK(spread_of({0.9}).deviation == 0);
  CHECK(spread_of({}).mean == 0);
}

TEST_CASE("the first round whose model differs is named") {
  const test::TempDir folder;
  const auto first = [&](const std::vector<std::string>& a, const std::vector<std::string>& b) {
    write_digests(folder.path() / "a", a);
    write_digests(folder.path() / "b", b);
    const auto difference = first_difference(folder.path() / "a", folder.path() / "b");
    CHECK(first_difference(folder.path() / "b", folder.path() / "a") == difference);
    return difference;
  };
  CHECK_FALSE(first({"0", "1", "2"}, {"0", "1", "2"}));
  CHECK_FALSE(first({}, {}));
  CHECK(first({"0", "1", "2", "3"}, {"0", "1", "x", "y"}) == 2U);
  CHECK(first({"0", "1"}, {"x", "1"}) == 0U);
  CHECK(first({"0", "1", "2"}, {"0", "1"}) == 2U);
  CHECK(first({"0"}, {}) == 0U);
}

TEST_CASE("gains: recall by class, and attacks that only others have seen") {
  const std::vector<TestSet::Attack> attacks{
      {"normal", 0, 10}, {"smurf", 1, 8}, {"neptune", 1, 2}, {"nmap", 2, 4}, {"mscan", 2, 5}};
  std::vector<AloneParty> parties(2);
  parties[0].attacks = {"normal", "smurf"};
  parties[0].statistics.values[1] = 100;
  parties[0].statistics.values[2] = 50;
  parties[0].test = {confusion_of(0, {10, 0, 0, 0, 0}), confusion_of(1, {0, 8, 0, 0, 0}),
                     confusion_of(1, {1, 1, 0, 0, 0}), confusion_of(2, {4, 0, 0, 0, 0}),
                     confusion_of(2, {5, 0, 0, 0, 0})};
  parties[1].attacks = {"neptune", "nmap", "normal"};
  parties[1].statistics.values[1] = 100;
  parties[1].statistics.values[2] = 9;
  parties[1].statistics.values[3] = 9;
  parties[1].test = {confusion_of(0, {9, 1, 0, 0, 0}), confusion_of(1, {6, 2, 0, 0, 0}),
                     confusion_of(1, {0, 2, 0, 0, 0}), confusion_of(2, {0, 0, 4, 0, 0}),
                     confusion_of(2, {4, 0, 1, 0, 0})};
  const std::vector<model::Confusion> federated{
      confusion_of(0, {10, 0, 0, 0, 0}), confusion_of(1, {0, 8, 0, 0, 0}),
      confusion_of(1, {0, 2, 0, 0, 0}), confusion_of(2, {1, 0, 3, 0, 0}),
      confusion_of(2, {3, 0, 2, 0, 0})};

  const json gains = gains_of(data::Schema::kdd99(), attacks, parties, federated);
  REQUIRE(gains.size() == 2);
  // Nobody has mscan or classes r2l and u2r; a class without test rows has recall 0.
  const json expected_first = {{"party", 0},
                               {"alone", {1.0, 0.9, 0.0, 0.0, 0.0}},
                               {"federated", {1.0, 1.0, 5.0 / 9, 0.0, 0.0}},
                               {"unseen_classes", {"probe", "r2l", "u2r"}},
                               {"unseen_attacks",
                                {{{"attack", "neptune"},
                                  {"class", "dos"},
                                  {"test_rows", 2},
                                  {"alone", 0.5},
                                  {"federated", 1.0}},
                                 {{"attack", "nmap"},
                                  {"class", "probe"},
                                  {"test_rows", 4},
                                  {"alone", 0.0},
                                  {"federated", 0.75}}}}};
  CHECK(gains[0] == expected_first);
  CHECK(gains[1]["alone"] == json({0.9, 0.4, 5.0 / 9, 0.0, 0.0}));
  CHECK(gains[1]["unseen_classes"] == json({"r2l", "u2r"}));
  CHECK(gains[1]["unseen_attacks"] == json::array({{{"attack", "smurf"},
                                                    {"class", "dos"},
                                                    {"test_rows", 8},
                                                    {"alone", 0.25},
                                                    {"federated", 1.0}}}));
}

TEST_CASE_FIXTURE(Fixture, "a workload has the shards that the parties get as files") {
  // Of files that the parties bring, parties 0 to 2 have 1, 50 and 700 rows.
  const auto own = folder.path() / "own";
  std::filesystem::create_directories(own);
  std::filesystem::copy_file(source().test, own / "test.csv");
  std::vector<std::string> brought(settings.parties);
  std::ifstream train(source().train);
  std::size_t row = 0;
  for (std::string line; std::getline(train, line); ++row) {
    brought.at(row < 1 ? 0 : row < 51 ? 1 : row < 751 ? 2 : 3) += line + "\n";
  }
  for (std::uint32_t party = 0; party < settings.parties; ++party) {
    write_file_atomic(shard_path(own, party), brought[party]);
  }
  for (const std::string kind :
       {"iid", "dirichlet", "quantity", "classes", "by_attack", "by_service", "by_time", "files"}) {
    INFO(kind);
    settings.data.partition.kind = kind;
    const bool is_brought = kind == "files";
    const DataSource data =
        is_brought ? find_data(settings, own, folder.path() / "joined", [](const auto&) {})
                   : source();
    const Workload workload = load_workload(settings, data);
    const auto shards = folder.path() / kind;
    std::filesystem::create_directories(shards);
    std::vector<std::filesystem::path> paths;
    for (std::uint32_t party = 0; party < settings.parties; ++party) {
      paths.push_back(shard_path(shards, party));
    }
    cut_shards(settings, data, paths, std::atomic<bool>(false));
    REQUIRE(workload.shards.size() == settings.parties);
    for (std::uint32_t party = 0; party < settings.parties; ++party) {
      const data::RecordTable file = data::read_kdd(paths[party]);
      const data::RecordTable selected = data::select(workload.train, workload.shards[party]);
      CHECK(file.rows > 0);
      CHECK(file.numeric == selected.numeric);
      CHECK(file.categories == selected.categories);
      CHECK(file.classes == selected.classes);
      if (is_brought) CHECK(read_text_file(paths[party]) == brought[party]);
    }
  }
}

// attack_rows counts the lines of a file that end with the attack.
std::size_t attack_rows(const std::filesystem::path& path, const std::string& attack) {
  std::ifstream file(path);
  std::size_t rows = 0;
  for (std::string line; std::getline(file, line);) rows += line.ends_with("," + attack + ".");
  return rows;
}

// metadata_of reads those of a safetensors file: a length of 8 bytes, lowest first, and JSON.
json metadata_of(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  std::size_t size = 0;
  for (std::size_t i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(text[i]);
  return json::parse(text.substr(8, size)).at("__metadata__");
}

TEST_CASE_FIXTURE(Fixture, "a workload has no row that nobody has") {
  settings.data.zero_day.attack = "smurf";
  const std::size_t smurf = attack_rows(source().train, "smurf");
  REQUIRE(smurf > 0);
  for (const char* known_to : {"nobody", "party-1"}) {
    INFO(known_to);
    settings.data.zero_day.known_to = known_to;
    const bool is_known = settings.data.zero_day.known_to != "nobody";
    const Workload workload = load_workload(settings, source());
    CHECK(workload.train.rows == 3000 - (is_known ? 0 : smurf));
    const auto shards = folder.path() / known_to;
    std::filesystem::create_directories(shards);
    std::vector<std::filesystem::path> paths;
    for (std::uint32_t party = 0; party < settings.parties; ++party) {
      paths.push_back(shard_path(shards, party));
    }
    cut_shards(settings, source(), paths, kNeverStop);
    std::vector<bool> seen(workload.train.rows, false);
    for (std::uint32_t party = 0; party < settings.parties; ++party) {
      CHECK(attack_rows(paths[party], "smurf") == (is_known && party == 1 ? smurf : 0));
      const data::RecordTable file = data::read_kdd(paths[party]);
      const data::RecordTable selected = data::select(workload.train, workload.shards[party]);
      CHECK(file.numeric == selected.numeric);
      CHECK(file.categories == selected.categories);
      CHECK(file.classes == selected.classes);
      for (const std::uint32_t row : workload.shards[party]) {
        REQUIRE(row < seen.size());
        CHECK_FALSE(seen[row]);
        seen[row] = true;
      }
    }
    CHECK(std::ranges::find(seen, false) == seen.end());
  }
}

TEST_CASE_FIXTURE(Fixture, "an attack that nobody knows is in no run of a comparison") {
  key_holder::save_key_set(folder.path() / "keys", test::key_2048());
  settings.data.zero_day.attack = "smurf";
  settings.rounds = 2;
  const std::size_t smurf = attack_rows(source().train, "smurf");
  for (const char* known_to : {"nobody", "party-1"}) {
    INFO(known_to);
    settings.data.zero_day.known_to = known_to;
    const bool is_known = settings.data.zero_day.known_to != "nobody";
    const RunOptions options = this->options(known_to);
    const RunResult result = compare(options, progress);
    CHECK(result.ending.reason == "");
    REQUIRE(result.ending.fault == Fault::kNone);
    CHECK(result.summary["identical"] == true);
    const std::size_t rows = 3000 - (is_known ? 0 : smurf);
    CHECK(result.summary["sanity"]["study_network"]["rule"].get<std::string>().find(
              "over " + std::to_string(rows) + " rows") != std::string::npos);
    std::uint64_t in_shards = 0;
    for (const json& party : result.summary["local"]["per_party"]) {
      in_shards += party["rows"].get<std::uint64_t>();
    }
    CHECK(in_shards == rows);
    // One pile standardises as the federation does: by the same rows.
    const json one_pile = metadata_of(options.folder / "centralized" / "model.safetensors");
    const json federated =
        metadata_of(options.folder / "federated_encrypted" / "model.safetensors");
    CHECK(one_pile.at("mean") == federated.at("mean"));
    CHECK(one_pile.at("deviation") == federated.at("deviation"));
    CHECK_FALSE(std::filesystem::exists(options.folder / "known-rows.csv"));
  }
}

TEST_CASE_FIXTURE(Fixture, "evaluated by attack, the test set gives the counts of the whole") {
  const Workload workload = load_workload(settings, source());
  const auto scaler = data::Scaler::from_statistics(data::statistics_of(workload.train));
  const model::Shape shape = role::shape_of(settings);
  const auto parameters = model::initial_parameters(shape, 3);
  ThreadPool pool(2);
  const data::RecordTable test = data::read_kdd(source().test);
  const auto by_attack = evaluate_by_attack(shape, parameters, workload.test.encode(scaler), pool);
  CHECK(sum_of(by_attack) ==
        model::evaluate(shape, parameters, data::encode_onehot(test, scaler), pool));
  REQUIRE(by_attack.size() == test.attack_names.size());
  for (std::size_t attack = 0; attack < by_attack.size(); ++attack) {
    std::uint64_t rows = 0;
    for (const auto& counts : by_attack[attack].counts) {
      for (const std::uint64_t count : counts) rows += count;
    }
    CHECK(rows == workload.test.attacks()[attack].rows);
    CHECK(rows == static_cast<std::uint64_t>(std::ranges::count(test.attacks, attack)));
  }
}

TEST_CASE_FIXTURE(Fixture, "with whole shards as batches, a federation does what one pile does") {
  settings.local.batch_rows = 3000;
  settings.server.optimizer = "sgd";
  settings.server.rate = 0.5;
  const Workload workload = load_workload(settings, source());
  const Training pile = train_centralized(settings, workload, progress, kNeverStop);
  const Training federation = train_federated_float(settings, workload, progress, kNeverStop);
  REQUIRE(pile.parameters.size() == federation.parameters.size());
  const auto start = model::initial_parameters(role::shape_of(settings), settings.seed);
  double moved = 0;
  for (std::size_t i = 0; i < pile.parameters.size(); ++i) {
    CHECK(pile.parameters[i] == doctest::Approx(federation.parameters[i]).epsilon(1e-4));
    moved = std::max(moved, std::abs(double{pile.parameters[i]} - start[i]));
  }
  CHECK(moved > 0.1);
}

TEST_CASE_FIXTURE(Fixture, "a party alone is a federation of one") {
  const Workload workload = load_workload(settings, source());
  const AloneTraining alone = train_alone(settings, workload, progress, kNeverStop);
  Workload own{
      workload.name, data::select(workload.train, workload.shards[0]), {{}}, workload.test, 0};
  for (std::uint32_t row = 0; row < own.train.rows; ++row) own.shards[0].push_back(row);
  settings::Settings single = settings;
  single.parties = 1;
  const Training one = train_federated_float(single, own, progress, kNeverStop);
  std::string digest;
  for (const auto& record : alone.records.rounds) {
    if (record.role == "local-0" && record.round == settings.rounds) digest = record.model_digest;
  }
  CHECK(digest == one.summary["model_digest"].get<std::string>());
  CHECK(json(sum_of(alone.parties[0].test).counts) == one.summary["confusion"]);
}

TEST_CASE_FIXTURE(Fixture, "the local summary is the mean over the parties") {
  const Workload workload = load_workload(settings, source());
  const AloneTraining alone = train_alone(settings, workload, progress, kNeverStop);
  REQUIRE(alone.parties.size() == 4);
  double accuracy = 0;
  double dos = 0;
  for (std::uint32_t k = 0; k < 4; ++k) {
    const data::RecordTable shard = data::select(workload.train, workload.shards[k]);
    const std::set<std::uint16_t> attacks(shard.attacks.begin(), shard.attacks.end());
    CHECK(alone.parties[k].attacks.size() == attacks.size());
    for (const std::uint16_t attack : attacks) {
      CHECK(std::ranges::binary_search(alone.parties[k].attacks, shard.attack_names[attack]));
    }
    CHECK(alone.parties[k].statistics.rows() == static_cast<std::int64_t>(shard.rows));
    const auto metrics = model::metrics_of(sum_of(alone.parties[k].test), data::Schema::kdd99());
    accuracy += metrics.accuracy / 4;
    dos += metrics.recall[1] / 4;
  }
  CHECK(alone.summary["final"]["accuracy"].get<double>() == doctest::Approx(accuracy));
  CHECK(alone.summary["final"]["recall"]["dos"].get<double>() == doctest::Approx(dos));
  CHECK(alone.summary["model_digest"].is_null());
}

TEST_CASE_FIXTURE(Fixture, "in-process runs end in the same models with any number of threads") {
  const Workload workload = load_workload(settings, source());
  const auto digests = [&](std::uint32_t threads) {
    settings.threads = threads;
    std::vector<std::string> all;
    for (const auto& run : {train_centralized(settings, workload, progress, kNeverStop),
                            train_federated_float(settings, workload, progress, kNeverStop)}) {
      CHECK(run.ending.fault == Fault::kNone);
      CHECK(run.records.rounds.size() == settings.rounds);
      for (const auto& record : run.records.rounds) all.push_back(record.model_digest);
    }
    const AloneTraining alone = train_alone(settings, workload, progress, kNeverStop);
    for (const auto& record : alone.records.rounds) {
      all.push_back(record.role + " " + record.model_digest);
    }
    all.push_back(alone.summary["confusion"].dump());
    return all;
  };
  const auto one = digests(1);
  CHECK(one.size() == 2 * 6 + 4 * 3 + 1);  // the parties are evaluated in rounds 2, 4 and 6
  CHECK(digests(3) == one);
  CHECK(digests(7) == one);
}

TEST_CASE_FIXTURE(Fixture, "many parties are evaluated in fewer rounds, and in the last") {
  settings.parties = 100;
  settings.evaluate_every = 1;
  const Workload workload = load_workload(settings, source());
  const AloneTraining alone = train_alone(settings, workload, progress, kNeverStop);
  CHECK(alone.parties.size() == 100);
  CHECK(alone.records.rounds.size() == 200);  // 600 / 256 is more than 2: rounds 3 and 6
  CHECK(alone.records.rounds.front().round == 3);
  CHECK(alone.records.rounds.back().round == 6);
}

TEST_CASE_FIXTURE(Fixture, "in-process runs stop when asked to") {
  const Workload workload = load_workload(settings, source());
  const Training pile = train_centralized(settings, workload, progress, kStop);
  CHECK(pile.ending.fault == Fault::kInterrupted);
  CHECK(pile.summary["status"] == "interrupted");
  CHECK(train_federated_float(settings, workload, progress, kStop).ending.fault ==
        Fault::kInterrupted);
  const AloneTraining alone = train_alone(settings, workload, progress, kStop);
  CHECK(alone.ending.fault == Fault::kInterrupted);
  CHECK(alone.parties.empty());
}

TEST_CASE_FIXTURE(Fixture, "a training in floating point that diverges ends with its round") {
  settings.algorithm = "fedavg";
  settings.server = {"sgd", 1, "constant"};
  settings.local.steps = 60;
  settings.local.rate = 100;
  const Workload workload = load_workload(settings, source());
  const Training together = train_federated_float(settings, workload, progress, kNeverStop);
  CHECK(together.ending.fault == Fault::kUsage);
  CHECK(together.ending.reason ==
        "round 1: training diverged: the update of layer 1 is not finite; lower local.rate or "
        "server.rate");
  CHECK(together.summary["status"] == "usage");
  CHECK(together.summary["reason"] == together.ending.reason);
  CHECK(together.records.rounds.empty());

  settings.algorithm = "fedsgd";
  settings.server = {"sgd", 1e38, "constant"};
  const AloneTraining alone = train_alone(settings, workload, progress, kNeverStop);
  CHECK(alone.ending.fault == Fault::kUsage);
  CHECK(alone.ending.reason.starts_with("party 0: round "));
  CHECK(alone.ending.reason.ends_with("is not finite; lower server.rate"));
  CHECK(alone.parties.empty());
  const Training pile = train_centralized(settings, workload, progress, kNeverStop);
  CHECK(pile.ending.fault == Fault::kUsage);
  CHECK(pile.ending.reason.ends_with("is not finite; lower server.rate"));
}

TEST_CASE_FIXTURE(Fixture, "sanity rows say their rule in the units of the records") {
  using test::kNormalRow;
  using test::kSmurfRow;
  using test::replaced;
  const auto few = replaced(kNormalRow, 4, "100");
  const auto many = replaced(replaced(kNormalRow, 4, "300"), 41, "smurf.");
  const auto stump_of = [&](const std::string& train, const std::string& test) {
    const auto path = folder.path() / "rows";
    std::filesystem::create_directories(path);
    write_file_atomic(path / "train", train);
    write_file_atomic(path / "test", test);
    const Workload workload{
        "rows", data::read_kdd(path / "train"), {}, TestSet(data::read_kdd(path / "test")), 0};
    ThreadPool pool(1);
    return sanity_of(workload, pool);
  };
  const json bytes = stump_of(few + many + many, few + few + many + kSmurfRow);
  CHECK(bytes["majority_class"]["rule"] == "always dos");
  CHECK(bytes["majority_class"]["accuracy"] == 0.5);
  const auto rule = bytes["decision_stump"]["rule"].get<std::string>();
  const std::string begin = "normal where src_bytes <= ";
  REQUIRE(rule.starts_with(begin));
  CHECK(rule.ends_with(", else dos"));
  // Halfway in log1p: √(101 · 301) − 1.
  CHECK(std::stod(rule.substr(begin.size())) == doctest::Approx(173.36).epsilon(1e-3));
  CHECK(bytes["decision_stump"]["accuracy"] == 1);
  CHECK(bytes["decision_stump"]["confusion"][1][1] == 2);
  CHECK(stump_of(kSmurfRow + kNormalRow, kNormalRow)["decision_stump"]["rule"] ==
        "dos where protocol_type=icmp, else normal");
}

TEST_CASE("paired differences are judged by their signs, exactly") {
  const PairedDifference three = paired_difference({1, 2, 3});
  CHECK(three.mean == 2);
  CHECK(three.standard_error == doctest::Approx(1 / std::sqrt(3.0)));
  CHECK(three.higher == 3);
  CHECK(three.p == 0.25);                          // +++ and −−− of eight
  CHECK(paired_difference({1, -2, 3}).p == 0.75);  // all but −2+2: |sum| >= 2 of eight
  CHECK(paired_difference({0, 0, 0}).p == 1);
  CHECK(paired_difference({1}).p == 1);
  CHECK(paired_difference(std::vector<double>(10, 0.1)).p == 2.0 / 1024);
  CHECK_FALSE(paired_difference(std::vector<double>(21, 1.0)).p);
}

TEST_CASE_FIXTURE(Fixture, "a comparison holds all runs, seeds, spreads and gains") {
  key_holder::save_key_set(folder.path() / "keys", test::key_2048());
  const RunOptions options = this->options("compare");
  const RunResult result = compare(options, progress, 2);
  CHECK(result.ending.reason == "");
  REQUIRE(result.ending.fault == Fault::kNone);
  const json& all = result.summary;
  CHECK(read_json(options.folder / "compare.json") == all);
  CHECK(all["status"] == "done");
  CHECK(all["identical"] == true);
  CHECK(all["first_difference"].is_null());
  CHECK(all["seeds"] == json({1, 2}));

  for (const char* run :
       {"centralized", "local", "federated_float", "federated_integer", "federated_encrypted"}) {
    INFO(run);
    for (const auto& place : {options.folder / run, options.folder / "seed-2" / run}) {
      CHECK(std::filesystem::exists(place / "rounds.jsonl"));
      CHECK(std::filesystem::exists(place / "summary.json"));
      CHECK(std::filesystem::exists(place / "model.safetensors") == (run != std::string("local")));
      for (const json& line : report::read_records(place / "rounds.jsonl")) {
        CHECK_NOTHROW((void)report::round_record_from_json(line));
      }
    }
    const json first = read_json(options.folder / run / "summary.json");
    const json second = read_json(options.folder / "seed-2" / run / "summary.json");
    CHECK(first == all[run]);
    CHECK(first["rounds_done"] == settings.rounds);
    CHECK(first["updates_sent"] ==
          (run == std::string("federated_integer") || run == std::string("federated_encrypted")
               ? settings.rounds * settings.parties
               : 0));
    CHECK(first["seed"] == 1);
    CHECK(second["seed"] == 2);
    for (const char* key : {"accuracy", "macro_f1", "cost"}) {
      const double a = first["final"][key];
      const double b = second["final"][key];
      CHECK(all["by_seed"][run][0][key] == a);
      CHECK(all["by_seed"][run][1][key] == b);
      CHECK(all["mean"][run][key].get<double>() == doctest::Approx((a + b) / 2));
      CHECK(all["deviation"][run][key].get<double>() ==
            doctest::Approx(std::abs(a - b) / std::sqrt(2.0)));
    }
  }
  CHECK(all["federated_integer"]["model_digest"] == all["federated_encrypted"]["model_digest"]);
  // By integers or floats: a few predictions differ at most.
  CHECK(all["federated_float"]["final"]["accuracy"].get<double>() ==
        doctest::Approx(all["federated_integer"]["final"]["accuracy"].get<double>()).epsilon(2e-3));

  const json& study = all["sanity"]["study_network"];
  CHECK(study["accuracy"].get<double>() >
        all["sanity"]["majority_class"]["accuracy"].get<double>());
  CHECK(study["rule"].get<std::string>().starts_with("41-41-5, 5 epochs over "));
  REQUIRE(all["paired"].size() == 3);
  for (const json& pair : all["paired"]) {
    const std::string ours = pair["run"], theirs = pair["against"];
    CHECK(ours == "federated_encrypted");
    CHECK(pair["seeds"] == 2);
    for (const char* key : {"accuracy", "macro_f1", "cost"}) {
      const double mean =
          all["mean"][ours][key].get<double>() - all["mean"][theirs][key].get<double>();
      CHECK(pair[key]["difference"].get<double>() == doctest::Approx(mean));
      CHECK(pair[key]["p"].get<double>() >= 0.5);
    }
  }
  for (const char* run : {"centralized", "federated_encrypted"}) {
    REQUIRE(all["minimum_cost"][run].size() == 2);
    CHECK(all["minimum_cost"][run][0]["cost"].get<double>() > 0);
  }

  REQUIRE(all["quantisation"].size() == 2);
  for (const json& quantisation : all["quantisation"]) {
    CHECK(quantisation["bits"] == 24);
    std::uint64_t records = 0;
    for (const json& actual : all["federated_integer"]["confusion"]) {
      for (const json& count : actual) records += count.get<std::uint64_t>();
    }
    CHECK(quantisation["records"] == records);
    CHECK(quantisation["predictions_differ"].get<double>() <= 0.002 * static_cast<double>(records));
  }

  REQUIRE(all["gains"].size() == settings.parties);
  for (std::size_t k = 0; k < settings.parties; ++k) {
    const json& gain = all["gains"][k];
    const json& alone = all["local"]["per_party"][k];
    CHECK(gain["alone"] == alone["final"]["recall"]);
    const json recall = all["federated_encrypted"]["final"]["recall"];
    const std::array names{"normal", "dos", "probe", "r2l", "u2r"};
    std::int64_t rows = 0;
    for (std::size_t c = 0; c < names.size(); ++c) {
      CHECK(gain["federated"][c] == recall[names[c]]);
      const std::int64_t class_rows = alone["class_rows"][c];
      rows += class_rows;
      const json& unseen = gain["unseen_classes"];
      CHECK((std::ranges::find(unseen, json(names[c])) != unseen.end()) == (class_rows == 0));
    }
    CHECK(alone["rows"] == rows);
    CHECK_FALSE(gain["unseen_attacks"].empty());  // by attack: each is at one or two parties
  }

  const std::string table = comparison_table(all);
  for (const char* text :
       {"data: kdd99-modified\n", "centralized", "local", "federated_float", "decision stump",
        "majority class", " ± ", "over 2 seeds", "identical", "who gains what", "→"}) {
    INFO(text);
    CHECK(table.find(text) != std::string::npos);
  }

  // The key-holder's digests begin with the initial weights and end with the final ones.
  std::vector<json> holder;
  const auto path = options.folder / "federated_integer" / "rounds.jsonl";
  for (json& line : report::read_records(path)) {
    if (line["role"] == "keyholder") holder.push_back(std::move(line));
  }
  REQUIRE(holder.size() == 1 + settings.rounds);
  CHECK(holder.front()["model_digest"] == digest_text(model::model_digest(model::initial_parameters(
                                              role::shape_of(settings), settings.seed))));
  CHECK(holder.back()["model_digest"] == all["federated_integer"]["model_digest"]);

  // One digit of one record is another model.
  CHECK_FALSE(first_difference(path.parent_path(), options.folder / "federated_encrypted"));
  std::string text = read_text_file(path);
  const std::string digest = holder[3]["model_digest"];
  text[text.find(digest) + 20] ^= 1;
  write_file_atomic(path, text);
  CHECK(first_difference(path.parent_path(), options.folder / "federated_encrypted") == 3U);
}

TEST_CASE_FIXTURE(Fixture, "a comparison that fails leaves compare.json with the reason") {
  RunOptions no_data = options("no-data");
  no_data.data_directory = folder.path();
  const RunResult result = compare(no_data, progress);
  CHECK(result.ending.fault == Fault::kData);
  CHECK(read_json(no_data.folder / "compare.json") == result.summary);
  CHECK(result.summary["status"] == "data");
  CHECK(result.summary["reason"] == result.ending.reason);

  RunOptions stopped = options("stopped");
  stopped.stop = &kStop;
  const RunResult interrupted = compare(stopped, progress);
  CHECK(interrupted.ending.fault == Fault::kInterrupted);
  CHECK(read_json(stopped.folder / "compare.json")["status"] == "interrupted");
  CHECK(comparison_table(interrupted.summary).find("decision stump") != std::string::npos);

  const RunOptions no_keys = options("no-keys");
  const RunResult half = compare(no_keys, progress);
  CHECK(half.ending.fault == Fault::kKeys);
  CHECK(half.ending.reason.starts_with("federated_encrypted: "));
  CHECK(half.summary["federated_integer"]["status"] == "done");
  CHECK(half.summary["seeds"].empty());
  CHECK_FALSE(half.summary.contains("identical"));
  CHECK(comparison_table(half.summary).find("federated_integer") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "what lets runs differ in rounds or parties is refused by its key") {
  settings.parties = 5;
  const auto refused = [&](const char* key, auto change) {
    INFO(key);
    RunOptions options = this->options(key);
    change(options.settings);
    for (const Scope scope : {Scope::kAll, Scope::kBaselines}) {
      const RunResult result = compare(options, progress, 1, scope);
      CHECK(result.ending.fault == Fault::kUsage);
      CHECK(result.ending.reason.starts_with(std::string(key) + ": "));
      CHECK(result.ending.reason.find(std::string("; use --set ") + key + "=") !=
            std::string::npos);
      CHECK_FALSE(result.summary.contains("centralized"));  // nothing was trained
    }
  };
  using settings::Settings;
  refused("faults", [](Settings& s) {
    s.faults.push_back({"party-1", 2, "corrupt", 1, "invalid"});
  });
  refused("sampling.extra", [](Settings& s) { s.sampling = {3, 1}; });
  refused("stop.accuracy", [](Settings& s) { s.stop.accuracy = 0.9; });
  refused("stop.patience", [](Settings& s) { s.stop.patience = 1; });
  refused("stop.minutes", [](Settings& s) { s.stop.minutes = 1; });
}

TEST_CASE_FIXTURE(Fixture,
                  "of a run with noise no predictions that quantisation changes are said") {
  key_holder::save_key_set(folder.path() / "keys", test::key_2048());
  settings.privacy.noise = 1;
  settings.rounds = 1;
  const RunResult result = compare(options("noise"), progress);
  CHECK(result.ending.reason == "");
  CHECK(result.ending.fault == Fault::kNone);
  CHECK_FALSE(result.summary.contains("quantisation"));
  CHECK_FALSE(result.summary.contains("identical"));
  CHECK(result.summary.contains("gains"));
}

TEST_CASE_FIXTURE(Fixture, "seeds of synthetic data have data of their own") {
  key_holder::save_key_set(folder.path() / "keys", test::key_2048());
  settings.data.source = "synthetic";
  settings.rounds = 1;
  RunOptions options = this->options("compare");
  const RunResult result = compare(options, progress, 2);
  CHECK(result.ending.reason == "");
  const auto train = [&](const char* place) {
    return read_text_file(options.folder / place / "kddcup.data_10_percent");
  };
  CHECK(train("data") != train("seed-2/data"));
}
