// The arithmetic of the network for one scalar type: float in use, double where tests compare it
// with finite differences. Internal to model.
//
// A layer's input is a list of its non-zero values (81 of the 122 encoded inputs of a record are
// zero, and ReLU leaves about half of a hidden layer); each adds a multiple of one weight row. What
// a row yields depends on that row alone: not on its block, its batch or the thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <Eigen/Core>

#include "shared/model/network.h"
#include "shared/model/portable_math.h"

namespace blindsum::model {

template <class Scalar>
class NetworkImpl {
  using Vector = Eigen::Array<Scalar, Eigen::Dynamic, 1>;  // 16-byte aligned
  template <int kSize>
  using Lanes = Eigen::Array<Scalar, kSize, 1>;
  template <int kSize>
  using ConstLanesMap = Eigen::Map<const Lanes<kSize>, Eigen::Aligned16>;
  template <int kSize>
  using LanesMap = Eigen::Map<Lanes<kSize>, Eigen::Aligned16>;

  static constexpr std::size_t kLanes = 8;

  // Layer pads its outputs with zeros to `stride`, a multiple of kLanes. Row `in` of the values is
  // the bias.
  struct Layer {
    std::size_t in, out, stride;
    Vector values;  // (in + 1) × stride

    [[nodiscard]] const Scalar* row(std::size_t i) const { return values.data() + i * stride; }
    [[nodiscard]] Scalar* row(std::size_t i) { return values.data() + i * stride; }
  };

  struct Sparse {
    std::vector<std::uint32_t> index;
    std::vector<Scalar> value;
    std::size_t count = 0;
  };

 public:
  // Workspace holds what one thread needs for one row.
  class Workspace {
   public:
    explicit Workspace(const NetworkImpl& network) {
      for (const Layer& layer : network.layers_) {
        inputs.push_back({std::vector<std::uint32_t>(layer.in), std::vector<Scalar>(layer.in)});
        outputs.push_back(Vector::Zero(static_cast<Eigen::Index>(layer.stride)));
        deltas.push_back(outputs.back());
      }
      shares.resize(network.layers_.back().out);
    }

   private:
    friend class NetworkImpl;
    std::vector<Sparse> inputs;  // of each layer
    std::vector<Vector> outputs, deltas;
    std::vector<double> shares;  // of the classes
  };

  // Sum accumulates gradients in the layout of the layers.
  class Sum {
   public:
    explicit Sum(const NetworkImpl& network) : layers(network.layers_) { clear(); }
    void clear() {
      for (Layer& layer : layers) layer.values.setZero();
    }
    // add_to adds the sum to a flat vector of parameters.
    void add_to(std::span<double> flat) const {
      std::size_t at = 0;
      for (const Layer& layer : layers) {
        for (std::size_t i = 0; i <= layer.in; ++i) {
          for (std::size_t o = 0; o < layer.out; ++o) {
            flat[at++] += static_cast<double>(layer.row(i)[o]);
          }
        }
      }
    }

   private:
    friend class NetworkImpl;
    std::vector<Layer> layers;
  };

  // `parameters` must have shape.parameters() values.
  NetworkImpl(const Shape& shape, std::span<const Scalar> parameters)
      : activation_(shape.activation) {
    auto from = parameters.begin();
    for (const auto& [in, out] : shape.layers()) {
      const std::size_t stride = (out + kLanes - 1) / kLanes * kLanes;
      Layer layer{in, out, stride, Vector::Zero(static_cast<Eigen::Index>((in + 1) * stride))};
      for (std::size_t i = 0; i <= in; ++i, from += static_cast<std::ptrdiff_t>(out)) {
        std::copy_n(from, out, layer.row(i));
      }
      layers_.push_back(std::move(layer));
    }
  }

  // forward returns the logits of one row. The span lives in `work`.
  std::span<const Scalar> forward(std::span<const float> features, Workspace& work) const {
    gather_nonzero(features, work.inputs[0]);
    for (std::size_t l = 0;; ++l) {
      const Layer& layer = layers_[l];
      Scalar* out = work.outputs[l].data();
      multiply(work.inputs[l], layer, out);
      if (l + 1 == layers_.size()) return {out, layer.out};
      activate({out, layer.out}, work.inputs[l + 1]);
    }
  }

  // add_gradient adds weight · ∂CE/∂θ of the row that `work` has just been forwarded, and returns
  // weight · CE.
  double add_gradient(std::size_t label, double weight, Workspace& work, Sum& sum) const {
    const double loss = weight * softmax_delta(label, weight, work);
    for (std::size_t l = layers_.size(); l-- > 0;) {
      const Layer& layer = layers_[l];
      Layer& gradient = sum.layers[l];
      const auto size = static_cast<Eigen::Index>(layer.stride);
      const Eigen::Map<const Vector, Eigen::Aligned16> delta(work.deltas[l].data(), size);
      const auto add_to_row = [&](std::size_t row, Scalar factor) {
        Eigen::Map<Vector, Eigen::Aligned16>(gradient.row(row), size) += factor * delta;
      };
      const Sparse& input = work.inputs[l];
      for (std::size_t k = 0; k < input.count; ++k) {
        add_to_row(input.index[k], input.value[k]);
      }
      add_to_row(layer.in, Scalar{1});
      if (l == 0) break;
      work.deltas[l - 1].setZero();
      for (std::size_t k = 0; k < input.count; ++k) {
        work.deltas[l - 1][input.index[k]] =
            dot(layer.row(input.index[k]), work.deltas[l].data(), layer.stride) *
            slope(input.value[k], work.outputs[l - 1][input.index[k]]);
      }
    }
    return loss;
  }

