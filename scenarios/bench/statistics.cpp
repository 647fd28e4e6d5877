#include "scenarios/bench/statistics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace blindsum::bench {
namespace {

struct Moments {
  double mean;
  double variance;
};

Moments moments_of(std::span<const double> sample) {
  assert(sample.size() >= 2);
  const auto size = static_cast<double>(sample.size());
  const double mean = std::accumulate(sample.begin(), sample.end(), 0.0) / size;
  const double squares =
      std::accumulate(sample.begin(), sample.end(), 0.0,
                      [mean](double sum, double x) { return sum + (x - mean) * (x - mean); });
  return {mean, squares / (size - 1)};
}

}  // namespace

double median(std::vector<double> sample) {
  assert(!sample.empty());
  const auto middle = sample.begin() + static_cast<std::ptrdiff_t>(sample.size() / 2);
  std::nth_element(sample.begin(), middle, sample.end());
  if (sample.size() % 2 == 1) return *middle;
  return (*std::max_element(sample.begin(), middle) + *middle) / 2;
}

double percentile(std::vector<double> sample, double p) {
  assert(!sample.empty() && p > 0 && p <= 1);
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(p * static_cast<double>(sample.size())));
  const auto nth = sample.begin() + rank - 1;
  std::nth_element(sample.begin(), nth, sample.end());
  return *nth;
}

double welch_t(std::span<const double> a, std::span<const double> b) {
  const Moments of_a = moments_of(a);
  const Moments of_b = moments_of(b);
  const double difference = of_a.mean - of_b.mean;
  const double error = std::sqrt(of_a.variance / static_cast<double>(a.size()) +
                                 of_b.variance / static_cast<double>(b.size()));
  if (error == 0) {
    return difference == 0 ? 0 : std::copysign(std::numeric_limits<double>::infinity(), difference);
  }
  return difference / error;
}

}  // namespace blindsum::bench
