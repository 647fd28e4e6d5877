// What an encrypted federation is compared with: trainings in this process, in floating point, and
// two rules that need no training.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/data_source.h"
#include "scenarios/launcher/federation.h"
#include "scenarios/launcher/progress.h"
#include "scenarios/launcher/summary.h"
#include "shared/core/thread_pool.h"
#include "shared/data/encoder.h"
#include "shared/model/network.h"

namespace blindsum::launcher {

// TestSet is the test set by attack type ("normal" is one): each record once, with its
// multiplicity. Encoded, it is one dataset per type, in the same order.
class TestSet {
 public:
  struct Attack {
    std::string name;
    std::size_t traffic_class = 0;  // index into the schema's classes
    std::uint64_t rows = 0;
  };

  explicit TestSet(const data::RecordTable& records);
  [[nodiscard]] const std::vector<Attack>& attacks() const { return attacks_; }
  [[nodiscard]] std::vector<data::Dataset> encode(const data::Scaler& scaler) const;

 private:
  std::vector<Attack> attacks_;
  std::vector<data::RecordTable> records_;
  std::vector<std::vector<std::uint32_t>> multiplicity_;
};

// Workload is the data of a run in one place, and the rows of `train` that each party has: the same
// that cut_shards gives it. Rows of the training file that no party has, those of a zero-day attack
// known to nobody, are not in `train`: what is trained without a federation must not know them
// either.
struct Workload {
  std::string name;  // of the data source
  data::RecordTable train;
  std::vector<std::vector<std::uint32_t>> shards;
  TestSet test;
  double load_s = 0;
  std::vector<std::uint32_t> rows = {};  // of the training file, those of `train`; empty: all
};
[[nodiscard]] Workload load_workload(const settings::Settings& settings, const DataSource& data);

// Training is what came out of a training: its records and summary, in the form that run_scenario's
// have, and the model with the statistics that standardise its inputs.
struct Training {
  Ending ending;
  Records records;
  nlohmann::json summary;
  model::Parameters parameters;
  data::Statistics statistics;
};

// train_centralized trains on all rows together: in each round one batch of parties × batch_rows
// rows, with the initial weights, optimiser, class weights and evaluations of the federated run;
// where that does local steps, with the optimiser that fedsgd has by default.
// train_federated_float is the federated run itself without fixed point: same shards, samples,
// batches, statistics and steps, without quantisation, clipping or noise. Neither stops early.
// Both are deterministic, whatever the
// number of threads, and end as interrupted once `stop` is true.
[[nodiscard]] Training train_centralized(const settings::Settings& settings,
                                         const Workload& workload, Progress& progress,
                                         const std::atomic<bool>& stop);
[[nodiscard]] Training train_federated_float(const settings::Settings& settings,
                                             const Workload& workload, Progress& progress,
                                             const std::atomic<bool>& stop);

// AloneParty is what one party reaches with its own shard.
struct AloneParty {
  data::Statistics statistics;         // of its shard
  std::vector<std::string> attacks;    // that its shard has, sorted
  std::vector<model::Confusion> test;  // of its final model, by attack of the test set
};

// AloneTraining has every party's result. The summary is the mean over the parties; its confusion
// matrix is the sum of theirs, and it names no model.
struct AloneTraining {
  Ending ending;
  Records records;
  nlohmann::json summary;
  std::vector<AloneParty> parties;  // empty unless all trained to their end
};

// train_alone trains every party by itself, with the network, optimiser (as train_centralized),
// batches and rounds of the federated run but only what the party knows: its rows, its class
// weights, its own means and deviations. Parties are evaluated at least once, at the end, and about
// kAloneEvaluations times in all. Threads work on parties; each holds one encoded shard and one
// encoded test set.
inline constexpr std::uint64_t kAloneEvaluations = 256;
[[nodiscard]] AloneTraining train_alone(const settings::Settings& settings,
                                        const Workload& workload, Progress& progress,
                                        const std::atomic<bool>& stop);

// sanity_of makes the rows that any model must beat: "majority_class" and "decision_stump" (one
// threshold on one input, see model::Stump), fitted on the training rows, with the stump's rule in
// words, in the units of the records.
[[nodiscard]] nlohmann::json sanity_of(const Workload& workload, ThreadPool& pool);

// evaluate_by_attack returns one confusion matrix per dataset. sum_of adds them up, one at
// least.
[[nodiscard]] std::vector<model::Confusion> evaluate_by_attack(
    const model::Shape& shape, const model::Parameters& parameters,
    const std::vector<data::Dataset>& test, ThreadPool& pool);
[[nodiscard]] model::Confusion sum_of(const std::vector<model::Confusion>& confusions);

}  // namespace blindsum::launcher
