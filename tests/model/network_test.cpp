#include "shared/model/network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/data/synthetic.h"
#include "shared/model/network_impl.h"
#include "shared/model/optimizer.h"
#include "shared/model/training.h"
#include "tests/support/temp_dir.h"

namespace blindsum::model {
namespace {

const std::vector<double> kEqual(data::kClasses, 1.0);

// random_data mixes zeros, ones and normal values, like encoded records do.
data::Dataset random_data(std::size_t rows, std::size_t inputs, std::uint64_t seed) {
  SeededRandom random(seed, "network test data");
  data::Dataset data;
  data.rows = rows;
  data.inputs = inputs;
  for (std::size_t i = 0; i < rows * inputs; ++i) {
    const std::uint64_t kind = random.below(4);
    data.features.push_back(kind < 2 ? 0.0F : kind == 2 ? 1.0F : float(random.normal()));
  }
  for (std::size_t i = 0; i < rows; ++i) {
    data.labels.push_back(static_cast<std::uint8_t>(random.below(data::kClasses)));
    data.multiplicity.push_back(static_cast<std::uint32_t>(1 + random.below(3)));
  }
  return data;
}

std::vector<std::uint32_t> all_rows(const data::Dataset& data) {
  std::vector<std::uint32_t> rows(data.rows);
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

// naive_logits is the textbook network in double, straight from the flat parameters.
std::vector<double> naive_logits(const Shape& shape, std::span<const double> parameters,
                                 std::span<const float> features) {
  std::vector<double> a(features.begin(), features.end());
  std::size_t at = 0;
  const auto layers = shape.layers();
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const auto [in, out] = layers[l];
    std::vector<double> z(out);
    for (std::size_t o = 0; o < out; ++o) {
      z[o] = parameters[at + in * out + o];
      for (std::size_t i = 0; i < in; ++i) z[o] += a[i] * parameters[at + i * out + o];
      if (l + 1 < layers.size()) {
        z[o] = shape.activation == Activation::kRelu      ? std::max(0.0, z[o])
               : shape.activation == Activation::kSigmoid ? 1 / (1 + std::exp(-z[o]))
               : shape.activation == Activation::kSquare  ? z[o] * z[o]
                                                          : std::tanh(z[o]);
      }
    }
    at += (in + 1) * out;
    a = z;
  }
  return a;
}

double naive_loss(const Shape& shape, std::span<const double> parameters, const data::Dataset& data,
                  std::span<const double> weights) {
  double loss = 0;
  for (std::size_t row = 0; row < data.rows; ++row) {
    const auto z = naive_logits(shape, parameters,
                                std::span(data.features).subspan(row * data.inputs, data.inputs));
    double total = 0;
    for (const double value : z) total += std::exp(value);
    loss += weights[data.labels[row]] * (std::log(total) - z[data.labels[row]]);
  }
  return loss / static_cast<double>(data.rows);
}

struct Case {
  Shape shape;
  std::uint64_t seed;
};
const std::vector<Case> kCases{
    {{9, {7}, 5, Activation::kRelu}, 1},      {{9, {7}, 5, Activation::kSigmoid}, 2},
    {{9, {7}, 5, Activation::kTanh}, 3},      {{13, {25, 6}, 5, Activation::kTanh}, 4},
    {{13, {6, 33}, 5, Activation::kRelu}, 5}, {{6, {}, 5, Activation::kRelu}, 6},
    {{9, {7}, 5, Activation::kSquare}, 7},
};

TEST_CASE("the gradient agrees with finite differences to 1e-6 in double, and float with double") {
  const std::vector<double> weights{1.0, 0.3, 2.0, 0.0, 7.0};
  for (const auto& [shape, seed] : kCases) {
    INFO("seed " << seed << ", " << to_string(shape.activation));
    const data::Dataset data = random_data(70, shape.inputs, seed);
    Parameters parameters = initial_parameters(shape, seed);
    SeededRandom random(seed, "biases");
    for (float& p : parameters) p += static_cast<float>(0.1 * random.normal());
    std::vector<double> theta(parameters.begin(), parameters.end());

    const NetworkImpl<double> network(shape, theta);
    NetworkImpl<double>::Workspace work(network);
    NetworkImpl<double>::Sum sum(network);
    double loss = 0;
    for (std::size_t row = 0; row < data.rows; ++row) {
      (void)network.forward(std::span(data.features).subspan(row * data.inputs, data.inputs), work);
      loss += network.add_gradient(data.labels[row], weights[data.labels[row]], work, sum);
    }
    std::vector<double> exact(theta.size(), 0.0);
    sum.add_to(exact);
    for (double& value : exact) value /= static_cast<double>(data.rows);
    CHECK(loss / static_cast<double>(data.rows) ==
          doctest::Approx(naive_loss(shape, theta, data, weights)).epsilon(1e-12));

    const Gradient gradient = gradient_of(shape, parameters, data, all_rows(data), weights);
    CHECK(gradient.loss == doctest::Approx(loss / 70).epsilon(1e-5));
    double largest = 0;
    for (const double value : exact) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < theta.size(); ++i) {
      constexpr double kStep = 1e-5;
      const double kept = theta[i];
      theta[i] = kept + kStep;
      const double above = naive_loss(shape, theta, data, weights);
      theta[i] = kept - kStep;
      const double below = naive_loss(shape, theta, data, weights);
      theta[i] = kept;
      CHECK(std::abs((above - below) / (2 * kStep) - exact[i]) <= 1e-6 * largest);
      CHECK(std::abs(gradient.values[i] - exact[i]) <= 1e-5 * largest);
    }
  }
}

TEST_CASE("the gradient is a mean over the listed rows, repeats included") {
  const Shape shape{20, {11}, 5, Activation::kRelu};
  const data::Dataset data = random_data(150, 20, 8);
  const Parameters parameters = initial_parameters(shape, 8);
  const auto of = [&](std::vector<std::uint32_t> rows) {
    return gradient_of(shape, parameters, data, rows, kEqual);
  };
  const Gradient whole = of(all_rows(data));
  std::vector<double> sum(parameters.size(), 0.0);
  for (std::uint32_t row = 0; row < data.rows; ++row) {
    const Gradient one = of({row});
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one.values[i] / 150;
  }
  for (std::size_t i = 0; i < sum.size(); ++i) {
    CHECK(whole.values[i] == doctest::Approx(sum[i]).epsilon(1e-4).scale(0.01));
  }
  CHECK(of({3, 3, 3, 3}).values == of({3}).values);
  CHECK(of({3, 3}).loss == of({3}).loss);
  CHECK(of({}).values == std::vector<double>(parameters.size(), 0.0));
  CHECK(of(all_rows(data)).values == whole.values);
}

TEST_CASE("the minimum-cost rule predicts what costs least on average, by the textbook") {
  const Shape shape{9, {7}, 5, Activation::kSigmoid};
  data::Dataset data = random_data(2000, shape.inputs, 3);
  Parameters parameters = initial_parameters(shape, 1);
  for (float& p : parameters) p *= 2;
  // Elkan 2000, rows actual, columns predicted.
  const int cost[5][5] = {
      {0, 2, 1, 2, 2}, {2, 0, 1, 2, 2}, {1, 2, 0, 2, 2}, {4, 2, 2, 0, 2}, {3, 2, 2, 2, 0}};
  const std::vector<double> weights{0.5, 1.5, 2, 0, 4};
  Confusion expected(5);
  for (std::size_t row = 0; row < data.rows; ++row) {
    const auto z = naive_logits(shape, std::vector<double>(parameters.begin(), parameters.end()),
                                std::span(data.features).subspan(row * data.inputs, data.inputs));
    std::vector<double> expectation(5, 0.0);
    for (std::size_t c = 0; c < 5; ++c) {
      for (std::size_t j = 0; j < 5; ++j) {
        if (weights[j] > 0) expectation[c] += std::exp(z[j]) / weights[j] * cost[j][c];
      }
    }
    const auto best = std::ranges::min_element(expectation) - expectation.begin();
    expected.counts[data.labels[row]][static_cast<std::size_t>(best)] += data.multiplicity[row];
  }
  ThreadPool two(2);
  CHECK(evaluate_min_cost(shape, parameters, data, weights, data::Schema::kdd99(), two) ==
        expected);
  CHECK(evaluate_min_cost(shape, parameters, data, weights, data::Schema::kdd99(), two) !=
        evaluate(shape, parameters, data, two));
}

TEST_CASE("differing predictions are those that the textbook network makes otherwise") {
  const Shape shape{9, {7}, 5, Activation::kTanh};
  data::Dataset data = random_data(3000, shape.inputs, 3);
  for (std::size_t i = 0; i < data.rows; ++i) {
    data.multiplicity[i] = 1 + static_cast<std::uint32_t>(i % 4);
  }
  const Parameters a = initial_parameters(shape, 1);
  Parameters b = a;
  SeededRandom random(3, "changes");
  for (float& p : b) p += static_cast<float>(0.05 * random.normal());
  const auto prediction = [&](const Parameters& parameters, std::size_t row) {
    const auto z = naive_logits(shape, std::vector<double>(parameters.begin(), parameters.end()),
                                std::span(data.features).subspan(row * data.inputs, data.inputs));
    return std::ranges::max_element(z) - z.begin();
  };
  std::uint64_t expected = 0;
  for (std::size_t row = 0; row < data.rows; ++row) {
    if (prediction(a, row) != prediction(b, row)) expected += data.multiplicity[row];
  }
  CHECK(expected > 100);
  ThreadPool two(2);
  CHECK(differing_predictions(shape, a, b, data, two) == expected);
  CHECK(differing_predictions(shape, a, a, data, two) == 0);
  CHECK_THROWS_AS((void)differing_predictions(shape, a, Parameters(3), data, two), DecodeError);
}

TEST_CASE("huge logits neither overflow nor lose the loss") {
  const Shape shape{2, {}, 5, Activation::kRelu};
  data::Dataset data = random_data(2, 2, 1);
  data.features = {1.0F, 0.0F, 1.0F, 0.0F};
  data.labels = {0, 1};
  Parameters parameters(shape.parameters(), 0.0F);
  parameters[0] = 3e37F;  // logit of class 0
  const std::vector<std::uint32_t> right{0}, wrong{1};
  const Gradient good = gradient_of(shape, parameters, data, right, kEqual);
  CHECK(good.loss == 0);
  CHECK(good.values == std::vector<double>(parameters.size(), 0.0));
  const Gradient bad = gradient_of(shape, parameters, data, wrong, kEqual);
  CHECK(bad.loss == static_cast<double>(3e37F));
  CHECK(bad.values[0] == 1);
  CHECK(bad.values[1] == -1);
  parameters[0] = -3e37F;
  CHECK(gradient_of(shape, parameters, data, right, kEqual).loss ==
        doctest::Approx(static_cast<double>(3e37F)));
}

TEST_CASE("evaluate predicts as the textbook network does, and counts multiplicities") {
  for (const auto& [shape, seed] : kCases) {
    INFO("seed " << seed);
    const data::Dataset data = random_data(3000, shape.inputs, seed);
    const Parameters parameters = initial_parameters(shape, seed);
    const std::vector<double> theta(parameters.begin(), parameters.end());
    ThreadPool one(1);
    Confusion expected(5);
    std::uint64_t close = 0;
    for (std::size_t row = 0; row < data.rows; ++row) {
      auto z = naive_logits(shape, theta,
                            std::span(data.features).subspan(row * data.inputs, data.inputs));
      const auto best = std::ranges::max_element(z) - z.begin();
      expected.counts[data.labels[row]][static_cast<std::size_t>(best)] += data.multiplicity[row];
      std::ranges::sort(z, std::ranges::greater{});
      if (z[0] - z[1] < 1e-5) close += data.multiplicity[row];
    }
    const Confusion counted = evaluate(shape, parameters, data, one);
    std::uint64_t different = 0;
    std::uint64_t total = 0;
    for (std::size_t a = 0; a < data::kClasses; ++a) {
      for (std::size_t p = 0; p < data::kClasses; ++p) {
        different += counted.counts[a][p] > expected.counts[a][p]
                         ? counted.counts[a][p] - expected.counts[a][p]
                         : 0;
        total += counted.counts[a][p];
      }
    }
    CHECK(total == data.records());
    CHECK(different <= close);
    for (const std::size_t threads : {2, 3, 8}) {
      ThreadPool pool(threads);
      CHECK(evaluate(shape, parameters, data, pool) == counted);
    }
  }
}

TEST_CASE("ties go to the lowest class") {
  const Shape shape{3, {4}, 5, Activation::kRelu};
  const data::Dataset data = random_data(10, 3, 1);
  ThreadPool pool(1);
  const Confusion confusion = evaluate(shape, Parameters(shape.parameters()), data, pool);
  std::uint64_t first = 0;
  for (const auto& row : confusion.counts) first += row[0];
  CHECK(first == data.records());
}

TEST_CASE("a collapsed data set gives the same confusion matrix as the whole") {
  const test::TempDir folder;
  data::write_synthetic(folder.path(), 3, {4000, 4000});
  const data::KddFiles files = data::find_kdd(folder.path());
  const data::RecordTable train = data::read_kdd(files.train);
  const auto scaler = data::Scaler::from_statistics(data::statistics_of(train));
  const data::RecordTable test = data::read_kdd(files.test);
  const data::Dataset full = data::encode_onehot(test, scaler);
  const data::Dataset collapsed = data::encode_onehot(test, scaler, true);
  CHECK(collapsed.records() == full.rows);
  ThreadPool pool(2);
  const Shape shape;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Parameters parameters = initial_parameters(shape, seed);
    CHECK(evaluate(shape, parameters, full, pool) == evaluate(shape, parameters, collapsed, pool));
  }
}

