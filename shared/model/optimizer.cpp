#include "shared/model/optimizer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "shared/core/error.h"
#include "shared/core/words.h"
#include "shared/model/portable_math.h"

namespace blindsum::model {

namespace {

constexpr Words<Schedule, 2> kSchedules("schedule", {"constant", "cosine"});
constexpr Words<OptimizerKind, 4> kOptimizers("optimizer", {"sgd", "momentum", "adam", "yogi"});

}  // namespace

std::string_view to_string(OptimizerKind kind) { return kOptimizers.word(kind); }

OptimizerKind optimizer_from_string(std::string_view name) { return kOptimizers.value(name); }

std::string_view to_string(Schedule schedule) { return kSchedules.word(schedule); }

Schedule schedule_from_string(std::string_view name) { return kSchedules.value(name); }

Optimizer::Optimizer(OptimizerSettings settings, std::size_t parameters, std::uint32_t rounds)
    : settings_(settings),
      rounds_(std::max(1U, rounds)),
      first_(parameters, 0.0),
      second_(settings.kind == OptimizerKind::kAdam || settings.kind == OptimizerKind::kYogi
                  ? parameters
                  : 0,
              settings.corrects_bias ? 0.0 : settings.epsilon * settings.epsilon) {}

double scheduled_rate(Schedule schedule, double rate, std::uint32_t step, std::uint32_t steps) {
  if (schedule == Schedule::kConstant) return rate;
  const double done = static_cast<double>(std::max(1U, step) - 1) / steps;
  return rate * 0.5 * (1 + cos_pi(std::min(1.0, done)));
}

double Optimizer::rate_at(std::uint32_t step) const {
  return scheduled_rate(settings_.schedule, settings_.rate, step, rounds_);
}

void Optimizer::step(Parameters& parameters, std::span<const double> gradient) {
  if (parameters.size() != first_.size() || gradient.size() != first_.size()) {
    throw Error("an optimizer of " + std::to_string(first_.size()) + " parameters was given " +
                std::to_string(parameters.size()) + " parameters and a gradient of " +
                std::to_string(gradient.size()));
  }
  ++steps_;
  const double rate = rate_at(steps_);
  const OptimizerSettings& s = settings_;
  beta1_power_ *= s.beta1;
  beta2_power_ *= s.beta2;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double g = gradient[i];
    double change = rate * g;
    if (s.kind == OptimizerKind::kMomentum) {
      first_[i] = s.momentum * first_[i] + g;
      change = rate * first_[i];
    } else if (s.kind != OptimizerKind::kSgd) {
      const double square = g * g;
      first_[i] = s.beta1 * first_[i] + (1 - s.beta1) * g;
      if (s.kind == OptimizerKind::kAdam) {
        second_[i] = s.beta2 * second_[i] + (1 - s.beta2) * g * g;
      } else {
        const double sign = second_[i] > square ? 1 : second_[i] < square ? -1 : 0;
        second_[i] -= (1 - s.beta2) * square * sign;
      }
      const double mean = s.corrects_bias ? first_[i] / (1 - beta1_power_) : first_[i];
      const double variance = s.corrects_bias ? second_[i] / (1 - beta2_power_) : second_[i];
      change = rate * mean / (std::sqrt(variance) + s.epsilon);
    }
    parameters[i] = static_cast<float>(static_cast<double>(parameters[i]) - change);
  }
}

Bytes Optimizer::state() const {
  Bytes state;
  state.reserve(8 * (3 + first_.size() + second_.size()));
  append_le64(state, steps_);
  const auto append = [&](double value) {
    append_le64(state, std::bit_cast<std::uint64_t>(value));
  };
  append(beta1_power_);
  append(beta2_power_);
  for (const double value : first_) append(value);
  for (const double value : second_) append(value);
  return state;
}

void Optimizer::restore(ByteView state) {
  const std::size_t expected = 8 * (3 + first_.size() + second_.size());
  if (state.size() != expected) {
    throw DecodeError("the state of an optimizer of " + std::to_string(state.size()) +
                      " bytes, expected " + std::to_string(expected));
  }
  std::size_t at = 0;
  const auto next = [&] {
    const std::uint64_t value = read_le64(state, at);
    at += 8;
    return value;
  };
  steps_ = static_cast<std::uint32_t>(next());
  beta1_power_ = std::bit_cast<double>(next());
  beta2_power_ = std::bit_cast<double>(next());
  for (double& value : first_) value = std::bit_cast<double>(next());
  for (double& value : second_) value = std::bit_cast<double>(next());
}

}  // namespace blindsum::model