 private:
  // gather_nonzero lists the inputs that are not zero. Four zeros together, as in one-hot inputs,
  // cost one test.
  static void gather_nonzero(std::span<const float> values, Sparse& out) {
    constexpr std::size_t kTogether = 4;
    std::size_t count = 0;
    const auto list = [&](std::size_t i) {
      out.index[count] = static_cast<std::uint32_t>(i);
      out.value[count] = static_cast<Scalar>(values[i]);
      count += std::bit_cast<std::uint32_t>(values[i]) << 1 != 0 ? 1 : 0;
    };
    std::size_t i = 0;
    for (; i + kTogether <= values.size(); i += kTogether) {
      std::array<std::uint64_t, 2> bits{};
      static_assert(sizeof(bits) == kTogether * sizeof(float));
      std::memcpy(bits.data(), &values[i], sizeof(bits));
      if ((bits[0] | bits[1]) == 0) continue;
      for (std::size_t k = 0; k < kTogether; ++k) list(i + k);
    }
    for (; i < values.size(); ++i) list(i);
    out.count = count;
  }

  // activate lists the activations of `z`; of ReLU's, those that are not zero.
  void activate(std::span<const Scalar> z, Sparse& out) const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      out.index[count] = static_cast<std::uint32_t>(i);
      if (activation_ == Activation::kRelu) {
        out.value[count] = z[i];
        count += z[i] <= 0 ? 0 : 1;  // NaN is listed, so that it shows
      } else {
        out.value[count++] =
            activation_ == Activation::kSquare ? z[i] * z[i] : squashed(static_cast<double>(z[i]));
      }
    }
    out.count = count;
  }

  // multiply computes out = bias + Σ value·row in order of the inputs, a few lanes at a time with
  // the running sums in registers.
  static void multiply(const Sparse& input, const Layer& layer, Scalar* out) {
    std::size_t at = 0;
    for (; at + 3 * kLanes <= layer.stride; at += 3 * kLanes) {
      multiply_lanes<3 * kLanes>(input, layer, at, out);
    }
    for (; at < layer.stride; at += kLanes) multiply_lanes<kLanes>(input, layer, at, out);
  }

  template <int kSize>
  static void multiply_lanes(const Sparse& input, const Layer& layer, std::size_t at, Scalar* out) {
    Lanes<kSize> sum = ConstLanesMap<kSize>(layer.row(layer.in) + at);
    for (std::size_t k = 0; k < input.count; ++k) {
      sum += input.value[k] * ConstLanesMap<kSize>(layer.row(input.index[k]) + at);
    }
    LanesMap<kSize>(out + at) = sum;
  }

  // dot adds in the same order whatever the width of the machine's vectors: kLanes partial sums,
  // then from the first to the last.
  static Scalar dot(const Scalar* a, const Scalar* b, std::size_t size) {
    Lanes<kLanes> lanes = Lanes<kLanes>::Zero();
    for (std::size_t i = 0; i < size; i += kLanes) {
      lanes += ConstLanesMap<kLanes>(a + i) * ConstLanesMap<kLanes>(b + i);
    }
    Scalar sum = 0;
    for (std::size_t i = 0; i < kLanes; ++i) sum += lanes[static_cast<Eigen::Index>(i)];
    return sum;
  }

  [[nodiscard]] Scalar squashed(double z) const {
    if (activation_ == Activation::kSigmoid) {
      const double e = exp_nonpositive(-std::abs(z));
      return static_cast<Scalar>((z < 0 ? e : 1) / (1 + e));
    }
    const double e = exp_nonpositive(-2 * std::abs(z));
    return static_cast<Scalar>(std::copysign((1 - e) / (1 + e), z));
  }

  // slope is the derivative of the activation at z, where it is a.
  [[nodiscard]] Scalar slope(Scalar a, Scalar z) const {
    switch (activation_) {
      case Activation::kRelu:
        return Scalar{1};  // of the non-zero values, the only ones listed
      case Activation::kSigmoid:
        return a * (1 - a);
      case Activation::kTanh:
        return 1 - a * a;
      case Activation::kSquare:
        return 2 * z;
    }
    return Scalar{1};
  }

  // softmax_delta writes weight · (softmax − onehot(label)) and returns the cross-entropy.
  double softmax_delta(std::size_t label, double weight, Workspace& work) const {
    const std::size_t classes = layers_.back().out;
    const Vector& logits = work.outputs.back();
    Vector& delta = work.deltas.back();
    const auto highest =
        static_cast<double>(*std::max_element(logits.data(), logits.data() + classes));
    std::vector<double>& share = work.shares;
    double total = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      share[c] =
          exp_nonpositive(static_cast<double>(logits[static_cast<Eigen::Index>(c)]) - highest);
      total += share[c];
    }
    for (std::size_t c = 0; c < classes; ++c) {
      delta[static_cast<Eigen::Index>(c)] =
          static_cast<Scalar>(weight * (share[c] / total - (c == label ? 1 : 0)));
    }
    return std::log(total) + highest -
           static_cast<double>(logits[static_cast<Eigen::Index>(label)]);
  }

  Activation activation_;
  std::vector<Layer> layers_;
};

}  // namespace blindsum::model
