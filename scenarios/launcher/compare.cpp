#include "scenarios/launcher/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "party/key_holder/make.h"
#include "scenarios/launcher/baselines.h"
#include "scenarios/launcher/gains.h"
#include "scenarios/launcher/replay.h"
#include "scenarios/launcher/summary.h"
#include "shared/core/file.h"
#include "shared/core/thread_pool.h"
#include "shared/data/partition.h"
#include "shared/model/training.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr const char* kCentralized = "centralized";
constexpr const char* kLocal = "local";
constexpr const char* kFloat = "federated_float";
constexpr const char* kInteger = "federated_integer";
constexpr const char* kEncrypted = "federated_encrypted";
constexpr std::array kRuns{kCentralized, kLocal, kFloat, kInteger, kEncrypted};
constexpr std::array kQualities{"accuracy", "macro_f1", "cost"};

// digests_of returns the digest of the model after each of the key-holder's rounds.
std::map<std::uint32_t, std::string> digests_of(const std::filesystem::path& run) {
  std::map<std::uint32_t, std::string> digests;
  for (const json& line : report::read_records(run / "rounds.jsonl")) {
    if (report::kind_of(line) != report::LineKind::kRound) continue;
    const report::RoundRecord record = report::round_record_from_json(line);
    if (record.role == to_string(wire::kKeyHolderPeer)) {
      digests[record.round] = record.model_digest;
    }
  }
  return digests;
}

// require_comparable throws ConfigError for what lets the runs of a comparison differ in more than
// what is compared: in their rounds, or in who is in their sums.
void require_comparable(const settings::Settings& settings) {
  const auto refuse_unless = [](bool is_off, const std::string& key, const std::string& why,
                                const char* off) {
    if (!is_off) throw ConfigError(key + ": " + why + "; use --set " + key + "=" + off);
  };
  refuse_unless(settings.faults.empty(), "faults",
                "models are compared over the same rounds and parties", "[]");
  refuse_unless(settings.sampling.extra == 0, "sampling.extra",
                "who is among the first to come depends on the clock, and models are compared over "
                "the same parties, bit for bit",
                "0");
  refuse_unless(settings.stop.minutes == 0, "stop.minutes",
                "the round that a run stops after depends on the clock, and models are compared "
                "over the same rounds, bit for bit",
                "0");
  const std::string no_early_end =
      "each run would stop after another round, and those in floating point not at all, while "
      "models are compared over the same rounds";
  refuse_unless(settings.stop.accuracy == 0, "stop.accuracy", no_early_end, "0");
  refuse_unless(settings.stop.patience == 0, "stop.patience", no_early_end, "0");
}

// Comparison is one call of compare. Its json is compare.json as far as it has come.
class Comparison {
 public:
  Comparison(const RunOptions& options, Progress& progress, std::uint32_t seeds, Scope scope)
      : options_(options), progress_(progress), seeds_(seeds), scope_(scope) {}

  RunResult go() {
    std::filesystem::create_directories(options_.folder);
    json_["seeds"] = json::array();
    try {
      (void)role::limits_of(options_.settings);  // before anything is trained
      require_comparable(options_.settings);
      for (std::uint32_t i = 0; i < seeds_; ++i) {
        if (!compare_seed(options_.settings.seed + i, i == 0)) break;
      }
    } catch (const std::exception& error) {
      ending_ = {fault_of(error), error.what()};
    }
    progress_.end();
    add_spreads();
    json_["status"] = to_string(ending_.fault);
    if (ending_.fault != Fault::kNone) json_["reason"] = ending_.reason;
    write_file_atomic(options_.folder / "compare.json", json_text(json_));
    return {ending_, json_};
  }

 private:
  // Seed is what one seed needs: its settings, folder and data.
  struct Seed {
    settings::Settings settings;
    std::filesystem::path folder;
    bool is_first = false;
  };

