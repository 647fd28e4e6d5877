// What the noise of a training run guarantees to every single record.
#pragma once

#include <cstdint>
#include <vector>

namespace blindsum::model {

// PrivacyAccountant follows the Rényi differential privacy of rounds that each release a sum over a
// Poisson sample of the records, with Gaussian noise (Mironov, Talwar and Zhang 2019, section 3.3:
// whole orders from 2 to 256). Neighbours are data sets that differ by one record more or less.
// The discrete Gaussian has the same bound (Canonne, Kamath and Steinke 2020, proposition 5), as
// has, up to a term below 10^-9 for deviations above 4, a sum of them (Kairouz, Liu and Steinke
// 2021, theorem 1). Immutable, thread-safe.
class PrivacyAccountant {
 public:
  // `noise_multiplier` is the noise's standard deviation over the sum's sensitivity to one record,
  // `sampling_rate` the probability with which a record is in a round. Throws ConfigError unless
  // noise_multiplier > 0 and 0 < sampling_rate <= 1.
  PrivacyAccountant(double noise_multiplier, double sampling_rate);

  // epsilon returns the least ε, over the orders, such that `rounds` rounds together are
  // (ε, delta)-differentially private (conversion: Canonne, Kamath and Steinke 2020, proposition
  // 12). 0 for no rounds. Throws ConfigError unless 0 < delta < 1.
  [[nodiscard]] double epsilon(std::uint32_t rounds, double delta) const;

  // divergence returns the Rényi divergence of order `order`, 2 to 256, of one round.
  [[nodiscard]] double divergence(unsigned order) const { return divergence_.at(order - 2); }

 private:
  std::vector<double> divergence_;
};

}  // namespace blindsum::model
