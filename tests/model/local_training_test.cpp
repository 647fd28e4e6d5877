// Local work against a few lines of straightforward code, and the draws that it rests on.
#include "shared/model/local_training.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/model/training.h"

namespace blindsum::model {
namespace {

const Shape kShape{5, {3}, 3, Activation::kTanh};
const std::vector<double> kWeights{1, 2, 0.5};

data::Dataset dataset_of(std::size_t rows) {
  SeededRandom random(4, "local training test");
  data::Dataset data;
  data.rows = rows;
  data.inputs = kShape.inputs;
  for (std::size_t i = 0; i < rows * data.inputs; ++i) {
    data.features.push_back(static_cast<float>(random.normal()));
  }
  for (std::size_t i = 0; i < rows; ++i) {
    data.labels.push_back(static_cast<std::uint8_t>(random.below(3)));
    data.multiplicity.push_back(1);
  }
  return data;
}

data::Statistics joint_of(std::int64_t rows) {
  data::Statistics joint;
  joint.values[0] = rows;
  return joint;
}

// way_of repeats local steps over the given batches in plain code.
std::vector<double> way_of(const Parameters& start, const data::Dataset& data,
                           const std::vector<std::vector<std::uint32_t>>& batches, double rate,
                           double proximal, const std::vector<float>& correction) {
  Parameters now = start;
  for (const auto& rows : batches) {
    const std::vector<double> gradient = gradient_of(kShape, now, data, rows, kWeights).values;
    Parameters next;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const double pull = proximal * (double{now[i]} - double{start[i]});
      const double drift = correction.empty() ? 0.0 : double{correction[i]};
      next.push_back(static_cast<float>(double{now[i]} - rate * (gradient[i] + pull + drift)));
    }
    now = next;
  }
  std::vector<double> way;
  for (std::size_t i = 0; i < now.size(); ++i) way.push_back(double{start[i]} - double{now[i]});
  return way;
}

void check_close(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-9));
}

TEST_CASE("fedsgd is the gradient of one batch") {
  const data::Dataset data = dataset_of(50);
  LocalSettings settings;
  settings.batch_rows = 16;
  const LocalScale scale = scale_of(settings, joint_of(50), 3);
  CHECK(scale.unit == 1);
  CHECK(scale.rows == 16);
  CHECK(scale.most_rows == 16);
  const Parameters start = initial_parameters(kShape, 1);
  const LocalWork work = train_locally(kShape, start, data, kWeights, settings, scale, 7, 2, 3);
  CHECK(work.rows == 16);
  CHECK(work.direction ==
        gradient_of(kShape, start, data, batch_rows(50, 16, 7, 2, 3), kWeights).values);
}

TEST_CASE("local steps, the proximal term and the correction are as in plain code") {
  const data::Dataset data = dataset_of(50);
  const Parameters start = initial_parameters(kShape, 1);
  std::vector<float> correction;
  for (std::size_t i = 0; i < start.size(); ++i) correction.push_back(0.01F * float(i % 7));
  for (const Algorithm algorithm :
       {Algorithm::kFedAvg, Algorithm::kFedProx, Algorithm::kFedAdam, Algorithm::kScaffold}) {
    CAPTURE(to_string(algorithm));
    LocalSettings settings;
    settings.algorithm = algorithm;
    settings.batch_rows = 8;
    settings.steps = 4;
    settings.rate = 0.2;
    settings.schedule = Schedule::kCosine;
    settings.rounds = 10;
    settings.proximal = 0.5;
    settings.parties = 3;
    const std::uint32_t round = 6;
    const LocalScale scale = scale_of(settings, joint_of(150), round);
    const double rate = 0.2 * (1 + std::cos(std::acos(-1.0) * 5 / 10)) / 2;
    CHECK(scale.unit == doctest::Approx(4 * rate).epsilon(1e-12));
    CHECK(scale.rows == 32);
    const bool is_scaffold = algorithm == Algorithm::kScaffold;
    const std::vector<float> drift = is_scaffold ? correction : std::vector<float>();
    const LocalWork work =
        train_locally(kShape, start, data, kWeights, settings, scale, 7, 2, round, drift);
    std::vector<std::vector<std::uint32_t>> batches;
    for (std::uint32_t step = 0; step < 4; ++step) {
      batches.push_back(batch_rows(50, 8, 7, 2, 4 * round + step));
    }
    CHECK(batches[0] != batches[1]);
    std::vector<double> way = way_of(start, data, batches, scale.unit / 4,
                                     algorithm == Algorithm::kFedProx ? 0.5 : 0.0, drift);
    for (double& value : way) value /= scale.unit;
    check_close(work.direction, way);
    CHECK(work.rows == 32);
  }
}