  // compare_seed returns false once something did not end well.
  bool compare_seed(std::uint64_t number, bool is_first) {
    Seed seed{options_.settings, options_.folder, is_first};
    seed.settings.seed = number;
    if (!is_first) seed.folder /= "seed-" + std::to_string(number);
    if (seeds_ > 1) progress_.say("seed " + std::to_string(number));
    find_data_of(seed);

    std::optional<Workload> workload = load_workload(seed.settings, *data_);
    if (is_first) {
      ThreadPool pool(seed.settings.threads);
      json_["sanity"] = sanity_of(*workload, pool);
      if (!settings::has_schema(seed.settings)) {  // it is made for KDD'99's columns
        std::size_t test_rows = 0;
        for (const TestSet::Attack& attack : workload->test.attacks()) test_rows += attack.rows;
        json_["sanity"]["study_network"] = study_of(seed, *workload, test_rows);
      }
    }
    progress_.say("centralized: all rows in one place");
    const Training centralized =
        train_centralized(seed.settings, *workload, progress_, *options_.stop);
    if (!keep_training(seed, kCentralized, centralized)) return false;
    add_min_cost(seed, kCentralized, workload->test, centralized, centralized.parameters);
    progress_.say("local: each of " + std::to_string(seed.settings.parties) +
                  " parties alone on its own shard");
    AloneTraining alone = train_alone(seed.settings, *workload, progress_, *options_.stop);
    if (!keep_alone(seed, alone)) return false;
    if (scope_ == Scope::kBaselines) {
      json_["seeds"].push_back(number);
      return true;
    }
    progress_.say("federated_float: the same federation in floating point");
    const Training in_float =
        train_federated_float(seed.settings, *workload, progress_, *options_.stop);
    if (!keep_training(seed, kFloat, in_float)) return false;
    const TestSet test = std::move(workload->test);
    workload.reset();  // the roles need the memory

    if (!federated(seed, kInteger, "none", "the same in integers, in the clear") ||
        !federated(seed, kEncrypted, "paillier", "the same integers, encrypted")) {
      return false;
    }
    json_["seeds"].push_back(number);
    if (!judge(seed)) return false;
    add_quantisation(seed, test, in_float);
    add_min_cost(seed, kEncrypted, test, in_float,
                 key_holder::load_model(seed.folder / kEncrypted / "model.safetensors",
                                        role::shape_of(seed.settings)));
    return !is_first || add_gains(seed, test, alone, in_float.statistics);
  }

  // study_of trains the study's network on the rows that the parties have.
  [[nodiscard]] json study_of(const Seed& seed, const Workload& workload,
                              std::size_t test_rows) const {
    DataSource data = *data_;
    const bool is_part = !workload.rows.empty();
    if (is_part) {
      data.train = std::filesystem::absolute(seed.folder / "known-rows.csv");
      data::write_shard(data::read_raw(data_->train, role::schema_of(seed.settings)), workload.rows,
                        data.train);
    }
    json study = study_network(seed.settings, data, workload.train.rows, test_rows);
    if (is_part) std::filesystem::remove(data.train);
    return study;
  }

  // find_data_of finds the data once; only the synthetic set depends on the seed.
  void find_data_of(const Seed& seed) {
    if (!seed.is_first && data_->name != "synthetic") return;
    data_ = find_data(seed.settings, options_.data_directory, seed.folder / "data",
                      [&](const std::string& text) { progress_.warn(text); });
  }

  // keep takes a run's summary, which becomes its entry when its seed is the first.
  bool keep(const Seed& seed, const char* name, const json& summary, const Ending& ending) {
    if (seed.is_first) json_[name] = summary;
    if (!summary["final"].is_null() && ending.fault == Fault::kNone) {
      json quality = {{"seed", seed.settings.seed}};
      for (const char* key : kQualities) quality[key] = summary["final"][key];
      json_["by_seed"][name].push_back(quality);
    }
    if (ending.fault == Fault::kNone) return true;
    ending_ = {ending.fault, std::string(name) + ": " + ending.reason};
    return false;
  }

  static void write_results(const std::filesystem::path& folder, const Records& records,
                            const json& summary) {
    std::filesystem::create_directories(folder);
    write_rounds(folder / "rounds.jsonl", records);
    write_file_atomic(folder / "summary.json", json_text(summary));
  }

  bool keep_training(const Seed& seed, const char* name, const Training& training) {
    const auto folder = seed.folder / name;
    write_results(folder, training.records, training.summary);
    if (training.ending.fault == Fault::kNone) {
      key_holder::save_model(folder / "model.safetensors", role::shape_of(seed.settings),
                             role::schema_of(seed.settings), training.parameters,
                             data::Scaler::from_statistics(training.statistics));
    }
    return keep(seed, name, training.summary, training.ending);
  }