TEST_CASE("a hundred steps learn the synthetic data, and every run ends in the same bits") {
  const test::TempDir folder;
  data::write_synthetic(folder.path(), 1, {8000, 4000});
  const data::KddFiles files = data::find_kdd(folder.path());
  const data::RecordTable train = data::read_kdd(files.train);
  const data::Statistics statistics = data::statistics_of(train);
  const auto scaler = data::Scaler::from_statistics(statistics);
  const data::Dataset rows = data::encode_onehot(train, scaler);
  const data::Dataset test = data::encode_onehot(data::read_kdd(files.test), scaler, true);
  const auto weights = class_weights_from(ClassWeights::kSqrt, statistics);
  const Shape shape;
  const auto run = [&] {
    Parameters parameters = initial_parameters(shape, 1);
    Optimizer optimizer({}, parameters.size(), 100);
    for (std::uint32_t round = 1; round <= 100; ++round) {
      const auto batch = batch_rows(rows.rows, 512, 1, 0, round);
      optimizer.step(parameters, gradient_of(shape, parameters, rows, batch, weights).values);
    }
    return parameters;
  };
  const Parameters parameters = run();
  CHECK(model_digest(run()) == model_digest(parameters));
  ThreadPool pool(2);
  const Metrics metrics =
      metrics_of(evaluate(shape, parameters, test, pool), data::Schema::kdd99());
  INFO("accuracy " << metrics.accuracy << ", macro-F1 " << metrics.macro_f1);
  CHECK(metrics.accuracy > 0.9);
  CHECK(metrics.accuracy < 0.995);
  CHECK(metrics.macro_f1 > 0.5);
}

