#include "shared/model/local_training.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/core/words.h"
#include "shared/model/training.h"

namespace blindsum::model {
namespace {

constexpr Words<Algorithm, 7> kAlgorithms("algorithm", {"fedsgd", "fedavg", "fedprox", "fedavgm",
                                                        "fedadam", "fedyogi", "scaffold"});

// LocalBatches hands out the rows of one local step after the other.
class LocalBatches {
 public:
  LocalBatches(std::size_t rows, const LocalSettings& settings, std::uint64_t seed,
               std::uint32_t party, std::uint32_t round)
      : rows_(rows), settings_(&settings), seed_(seed), party_(party), round_(round) {}

  // next returns the rows of the next step; none after the last.
  std::vector<std::uint32_t> next() {
    return settings_->epochs > 0 ? next_of_epoch() : next_drawn();
  }

 private:
  std::vector<std::uint32_t> next_drawn() {
    if (step_ == settings_->steps) return {};
    // One stream of batches for all rounds and steps of a party.
    return batch_rows(rows_, settings_->batch_rows, seed_, party_,
                      round_ * settings_->steps + step_++);
  }

  std::vector<std::uint32_t> next_of_epoch() {
    if (at_ == order_.size()) {
      if (epoch_ == settings_->epochs) return {};
      order_.resize(rows_);
      std::iota(order_.begin(), order_.end(), 0U);
      SeededRandom random(seed_, "epoch", {party_, round_, epoch_++});
      random.shuffle(std::span(order_));
      at_ = 0;
    }
    const std::size_t count = std::min<std::size_t>(settings_->batch_rows, order_.size() - at_);
    const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += count;
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
  }

  std::size_t rows_;
  const LocalSettings* settings_;
  std::uint64_t seed_;
  std::uint32_t party_, round_;
  std::uint32_t step_ = 0, epoch_ = 0;
  std::vector<std::uint32_t> order_;
  std::size_t at_ = 0;
};

double local_rate(const LocalSettings& settings, std::uint32_t round) {
  return scheduled_rate(settings.schedule, settings.rate, round, settings.rounds);
}

template <class Value>
void require_finite_values(const Shape& shape, const LocalSettings& settings, std::string_view what,
                           std::span<const Value> values) {
  std::size_t layer = 0;
  for (const auto& [in, out] : shape.layers()) {
    ++layer;
    const std::size_t count = std::min((in + 1) * out, values.size());
    if (!std::ranges::all_of(values.first(count), [](Value v) { return std::isfinite(v); })) {
      const bool has_steps = settings.algorithm != Algorithm::kFedSgd;
      throw ConfigError("training diverged: " + std::string(what) + " of layer " +
                        std::to_string(layer) + " is not finite; lower " +
                        (has_steps ? "local.rate or server.rate" : "server.rate"));
    }
    values = values.subspan(count);
  }
}

}  // namespace

std::string_view to_string(Algorithm algorithm) { return kAlgorithms.word(algorithm); }

Algorithm algorithm_from_string(std::string_view name) { return kAlgorithms.value(name); }

LocalScale scale_of(const LocalSettings& settings, const data::Statistics& joint,
                    std::uint32_t round) {
  if (settings.algorithm == Algorithm::kFedSgd) {
    return {1, settings.batch_rows, settings.batch_rows};
  }
  const double rate = local_rate(settings, round);
  if (settings.epochs == 0) {
    const std::uint32_t rows = settings.steps * settings.batch_rows;
    return {rate * settings.steps, rows, rows};
  }
  const auto all = static_cast<std::uint64_t>(std::max<std::int64_t>(1, joint.rows()));
  const std::uint64_t mean = (all + settings.parties - 1) / settings.parties;
  const std::uint64_t steps =
      settings.epochs * ((mean + settings.batch_rows - 1) / settings.batch_rows);
  return {rate * static_cast<double>(steps), static_cast<std::uint32_t>(mean), all};
}

LocalWork train_locally(const Shape& shape, const Parameters& parameters,
                        const data::Dataset& dataset, std::span<const double> class_weights,
                        const LocalSettings& settings, const LocalScale& scale, std::uint64_t seed,
                        std::uint32_t party, std::uint32_t round,
                        std::span<const float> correction) {
  if (settings.algorithm == Algorithm::kFedSgd) {
    const auto rows = batch_rows(dataset.rows, settings.batch_rows, seed, party, round);
    return {gradient_of(shape, parameters, dataset, rows, class_weights).values,
            static_cast<std::uint32_t>(rows.size())};
  }
  if (!correction.empty() && correction.size() != parameters.size()) {
    throw Error("a correction of " + std::to_string(correction.size()) + " values for " +
                std::to_string(parameters.size()) + " parameters");
  }
  const double rate = local_rate(settings, round);
  const double pull = settings.algorithm == Algorithm::kFedProx ? settings.proximal : 0;
  Parameters local = parameters;
  LocalBatches batches(dataset.rows, settings, seed, party, round);
  for (auto rows = batches.next(); !rows.empty(); rows = batches.next()) {
    const Gradient gradient = gradient_of(shape, local, dataset, rows, class_weights);
    for (std::size_t i = 0; i < local.size(); ++i) {
      const auto now = static_cast<double>(local[i]);
      double slope = gradient.values[i] + pull * (now - static_cast<double>(parameters[i]));
      if (!correction.empty()) slope += static_cast<double>(correction[i]);
      local[i] = static_cast<float>(now - rate * slope);
    }
  }
  LocalWork work;
  work.direction.resize(local.size());
  for (std::size_t i = 0; i < local.size(); ++i) {
    work.direction[i] =
        (static_cast<double>(parameters[i]) - static_cast<double>(local[i])) / scale.unit;
  }
  const bool has_epochs = settings.epochs > 0;
  work.rows = static_cast<std::uint32_t>(
      has_epochs ? dataset.rows : std::min<std::size_t>(dataset.rows, scale.rows));
  return work;
}

void require_finite(const Shape& shape, const LocalSettings& settings, std::string_view what,
                    std::span<const double> values) {
  require_finite_values(shape, settings, what, values);
}

void require_finite(const Shape& shape, const LocalSettings& settings, std::string_view what,
                    std::span<const float> values) {
  require_finite_values(shape, settings, what, values);
}

std::vector<std::uint32_t> sampled_parties(std::uint32_t parties, std::uint32_t sample,
                                           std::uint64_t seed, std::uint32_t round) {
  std::vector<std::uint32_t> drawn(parties);
  std::iota(drawn.begin(), drawn.end(), 0U);
  if (sample == 0 || sample >= parties) return drawn;
  SeededRandom random(seed, "sampled parties", {round});
  random.shuffle(std::span(drawn));
  drawn.resize(sample);
  std::ranges::sort(drawn);
  return drawn;
}

}  // namespace blindsum::model
