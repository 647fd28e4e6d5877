#include "shared/model/training.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_set>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/core/words.h"

namespace blindsum::model {

namespace {
constexpr Words<ClassWeights, 3> kClassWeightWords("class weights", {"none", "sqrt", "balanced"});
}  // namespace

std::string_view to_string(ClassWeights weights) { return kClassWeightWords.word(weights); }

ClassWeights class_weights_from_string(std::string_view name) {
  return kClassWeightWords.value(name);
}

std::vector<double> class_weights_from(ClassWeights kind, const data::Statistics& statistics) {
  std::vector<double> weights(statistics.classes, 0.0);
  double rows = 0;
  double weighted_rows = 0;
  for (std::size_t c = 0; c < statistics.classes; ++c) {
    const auto count = static_cast<double>(statistics.class_rows(c));
    if (count <= 0) continue;
    weights[c] = kind == ClassWeights::kNone   ? 1.0
                 : kind == ClassWeights::kSqrt ? 1 / std::sqrt(count)
                                               : 1 / count;
    rows += count;
    weighted_rows += count * weights[c];
  }
  if (rows == 0) throw DataError("class weights of no rows");
  for (double& weight : weights) weight *= rows / weighted_rows;
  return weights;
}

std::vector<std::uint32_t> batch_rows(std::size_t rows, std::size_t batch, std::uint64_t seed,
                                      std::uint32_t party, std::uint32_t round) {
  std::vector<std::uint32_t> chosen;
  if (batch >= rows) {
    chosen.resize(rows);
    std::iota(chosen.begin(), chosen.end(), 0U);
    return chosen;
  }
  // Floyd's sampling (Bentley and Floyd 1987): every subset is equally likely.
  SeededRandom random(seed, "batch", {party, round});
  std::unordered_set<std::uint32_t> seen;
  for (std::size_t last = rows - batch; last < rows; ++last) {
    const auto candidate = static_cast<std::uint32_t>(random.below(last + 1));
    const bool is_new = seen.insert(candidate).second;
    if (!is_new) seen.insert(static_cast<std::uint32_t>(last));
    chosen.push_back(is_new ? candidate : static_cast<std::uint32_t>(last));
  }
  std::ranges::sort(chosen);
  return chosen;
}

double sampling_rate(std::uint32_t parties, std::uint32_t batch_rows,
                     const data::Statistics& joint) {
  return std::min(1.0,
                  static_cast<double>(parties) * batch_rows / static_cast<double>(joint.rows()));
}

}  // namespace blindsum::model
