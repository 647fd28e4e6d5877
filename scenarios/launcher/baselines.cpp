#include "scenarios/launcher/baselines.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include <sys/resource.h>

#include "party/local_trainer.h"
#include "shared/core/error.h"
#include "shared/core/hash.h"
#include "shared/data/partition.h"
#include "shared/model/optimizer.h"
#include "shared/model/stump.h"
#include "shared/model/training.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr std::uint32_t kCentralizedParty = 0xffffffff;  // the batches of no party
constexpr const char* kInterrupted = "interrupted by the user";

double peak_rss_mib() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::string in_round(std::uint32_t round, const Error& error) {
  return "round " + std::to_string(round) + ": " + error.what();
}

party::TrainerSettings trainer_settings(const settings::Settings& settings, std::uint32_t party) {
  return {party, settings.seed, role::shape_of(settings), role::class_weights_of(settings),
          role::local_of(settings)};
}

// simple_of is how one who trains alone trains: a gradient a step, with the scenario's own
// optimiser where that is made for gradients, else with the defaults of fedsgd.
settings::Settings simple_of(settings::Settings settings) {
  if (settings.algorithm != "fedsgd") {
    settings.algorithm = "fedsgd";
    settings.server = settings::Settings::Server();
  }
  settings.sampling = {};
  return settings;
}

// Rounds steps one model by the trainers' gradients: the key-holder's work without its integers.
class Rounds {
 public:
  explicit Rounds(const settings::Settings& settings)
      : local_(role::local_of(settings)),
        sample_(settings.sampling.parties),
        seed_(settings.seed),
        shape_(role::shape_of(settings)),
        parameters_(model::initial_parameters(shape_, settings.seed)),
        optimizer_(role::optimizer_of(settings), parameters_.size(), settings.rounds) {}

  // step adds the updates of the parties that the round asks, in their order: the sum does not
  // depend on threads. Returns who was asked, as indices of trainers. Throws ConfigError when
  // values are no longer finite.
  std::vector<std::uint32_t> step(std::span<const party::LocalTrainer> trainers,
                                  const data::Statistics& joint, std::uint32_t round,
                                  ThreadPool& pool) {
    const auto all = static_cast<std::uint32_t>(trainers.size());
    const auto asked = model::sampled_parties(all, sample_, seed_, round);
    std::vector<party::LocalUpdate> updates(asked.size());
    pool.parallel_for(asked.size(), [&](std::size_t i) {
      updates[i] = trainers[asked[i]].train(parameters_, round, correction_of(asked[i]));
    });
    const model::LocalScale scale = model::scale_of(local_, joint, round);
    std::vector<double> direction(parameters_.size(), 0.0);
    std::uint64_t rows = 0;
    for (const party::LocalUpdate& update : updates) {
      for (std::size_t i = 0; i < direction.size(); ++i) direction[i] += update.weighted[i];
      rows += update.rows;
    }
    const double weight = static_cast<double>(rows) / scale.rows;
    for (double& value : direction) value /= weight;
    model::require_finite(shape_, local_, "the update", direction);
    if (is_scaffold()) move_controls(asked, updates, direction, all);
    for (double& value : direction) value *= scale.unit;
    optimizer_.step(parameters_, direction);
    model::require_finite(shape_, local_, "the model", parameters_);
    return asked;
  }

  [[nodiscard]] const model::Shape& shape() const { return shape_; }
  [[nodiscard]] const model::Parameters& parameters() const { return parameters_; }
  [[nodiscard]] std::string digest() const { return digest_text(model::model_digest(parameters_)); }

 private:
  [[nodiscard]] bool is_scaffold() const { return local_.algorithm == model::Algorithm::kScaffold; }

  // correction_of is c − c_i, or nothing.
  std::vector<float> correction_of(std::uint32_t party) const {
    if (!is_scaffold()) return {};
    std::vector<float> correction(parameters_.size(), 0.0F);
    if (!control_.empty()) correction = control_;
    if (const auto own = controls_.find(party); own != controls_.end()) {
      for (std::size_t i = 0; i < correction.size(); ++i) correction[i] -= own->second[i];
    }
    return correction;
  }

