// Federations in integers against the papers' algorithms, written out in double precision.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "shared/role/learning.h"
#include "shared/settings/settings.h"
#include "tests/support/federation.h"

namespace blindsum {
namespace {

using model::Algorithm;
using Vector = std::vector<double>;

constexpr std::uint32_t kParties = 5;
constexpr std::uint32_t kSample = 4;
constexpr std::uint32_t kRounds = 3;
constexpr std::uint32_t kSteps = 3, kBatchRows = 16;
// Rows of the parties, of 1200: two have fewer than three batches.
constexpr std::array<std::uint32_t, kParties> kRows{20, 40, 300, 340, 500};
// Where the second moment of FedAdam and FedYogi starts.
constexpr double kSecondMomentStart = 1e-6;
constexpr double kTau = 1e-3, kBeta1 = 0.9, kBeta2 = 0.99, kMomentum = 0.9;
// How much local steps may magnify, over the rounds, a difference in the weights they start from.
constexpr double kMagnification = 2;

// Mistake is what a reference does wrong on purpose, to show that the bound would tell: parties
// weigh alike, the bias of the first moment is corrected, the second moment starts elsewhere, local
// steps are not corrected by c − c_i, c moves as if nobody were left out.
enum class Mistake { kNone, kEqualWeights, kNoBias, kOtherStart, kNoControls, kWholeShare };

test::FederationOptions options_of(const settings::Settings& settings) {
  test::FederationOptions options;
  options.parties = kParties;
  options.sample = kSample;
  options.rounds = kRounds;
  options.shape = {122, {6}, 5, model::Activation::kRelu};
  options.local = role::local_of(settings);
  options.optimizer = role::optimizer_of(settings);
  options.clip = settings.fixed_point.clip;
  options.keeps_records = false;
  return options;
}

settings::Settings settings_of(const char* algorithm) {
  settings::Settings settings;
  settings.algorithm = algorithm;
  settings::apply_algorithm(settings, [](std::string_view) { return false; });
  settings.rounds = kRounds;
  settings.local.batch_rows = kBatchRows;
  settings.local.steps = kSteps;
  settings.local.proximal = 0.5;
  return settings;
}

test::FederationData uneven_data() {
  test::FederationOptions whole;
  whole.parties = 1;
  test::FederationData data = test::make_data(whole);
  const data::RecordTable train = std::move(data.shards.at(0));
  REQUIRE(train.rows == 1200);
  data.shards.clear();
  std::uint32_t begin = 0;
  for (const std::uint32_t rows : kRows) {
    std::vector<std::uint32_t> numbers(rows);
    std::iota(numbers.begin(), numbers.end(), begin);
    data.shards.push_back(data::select(train, numbers));
    begin += rows;
  }
  return data;
}

model::Parameters to_float(const Vector& values) { return {values.begin(), values.end()}; }

// reference_weights trains with the algorithm of `settings` as its paper has it, but that parties
// weigh by the rows that they used.
Vector reference_weights(const settings::Settings& settings, const test::FederationData& data,
                         const test::FederationOptions& options, Mistake mistake) {
  data::Statistics joint;
  for (const data::RecordTable& shard : data.shards) {
    const data::Statistics own = data::statistics_of(shard);
    for (std::size_t i = 0; i < own.values.size(); ++i) joint.values[i] += own.values[i];
  }
  std::vector<data::Dataset> datasets;
  for (const data::RecordTable& shard : data.shards) {
    datasets.push_back(data::encode_onehot(shard, data::Scaler::from_statistics(joint)));
  }
  const auto class_weights = model::class_weights_from(model::ClassWeights::kSqrt, joint);
  const model::LocalSettings& local = options.local;
  constexpr std::uint32_t kUsedRows = kSteps * kBatchRows;
  const bool is_scaffold = local.algorithm == Algorithm::kScaffold;

  const model::Parameters start = model::initial_parameters(options.shape, options.seed);
  Vector w(start.begin(), start.end());
  const std::size_t size = w.size();
  Vector m(size, 0), v(size, mistake == Mistake::kOtherStart ? 0 : kSecondMomentStart);
  Vector c(size, 0);
  std::vector<Vector> c_i(kParties, Vector(size, 0));
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const auto asked = model::sampled_parties(kParties, kSample, options.seed, round);
    Vector way(size, 0), control(size, 0);  // Σ n_k (w − w_k), Σ n_k (c_k⁺ − c_k)
    double all_rows = 0;
    for (const std::uint32_t k : asked) {
      Vector correction(size);
      for (std::size_t i = 0; i < size; ++i) correction[i] = c[i] - c_i[k][i];
      const bool corrects = is_scaffold && mistake != Mistake::kNoControls;
      // With a unit of 1 the direction is w − w_k.
      const model::LocalWork work = model::train_locally(
          options.shape, to_float(w), datasets[k], class_weights, local, {1, kUsedRows, kUsedRows},
          options.seed, k, round, corrects ? to_float(correction) : model::Parameters{});
      double rows = local.epochs > 0 ? kRows.at(k) : std::min(kRows.at(k), kUsedRows);
      if (mistake == Mistake::kEqualWeights) rows = 1;
      all_rows += rows;
      for (std::size_t i = 0; i < size; ++i) {
        way[i] += rows * work.direction[i];
        const double next = c_i[k][i] - c[i] + work.direction[i] / (kSteps * local.rate);
        control[i] += rows * (next - c_i[k][i]);
        c_i[k][i] = next;
      }
    }
    const double share = mistake == Mistake::kWholeShare ? 1 : double{kSample} / kParties;
    for (std::size_t i = 0; i < size; ++i) {
      const double delta = way[i] / all_rows;
      const double rate = settings.server.rate;
      switch (local.algorithm) {
        case Algorithm::kFedAvg:
        case Algorithm::kFedProx:
        case Algorithm::kScaffold:
          w[i] -= delta;
          break;
        case Algorithm::kFedAvgM:
          m[i] = kMomentum * m[i] + delta;
          w[i] -= rate * m[i];
          break;
        default: {
          m[i] = kBeta1 * m[i] + (1 - kBeta1) * delta;
          const double square = delta * delta;
          if (local.algorithm == Algorithm::kFedAdam) {
            v[i] = kBeta2 * v[i] + (1 - kBeta2) * square;
          } else {
            v[i] -= (1 - kBeta2) * square * (v[i] > square ? 1 : v[i] < square ? -1 : 0);
          }
          const double bias = mistake == Mistake::kNoBias ? 1 - std::pow(kBeta1, round) : 1;
          w[i] -= rate * m[i] / bias / (std::sqrt(v[i]) + kTau);
        }
      }
      c[i] += share * control[i] / all_rows;
    }
  }
  return w;
}

// bound_of says how far the rounds may end from the reference: in each the parties' values are off
// by half a step of the fixed point, and the weights by the rounding to float32.
double bound_of(const settings::Settings& settings, const test::FederationOptions& options) {
  const double half_step = options.clip / ((1 << 23) - 1) / 2;
  // What parties send is (w − w_k)/(rate · steps), times their weight: rows over those of three
  // batches, or in epochs over the mean of 240. The four smallest weigh this together.
  const bool has_epochs = options.local.epochs > 0;
  const double weight = has_epochs ? (20 + 40 + 300 + 340) / 240.0 : (20 + 40 + 48 + 48) / 48.0;
  const double steps = has_epochs ? options.local.epochs * 240.0 / kBatchRows : kSteps;
  const double off = kSample * half_step / weight * options.local.rate * steps + 0x1p-24;
  double gain = 1;  // how much more than its direction a server's step may change
  if (settings.algorithm == "fedadam" || settings.algorithm == "fedyogi") {
    gain = settings.server.rate / kTau;
  }
  return kRounds * off * gain * kMagnification;
}

double distance(const model::Parameters& a, const Vector& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < b.size(); ++i) most = std::max(most, std::abs(double{a[i]} - b[i]));
  return most;
}

