#include "shared/model/network.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <string>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/core/words.h"
#include "shared/model/network_impl.h"

namespace blindsum::model {
namespace {

constexpr Words<Activation, 4> kActivations("activation", {"relu", "sigmoid", "tanh", "square"});

constexpr std::size_t kRowsPerBlock = 2048;   // of one task of evaluate
constexpr std::size_t kRowsPerFloatSum = 64;  // added in float before they join the double sum

void check_fits(const Shape& shape, const Parameters& parameters, const data::Dataset& data) {
  if (parameters.size() != shape.parameters()) {
    throw DecodeError(std::to_string(parameters.size()) + " parameters, expected " +
                      std::to_string(shape.parameters()));
  }
  if (data.inputs != shape.inputs) {
    throw Error("a network of " + std::to_string(shape.inputs) + " inputs was given rows of " +
                std::to_string(data.inputs));
  }
}

void check_classes(const Shape& shape, std::span<const double> class_weights) {
  if (class_weights.size() != shape.outputs) {
    throw Error(std::to_string(class_weights.size()) + " class weights for " +
                std::to_string(shape.outputs) + " classes");
  }
}

std::span<const float> row_of(const data::Dataset& data, std::size_t row) {
  return std::span(data.features).subspan(row * data.inputs, data.inputs);
}

std::size_t highest(std::span<const float> logits) {
  return static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace

std::string_view to_string(Activation activation) { return kActivations.word(activation); }

Activation activation_from_string(std::string_view name) { return kActivations.value(name); }

std::vector<std::pair<std::size_t, std::size_t>> Shape::layers() const {
  std::vector<std::pair<std::size_t, std::size_t>> result;
  std::size_t in = inputs;
  for (const std::size_t width : hidden) {
    result.emplace_back(in, width);
    in = width;
  }
  result.emplace_back(in, outputs);
  return result;
}

std::size_t Shape::parameters() const {
  std::size_t total = 0;
  for (const auto& [in, out] : layers()) total += (in + 1) * out;
  return total;
}

Parameters initial_parameters(const Shape& shape, std::uint64_t seed) {
  SeededRandom random(seed, "initial parameters");
  Parameters parameters;
  parameters.reserve(shape.parameters());
  for (const auto& [in, out] : shape.layers()) {
    const double deviation = std::sqrt(2.0 / static_cast<double>(in));
    for (std::size_t i = 0; i < in * out; ++i) {
      parameters.push_back(static_cast<float>(deviation * random.normal()));
    }
    parameters.insert(parameters.end(), out, 0.0F);
  }
  return parameters;
}

Bytes parameters_to_bytes(const Parameters& parameters) {
  Bytes bytes;
  bytes.reserve(parameters.size() * sizeof(float));
  for (const float value : parameters) append_le32(bytes, std::bit_cast<std::uint32_t>(value));
  return bytes;
}

Parameters parameters_from_bytes(ByteView bytes, const Shape& shape) {
  Parameters parameters(shape.parameters());
  if (bytes.size() != parameters.size() * sizeof(float)) {
    throw DecodeError("weights of " + std::to_string(bytes.size()) + " bytes, expected " +
                      std::to_string(parameters.size() * sizeof(float)));
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i] = std::bit_cast<float>(read_le32(bytes, i * sizeof(float)));
    if (!std::isfinite(parameters[i])) throw DecodeError("a weight is not a finite number");
  }
  return parameters;
}

Digest model_digest(const Parameters& parameters) {
  return sha256(parameters_to_bytes(parameters));
}

Gradient gradient_of(const Shape& shape, const Parameters& parameters, const data::Dataset& data,
                     std::span<const std::uint32_t> rows, std::span<const double> class_weights) {
  check_fits(shape, parameters, data);
  check_classes(shape, class_weights);
  const NetworkImpl<float> network(shape, parameters);
  NetworkImpl<float>::Workspace work(network);
  NetworkImpl<float>::Sum sum(network);
  Gradient gradient{std::vector<double>(parameters.size(), 0.0)};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t label = data.labels[rows[i]];
    (void)network.forward(row_of(data, rows[i]), work);
    gradient.loss += network.add_gradient(label, class_weights[label], work, sum);
    if ((i + 1) % kRowsPerFloatSum == 0 || i + 1 == rows.size()) {
      sum.add_to(gradient.values);
      sum.clear();
    }
  }
  const double count = static_cast<double>(std::max<std::size_t>(1, rows.size()));
  for (double& value : gradient.values) value /= count;
  gradient.loss /= count;
  return gradient;
}

ClippedSum clipped_sum_of(const Shape& shape, const Parameters& parameters,
                          const data::Dataset& data, std::span<const std::uint32_t> rows,
                          std::span<const double> class_weights, double clip, double scale) {
  check_fits(shape, parameters, data);
  check_classes(shape, class_weights);
  constexpr double kMostScaled = 0x1p40;
  if (!(clip > 0 && scale > 0 && clip * scale < kMostScaled)) {
    throw Error("a gradient cannot be clipped to " + std::to_string(clip) + " in steps of 1/" +
                std::to_string(scale));
  }
  const NetworkImpl<float> network(shape, parameters);
  NetworkImpl<float>::Workspace work(network);
  NetworkImpl<float>::Sum sum(network);
  ClippedSum result{std::vector<std::int64_t>(parameters.size(), 0)};
  std::vector<double> gradient(parameters.size());
  for (const std::uint32_t row : rows) {
    const std::size_t label = data.labels[row];
    (void)network.forward(row_of(data, row), work);
    sum.clear();
    (void)network.add_gradient(label, class_weights[label], work, sum);
    std::fill(gradient.begin(), gradient.end(), 0.0);
    sum.add_to(gradient);
    double square = 0;
    for (const double value : gradient) square += value * value;
    const double norm = std::sqrt(square);
    if (!std::isfinite(norm)) {
      throw ConfigError(
          "training diverged: the gradient of a row is not finite; lower server.rate");
    }
    // A hair less than the bound, for what the norm itself was rounded by.
    constexpr double kLess = 1 - 0x1p-40;
    const bool is_longer = norm > clip;
    result.clipped_rows += is_longer ? 1 : 0;
    const double factor = scale * kLess * (is_longer ? clip / norm : 1);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      result.values[i] += std::llround(factor * gradient[i]);
    }
  }
  return result;
}

