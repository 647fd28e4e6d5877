#include "shared/model/metrics.h"

namespace blindsum::model {
namespace {

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Confusion& Confusion::operator+=(const Confusion& other) {
  for (std::size_t actual = 0; actual < counts.size(); ++actual) {
    for (std::size_t predicted = 0; predicted < counts.size(); ++predicted) {
      counts[actual][predicted] += other.counts.at(actual).at(predicted);
    }
  }
  return *this;
}

Metrics metrics_of(const Confusion& confusion, const data::Schema& schema) {
  const std::size_t classes = schema.classes().size();
  Metrics metrics;
  metrics.recall.resize(classes);
  std::uint64_t rows = 0;
  std::uint64_t correct = 0;
  std::uint64_t cost = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::uint64_t actual = 0;
    std::uint64_t predicted = 0;
    for (std::size_t other = 0; other < classes; ++other) {
      actual += confusion.counts[c][other];
      predicted += confusion.counts[other][c];
      cost += schema.cost(c, other) * confusion.counts[c][other];
    }
    const std::uint64_t hits = confusion.counts[c][c];
    rows += actual;
    correct += hits;
    metrics.recall[c] = ratio(hits, actual);
    metrics.macro_f1 += ratio(2 * hits, actual + predicted) / static_cast<double>(classes);
  }
  metrics.accuracy = ratio(correct, rows);
  metrics.cost = ratio(cost, rows);
  return metrics;
}

}  // namespace blindsum::model
