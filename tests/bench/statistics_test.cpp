#include "scenarios/bench/statistics.h"

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

namespace blindsum::bench {
namespace {

TEST_CASE("the median of an odd sample is its middle, of an even one the mean of two") {
  CHECK(median({7}) == 7);
  CHECK(median({9, 1, 5}) == 5);
  CHECK(median({9, 1}) == 5);
  CHECK(median({4, 100, 1, 2}) == 3);
  CHECK(median({2, 2, 2, 9, 9}) == 2);
}

TEST_CASE("a percentile is the smallest number that enough of the sample does not exceed") {
  const std::vector<double> sample{50, 10, 40, 20, 30};
  CHECK(percentile(sample, 0.2) == 10);
  CHECK(percentile(sample, 0.21) == 20);
  CHECK(percentile(sample, 0.5) == 30);
  CHECK(percentile(sample, 1) == 50);
  CHECK(percentile({3}, 0.01) == 3);
}

TEST_CASE("Welch's t is what a hand computes") {
  // Means 3 and 6, variances 2.5 and 10: −3 / sqrt(2.5/5 + 10/5).
  const std::vector<double> a{1, 2, 3, 4, 5};
  const std::vector<double> b{2, 4, 6, 8, 10};
  CHECK(welch_t(a, b) == doctest::Approx(-3 / std::sqrt(2.5)).epsilon(1e-14));
  CHECK(welch_t(b, a) == doctest::Approx(3 / std::sqrt(2.5)).epsilon(1e-14));
  // Means 2 and 5, variances 1 and 20/3, sizes 3 and 4: −3 / sqrt(1/3 + 5/3) = −3/√2.
  const std::vector<double> c{1, 2, 3};
  const std::vector<double> d{2, 4, 6, 8};
  CHECK(welch_t(c, d) == doctest::Approx(-3 / std::sqrt(2.0)).epsilon(1e-14));
  CHECK(welch_t(a, a) == 0);
}

TEST_CASE("Welch's t does not drown in a large common offset") {
  const std::vector<double> a{1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4, 1e9 + 5};
  const std::vector<double> b{1e9 + 2, 1e9 + 4, 1e9 + 6, 1e9 + 8, 1e9 + 10};
  CHECK(welch_t(a, b) == doctest::Approx(-3 / std::sqrt(2.5)).epsilon(1e-9));
}

TEST_CASE("constant samples differ infinitely or not at all") {
  const std::vector<double> one{1, 1, 1};
  const std::vector<double> two{2, 2};
  CHECK(welch_t(one, one) == 0);
  CHECK(welch_t(one, two) == -INFINITY);
  CHECK(welch_t(two, one) == INFINITY);
}

}  // namespace
}  // namespace blindsum::bench
