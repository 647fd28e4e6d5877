#include "party/local_trainer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "shared/core/error.h"
#include "shared/crypto/update_codec.h"
#include "shared/model/discrete_gaussian.h"

namespace blindsum::party {

namespace {

data::RecordTable countable(const model::LocalSettings& local, data::RecordTable shard) {
  require_countable(local, shard.rows);
  return shard;
}

std::string whole(double number) { return std::to_string(std::llround(std::min(number, 0x1p62))); }

}  // namespace

void require_countable(const model::LocalSettings& local, std::size_t shard_rows) {
  constexpr std::size_t kMost = crypto::UpdateCodec::kMaxRows;
  const bool uses_all = local.algorithm != model::Algorithm::kFedSgd && local.epochs > 0;
  if (!uses_all || shard_rows <= kMost) return;
  throw ConfigError("local.epochs: a shard of " + std::to_string(shard_rows) +
                    " rows, an update counts at most " + std::to_string(kMost) +
                    "; share them out among more parties, or use local.steps");
}

LocalTrainer::LocalTrainer(TrainerSettings settings, data::RecordTable shard)
    : settings_(std::move(settings)),
      records_(countable(settings_.local, std::move(shard))),
      own_(data::statistics_of(records_)) {
  constexpr auto kMost = static_cast<double>(model::kMaxDiscreteDeviation);
  if (settings_.privacy && noise_deviation() > kMost) {
    throw ConfigError("privacy.noise: a party's share would have a deviation of " +
                      whole(noise_deviation()) + " steps of the fixed point, at most " +
                      whole(kMost) +
                      " can be drawn; lower privacy.noise, privacy.clip or fixed_point.bits, or "
                      "raise fixed_point.clip");
  }
}

const data::Statistics& LocalTrainer::statistics() const { return own_; }

void LocalTrainer::standardise(const data::Statistics& joint) {
  if (joint_) {
    if (joint_->values != joint.values) throw ProtocolError("the joint statistics have changed");
    return;
  }
  dataset_ = data::encode_onehot(records_, data::Scaler::from_statistics(joint));
  class_weights_ = model::class_weights_from(settings_.class_weights, joint);
  joint_ = joint;
  records_ = {};
}

LocalUpdate LocalTrainer::train(const model::Parameters& parameters, std::uint32_t round,
                                std::span<const float> correction) const {
  if (!joint_) throw ProtocolError("a gradient round before the joint statistics");
  const model::LocalScale scale = model::scale_of(settings_.local, *joint_, round);
  model::LocalWork work =
      model::train_locally(settings_.shape, parameters, dataset_, class_weights_, settings_.local,
                           scale, settings_.seed, settings_.party, round, correction);
  LocalUpdate update;
  update.rows = work.rows;
  update.weight = static_cast<double>(work.rows) / scale.rows;
  for (double& value : work.direction) value *= update.weight;
  update.weighted = std::move(work.direction);
  return update;
}

PrivateUpdate LocalTrainer::train_privately(const model::Parameters& parameters) const {
  if (!joint_) throw ProtocolError("a gradient round before the joint statistics");
  const PrivacySettings& privacy = settings_.privacy.value();
  const double rate = model::sampling_rate(privacy.parties, settings_.local.batch_rows, *joint_);
  require_room(rate);
  const auto rows = model::bernoulli_sample(dataset_.rows, rate);
  const double steps = privacy.scale / settings_.local.batch_rows;
  model::ClippedSum sum = model::clipped_sum_of(settings_.shape, parameters, dataset_, rows,
                                                class_weights_, privacy.clip, steps);
  const auto noise =
      model::discrete_gaussian(static_cast<std::uint64_t>(noise_deviation()), sum.values.size());
  for (std::size_t i = 0; i < noise.size(); ++i) sum.values[i] += noise[i];
  return {std::move(sum.values), sum.clipped_rows};
}

// noise_deviation is that of this party's share, in steps of the fixed point.
double LocalTrainer::noise_deviation() const {
  const PrivacySettings& privacy = settings_.privacy.value();
  const double steps = privacy.scale / settings_.local.batch_rows;
  const auto parameters = static_cast<double>(settings_.shape.parameters());
  const double sensitivity = steps * privacy.clip + std::sqrt(parameters) / 2;
  return std::ceil(privacy.noise * sensitivity / std::sqrt(privacy.shares));
}

void LocalTrainer::require_room(double rate) const {
  const PrivacySettings& privacy = settings_.privacy.value();
  const double expected = rate * static_cast<double>(dataset_.rows);
  const double most_rows = expected + 10 * std::sqrt(expected) + 20;
  const double steps = privacy.scale / settings_.local.batch_rows;
  const double bound = most_rows * privacy.clip * steps + 10 * noise_deviation();
  if (bound <= static_cast<double>(privacy.max_abs)) return;
  // How far beyond is not said: it would tell how many rows this party has.
  throw ConfigError(
      "privacy.noise: an update of this party may reach beyond the " +
      std::to_string(privacy.max_abs) +
      " steps of the fixed point, and cut there it would not keep the epsilon that is stated; "
      "lower privacy.clip or privacy.noise, or raise fixed_point.clip (or fixed_point.bits, "
      "where they are few)");
}

}  // namespace blindsum::party
