// What parties and the centralized run share: class weights and batches.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/data/encoder.h"

namespace blindsum::model {

enum class ClassWeights : std::uint8_t { kNone, kSqrt, kBalanced };
[[nodiscard]] std::string_view to_string(ClassWeights weights);  // "none", "sqrt", "balanced"
[[nodiscard]] ClassWeights class_weights_from_string(std::string_view name);  // Throws ConfigError.

// class_weights_from gives w_c ∝ 1 (none), 1/√count_c (sqrt) or 1/count_c (balanced), scaled so
// that Σ count_c·w_c / rows = 1; a class without rows gets 0.
[[nodiscard]] std::vector<double> class_weights_from(ClassWeights kind,
                                                     const data::Statistics& statistics);

// batch_rows returns the rows that `party` uses in `round`: min(batch, rows) distinct rows drawn
// uniformly, deterministic in (seed, party, round) and independent of everything else.
[[nodiscard]] std::vector<std::uint32_t> batch_rows(std::size_t rows, std::size_t batch,
                                                    std::uint64_t seed, std::uint32_t party,
                                                    std::uint32_t round);

// sampling_rate is the probability with which a private round uses a row: the rows that the parties
// together take on average, over the rows that they have; at most 1.
[[nodiscard]] double sampling_rate(std::uint32_t parties, std::uint32_t batch_rows,
                                   const data::Statistics& joint);

}  // namespace blindsum::model
