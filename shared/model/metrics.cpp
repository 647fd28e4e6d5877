#include "shared/model/metrics.h"

namespace blindsum::model {
namespace {

// The contest's cost matrix, rows actual, columns predicted (Elkan, "Results of the KDD'99
// classifier learning", 2000), in our class order.
constexpr std::array<std::array<std::uint64_t, data::kClasses>, data::kClasses> kCost{{
    {0, 2, 1, 2, 2},
    {2, 0, 1, 2, 2},
    {1, 2, 0, 2, 2},
    {4, 2, 2, 0, 2},
    {3, 2, 2, 2, 0},
}};

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::uint64_t contest_cost(std::size_t actual, std::size_t predicted) {
  return kCost.at(actual).at(predicted);
}

Metrics metrics_of(const Confusion& confusion) {
  Metrics metrics;
  std::uint64_t rows = 0;
  std::uint64_t correct = 0;
  std::uint64_t cost = 0;
  for (std::size_t c = 0; c < data::kClasses; ++c) {
    std::uint64_t actual = 0;
    std::uint64_t predicted = 0;
    for (std::size_t other = 0; other < data::kClasses; ++other) {
      actual += confusion.counts[c][other];
      predicted += confusion.counts[other][c];
      cost += kCost[c][other] * confusion.counts[c][other];
    }
    const std::uint64_t hits = confusion.counts[c][c];
    rows += actual;
    correct += hits;
    metrics.recall[c] = ratio(hits, actual);
    metrics.macro_f1 += ratio(2 * hits, actual + predicted) / data::kClasses;
  }
  metrics.accuracy = ratio(correct, rows);
  metrics.cost = ratio(cost, rows);
  return metrics;
}

}  // namespace blindsum::model
