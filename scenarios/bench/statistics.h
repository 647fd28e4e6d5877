// Medians, and Welch's test of whether two samples have the same mean.
#pragma once

#include <span>
#include <vector>

namespace blindsum::bench {

// median returns the middle of the sorted sample, or the mean of the two middles. At least one
// number.
[[nodiscard]] double median(std::vector<double> sample);

// percentile returns the smallest number that at least the share `p` of the sample does not
// exceed, 0 < p <= 1. At least one number.
[[nodiscard]] double percentile(std::vector<double> sample, double p);

// welch_t returns (mean(a) − mean(b)) / sqrt(var(a)/|a| + var(b)/|b|) with variances over n − 1
// (Welch 1947). Each sample needs two numbers. Both variances 0: 0 for equal means, else infinite.
[[nodiscard]] double welch_t(std::span<const double> a, std::span<const double> b);

}  // namespace blindsum::bench
