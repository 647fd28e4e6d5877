// Elementary functions from additions and multiplications alone: the same bits on every x86-64 and
// Arm machine, which the C library (it picks code by CPU) does not promise. Internal to model.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace blindsum::model {

// exp_nonpositive returns e^x for x <= 0 with a relative error below 1e-15, 0 below -708, and NaN
// for NaN.
inline double exp_nonpositive(double x) {
  if (x < -708) return 0;
  constexpr double kLn2High = 0x1.62e42fee00000p-1;  // its product with k is exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  const double k = std::floor(x * std::numbers::log2e + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= ln 2 / 2
  double sum = 1;
  for (int i = 14; i > 0; --i) sum = 1 + sum * r / i;
  return std::isnan(x) ? x : std::ldexp(sum, static_cast<int>(k));
}

// cos_pi returns cos(πt) for 0 <= t <= 1.
inline double cos_pi(double t) {
  if (t > 0.5) return -cos_pi(1 - t);
  const double x = std::numbers::pi * t;
  double sum = 1;
  for (int i = 22; i > 0; i -= 2) sum = 1 - sum * x * x / (i * (i - 1));
  return sum;
}

}  // namespace blindsum::model