  void move_controls(const std::vector<std::uint32_t>& asked,
                     const std::vector<party::LocalUpdate>& updates,
                     const std::vector<double>& direction, std::uint32_t all) {
    for (std::size_t k = 0; k < asked.size(); ++k) {
      std::vector<float> next = correction_of(asked[k]);
      for (std::size_t i = 0; i < next.size(); ++i) {
        next[i] = static_cast<float>(updates[k].weighted[i] / updates[k].weight -
                                     static_cast<double>(next[i]));
      }
      controls_[asked[k]] = std::move(next);
    }
    control_.resize(direction.size(), 0.0F);
    const double share = static_cast<double>(asked.size()) / all;
    for (std::size_t i = 0; i < control_.size(); ++i) {
      const auto now = static_cast<double>(control_[i]);
      control_[i] = static_cast<float>(now + share * (direction[i] - now));
    }
  }

  model::LocalSettings local_;
  std::uint32_t sample_;
  std::uint64_t seed_;
  model::Shape shape_;
  model::Parameters parameters_;
  std::vector<float> control_;  // SCAFFOLD's c
  std::map<std::uint32_t, std::vector<float>> controls_;
  model::Optimizer optimizer_;
};

json summary_in_process(const settings::Settings& settings, const Records& records,
                        const Ending& ending, const Figures& figures) {
  json summary = summary_of(settings, records, ending, figures);
  for (const char* key : {"cipher", "key_bits", "randomizer", "kernel"}) summary[key] = nullptr;
  return summary;
}

// train_together trains one model by the trainers, which know their statistics already.
Training train_together(const char* name, const settings::Settings& settings,
                        const Workload& workload, const data::Statistics& statistics,
                        std::span<const party::LocalTrainer> trainers, double data_s,
                        ThreadPool& pool, Progress& progress, const std::atomic<bool>& stop) {
  Training training;
  training.statistics = statistics;
  const report::Stopwatch encode_watch;
  const auto test = workload.test.encode(data::Scaler::from_statistics(statistics));
  Figures figures;
  figures.data = workload.name;
  figures.data_s = data_s + encode_watch.seconds();

  Rounds rounds(settings);
  const report::Stopwatch train_watch;
  progress.begin(settings.rounds);
  std::uint32_t round = 0;
  while (round < settings.rounds && !stop) {
    ++round;
    report::RoundRecord record;
    record.round = round;
    record.role = name;
    report::Stopwatch watch;
    try {
      for (const std::uint32_t asked : rounds.step(trainers, statistics, round, pool)) {
        const std::uint32_t party = trainers[asked].settings().party;
        if (party != kCentralizedParty) record.contributors.push_back(party);
      }
    } catch (const ConfigError& error) {
      training.ending = {Fault::kUsage, in_round(round, error)};
      break;
    }
    record.phase_s["train"] = watch.restart();
    if (round == settings.rounds || round % settings.evaluate_every == 0) {
      record.evaluation = role::evaluation_of(
          sum_of(evaluate_by_attack(rounds.shape(), rounds.parameters(), test, pool)),
          workload.train.schema);
      record.phase_s["evaluate"] = watch.seconds();
    }
    record.model_digest = rounds.digest();
    progress.round({round, record.evaluation, record.phase_s, 0});
    training.records.rounds.push_back(std::move(record));
  }
  progress.end();
  figures.train_s = train_watch.seconds();
  figures.wall_s = figures.data_s + figures.train_s;
  const bool has_failed = training.ending.fault != Fault::kNone;
  if (!has_failed && round < settings.rounds) {
    training.ending = {Fault::kInterrupted, kInterrupted};
  }
  training.parameters = rounds.parameters();
  training.records.ends.push_back(
      {{"role", name}, {"peak_rss_mib", peak_rss_mib()}, {"model_digest", rounds.digest()}});
  training.summary = summary_in_process(settings, training.records, training.ending, figures);
  return training;
}

// Alone is one party's training by itself, as train_alone needs it.
struct Alone {
  std::vector<report::RoundRecord> records;  // of the evaluated rounds
  AloneParty party;
};

