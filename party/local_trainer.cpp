#include "party/local_trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "shared/core/error.h"
#include "shared/model/discrete_gaussian.h"

namespace blindsum::party {

LocalTrainer::LocalTrainer(TrainerSettings settings, data::RecordTable shard)
    : settings_(std::move(settings)),
      records_(std::move(shard)),
      own_(data::statistics_of(records_)) {}

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
  const auto rows = model::bernoulli_sample(
      dataset_.rows, model::sampling_rate(privacy.parties, settings_.local.batch_rows, *joint_));
  const double steps = privacy.scale / settings_.local.batch_rows;
  model::ClippedSum sum = model::clipped_sum_of(settings_.shape, parameters, dataset_, rows,
                                                class_weights_, privacy.clip, steps);
  const double sensitivity =
      steps * privacy.clip + std::sqrt(static_cast<double>(sum.values.size())) / 2;
  const double deviation = std::ceil(privacy.noise * sensitivity / std::sqrt(privacy.shares));
  const auto noise = model::discrete_gaussian(
      static_cast<std::uint64_t>(std::min(deviation, 0x1p63)), sum.values.size());
  for (std::size_t i = 0; i < noise.size(); ++i) sum.values[i] += noise[i];
  return {std::move(sum.values), sum.clipped_rows};
}

}  // namespace blindsum::party
