// Optimisers of the key-holder's step, with learning-rate schedules.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/model/network.h"

namespace blindsum::model {

enum class OptimizerKind : std::uint8_t { kSgd, kMomentum, kAdam };
enum class Schedule : std::uint8_t { kConstant, kCosine };
[[nodiscard]] std::string_view to_string(OptimizerKind kind);  // "sgd", "momentum", "adam"
[[nodiscard]] OptimizerKind optimizer_from_string(std::string_view name);  // Throws ConfigError.
[[nodiscard]] std::string_view to_string(Schedule schedule);               // "constant", "cosine"
[[nodiscard]] Schedule schedule_from_string(std::string_view name);        // Throws ConfigError.

struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::kAdam;
  double rate = 0.01;
  Schedule schedule = Schedule::kCosine;
  double momentum = 0.9;                              // kMomentum
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // kAdam (Kingma and Ba 2015, algorithm 1)
};

// Optimizer holds the state (double) of one training run. step is deterministic. Not thread-safe.
class Optimizer {
 public:
  // `rounds` is the length of the schedule: cosine falls from rate at step 1 towards 0 after step
  // `rounds`.
  Optimizer(OptimizerSettings settings, std::size_t parameters, std::uint32_t rounds);

  // step applies one gradient in place. Throws Error when sizes differ.
  void step(Parameters& parameters, std::span<const double> gradient);
  [[nodiscard]] double rate_at(std::uint32_t step) const;  // steps count from 1

  // state is everything that steps have changed; restore puts it back into an optimiser of the same
  // settings, which then goes on as the other would have. Throws DecodeError when it does not fit.
  [[nodiscard]] Bytes state() const;
  void restore(ByteView state);

 private:
  OptimizerSettings settings_;
  std::uint32_t rounds_;
  std::uint32_t steps_ = 0;
  double beta1_power_ = 1, beta2_power_ = 1;  // beta^steps
  std::vector<double> first_, second_;
};

}  // namespace blindsum::model