// mean_of is the mean over the parties: qualities are averaged, confusion matrices added, and a
// phase takes as long as the slowest party.
report::RoundRecord mean_of(const std::vector<Alone>& parties, std::size_t index) {
  report::RoundRecord mean;
  mean.round = parties[0].records[index].round;
  mean.role = "local";
  report::Evaluation& sum = mean.evaluation.emplace();
  sum.classes = parties[0].records[index].evaluation->classes;
  const std::size_t classes = sum.classes.size();
  sum.recall.resize(classes);
  sum.confusion.assign(classes, std::vector<std::uint64_t>(classes, 0));
  for (const Alone& party : parties) {
    const report::RoundRecord& record = party.records[index];
    const report::Evaluation& own = *record.evaluation;
    sum.accuracy += own.accuracy;
    sum.macro_f1 += own.macro_f1;
    sum.cost += own.cost;
    for (std::size_t c = 0; c < classes; ++c) {
      sum.recall[c] += own.recall[c];
      for (std::size_t other = 0; other < classes; ++other) {
        sum.confusion[c][other] += own.confusion[c][other];
      }
    }
    for (const auto& [phase, seconds] : record.phase_s) {
      mean.phase_s[phase] = std::max(mean.phase_s[phase], seconds);
    }
  }
  const auto count = static_cast<double>(parties.size());
  for (double* value : {&sum.accuracy, &sum.macro_f1, &sum.cost}) *value /= count;
  for (double& recall : sum.recall) recall /= count;
  return mean;
}

std::vector<std::string> attacks_in(const data::RecordTable& records) {
  std::set<std::string> names;
  std::vector<bool> seen(records.attack_names.size(), false);
  for (const std::uint16_t attack : records.attacks) seen[attack] = true;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i]) names.insert(records.attack_names[i]);
  }
  return {names.begin(), names.end()};
}

// shown writes a value of a record without needless digits.
std::string shown(double value) {
  std::string text = fixed(value, 4);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// rule_of says in words what the stump asks, in the units of the records.
std::string rule_of(const model::Stump& stump, const data::Scaler& scaler,
                    const data::Schema& schema) {
  const std::string& low = schema.classes()[stump.low].name;
  const std::string& high = schema.classes()[stump.high].name;
  const std::string name = schema.input_names()[stump.feature];
  if (stump.feature < schema.onehot_inputs()) return high + " where " + name + ", else " + low;
  const std::size_t k = stump.feature - schema.onehot_inputs();
  const double value = data::in_units(stump.threshold * scaler.deviation[k] + scaler.mean[k],
                                      schema.numeric_column(k));
  return low + " where " + name + " <= " + shown(value) + ", else " + high;
}

}  // namespace

TestSet::TestSet(const data::RecordTable& records) {
  const data::DistinctRows distinct = data::distinct_rows(records);
  std::vector<std::vector<std::uint32_t>> rows(records.attack_names.size());
  attacks_.resize(rows.size());
  multiplicity_.resize(rows.size());
  for (std::size_t i = 0; i < distinct.rows.size(); ++i) {
    const std::uint16_t attack = records.attacks[distinct.rows[i]];
    rows[attack].push_back(distinct.rows[i]);
    multiplicity_[attack].push_back(distinct.multiplicity[i]);
    attacks_[attack].rows += distinct.multiplicity[i];
  }
  for (std::size_t attack = 0; attack < rows.size(); ++attack) {
    attacks_[attack].name = records.attack_names[attack];
    attacks_[attack].traffic_class = records.schema.class_of(records.attack_names[attack]);
    records_.push_back(data::select(records, rows[attack]));
  }
}

std::vector<data::Dataset> TestSet::encode(const data::Scaler& scaler) const {
  std::vector<data::Dataset> encoded;
  for (std::size_t attack = 0; attack < records_.size(); ++attack) {
    encoded.push_back(data::encode_onehot(records_[attack], scaler));
    encoded.back().multiplicity = multiplicity_[attack];
  }
  return encoded;
}

std::vector<model::Confusion> evaluate_by_attack(const model::Shape& shape,
                                                 const model::Parameters& parameters,
                                                 const std::vector<data::Dataset>& test,
                                                 ThreadPool& pool) {
  std::vector<model::Confusion> confusions;
  confusions.reserve(test.size());
  for (const data::Dataset& attack : test) {
    confusions.push_back(model::evaluate(shape, parameters, attack, pool));
  }
  return confusions;
}

model::Confusion sum_of(const std::vector<model::Confusion>& confusions) {
  model::Confusion sum = confusions.at(0);
  for (std::size_t i = 1; i < confusions.size(); ++i) sum += confusions[i];
  return sum;
}

