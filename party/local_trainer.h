// A party's local work: statistics of its shard, and gradients on batches of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/data/encoder.h"
#include "shared/model/local_training.h"
#include "shared/model/network.h"
#include "shared/model/training.h"

namespace blindsum::party {

// PrivacySettings is what differential privacy asks of a party: to cut each row's gradient to the
// norm `clip`, and to add its share of noise. The noise of any `shares` parties together has a
// standard deviation of at least `noise` times what one record can change in the sum.
struct PrivacySettings {
  double noise = 0;
  double clip = 1;
  std::uint32_t parties = 0;
  std::uint32_t shares = 0;
  double scale = 0;          // steps of the update's fixed point in 1
  std::int64_t max_abs = 0;  // steps that a value of the update may have
};

struct TrainerSettings {
  std::uint32_t party = 0;
  std::uint64_t seed = 1;
  model::Shape shape;
  model::ClassWeights class_weights = model::ClassWeights::kSqrt;
  model::LocalSettings local = {};
  std::optional<PrivacySettings> privacy = {};
};

// LocalUpdate is what a party contributes to a round: its direction (see model::LocalWork) times
// its weight, rows / scale.rows, and the rows. Summed over parties, Σ weighted / Σ weight is the
// mean direction.
struct LocalUpdate {
  std::vector<double> weighted;
  double weight = 1;
  std::uint32_t rows = 0;
};

// PrivateUpdate is what a party contributes to a private round: clipped gradients over batch_rows,
// summed, with noise, in steps of the fixed point.
struct PrivateUpdate {
  std::vector<std::int64_t> values;
  std::uint64_t clipped_rows = 0;  // whose gradient was longer than clip
};

// require_countable throws ConfigError when a party that passes over its whole shard has more rows
// than an update can count.
void require_countable(const model::LocalSettings& local, std::size_t shard_rows);

// LocalTrainer holds one shard. Deterministic in (shard, settings, round, weights). Not
// thread-safe.
class LocalTrainer {
 public:
  // Throws ConfigError for noise that cannot be drawn, and as require_countable does.
  LocalTrainer(TrainerSettings settings, data::RecordTable shard);

  [[nodiscard]] const TrainerSettings& settings() const { return settings_; }
  [[nodiscard]] const data::Statistics& statistics() const;

  // standardise prepares the shard with the joint statistics; the records themselves are dropped.
  // The first call fixes the statistics: a later call with others throws ProtocolError, one with
  // the same does nothing.
  void standardise(const data::Statistics& joint);

  // train throws ProtocolError before standardise, DecodeError for parameters of another shape.
  // `correction` is SCAFFOLD's; else empty.
  [[nodiscard]] LocalUpdate train(const model::Parameters& parameters, std::uint32_t round,
                                  std::span<const float> correction = {}) const;

  // train_privately draws rows and noise anew from the operating system, whatever the seed: who
  // could predict them could take them out again. Each row is used with the probability
  // model::sampling_rate. Throws as train does, and ConfigError, before anything is drawn, when
  // what comes out could be beyond max_abs: cut there, it would no longer have the noise that ε is
  // computed from. Allowed are rows up to ten deviations above their mean, and noise up to ten:
  //   (r + 10·√r + 20) · clip · scale / batch_rows + 10 · deviation <= max_abs,
  // with r the rows that the party is expected to use.
  [[nodiscard]] PrivateUpdate train_privately(const model::Parameters& parameters) const;

 private:
  [[nodiscard]] double noise_deviation() const;
  void require_room(double rate) const;

  TrainerSettings settings_;
  data::RecordTable records_;
  data::Statistics own_;
  std::optional<data::Statistics> joint_;
  data::Dataset dataset_;
  std::vector<double> class_weights_;
};

}  // namespace blindsum::party