  bool keep_alone(const Seed& seed, AloneTraining& alone) {
    json& parties = alone.summary["per_party"] = json::array();
    const data::Schema schema = role::schema_of(seed.settings);
    for (std::size_t k = 0; k < alone.parties.size(); ++k) {
      const AloneParty& party = alone.parties[k];
      const model::Metrics metrics = model::metrics_of(sum_of(party.test), schema);
      json class_rows = json::array();
      for (std::size_t c = 0; c < party.statistics.classes; ++c) {
        class_rows.push_back(party.statistics.class_rows(c));
      }
      parties.push_back({{"party", k},
                         {"rows", party.statistics.rows()},
                         {"class_rows", class_rows},
                         {"final",
                          {{"accuracy", metrics.accuracy},
                           {"macro_f1", metrics.macro_f1},
                           {"cost", metrics.cost},
                           {"recall", metrics.recall}}}});
    }
    write_results(seed.folder / kLocal, alone.records, alone.summary);
    return keep(seed, kLocal, alone.summary, alone.ending);
  }

  bool federated(const Seed& seed, const char* name, const char* cipher, const char* what) {
    RunOptions run = options_;
    run.settings = seed.settings;
    run.settings.cipher = cipher;
    run.folder = seed.folder / name;
    run.data = data_;
    progress_.say(std::string(name) + ": " + what);
    const RunResult result = run_scenario(run, progress_);
    return keep(seed, name, result.summary, result.ending);
  }

  // judge says whether the encrypted and the integer run of a seed ended in the same model.
  bool judge(const Seed& seed) {
    if (seed.settings.privacy.noise > 0) {
      progress_.say("noise is drawn anew in every run: the runs are not compared bit for bit");
      return true;
    }
    const auto integer = seed.folder / kInteger;
    const auto encrypted = seed.folder / kEncrypted;
    const auto digest_in = [](const std::filesystem::path& folder) {
      return json::parse(read_text_file(folder / "summary.json")).at("model_digest");
    };
    const auto difference = first_difference(integer, encrypted);
    const bool is_identical = digest_in(integer) == digest_in(encrypted) && !difference;
    json_["identical"] = is_identical;
    json_["first_difference"] = difference ? json(*difference) : json();
    if (is_identical) return true;
    ending_ = {Fault::kIntegrity, "the encrypted and the integer run with seed " +
                                      std::to_string(seed.settings.seed) +
                                      " ended in different models" +
                                      (difference ? "; round " + std::to_string(*difference) +
                                                        " is the first whose model differs"
                                                  : "")};
    return false;
  }

  // add_min_cost judges a model by the minimum-cost rule, with the weights and standardisation of
  // `training`.
  void add_min_cost(const Seed& seed, const char* run, const TestSet& test,
                    const Training& training, const model::Parameters& parameters) {
    const auto weights =
        model::class_weights_from(role::class_weights_of(seed.settings), training.statistics);
    ThreadPool pool(seed.settings.threads);
    const data::Schema schema = role::schema_of(seed.settings);
    std::vector<model::Confusion> by_attack;
    for (const data::Dataset& attack :
         test.encode(data::Scaler::from_statistics(training.statistics))) {
      by_attack.push_back(model::evaluate_min_cost(role::shape_of(seed.settings), parameters,
                                                   attack, weights, schema, pool));
    }
    const model::Metrics metrics = model::metrics_of(sum_of(by_attack), schema);
    json_["minimum_cost"][run].push_back({{"seed", seed.settings.seed},
                                          {"accuracy", metrics.accuracy},
                                          {"macro_f1", metrics.macro_f1},
                                          {"cost", metrics.cost}});
  }

  // add_quantisation counts the test records that whole numbers instead of floating point change
  // the prediction of.
  void add_quantisation(const Seed& seed, const TestSet& test, const Training& in_float) {
    if (seed.settings.privacy.noise > 0) return;  // would be counted with it
    const model::Shape shape = role::shape_of(seed.settings);
    const model::Parameters integers =
        key_holder::load_model(seed.folder / kInteger / "model.safetensors", shape);
    ThreadPool pool(seed.settings.threads);
    std::uint64_t differing = 0, records = 0;
    for (const data::Dataset& attack :
         test.encode(data::Scaler::from_statistics(in_float.statistics))) {
      differing += model::differing_predictions(shape, in_float.parameters, integers, attack, pool);
      records += attack.records();
    }
    json_["quantisation"].push_back({{"seed", seed.settings.seed},
                                     {"bits", seed.settings.fixed_point.bits},
                                     {"records", records},
                                     {"predictions_differ", differing}});
  }