namespace {

// drop_unowned keeps of the training rows those that are in a shard.
void drop_unowned(Workload& workload) {
  std::vector<std::uint32_t> owned;
  for (const auto& shard : workload.shards) owned.insert(owned.end(), shard.begin(), shard.end());
  if (owned.size() == workload.train.rows) return;
  std::ranges::sort(owned);
  std::vector<std::uint32_t> place(workload.train.rows);
  for (std::uint32_t i = 0; i < owned.size(); ++i) place[owned[i]] = i;
  for (auto& shard : workload.shards) {
    for (std::uint32_t& row : shard) row = place[row];
  }
  workload.train = data::select(workload.train, owned);
  workload.rows = std::move(owned);
}

}  // namespace

Workload load_workload(const settings::Settings& settings, const DataSource& data) {
  const report::Stopwatch watch;
  const data::Schema schema = role::schema_of(settings);
  Workload workload{data.name,
                    data::read_records(data.train, schema),
                    {},
                    TestSet(data::read_records(data.test, schema)),
                    0};
  data::RawFile labels;  // all that the partition looks at
  labels.schema = schema;
  labels.attacks = workload.train.attacks;
  labels.attack_names = workload.train.attack_names;
  if (const auto service = schema.categorical_named(data::kServiceColumn)) {
    for (std::size_t row = 0; row < workload.train.rows; ++row) {
      labels.services.push_back(workload.train.categories_of(row)[*service]);
    }
  }
  workload.shards = shards_of(settings, data, labels);
  drop_unowned(workload);
  workload.load_s = watch.seconds();
  return workload;
}

Training train_centralized(const settings::Settings& given, const Workload& workload,
                           Progress& progress, const std::atomic<bool>& stop) {
  const report::Stopwatch watch;
  settings::Settings settings = simple_of(given);
  settings.local.batch_rows *= settings.parties;
  ThreadPool pool(settings.threads);
  std::vector<party::LocalTrainer> trainer;
  trainer.emplace_back(trainer_settings(settings, kCentralizedParty), workload.train);
  const data::Statistics statistics = trainer[0].statistics();
  trainer[0].standardise(statistics);
  return train_together("centralized", settings, workload, statistics, trainer,
                        workload.load_s + watch.seconds(), pool, progress, stop);
}

Training train_federated_float(const settings::Settings& settings, const Workload& workload,
                               Progress& progress, const std::atomic<bool>& stop) {
  const report::Stopwatch watch;
  ThreadPool pool(settings.threads);
  const data::Statistics joint = data::statistics_of(workload.train);
  std::vector<std::optional<party::LocalTrainer>> parties(workload.shards.size());
  pool.parallel_for(parties.size(), [&](std::size_t party) {
    parties[party].emplace(trainer_settings(settings, static_cast<std::uint32_t>(party)),
                           data::select(workload.train, workload.shards[party]));
    parties[party]->standardise(joint);
  });
  std::vector<party::LocalTrainer> trainers;
  trainers.reserve(parties.size());
  for (auto& party : parties) trainers.push_back(std::move(*party));
  return train_together("federated_float", settings, workload, joint, trainers,
                        workload.load_s + watch.seconds(), pool, progress, stop);
}

