#include "shared/model/stump.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"

namespace blindsum::model {
namespace {

data::Dataset dataset(std::size_t inputs, const std::vector<float>& features,
                      const std::vector<std::uint8_t>& labels,
                      const std::vector<std::uint32_t>& multiplicity = {}) {
  data::Dataset data;
  data.rows = labels.size();
  data.inputs = inputs;
  data.features = features;
  data.labels = labels;
  data.multiplicity =
      multiplicity.empty() ? std::vector<std::uint32_t>(labels.size(), 1) : multiplicity;
  return data;
}

std::uint64_t errors_of(const Stump& stump, const data::Dataset& data) {
  std::uint64_t errors = 0;
  for (std::size_t row = 0; row < data.rows; ++row) {
    const float value = data.features[row * data.inputs + stump.feature];
    const std::uint8_t predicted = value <= stump.threshold ? stump.low : stump.high;
    if (predicted != data.labels[row]) errors += data.multiplicity[row];
  }
  return errors;
}

// least_errors tries every feature, every value as threshold, and every pair of classes.
std::uint64_t least_errors(const data::Dataset& data) {
  std::uint64_t least = ~std::uint64_t{0};
  for (std::size_t feature = 0; feature < data.inputs; ++feature) {
    std::set<float> values;
    for (std::size_t row = 0; row < data.rows; ++row) {
      values.insert(data.features[row * data.inputs + feature]);
    }
    values.erase(std::prev(values.end()));  // nothing would be above
    for (const float threshold : values) {
      for (std::uint8_t low = 0; low < data::kClasses; ++low) {
        for (std::uint8_t high = 0; high < data::kClasses; ++high) {
          least = std::min(least, errors_of({feature, threshold, low, high}, data));
        }
      }
    }
  }
  return least;
}

TEST_CASE("the stump makes as few errors as any other, with any number of threads") {
  ThreadPool one(1);
  ThreadPool three(3);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    SeededRandom random(seed, "stump");
    const std::size_t inputs = 1 + random.below(4);
    const std::size_t rows = 2 + random.below(30);
    std::vector<float> features;
    std::vector<std::uint8_t> labels;
    std::vector<std::uint32_t> multiplicity;
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < inputs; ++i) {
        features.push_back(static_cast<float>(random.below(5)) / 3);
      }
      labels.push_back(static_cast<std::uint8_t>(random.below(data::kClasses)));
      multiplicity.push_back(1 + static_cast<std::uint32_t>(random.below(3)));
    }
    features[0] = 9;  // two values at least
    const data::Dataset data = dataset(inputs, features, labels, multiplicity);
    const Stump stump = fit_stump(data, one);
    CHECK(errors_of(stump, data) == least_errors(data));
    CHECK(fit_stump(data, three) == stump);
    const Confusion confusion = evaluate(stump, data);
    std::uint64_t wrong = 0;
    std::uint64_t all = 0;
    for (std::size_t actual = 0; actual < data::kClasses; ++actual) {
      for (std::size_t predicted = 0; predicted < data::kClasses; ++predicted) {
        all += confusion.counts[actual][predicted];
        if (actual != predicted) wrong += confusion.counts[actual][predicted];
      }
    }
    CHECK(wrong == errors_of(stump, data));
    CHECK(all == data.records());
  }
}

TEST_CASE("the stump splits halfway, on the first of equally good features") {
  ThreadPool pool(1);
  const Stump stump =
      fit_stump(dataset(3, {5, 1, 10, 5, 1, 10, 5, 3, 30, 5, 3, 30}, {2, 2, 4, 4}), pool);
  CHECK(stump == Stump{1, 2.0F, 2, 4});
}

TEST_CASE("multiplicities count") {
  ThreadPool pool(1);
  // As single rows the best stump would separate the last row; the heavy third one forbids it.
  const Stump stump = fit_stump(dataset(1, {1, 2, 3, 4}, {0, 0, 1, 3}, {1, 1, 100, 1}), pool);
  CHECK(stump == Stump{0, 2.5F, 0, 1});
}

TEST_CASE("a threshold between neighbouring floats keeps them apart") {
  ThreadPool pool(1);
  const float low = 1;
  const float high = std::nextafter(low, 2.0F);
  const data::Dataset data = dataset(1, {low, high}, {0, 1});
  CHECK(errors_of(fit_stump(data, pool), data) == 0);
}

TEST_CASE("without two values of any feature there is no stump") {
  ThreadPool pool(1);
  CHECK_THROWS_AS((void)fit_stump(dataset(2, {1, 2, 1, 2}, {0, 1}), pool), DataError);
  CHECK_THROWS_AS((void)fit_stump(dataset(2, {}, {}), pool), DataError);
}

TEST_CASE("the majority class is the first of the largest, and is predicted for every row") {
  data::Statistics statistics;
  statistics.values[0] = 21;
  statistics.values[1] = 1;
  statistics.values[3] = 10;
  statistics.values[5] = 10;
  CHECK(majority_class(statistics) == 2);
  const Confusion confusion = evaluate_constant(2, dataset(1, {0, 0, 0}, {0, 2, 4}, {1, 10, 10}));
  CHECK(confusion.counts[0][2] == 1);
  CHECK(confusion.counts[2][2] == 10);
  CHECK(confusion.counts[4][2] == 10);
  CHECK(metrics_of(confusion, data::Schema::kdd99()).accuracy ==
        doctest::Approx(10.0 / 21).epsilon(1e-12));
}

}  // namespace
}  // namespace blindsum::model