// check_against_reference runs the federation, and requires that none of the mistakes is within a
// hundred times the bound that the right reference keeps.
void check_against_reference(const settings::Settings& settings,
                             const std::vector<Mistake>& mistakes) {
  CAPTURE(settings.algorithm);
  const test::FederationData data = uneven_data();
  test::FederationOptions options = options_of(settings);
  options.data = &data;
  test::Federation federation(options);
  REQUIRE(federation.run());
  REQUIRE(federation.key_holder().fault() == Fault::kNone);
  const model::Parameters& ours = federation.key_holder().parameters();
  const double bound = bound_of(settings, options);
  CHECK(distance(ours, reference_weights(settings, data, options, Mistake::kNone)) <= bound);
  for (const Mistake mistake : mistakes) {
    CAPTURE(static_cast<int>(mistake));
    CHECK(distance(ours, reference_weights(settings, data, options, mistake)) > 100 * bound);
  }
}

TEST_CASE("three rounds end in the weights of the textbook, for every algorithm of local steps") {
  using enum Mistake;
  check_against_reference(settings_of("fedavg"), {kEqualWeights});
  check_against_reference(settings_of("fedprox"), {kEqualWeights});
  check_against_reference(settings_of("fedavgm"), {kEqualWeights});
  check_against_reference(settings_of("fedadam"), {kEqualWeights, kNoBias, kOtherStart});
  check_against_reference(settings_of("fedyogi"), {kEqualWeights, kNoBias, kOtherStart});
  check_against_reference(settings_of("scaffold"), {kEqualWeights, kNoControls, kWholeShare});
}

TEST_CASE("in epochs parties weigh by all their rows, as in the textbook") {
  settings::Settings settings = settings_of("fedavg");
  settings.local.epochs = 2;
  check_against_reference(settings, {Mistake::kEqualWeights});
}

}  // namespace
}  // namespace blindsum
