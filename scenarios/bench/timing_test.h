// Does the time of a secret computation depend on its secrets? Two classes of inputs, measured
// interleaved and compared by Welch's t (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant
// time?", DATE 2017). A large |t| is a leak; a small one is none found, with so many measurements.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/crypto/kernels/kernel.h"

namespace blindsum::bench {

// A difference of means of more than this many standard errors is taken as a leak: chance alone
// gives it once in 10^5.
inline constexpr double kLeakThreshold = 4.5;

// Comparison is what two samples of times say. Interrupts and cold caches lengthen some times in
// both classes, so the test is repeated on what is left below several percentiles of all times.
struct Comparison {
  double t = 0;                 // of everything
  double worst_t = 0;           // the t of largest absolute value
  double worst_percentile = 1;  // of the crop that it was found in; 1: everything
  std::size_t measurements = 0;

  [[nodiscard]] bool has_leak() const {
    return worst_t > kLeakThreshold || worst_t < -kLeakThreshold;
  }
};

// compare compares two samples of at least two times each. Crops that leave less than two of a
// class say nothing and are left out.
[[nodiscard]] Comparison compare(const std::vector<double>& a, const std::vector<double>& b);

// Subject is a computation with two classes of inputs. call(c, i) runs input i < kInputs of class
// c. Each class must have its own memory for each of its inputs, even when they are equal, so that
// caches treat both alike.
struct Subject {
  static constexpr std::size_t kInputs = 16;

  std::string computation;
  std::string kernel;  // "gmp": the control, GMP's mpz_powm, which is not constant-time
  std::string class_a;
  std::string class_b;
  bool is_control = false;
  std::function<void(std::size_t, std::size_t)> call;
};

// subjects_of makes the subjects of one key size: the secret powers of each kernel, alone and
// inside a whole decryption, and the control.
[[nodiscard]] std::vector<Subject> subjects_of(
    std::size_t modulus_bits, const std::vector<const crypto::kernels::Kernel*>& kernels,
    ThreadPool& pool);

// time_subject times `measurements` calls, of a random class and input each, in cycles of the
// processor's clock.
[[nodiscard]] Comparison time_subject(const Subject& subject, std::size_t measurements);

}  // namespace blindsum::bench