TEST_CASE("initial parameters are He-normal weights and zero biases, and never change") {
  const Shape shape;
  CHECK(shape.parameters() == 5253);
  const Parameters parameters = initial_parameters(shape, 1);
  REQUIRE(parameters.size() == 5253);
  CHECK(digest_text(model_digest(parameters)) ==
        "sha256:5de696f559d3f471d4bf069774467865ca2168ddd81f3265dbf8eaaf509c2e44");
  double square = 0;
  for (std::size_t i = 0; i < std::size_t{122} * 41; ++i) {
    square += static_cast<double>(parameters[i]) * static_cast<double>(parameters[i]);
  }
  CHECK(square / (122 * 41) == doctest::Approx(2.0 / 122).epsilon(0.06));
  for (std::size_t i = std::size_t{122} * 41; i < std::size_t{123} * 41; ++i) {
    CHECK(parameters[i] == 0.0F);
  }
  CHECK(initial_parameters(shape, 2) != parameters);
}

TEST_CASE("parameters round-trip through bytes, and bad bytes are refused") {
  const Shape shape{3, {2}, 5, Activation::kTanh};
  const Parameters parameters = initial_parameters(shape, 5);
  const Bytes bytes = parameters_to_bytes(parameters);
  CHECK(bytes.size() == 4 * shape.parameters());
  CHECK(parameters_from_bytes(bytes, shape) == parameters);
  CHECK(to_hex(parameters_to_bytes({1.0F, -0.0F})) == "0000803f00000080");
  Bytes longer = bytes;
  longer.push_back(0);
  CHECK_THROWS_AS((void)parameters_from_bytes(longer, shape), DecodeError);
  CHECK_THROWS_AS((void)parameters_from_bytes(ByteView(bytes).first(bytes.size() - 4), shape),
                  DecodeError);
  CHECK_THROWS_AS((void)parameters_from_bytes({}, shape), DecodeError);
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Parameters broken = parameters;
    broken[7] = bad;
    CHECK_THROWS_AS((void)parameters_from_bytes(parameters_to_bytes(broken), shape), DecodeError);
  }
}

