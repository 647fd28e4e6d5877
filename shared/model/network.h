// The fully connected network, its loss and its gradient.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/core/hash.h"
#include "shared/core/thread_pool.h"
#include "shared/data/encoder.h"
#include "shared/model/metrics.h"

namespace blindsum::model {

// kSquare, z², is what can be computed on encrypted records (Gilad-Bachrach et al. 2016).
enum class Activation : std::uint8_t { kRelu, kSigmoid, kTanh, kSquare };
[[nodiscard]] std::string_view to_string(Activation activation);
[[nodiscard]] Activation activation_from_string(std::string_view name);  // Throws ConfigError.

// Shape: inputs, hidden layer widths, classes. Parameters are one flat float32 vector: for each
// layer the weights (in × out, row-major by input) and then the biases.
struct Shape {
  std::size_t inputs = 122;
  std::vector<std::size_t> hidden{41};
  std::size_t outputs = 5;
  Activation activation = Activation::kRelu;
  [[nodiscard]] std::size_t parameters() const;
  // layers returns (in, out) of every layer.
  [[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> layers() const;
  friend bool operator==(const Shape&, const Shape&) = default;
};

using Parameters = std::vector<float>;

// initial_parameters draws He-normal weights (He et al. 2015) and zero biases from `seed`.
[[nodiscard]] Parameters initial_parameters(const Shape& shape, std::uint64_t seed);

// parameters_to_bytes and _from_bytes: little-endian float32. from_bytes throws DecodeError for a
// wrong length or a non-finite value. model_digest is SHA-256 over those bytes.
[[nodiscard]] Bytes parameters_to_bytes(const Parameters& parameters);
[[nodiscard]] Parameters parameters_from_bytes(ByteView bytes, const Shape& shape);
[[nodiscard]] Digest model_digest(const Parameters& parameters);

// Gradient is Σ_i w_{y_i} ∂CE_i/∂θ / rows over a batch: the mean over rows of the class-weighted
// gradient of softmax cross-entropy, in double, and the mean weighted loss.
struct Gradient {
  std::vector<double> values;
  double loss = 0;
};

// gradient_of computes it for the rows of `data` that `rows` lists (repeats allowed; multiplicity
// is not used). Deterministic: one thread, fixed order. `class_weights` has one entry per class.
[[nodiscard]] Gradient gradient_of(const Shape& shape, const Parameters& parameters,
                                   const data::Dataset& data, std::span<const std::uint32_t> rows,
                                   std::span<const double> class_weights);

// ClippedSum is Σ_i round(scale · g_i · min(1, clip / ‖g_i‖)) over a batch, g_i the class-weighted
// gradient of one row and ‖·‖ the Euclidean norm: whole numbers, so that one row more or less
// changes the sum by a vector of norm at most scale·clip + √parameters / 2, whatever the other rows
// are.
struct ClippedSum {
  std::vector<std::int64_t> values;
  std::uint64_t clipped_rows = 0;  // whose gradient was longer than clip
};

// clipped_sum_of computes it. Deterministic, one thread. Throws Error unless clip and scale are
// positive and scale · clip < 2^40; otherwise as gradient_of.
[[nodiscard]] ClippedSum clipped_sum_of(const Shape& shape, const Parameters& parameters,
                                        const data::Dataset& data,
                                        std::span<const std::uint32_t> rows,
                                        std::span<const double> class_weights, double clip,
                                        double scale);

// evaluate counts predictions (argmax, lowest index on ties) over all rows with their
// multiplicities. The counts do not depend on the number of threads.
[[nodiscard]] Confusion evaluate(const Shape& shape, const Parameters& parameters,
                                 const data::Dataset& data, ThreadPool& pool);

// evaluate_min_cost counts predictions by the minimum-cost rule (Elkan 2001): the class c with the
// least Σ_j p_j · schema.cost(j, c), the lowest index on ties, where p is the softmax of the
// logits with class j's share divided by `class_weights`[j], so that weights of the loss do not
// stand in for costs. A class of weight 0 keeps no share. Nothing is fitted.
[[nodiscard]] Confusion evaluate_min_cost(const Shape& shape, const Parameters& parameters,
                                          const data::Dataset& data,
                                          std::span<const double> class_weights,
                                          const data::Schema& schema, ThreadPool& pool);

// differing_predictions counts the records (with multiplicity) that two models of one shape predict
// differently.
[[nodiscard]] std::uint64_t differing_predictions(const Shape& shape, const Parameters& a,
                                                  const Parameters& b, const data::Dataset& data,
                                                  ThreadPool& pool);

}  // namespace blindsum::model
