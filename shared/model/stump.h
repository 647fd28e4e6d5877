// The least that a model must beat: the majority class, and one question about one feature.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/core/thread_pool.h"
#include "shared/data/encoder.h"
#include "shared/model/metrics.h"

namespace blindsum::model {

// majority_class is the class with most rows, the first of equals.
[[nodiscard]] std::uint8_t majority_class(const data::Statistics& statistics);

// Stump is a decision stump (Iba and Langley 1992): class `low` where feature <= threshold, else
// `high`.
struct Stump {
  std::size_t feature = 0;
  float threshold = 0;
  std::uint8_t low = 0, high = 0;
  friend bool operator==(const Stump&, const Stump&) = default;
};

// fit_stump returns the stump with the fewest errors on `data`, by multiplicity: of equals that
// with the lowest feature, then the lowest threshold. Thresholds lie halfway between two values
// that occur; low and high are the majority classes of their sides. Throws DataError when no
// feature has two values.
[[nodiscard]] Stump fit_stump(const data::Dataset& data, ThreadPool& pool);

// evaluate counts the predictions of a stump, evaluate_constant those of one class for every row.
[[nodiscard]] Confusion evaluate(const Stump& stump, const data::Dataset& data);
[[nodiscard]] Confusion evaluate_constant(std::uint8_t predicted, const data::Dataset& data);

}  // namespace blindsum::model