namespace {

// count_predictions counts what `predict` makes of the logits of each row.
template <class Predict>
Confusion count_predictions(const Shape& shape, const Parameters& parameters,
                            const data::Dataset& data, ThreadPool& pool, const Predict& predict) {
  check_fits(shape, parameters, data);
  if (shape.outputs != data.classes) {
    throw Error("a network of " + std::to_string(shape.outputs) + " outputs, records of " +
                std::to_string(data.classes) + " classes");
  }
  const NetworkImpl<float> network(shape, parameters);
  const std::size_t blocks = (data.rows + kRowsPerBlock - 1) / kRowsPerBlock;
  std::vector<Confusion> counted(blocks, Confusion(data.classes));
  pool.parallel_for(blocks, [&](std::size_t block) {
    NetworkImpl<float>::Workspace work(network);
    const std::size_t end = std::min(data.rows, (block + 1) * kRowsPerBlock);
    for (std::size_t row = block * kRowsPerBlock; row < end; ++row) {
      const std::size_t best = predict(network.forward(row_of(data, row), work));
      counted[block].counts[data.labels[row]][best] += data.multiplicity[row];
    }
  });
  Confusion total(data.classes);
  for (const Confusion& part : counted) total += part;
  return total;
}

}  // namespace

Confusion evaluate(const Shape& shape, const Parameters& parameters, const data::Dataset& data,
                   ThreadPool& pool) {
  return count_predictions(shape, parameters, data, pool, highest);
}

Confusion evaluate_min_cost(const Shape& shape, const Parameters& parameters,
                            const data::Dataset& data, std::span<const double> class_weights,
                            const data::Schema& schema, ThreadPool& pool) {
  check_classes(shape, class_weights);
  if (schema.classes().size() != shape.outputs) throw Error("costs of other classes");
  const auto predict = [&](std::span<const float> logits) {
    const auto top = static_cast<double>(logits[highest(logits)]);
    std::vector<double> shares(shape.outputs, 0.0);
    for (std::size_t c = 0; c < shares.size(); ++c) {
      if (class_weights[c] == 0) continue;
      shares[c] = exp_nonpositive(static_cast<double>(logits[c]) - top) / class_weights[c];
    }
    std::size_t best = 0;
    double least = 0;
    for (std::size_t c = 0; c < shares.size(); ++c) {
      double cost = 0;
      for (std::size_t j = 0; j < shares.size(); ++j) {
        cost += shares[j] * static_cast<double>(schema.cost(j, c));
      }
      if (c == 0 || cost < least) {
        least = cost;
        best = c;
      }
    }
    return best;
  };
  return count_predictions(shape, parameters, data, pool, predict);
}

std::uint64_t differing_predictions(const Shape& shape, const Parameters& a, const Parameters& b,
                                    const data::Dataset& data, ThreadPool& pool) {
  check_fits(shape, a, data);
  check_fits(shape, b, data);
  const NetworkImpl<float> first(shape, a);
  const NetworkImpl<float> second(shape, b);
  const std::size_t blocks = (data.rows + kRowsPerBlock - 1) / kRowsPerBlock;
  std::vector<std::uint64_t> counted(blocks);
  pool.parallel_for(blocks, [&](std::size_t block) {
    NetworkImpl<float>::Workspace work(first);
    const std::size_t end = std::min(data.rows, (block + 1) * kRowsPerBlock);
    for (std::size_t row = block * kRowsPerBlock; row < end; ++row) {
      const std::size_t best = highest(first.forward(row_of(data, row), work));
      if (highest(second.forward(row_of(data, row), work)) != best) {
        counted[block] += data.multiplicity[row];
      }
    }
  });
  return std::accumulate(counted.begin(), counted.end(), std::uint64_t{0});
}

}  // namespace blindsum::model