TEST_CASE("an epoch passes over every row once, in another order each time") {
  const data::Dataset data = dataset_of(21);
  LocalSettings settings;
  settings.algorithm = Algorithm::kFedAvg;
  settings.batch_rows = 8;
  settings.epochs = 2;
  settings.parties = 3;
  const LocalScale scale = scale_of(settings, joint_of(100), 1);
  CHECK(scale.rows == 34);  // ⌈100 / 3⌉
  CHECK(scale.most_rows == 100);
  CHECK(scale.unit == doctest::Approx(settings.rate * 2 * 5).epsilon(1e-12));
  const Parameters start = initial_parameters(kShape, 1);
  const LocalWork work = train_locally(kShape, start, data, kWeights, settings, scale, 7, 2, 1);
  CHECK(work.rows == 21);
  // The oracle draws the orders as they are documented: shuffled by (seed, party, round, epoch).
  std::vector<std::vector<std::uint32_t>> batches;
  for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
    std::vector<std::uint32_t> order(21);
    for (std::uint32_t i = 0; i < 21; ++i) order[i] = i;
    SeededRandom random(7, "epoch", {2, 1, epoch});
    random.shuffle(std::span(order));
    for (std::size_t at = 0; at < 21; at += 8) {
      batches.emplace_back(order.begin() + std::ptrdiff_t(at),
                           order.begin() + std::ptrdiff_t(std::min<std::size_t>(21, at + 8)));
    }
  }
  CHECK(batches[0] != batches[3]);
  std::vector<double> way = way_of(start, data, batches, settings.rate, 0, {});
  for (double& value : way) value /= scale.unit;
  check_close(work.direction, way);
}

TEST_CASE("a small shard weighs what it has, and no other size of correction is taken") {
  const data::Dataset data = dataset_of(5);
  LocalSettings settings;
  settings.batch_rows = 8;
  settings.steps = 4;
  const Parameters start = initial_parameters(kShape, 1);
  settings.algorithm = Algorithm::kFedAvg;
  LocalScale scale = scale_of(settings, joint_of(100), 1);
  CHECK(train_locally(kShape, start, data, kWeights, settings, scale, 7, 2, 1).rows == 5);
  settings.algorithm = Algorithm::kScaffold;
  scale = scale_of(settings, joint_of(100), 1);
  CHECK(train_locally(kShape, start, data, kWeights, settings, scale, 7, 2, 1).rows == 5);
  CHECK_THROWS_AS((void)train_locally(kShape, start, data, kWeights, settings, scale, 7, 2, 1,
                                      std::vector<float>(3)),
                  Error);
}

TEST_CASE("values that are not finite are a ConfigError with their layer and what to lower") {
  const std::size_t first = 6 * 3;  // parameters of layer 1 of kShape; 4 · 3 of layer 2
  LocalSettings settings;
  const auto refusal_of = [&](const auto& values) {
    try {
      require_finite(kShape, settings, "the update", values);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const double wrong : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const std::size_t at : {std::size_t{0}, first - 1, first, first + 11}) {
      CAPTURE(at);
      settings.algorithm = Algorithm::kFedSgd;
      std::vector<double> values(kShape.parameters(), 1e300);
      CHECK(refusal_of(values).empty());
      values[at] = wrong;
      const std::string layer = at < first ? "1" : "2";
      const std::string what =
          "training diverged: the update of layer " + layer + " is not finite; lower ";
      CHECK(refusal_of(values) == what + "server.rate");
      settings.algorithm = Algorithm::kFedAvg;
      CHECK(refusal_of(values) == what + "local.rate or server.rate");
      Parameters parameters(kShape.parameters(), 1e38F);
      CHECK(refusal_of(parameters).empty());
      parameters[at] = static_cast<float>(wrong);
      CHECK(refusal_of(parameters) == what + "local.rate or server.rate");
    }
  }
}

TEST_CASE("a sample has its size, differs by round and seed, and asks everyone alike") {
  CHECK(sampled_parties(4, 0, 1, 1) == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(sampled_parties(4, 4, 1, 1) == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(sampled_parties(4, 9, 1, 1).size() == 4);
  CHECK(sampled_parties(20, 5, 1, 1) == sampled_parties(20, 5, 1, 1));
  CHECK(sampled_parties(20, 5, 1, 1) != sampled_parties(20, 5, 1, 2));
  CHECK(sampled_parties(20, 5, 1, 1) != sampled_parties(20, 5, 2, 1));
  std::vector<int> asked(20, 0);
  constexpr std::uint32_t kRounds = 4000;
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const auto sample = sampled_parties(20, 5, 3, round);
    CHECK(std::is_sorted(sample.begin(), sample.end()));
    CHECK(std::set<std::uint32_t>(sample.begin(), sample.end()).size() == 5);
    for (const std::uint32_t party : sample) ++asked.at(party);
  }
  // Six standard deviations of a binomial around a quarter.
  for (const int count : asked) {
    CHECK(std::abs(count - kRounds / 4.0) < 6 * std::sqrt(kRounds * 0.25 * 0.75));
  }
}

TEST_CASE("the words of algorithms read back") {
  for (const char* name :
       {"fedsgd", "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "scaffold"}) {
    CHECK(to_string(algorithm_from_string(name)) == name);
  }
  CHECK_THROWS_AS((void)algorithm_from_string("fedavg2"), ConfigError);
}

}  // namespace
}  // namespace blindsum::model
