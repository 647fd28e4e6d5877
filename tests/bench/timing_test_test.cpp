#include "scenarios/bench/timing_test.h"

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/seeded_random.h"

namespace blindsum::bench {
namespace {

constexpr std::uint64_t kSeed = 20240229;

// times returns `count` numbers around `mean`: sums of twelve uniform numbers, variance 1.
std::vector<double> times(SeededRandom& random, std::size_t count, double mean) {
  std::vector<double> result(count);
  for (double& x : result) {
    x = mean - 6;
    for (int i = 0; i < 12; ++i) x += static_cast<double>(random.next_u64() >> 11) * 0x1p-53;
  }
  return result;
}

TEST_CASE("samples of one distribution show no leak, whatever the sizes") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "same");
  for (const std::size_t size : {2UL, 100UL, 20000UL}) {
    const Comparison found = compare(times(random, size, 100), times(random, 3 * size, 100));
    CAPTURE(found.worst_t);
    CHECK(!found.has_leak());
    CHECK(found.measurements == 4 * size);
  }
}

TEST_CASE("a difference of a tenth of the spread is found in enough measurements") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "shifted");
  const Comparison found = compare(times(random, 20000, 100), times(random, 20000, 100.1));
  CHECK(found.has_leak());
  CHECK(found.t == doctest::Approx(-10).epsilon(0.3));  // −0.1 / sqrt(2 / 20000)
  CHECK(compare(times(random, 20000, 100.1), times(random, 20000, 100)).t > kLeakThreshold);
}

TEST_CASE("a difference that rare long times drown is found below a percentile") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "interrupted");
  std::vector<double> a = times(random, 5000, 100);
  std::vector<double> b = times(random, 5000, 100.5);
  for (std::size_t i = 0; i < a.size(); i += 50) {
    a[i] += 1e6;
    b[i] += 1e6;
  }
  const Comparison found = compare(a, b);
  CHECK(std::abs(found.t) < kLeakThreshold);
  CHECK(found.has_leak());
  CHECK(found.worst_percentile < 1);
}

TEST_CASE("crops that leave nothing of a class are left out") {
  const Comparison found = compare({1, 1, 1, 1, 1, 1, 1, 1}, {5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(found.has_leak());
  CHECK(std::isfinite(found.t));
}

TEST_CASE("a call that takes longer for one class is a leak, one that ignores it is not") {
  volatile unsigned sink = 0;
  const auto spin = [&sink](unsigned turns) {
    for (unsigned i = 0; i < turns; ++i) sink = sink + i;
  };
  const auto subject = [](auto call) {
    Subject result;
    result.call = call;
    return result;
  };
  CHECK(time_subject(subject([&](std::size_t c, std::size_t) { spin(c == 0 ? 2000 : 3000); }), 4000)
            .has_leak());
  CHECK(!time_subject(subject([&](std::size_t, std::size_t) { spin(2000); }), 4000).has_leak());
}

}  // namespace
}  // namespace blindsum::bench
