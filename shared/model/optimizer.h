// Optimisers of the key-holder's step, with learning-rate schedules.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/model/network.h"

namespace blindsum::model {

enum class OptimizerKind : std::uint8_t { kSgd, kMomentum, kAdam, kYogi };
enum class Schedule : std::uint8_t { kConstant, kCosine };
[[nodiscard]] std::string_view to_string(OptimizerKind kind);  // "sgd", "momentum", "adam", "yogi"
[[nodiscard]] OptimizerKind optimizer_from_string(std::string_view name);  // Throws ConfigError.
[[nodiscard]] std::string_view to_string(Schedule schedule);               // "constant", "cosine"
[[nodiscard]] Schedule schedule_from_string(std::string_view name);        // Throws ConfigError.

// scheduled_rate is the learning rate of step `step` of `steps`, from 1: cosine falls from `rate`
// at step 1 towards 0 after the last.
[[nodiscard]] double scheduled_rate(Schedule schedule, double rate, std::uint32_t step,
                                    std::uint32_t steps);

struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::kAdam;
  double rate = 0.01;
  Schedule schedule = Schedule::kCosine;
  double momentum = 0.9;  // kMomentum
  // kAdam (Kingma and Ba 2015, algorithm 1) and kYogi (Zaheer et al. 2018, algorithm 2). Without
  // the correction of the bias both are the server's step of Reddi et al. 2021, algorithm 2, with
  // τ = epsilon: the second moment starts at τ², the least that is allowed there.
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  bool corrects_bias = true;
};

// Optimizer holds the state (double) of one training run. step is deterministic. Not thread-safe.
class Optimizer {
 public:
  // `rounds` is the length of the schedule.
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
