#include "shared/model/stump.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "shared/core/error.h"

namespace blindsum::model {
namespace {

using ClassCounts = std::vector<std::uint64_t>;

std::uint8_t largest(const ClassCounts& counts) {
  return static_cast<std::uint8_t>(std::ranges::max_element(counts) - counts.begin());
}

struct Candidate {
  Stump stump;
  std::uint64_t hits = 0;
};

// best_split returns the best stump on one feature, nothing when the feature has one value alone.
std::optional<Candidate> best_split(const data::Dataset& data, std::size_t feature) {
  std::unordered_map<float, ClassCounts> by_value;
  ClassCounts above(data.classes, 0);
  for (std::size_t row = 0; row < data.rows; ++row) {
    const float value = data.features[row * data.inputs + feature];
    ClassCounts& counts = by_value.try_emplace(value, data.classes, 0).first->second;
    counts[data.labels[row]] += data.multiplicity[row];
    above[data.labels[row]] += data.multiplicity[row];
  }
  const std::map<float, ClassCounts> sorted(by_value.begin(), by_value.end());
  std::optional<Candidate> best;
  ClassCounts below(data.classes, 0);
  for (auto value = sorted.begin(); std::next(value) != sorted.end(); ++value) {
    for (std::size_t c = 0; c < data.classes; ++c) {
      below[c] += value->second[c];
      above[c] -= value->second[c];
    }
    const std::uint64_t hits = std::ranges::max(below) + std::ranges::max(above);
    if (best && hits <= best->hits) continue;
    // In double, halfway between two floats is neither of them; rounded to float it may be the
    // upper one, which would change sides.
    const auto halfway =
        static_cast<float>((double{value->first} + double{std::next(value)->first}) / 2);
    const float threshold = halfway < std::next(value)->first ? halfway : value->first;
    best = {{feature, threshold, largest(below), largest(above)}, hits};
  }
  return best;
}

template <class Predict>
Confusion count(const data::Dataset& data, Predict&& predict) {
  Confusion confusion(data.classes);
  for (std::size_t row = 0; row < data.rows; ++row) {
    confusion.counts[data.labels[row]][predict(row)] += data.multiplicity[row];
  }
  return confusion;
}

}  // namespace

std::uint8_t majority_class(const data::Statistics& statistics) {
  ClassCounts counts(statistics.classes, 0);
  for (std::size_t c = 0; c < statistics.classes; ++c) {
    counts[c] = static_cast<std::uint64_t>(statistics.class_rows(c));
  }
  return largest(counts);
}

Stump fit_stump(const data::Dataset& data, ThreadPool& pool) {
  std::vector<std::optional<Candidate>> candidates(data.inputs);
  if (data.rows > 0) {
    pool.parallel_for(
        data.inputs, [&](std::size_t feature) { candidates[feature] = best_split(data, feature); });
  }
  std::optional<Candidate> best;
  for (const auto& candidate : candidates) {
    if (candidate && (!best || candidate->hits > best->hits)) best = candidate;
  }
  if (!best) throw DataError("no feature has two values: there is nothing to split");
  return best->stump;
}

Confusion evaluate(const Stump& stump, const data::Dataset& data) {
  return count(data, [&](std::size_t row) {
    return data.features[row * data.inputs + stump.feature] <= stump.threshold ? stump.low
                                                                               : stump.high;
  });
}

Confusion evaluate_constant(std::uint8_t predicted, const data::Dataset& data) {
  return count(data, [&](std::size_t) { return predicted; });
}

}  // namespace blindsum::model