  // add_gains also checks that the model file gives the confusion matrix that the run recorded.
  bool add_gains(const Seed& seed, const TestSet& test, const AloneTraining& alone,
                 const data::Statistics& joint) {
    const model::Shape shape = role::shape_of(seed.settings);
    const auto path = seed.folder / kEncrypted / "model.safetensors";
    ThreadPool pool(seed.settings.threads);
    const auto by_attack =
        evaluate_by_attack(shape, key_holder::load_model(path, shape),
                           test.encode(data::Scaler::from_statistics(joint)), pool);
    json_["gains"] =
        gains_of(role::schema_of(seed.settings), test.attacks(), alone.parties, by_attack);
    if (json(sum_of(by_attack).counts) == json_[kEncrypted]["confusion"]) return true;
    ending_ = {Fault::kIntegrity,
               path.string() + ": the model does not give the confusion matrix of its run"};
    return false;
  }

  void add_spreads() {
    if (!json_.contains("by_seed")) return;
    for (const char* run : kRuns) {
      if (!json_["by_seed"].contains(run)) continue;
      for (const char* key : kQualities) {
        std::vector<double> values;
        for (const json& seed : json_["by_seed"][run]) values.push_back(seed[key].get<double>());
        const Spread spread = spread_of(values);
        json_["mean"][run][key] = spread.mean;
        json_["deviation"][run][key] = spread.deviation;
      }
    }
    add_pairs();
  }

  // add_pairs compares runs seed by seed.
  void add_pairs() {
    constexpr std::array<std::pair<const char*, const char*>, 3> kPairs{
        {{kEncrypted, kLocal}, {kEncrypted, kCentralized}, {kEncrypted, kFloat}}};
    const json& by_seed = json_["by_seed"];
    for (const auto& [ours, theirs] : kPairs) {
      if (!by_seed.contains(ours) || !by_seed.contains(theirs)) continue;
      const std::size_t seeds = std::min(by_seed[ours].size(), by_seed[theirs].size());
      if (seeds < 2) continue;
      json pair = {{"run", ours}, {"against", theirs}, {"seeds", seeds}};
      for (const char* key : kQualities) {
        std::vector<double> differences;
        for (std::size_t i = 0; i < seeds; ++i) {
          differences.push_back(by_seed[ours][i][key].get<double>() -
                                by_seed[theirs][i][key].get<double>());
        }
        const PairedDifference difference = paired_difference(differences);
        pair[key] = {{"difference", difference.mean},
                     {"standard_error", difference.standard_error},
                     {"higher", difference.higher},
                     {"p", difference.p ? json(*difference.p) : json()}};
      }
      json_["paired"].push_back(std::move(pair));
    }
  }

  const RunOptions& options_;
  Progress& progress_;
  std::uint32_t seeds_;
  Scope scope_;
  std::optional<DataSource> data_;
  json json_ = json::object();
  Ending ending_;
};

}  // namespace

RunResult compare(const RunOptions& options, Progress& progress, std::uint32_t seeds, Scope scope) {
  return Comparison(options, progress, seeds, scope).go();
}

std::optional<std::uint32_t> first_difference(const std::filesystem::path& run,
                                              const std::filesystem::path& other) {
  const auto ours = digests_of(run);
  const auto theirs = digests_of(other);
  const auto [a, b] = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
  if (a == ours.end() && b == theirs.end()) return {};
  if (a == ours.end()) return b->first;
  if (b == theirs.end()) return a->first;
  return std::min(a->first, b->first);
}

PairedDifference paired_difference(const std::vector<double>& differences) {
  const Spread spread = spread_of(differences);
  PairedDifference result;
  result.mean = spread.mean;
  result.standard_error = spread.deviation / std::sqrt(static_cast<double>(differences.size()));
  result.higher = static_cast<std::uint32_t>(
      std::ranges::count_if(differences, [](double d) { return d > 0; }));
  constexpr std::size_t kMostSeeds = 20;
  if (differences.size() > kMostSeeds) return result;
  // Sums that are equal but for rounding count as equal.
  const double observed =
      std::abs(std::accumulate(differences.begin(), differences.end(), 0.0)) * (1 - 1e-9);
  const std::uint64_t ways = std::uint64_t{1} << differences.size();
  std::uint64_t as_far = 0;
  for (std::uint64_t signs = 0; signs < ways; ++signs) {
    double sum = 0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      sum += (signs >> i & 1) != 0 ? -differences[i] : differences[i];
    }
    as_far += std::abs(sum) >= observed ? 1 : 0;
  }
  result.p = static_cast<double>(as_far) / static_cast<double>(ways);
  return result;
}

Spread spread_of(const std::vector<double>& values) {
  Spread spread;
  if (values.empty()) return spread;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) spread.mean += value;
  spread.mean /= count;
  if (values.size() < 2) return spread;
  double squares = 0;
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  spread.deviation = std::sqrt(squares / (count - 1));
  return spread;
}

}  // namespace blindsum::launcher
