// Training with noise: what a party sends, and what a run says about it.
#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "party/local_trainer.h"
#include "party/make.h"
#include "shared/core/error.h"
#include "shared/data/synthetic.h"
#include "shared/model/training.h"
#include "tests/support/temp_dir.h"

namespace blindsum::party {
namespace {

const model::Shape kShape{122, {8}, 5, model::Activation::kRelu};

constexpr std::int64_t kWide = std::int64_t{1} << 50;

data::RecordTable records() {
  const test::TempDir dir;
  data::write_synthetic(dir.path(), 5, {400, 100});
  return data::read_kdd(data::find_kdd(dir.path()).train);
}

LocalTrainer make_trainer(const PrivacySettings& privacy, std::uint32_t batch_rows) {
  LocalTrainer trainer(
      {1, 9, kShape, model::ClassWeights::kSqrt, {model::Algorithm::kFedSgd, batch_rows}, privacy},
      records());
  trainer.standardise(trainer.statistics());
  return trainer;
}

// Every row is used (one party with a batch of all), so that two updates differ by noise alone.
TEST_CASE("a private update carries this party's share of the noise") {
  const std::uint32_t rows = 400;
  for (const double noise : {0.5, 4.0}) {
    for (const std::uint32_t shares : {3U, 12U}) {
      CAPTURE(noise);
      CAPTURE(shares);
      const double scale = 1e6, clip = 0.5;
      const LocalTrainer trainer = make_trainer({noise, clip, 1, shares, scale, kWide}, rows);
      const model::Parameters parameters = model::initial_parameters(kShape, 3);
      const auto a = trainer.train_privately(parameters);
      const auto b = trainer.train_privately(parameters);
      CHECK(a.clipped_rows == b.clipped_rows);
      const auto count = static_cast<double>(a.values.size());
      double square = 0;
      for (std::size_t i = 0; i < a.values.size(); ++i) {
        const auto difference = static_cast<double>(a.values[i] - b.values[i]);
        square += difference * difference / 2;
      }
      const double sensitivity = scale / rows * clip + std::sqrt(count) / 2;
      const double expected = noise * noise * sensitivity * sensitivity / shares;
      // Six standard errors of a variance.
      CHECK(std::abs(square / count / expected - 1) < 6 * std::sqrt(2 / count) + 0.02);
    }
  }
}

TEST_CASE("under the noise lies the sum of the clipped gradients") {
  const std::uint32_t rows = 400;
  const double scale = 1e9, clip = 0.2;
  const LocalTrainer trainer = make_trainer({1e-6, clip, 1, 3, scale, kWide}, rows);
  const model::Parameters parameters = model::initial_parameters(kShape, 3);
  const PrivateUpdate update = trainer.train_privately(parameters);
  CHECK(update.clipped_rows > 0);
  const data::RecordTable table = records();
  const data::Statistics joint = data::statistics_of(table);
  const data::Dataset dataset = data::encode_onehot(table, data::Scaler::from_statistics(joint));
  std::vector<std::uint32_t> all(rows);
  for (std::uint32_t i = 0; i < rows; ++i) all[i] = i;
  const auto sum = model::clipped_sum_of(
      kShape, parameters, dataset, all,
      model::class_weights_from(model::ClassWeights::kSqrt, joint), clip, scale / rows);
  CHECK(sum.clipped_rows == update.clipped_rows);
  for (std::size_t i = 0; i < sum.values.size(); ++i) {
    CHECK(std::abs(sum.values[i] - update.values[i]) < 100);  // the noise has a deviation of 1
  }
}

// The noise of a quorum's sum, by way of the settings that a party is started with.
TEST_CASE("the shares of a quorum make the whole noise that the settings ask for") {
  struct Case {
    std::uint32_t parties, sample, quorum;
  };
  for (const Case& c : {Case{6, 0, 4}, Case{20, 7, 5}}) {
    CAPTURE(c.parties);
    settings::Settings settings;
    settings.parties = c.parties;
    settings.sampling.parties = c.sample;
    settings.model.hidden = {8};
    settings.local.batch_rows = 100;  // of all parties more than there are rows: every row is used
    settings.privacy = {1.5, 0.8, 1e-6};
    settings.fixed_point.clip = 16;
    std::vector<LocalTrainer> trainers;
    for (std::uint32_t party = 0; party < c.quorum; ++party) {
      const TrainerSettings own = trainer_settings_of(settings, party);
      REQUIRE(own.shape == kShape);
      REQUIRE(own.privacy);
      CHECK(own.party == party);
      CHECK(own.privacy->shares == c.quorum);
      CHECK(own.privacy->parties == c.parties);
      trainers.emplace_back(own, records());
      trainers.back().standardise(trainers.back().statistics());
    }
    const model::Parameters parameters = model::initial_parameters(kShape, 3);
    const auto draw = [&] {
      std::vector<std::int64_t> sum(kShape.parameters(), 0);
      for (const LocalTrainer& trainer : trainers) {
        const auto values = trainer.train_privately(parameters).values;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
      }
      return sum;
    };
    constexpr int kPairs = 6;
    double square = 0;
    for (int pair = 0; pair < kPairs; ++pair) {
      const auto a = draw();
      const auto b = draw();
      for (std::size_t i = 0; i < a.size(); ++i) {
        const auto difference = static_cast<double>(a[i] - b[i]);
        square += difference * difference / 2;
      }
    }
    const double count = kPairs * static_cast<double>(kShape.parameters());
    const double scale = ((1 << 23) - 1) / 16.0;
    const double sensitivity =
        scale / 100 * 0.8 + std::sqrt(static_cast<double>(kShape.parameters())) / 2;
    const double expected = 1.5 * 1.5 * sensitivity * sensitivity;
    // Six standard errors of a variance; a share too few or too many makes a fifth or a sixth.
    CHECK(std::abs(square / count / expected - 1) < 6 * std::sqrt(2 / count));
  }
}

TEST_CASE("without noise in the settings, a party trains without it") {
  settings::Settings settings;
  CHECK_FALSE(trainer_settings_of(settings, 0).privacy);
}

// The deviation is noise · (clip · steps + √parameters / 2) / √shares; one step is 1/400 here.
TEST_CASE("noise too wide for its sampler is refused at the start, with what to change") {
  const double rounding = std::sqrt(static_cast<double>(kShape.parameters())) / 2;
  const double most = 0x1p24;
  const auto make = [&](double deviation) {
    return make_trainer({1, deviation - rounding, 1, 1, 400, kWide}, 400);
  };
  CHECK_NOTHROW((void)make(most - 0.01));
  CHECK_THROWS_WITH_AS(
      (void)make(most + 0.01),
      "privacy.noise: a party's share would have a deviation of 16777217 steps of the fixed "
      "point, at most 16777216 can be drawn; lower privacy.noise, privacy.clip or "
      "fixed_point.bits, or raise fixed_point.clip",
      ConfigError);
}

// 400 rows with the rate 1/4: r = 100, so that 100 + 10·10 + 20 rows may come.
TEST_CASE("an update that might be cut is refused before anything is drawn") {
  const double noise = 2, clip = 0.5, scale = 1e6;
  const std::uint32_t shares = 4, batch_rows = 100;
  const double steps = scale / batch_rows;
  const double deviation = std::ceil(
      noise * (steps * clip + std::sqrt(static_cast<double>(kShape.parameters())) / 2) / 2);
  const double bound = 220 * clip * steps + 10 * deviation;
  REQUIRE(bound == std::floor(bound));
  const auto limit = static_cast<std::int64_t>(bound);
  const model::Parameters parameters = model::initial_parameters(kShape, 3);
  const LocalTrainer fits = make_trainer({noise, clip, 1, shares, scale, limit}, batch_rows);
  for (const std::int64_t value : fits.train_privately(parameters).values) {
    CHECK(std::abs(value) <= limit);
  }
  const LocalTrainer trainer = make_trainer({noise, clip, 1, shares, scale, limit - 1}, batch_rows);
  CHECK_THROWS_WITH_AS(
      (void)trainer.train_privately(parameters),
      ("privacy.noise: an update of this party may reach beyond the " + std::to_string(limit - 1) +
       " steps of the fixed point, and cut there it would not keep the epsilon that is stated; "
       "lower privacy.clip or privacy.noise, or raise fixed_point.clip (or fixed_point.bits, "
       "where they are few)")
          .c_str(),
      ConfigError);
}

TEST_CASE("a shard of more rows than an update counts is refused at the start, with epochs alone") {
  model::LocalSettings local{model::Algorithm::kFedAvg};
  local.epochs = 1;
  CHECK_NOTHROW(require_countable(local, (1U << 20) - 1));
  const std::string reason =
      "local.epochs: a shard of 1048576 rows, an update counts at most 1048575; share them out "
      "among more parties, or use local.steps";
  CHECK_THROWS_WITH_AS(require_countable(local, 1U << 20), reason.c_str(), ConfigError);
  data::RecordTable shard;
  shard.rows = 1U << 20;
  CHECK_THROWS_WITH_AS(
      (LocalTrainer({1, 9, kShape, model::ClassWeights::kSqrt, local}, std::move(shard))),
      reason.c_str(), ConfigError);
  local.epochs = 0;
  CHECK_NOTHROW(require_countable(local, 1U << 20));
  local = {};  // fedsgd
  local.epochs = 1;
  CHECK_NOTHROW(require_countable(local, 1U << 20));
}

TEST_CASE("the sampling rate is the joint batch over the joint rows") {
  data::Statistics joint;
  joint.values[0] = 494'021;
  CHECK(model::sampling_rate(10, 256, joint) == doctest::Approx(2560.0 / 494'021).epsilon(1e-15));
  CHECK(model::sampling_rate(1000, 1000, joint) == 1);
}

}  // namespace
}  // namespace blindsum::party