AloneTraining train_alone(const settings::Settings& given, const Workload& workload,
                          Progress& progress, const std::atomic<bool>& stop) {
  const settings::Settings settings = simple_of(given);
  const std::uint64_t steps = std::uint64_t{settings.rounds} * settings.parties;
  const std::uint64_t least = (steps + kAloneEvaluations - 1) / kAloneEvaluations;
  // A multiple of evaluate_every, so that the rounds of all runs meet.
  const std::uint64_t evaluate_every =
      (least + settings.evaluate_every - 1) / settings.evaluate_every * settings.evaluate_every;

  std::vector<Alone> parties(settings.parties);
  std::mutex mutex;  // guards what follows, and the progress
  std::uint64_t done = 0;
  std::map<std::uint32_t, std::string> failures;  // by party
  const auto count_step = [&] {
    const std::lock_guard lock(mutex);
    if (++done % settings.parties == 0) {
      progress.round({static_cast<std::uint32_t>(done / settings.parties), {}, {}, 0});
    }
  };
  const auto train = [&](std::size_t index) {
    const auto party = static_cast<std::uint32_t>(index);
    if (stop) return;
    Alone& alone = parties[index];
    ThreadPool self(1);
    std::vector<party::LocalTrainer> trainer;
    {
      data::RecordTable shard = data::select(workload.train, workload.shards[index]);
      alone.party.attacks = attacks_in(shard);
      trainer.emplace_back(trainer_settings(settings, party), std::move(shard));
    }
    const data::Statistics own = trainer[0].statistics();
    alone.party.statistics = own;
    trainer[0].standardise(own);
    const auto test = workload.test.encode(data::Scaler::from_statistics(own));
    Rounds rounds(settings);
    report::Stopwatch watch;
    for (std::uint32_t round = 1; round <= settings.rounds && !stop; ++round) {
      try {
        rounds.step(trainer, own, round, self);
      } catch (const ConfigError& error) {
        const std::lock_guard lock(mutex);
        failures[party] = in_round(round, error);
        return;
      }
      const bool is_last = round == settings.rounds;
      if (is_last || round % evaluate_every == 0) {
        report::RoundRecord record;
        record.round = round;
        record.role = "local-" + std::to_string(party);
        record.contributors = {party};
        record.phase_s["train"] = watch.restart();
        auto by_attack = evaluate_by_attack(rounds.shape(), rounds.parameters(), test, self);
        record.evaluation = role::evaluation_of(sum_of(by_attack), workload.train.schema);
        record.phase_s["evaluate"] = watch.restart();
        record.model_digest = rounds.digest();
        alone.records.push_back(std::move(record));
        if (is_last) alone.party.test = std::move(by_attack);
      }
      count_step();
    }
  };

  ThreadPool pool(settings.threads);
  Figures figures;
  figures.data = workload.name;
  figures.data_s = workload.load_s;
  const report::Stopwatch train_watch;
  progress.begin(settings.rounds);
  pool.parallel_for(parties.size(), train);
  progress.end();
  figures.train_s = train_watch.seconds();
  figures.wall_s = figures.data_s + figures.train_s;

  AloneTraining training;
  Records means;
  means.ends.push_back({{"role", "local"}, {"peak_rss_mib", peak_rss_mib()}});
  if (!failures.empty()) {
    const auto& [party, reason] = *failures.begin();
    training.ending = {Fault::kUsage, "party " + std::to_string(party) + ": " + reason};
  } else if (done < steps) {
    training.ending = {Fault::kInterrupted, kInterrupted};
  } else {
    for (std::size_t i = 0; i < parties[0].records.size(); ++i) {
      means.rounds.push_back(mean_of(parties, i));
    }
  }
  training.summary = summary_in_process(settings, means, training.ending, figures);
  for (Alone& alone : parties) {
    std::ranges::move(alone.records, std::back_inserter(training.records.rounds));
    if (done == steps) training.parties.push_back(std::move(alone.party));
  }
  std::ranges::stable_sort(training.records.rounds, {}, &report::RoundRecord::round);
  return training;
}

json sanity_of(const Workload& workload, ThreadPool& pool) {
  const data::Schema& schema = workload.train.schema;
  const data::Statistics statistics = data::statistics_of(workload.train);
  const data::Scaler scaler = data::Scaler::from_statistics(statistics);
  const auto test = workload.test.encode(scaler);
  const auto over_test = [&](const auto& evaluate) {
    std::vector<model::Confusion> confusions;
    confusions.reserve(test.size());
    for (const data::Dataset& attack : test) confusions.push_back(evaluate(attack));
    return to_json(role::evaluation_of(sum_of(confusions), schema));
  };

  const std::uint8_t majority = model::majority_class(statistics);
  json sanity;
  sanity["majority_class"] = over_test(
      [&](const data::Dataset& attack) { return model::evaluate_constant(majority, attack); });
  sanity["majority_class"]["rule"] = "always " + schema.classes()[majority].name;

  const data::DistinctRows distinct = data::distinct_rows(workload.train);
  data::Dataset train = data::encode_onehot(data::select(workload.train, distinct.rows), scaler);
  train.multiplicity = distinct.multiplicity;
  const model::Stump stump = model::fit_stump(train, pool);
  sanity["decision_stump"] =
      over_test([&](const data::Dataset& attack) { return model::evaluate(stump, attack); });
  sanity["decision_stump"]["rule"] = rule_of(stump, scaler, schema);
  return sanity;
}

}  // namespace blindsum::launcher