TEST_CASE("data and parameters of another shape are refused") {
  const Shape shape{9, {7}, 5, Activation::kRelu};
  const Parameters parameters = initial_parameters(shape, 1);
  ThreadPool pool(1);
  CHECK_THROWS_AS((void)evaluate(shape, parameters, random_data(2, 8, 1), pool), Error);
  CHECK_THROWS_AS((void)evaluate(shape, Parameters(3), random_data(2, 9, 1), pool), DecodeError);
  const std::vector<std::uint32_t> rows{0};
  CHECK_THROWS_AS((void)gradient_of(shape, Parameters(3), random_data(2, 9, 1), rows, kEqual),
                  DecodeError);
  CHECK_THROWS_AS(
      (void)gradient_of(shape, parameters, random_data(2, 9, 1), rows, std::vector<double>(4, 1.0)),
      Error);
}

TEST_CASE("activations have names that read back") {
  for (const auto a :
       {Activation::kRelu, Activation::kSigmoid, Activation::kTanh, Activation::kSquare}) {
    CHECK(activation_from_string(to_string(a)) == a);
  }
  CHECK_THROWS_AS((void)activation_from_string("gelu"), ConfigError);
}

TEST_CASE("150 central steps on the contest's data reach the expected scores") {
  const char* directory = std::getenv("BLINDSUM_DATA");
  if (directory == nullptr || data::find_set(directory) != data::FileSet::kKdd99) {
    MESSAGE("BLINDSUM_DATA names no folder with the contest's files: skipped");
    return;
  }
  const data::KddFiles files = data::find_kdd(directory);
  const data::RecordTable train = data::read_kdd(files.train);
  const data::Statistics statistics = data::statistics_of(train);
  const auto scaler = data::Scaler::from_statistics(statistics);
  const data::Dataset rows = data::encode_onehot(train, scaler);
  const data::Dataset test = data::encode_onehot(data::read_kdd(files.test), scaler, true);
  CHECK(test.records() == 311'029);
  CHECK(test.unknown_categories == 2);
  const auto weights = class_weights_from(ClassWeights::kSqrt, statistics);
  const Shape shape;
  Parameters parameters = initial_parameters(shape, 1);
  Optimizer optimizer({}, parameters.size(), 150);
  for (std::uint32_t round = 1; round <= 150; ++round) {
    const auto batch = batch_rows(rows.rows, 2560, 1, 0, round);
    optimizer.step(parameters, gradient_of(shape, parameters, rows, batch, weights).values);
  }
  ThreadPool pool(1);
  const Metrics metrics =
      metrics_of(evaluate(shape, parameters, test, pool), data::Schema::kdd99());
  CHECK(metrics.accuracy >= 0.923);
  CHECK(metrics.macro_f1 >= 0.58);
  CHECK(metrics.cost <= 0.246);
}

}  // namespace
}  // namespace blindsum::model
