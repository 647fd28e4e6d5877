#include "shared/model/privacy_accountant.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "shared/core/error.h"

namespace blindsum::model {
namespace {

constexpr unsigned kLeastOrder = 2;
constexpr unsigned kMostOrder = 256;

double log_binomial(unsigned n, unsigned k) {
  return std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0);
}

// log_add returns log(e^a + e^b).
double log_add(double a, double b) {
  const double high = std::max(a, b);
  return high == -std::numeric_limits<double>::infinity()
             ? high
             : high + std::log1p(std::exp(std::min(a, b) - high));
}

// divergence_of is (1/(α−1)) log Σ_k C(α,k) (1−q)^(α−k) q^k e^((k²−k)/(2σ²)).
double divergence_of(unsigned order, double noise, double rate) {
  const double variance = noise * noise;
  if (rate == 1) return order / (2 * variance);
  double log_sum = -std::numeric_limits<double>::infinity();
  for (unsigned k = 0; k <= order; ++k) {
    const double pairs = 0.5 * k * (k - 1.0);
    log_sum = log_add(log_sum, log_binomial(order, k) + (order - k) * std::log1p(-rate) +
                                   k * std::log(rate) + pairs / variance);
  }
  return std::max(0.0, log_sum / (order - 1));
}

}  // namespace

PrivacyAccountant::PrivacyAccountant(double noise_multiplier, double sampling_rate) {
  if (!(noise_multiplier > 0) || !std::isfinite(noise_multiplier)) {
    throw ConfigError("the noise must be a positive multiple of the sensitivity");
  }
  if (!(sampling_rate > 0 && sampling_rate <= 1)) {
    throw ConfigError("a sampling rate lies above 0 and is at most 1");
  }
  for (unsigned order = kLeastOrder; order <= kMostOrder; ++order) {
    divergence_.push_back(divergence_of(order, noise_multiplier, sampling_rate));
  }
}

double PrivacyAccountant::epsilon(std::uint32_t rounds, double delta) const {
  if (!(delta > 0 && delta < 1)) throw ConfigError("delta lies between 0 and 1");
  if (rounds == 0) return 0;
  double least = std::numeric_limits<double>::infinity();
  for (unsigned order = kLeastOrder; order <= kMostOrder; ++order) {
    const double less_one = order - 1.0;
    least = std::min(least, rounds * divergence(order) + std::log(less_one / order) -
                                (std::log(delta) + std::log(order)) / less_one);
  }
  return std::max(0.0, least);
}

}  // namespace blindsum::model
