#include "shared/model/training.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/hash.h"

namespace blindsum::model {
namespace {

data::Statistics counts(const std::vector<std::int64_t>& classes) {
  data::Statistics statistics;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    statistics.values[1 + c] = classes[c];
    statistics.values[0] += classes[c];
  }
  return statistics;
}

TEST_CASE("class weights average to 1 over the rows") {
  const data::Statistics statistics = counts({100, 400, 25, 0, 1});
  const auto none = class_weights_from(ClassWeights::kNone, statistics);
  CHECK(none == std::vector<double>{1, 1, 1, 0, 1});
  // Σ count/√count = 10 + 20 + 5 + 1 = 36, rows = 526.
  const auto sqrt = class_weights_from(ClassWeights::kSqrt, statistics);
  const double k = 526.0 / 36;
  for (const auto& [c, expected] : std::vector<std::pair<std::size_t, double>>{
           {0, k / 10}, {1, k / 20}, {2, k / 5}, {3, 0}, {4, k}}) {
    CHECK(sqrt[c] == doctest::Approx(expected).epsilon(1e-12));
  }
  const auto balanced = class_weights_from(ClassWeights::kBalanced, statistics);
  CHECK(balanced[4] == doctest::Approx(526.0 / 4).epsilon(1e-12));
  CHECK(balanced[1] == doctest::Approx(526.0 / 1600).epsilon(1e-12));
  CHECK(balanced[3] == 0);
  CHECK_THROWS_AS((void)class_weights_from(ClassWeights::kSqrt, {}), DataError);
}

TEST_CASE("a batch has distinct rows, depends on seed, party and round, and repeats") {
  const auto batch = batch_rows(1000, 256, 1, 2, 3);
  CHECK(batch.size() == 256);
  CHECK(std::ranges::adjacent_find(batch, std::ranges::greater_equal{}) == batch.end());
  CHECK(batch.back() < 1000);
  CHECK(batch_rows(1000, 256, 1, 2, 3) == batch);
  CHECK(batch_rows(1000, 256, 2, 2, 3) != batch);
  CHECK(batch_rows(1000, 256, 1, 3, 3) != batch);
  CHECK(batch_rows(1000, 256, 1, 2, 4) != batch);
  CHECK(batch_rows(3, 256, 1, 2, 3) == std::vector<std::uint32_t>{0, 1, 2});
  CHECK(batch_rows(0, 256, 1, 2, 3).empty());
  CHECK(batch_rows(5, 0, 1, 2, 3).empty());
}

TEST_CASE("every row is drawn about equally often") {
  constexpr std::uint64_t kSeed = 11;
  INFO("seed " << kSeed);
  std::vector<int> drawn(20, 0);
  constexpr int kRounds = 20'000;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    for (const std::uint32_t row : batch_rows(20, 5, kSeed, 0, round)) ++drawn[row];
  }
  // Binomial(20,000, 1/4): mean 5,000, deviation 61.
  for (const int count : drawn) CHECK(std::abs(count - 5000) < 6 * 61);
}

TEST_CASE("batches never change between versions") {
  Bytes bytes;
  for (const std::uint32_t row : batch_rows(494'021, 256, 1, 7, 42)) append_le32(bytes, row);
  CHECK(digest_text(sha256(bytes)) ==
        "sha256:c0c4c51440342407bcbfe9f8ed0ab8f7cea34c2703fb1122b43f5b7976034b2b");
}

TEST_CASE("class weights have names that read back") {
  for (const auto w : {ClassWeights::kNone, ClassWeights::kSqrt, ClassWeights::kBalanced}) {
    CHECK(class_weights_from_string(to_string(w)) == w);
  }
  CHECK_THROWS_AS((void)class_weights_from_string("root"), ConfigError);
}

}  // namespace
}  // namespace blindsum::model
