#include "shared/model/optimizer.h"

#include <cmath>
#include <numbers>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/model/portable_math.h"

namespace blindsum::model {
namespace {

TEST_CASE("a step of gradient descent subtracts rate times gradient") {
  Optimizer optimizer({OptimizerKind::kSgd, 0.5, Schedule::kConstant}, 2, 10);
  Parameters parameters{1.0F, -2.0F};
  optimizer.step(parameters, std::vector{0.25, -4.0});
  CHECK(parameters == Parameters{0.875F, 0.0F});
  optimizer.step(parameters, std::vector{0.25, 0.0});
  CHECK(parameters == Parameters{0.75F, 0.0F});
}

TEST_CASE("momentum adds a fraction of the last step") {
  OptimizerSettings settings{OptimizerKind::kMomentum, 1.0, Schedule::kConstant};
  settings.momentum = 0.5;
  Optimizer optimizer(settings, 1, 10);
  Parameters parameters{0.0F};
  optimizer.step(parameters, std::vector{1.0});
  CHECK(parameters[0] == -1.0F);
  optimizer.step(parameters, std::vector{1.0});
  CHECK(parameters[0] == -2.5F);
  optimizer.step(parameters, std::vector{0.0});
  CHECK(parameters[0] == -3.25F);
}

TEST_CASE("Adam makes the steps of its paper") {
  Optimizer optimizer({OptimizerKind::kAdam, 0.1, Schedule::kConstant}, 2, 10);
  Parameters parameters{1.0F, 1.0F};
  // Step 1: m̂ = g and v̂ = g², so the step is the rate, whatever the gradient's size.
  optimizer.step(parameters, std::vector{2.0, -0.001});
  CHECK(parameters[0] == doctest::Approx(0.9).epsilon(1e-6));
  CHECK(parameters[1] == doctest::Approx(1.1).epsilon(1e-5));
  // Step 2, by hand: m = .9·.2 + .1·1 = .28, m̂ = .28 / .19; v = .999·.004 + .001·1 = .004996,
  // v̂ = .004996 / .001999.
  optimizer.step(parameters, std::vector{1.0, -0.001});
  const double expected = 0.9 - 0.1 * (0.28 / 0.19) / std::sqrt(0.004996 / 0.001999);
  CHECK(parameters[0] == doctest::Approx(expected).epsilon(1e-6));
}

// Reddi et al. 2021, algorithm 2: no correction of the bias, τ in the denominator, and v at τ²
// before the first step, the least that is allowed there. τ is large, so that all of it shows.
TEST_CASE("the server's Adam and Yogi make the steps of their paper") {
  OptimizerSettings settings{OptimizerKind::kAdam, 0.1, Schedule::kConstant};
  settings.beta2 = 0.99;
  settings.epsilon = 0.2;
  settings.corrects_bias = false;
  Optimizer adam(settings, 1, 10);
  Parameters parameters{1.0F};
  adam.step(parameters, std::vector{2.0});  // m = .2, v = .99·.04 + .01·4 = .0796
  double expected = 1 - 0.1 * 0.2 / (std::sqrt(0.0796) + 0.2);
  CHECK(parameters[0] == doctest::Approx(expected).epsilon(1e-6));
  adam.step(parameters, std::vector{1.0});  // m = .28, v = .99·.0796 + .01
  expected -= 0.1 * 0.28 / (std::sqrt(0.088804) + 0.2);
  CHECK(parameters[0] == doctest::Approx(expected).epsilon(1e-6));

  settings.kind = OptimizerKind::kYogi;
  Optimizer yogi(settings, 1, 10);
  parameters = {1.0F};
  yogi.step(parameters, std::vector{2.0});  // g² = 4 > v = .04: v = .04 + .01·4 = .08
  expected = 1 - 0.1 * 0.2 / (std::sqrt(0.08) + 0.2);
  CHECK(parameters[0] == doctest::Approx(expected).epsilon(1e-6));
  yogi.step(parameters, std::vector{0.1});  // g² = .01 < v: v = .08 − .01·.01; m = .19
  expected -= 0.1 * 0.19 / (std::sqrt(0.0799) + 0.2);
  CHECK(parameters[0] == doctest::Approx(expected).epsilon(1e-6));

  // Yogi with the correction, as in its own paper, starts at nothing: v = .01·4, v̂ = 4, m̂ = 2.
  settings.corrects_bias = true;
  Optimizer corrected(settings, 1, 10);
  parameters = {1.0F};
  corrected.step(parameters, std::vector{2.0});
  CHECK(parameters[0] == doctest::Approx(1 - 0.1 * 2 / (2 + 0.2)).epsilon(1e-6));
}

TEST_CASE("an optimiser that takes up another's state goes on as that one does") {
  for (const auto kind : {OptimizerKind::kSgd, OptimizerKind::kMomentum, OptimizerKind::kAdam,
                          OptimizerKind::kYogi}) {
    for (const bool corrects_bias : {true, false}) {
      for (const int before : {0, 3}) {
        CAPTURE(to_string(kind));
        CAPTURE(before);
        OptimizerSettings settings{kind, 0.1};
        settings.epsilon = 0.01;
        settings.corrects_bias = corrects_bias;
        Optimizer first(settings, 2, 10);
        Parameters parameters{1.0F, -1.0F};
        for (int i = 0; i < before; ++i) first.step(parameters, std::vector{0.5, -2.0});
        Optimizer second(settings, 2, 10);
        Parameters other{3.0F, 4.0F};
        second.step(other, std::vector{9.0, 9.0});
        second.restore(first.state());
        CHECK(second.state() == first.state());
        other = parameters;
        for (int i = 0; i < 3; ++i) {
          first.step(parameters, std::vector{0.25, 0.0});
          second.step(other, std::vector{0.25, 0.0});
        }
        CHECK(other == parameters);
      }
    }
  }
}

TEST_CASE("cosine falls from the rate to nearly nothing, constant stays") {
  const Optimizer cosine({OptimizerKind::kSgd, 0.01, Schedule::kCosine}, 1, 100);
  CHECK(cosine.rate_at(1) == 0.01);
  CHECK(cosine.rate_at(51) == doctest::Approx(0.005));
  for (std::uint32_t step = 1; step <= 100; ++step) {
    CHECK(cosine.rate_at(step) ==
          doctest::Approx(0.005 * (1 + std::cos(std::numbers::pi * (step - 1) / 100)))
              .epsilon(1e-12));
    if (step > 1) CHECK(cosine.rate_at(step) < cosine.rate_at(step - 1));
  }
  CHECK(cosine.rate_at(100) > 0);
  CHECK(cosine.rate_at(101) == 0);
  CHECK(cosine.rate_at(1000) == 0);
  const Optimizer constant({OptimizerKind::kSgd, 0.01, Schedule::kConstant}, 1, 100);
  CHECK(constant.rate_at(1) == 0.01);
  CHECK(constant.rate_at(1000) == 0.01);
}

TEST_CASE("sizes that differ are an Error and change nothing") {
  Optimizer optimizer({}, 2, 10);
  Parameters parameters{1.0F, 2.0F};
  CHECK_THROWS_AS(optimizer.step(parameters, std::vector{1.0}), Error);
  Parameters longer{1.0F, 2.0F, 3.0F};
  CHECK_THROWS_AS(optimizer.step(longer, std::vector{1.0, 1.0}), Error);
  CHECK(parameters == Parameters{1.0F, 2.0F});
}

TEST_CASE("optimisers and schedules have names that read back") {
  for (const auto kind : {OptimizerKind::kSgd, OptimizerKind::kMomentum, OptimizerKind::kAdam,
                          OptimizerKind::kYogi}) {
    CHECK(optimizer_from_string(to_string(kind)) == kind);
  }
  for (const auto schedule : {Schedule::kConstant, Schedule::kCosine}) {
    CHECK(schedule_from_string(to_string(schedule)) == schedule);
  }
  CHECK_THROWS_AS((void)optimizer_from_string("Adam"), ConfigError);
  CHECK_THROWS_AS((void)schedule_from_string(""), ConfigError);
}

TEST_CASE("the portable exponential and cosine agree with the C library") {
  for (double x = 0; x > -708; x -= 0.0371) {
    REQUIRE(std::abs(exp_nonpositive(x) / std::exp(x) - 1) < 1e-15);
  }
  CHECK(exp_nonpositive(0) == 1);
  CHECK(exp_nonpositive(-1e300) == 0);
  CHECK(exp_nonpositive(-std::numeric_limits<double>::infinity()) == 0);
  CHECK(std::isnan(exp_nonpositive(std::nan(""))));
  for (double t = 0; t <= 1; t += 1.0 / 512) {
    REQUIRE(std::abs(cos_pi(t) - std::cos(std::numbers::pi * t)) < 1e-15);
  }
}

}  // namespace
}  // namespace blindsum::model
