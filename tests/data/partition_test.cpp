#include "shared/data/partition.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "tests/data/rows.h"
#include "tests/support/temp_dir.h"

namespace blindsum::data {
namespace {

constexpr std::array kKinds{PartitionKind::kIid, PartitionKind::kDirichlet,
                            PartitionKind::kByAttack};

// file_of makes a file whose attacks are drawn with a skew like KDD's.
RawFile file_of(std::size_t rows, std::uint64_t seed) {
  RawFile file;
  file.attack_names = {"normal", "smurf", "neptune", "satan", "warezclient", "rootkit", "phf"};
  SeededRandom random(seed, "partition test");
  for (std::size_t i = 0; i < rows; ++i) {
    std::uint16_t attack = 0;
    while (attack < 6 && random.below(5) > 1) ++attack;
    file.attacks.push_back(attack);
    file.line_begin.push_back(file.text.size());
    file.text += "row " + std::to_string(i) + "\n";
  }
  file.line_begin.push_back(file.text.size());
  return file;
}

std::size_t rows_with(const RawFile& file, const std::vector<std::uint32_t>& rows,
                      std::uint16_t attack) {
  return static_cast<std::size_t>(
      std::ranges::count_if(rows, [&](std::uint32_t row) { return file.attacks[row] == attack; }));
}

TEST_CASE("every row goes to exactly one shard, none of which is empty, for any kind and seed") {
  for (const PartitionKind kind : kKinds) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      SeededRandom random(seed, "partition property");
      const auto parties = static_cast<std::uint32_t>(1 + random.below(40));
      const RawFile file = file_of(parties + random.below(500), seed);
      const double alpha = std::array{0.001, 0.1, 0.5, 1000.0}[random.below(4)];
      INFO(to_string(kind) << ", seed " << seed << ", " << parties << " parties, " << file.rows()
                           << " rows, alpha " << alpha);
      const auto shards = partition(file, {kind, alpha}, parties, seed);
      REQUIRE(shards.size() == parties);
      std::vector<std::uint32_t> all;
      for (const auto& shard : shards) {
        CHECK_FALSE(shard.empty());
        CHECK(std::ranges::is_sorted(shard));
        all.insert(all.end(), shard.begin(), shard.end());
      }
      std::ranges::sort(all);
      std::vector<std::uint32_t> expected(file.rows());
      std::iota(expected.begin(), expected.end(), 0U);
      CHECK(all == expected);
      CHECK(partition(file, {kind, alpha}, parties, seed) == shards);
    }
  }
}

TEST_CASE("another seed gives another partition") {
  const RawFile file = file_of(1000, 1);
  for (const PartitionKind kind : kKinds) {
    CHECK(partition(file, {kind}, 5, 1) != partition(file, {kind}, 5, 2));
  }
}

TEST_CASE("iid shards differ in size by at most one row") {
  const RawFile file = file_of(1003, 3);
  for (const std::uint32_t parties : {1U, 2U, 7U, 10U, 1003U}) {
    const auto shards = partition(file, {PartitionKind::kIid}, parties, 9);
    const auto [low, high] =
        std::ranges::minmax_element(shards, {}, [](const auto& shard) { return shard.size(); });
    CHECK(high->size() - low->size() <= 1);
  }
}

TEST_CASE("a small alpha concentrates classes and a large one spreads them") {
  const RawFile file = file_of(5000, 4);
  // Mean over classes of the largest party's share of the class.
  const auto concentration = [&](double alpha) {
    double sum = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      const auto shards = partition(file, {PartitionKind::kDirichlet, alpha}, 10, seed);
      std::size_t largest = 0;
      std::size_t total = 0;
      for (const auto& shard : shards) {
        const std::size_t normal = rows_with(file, shard, 0);
        largest = std::max(largest, normal);
        total += normal;
      }
      sum += static_cast<double>(largest) / static_cast<double>(total) / 20;
    }
    return sum;
  };
  CHECK(concentration(0.05) > 0.7);
  CHECK(concentration(1000) < 0.13);
}

TEST_CASE("by_attack gives an attack to one or two parties and normal traffic to all") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    const RawFile file = file_of(2000, seed);
    const auto shards = partition(file, {PartitionKind::kByAttack}, 4, seed);
    for (std::uint16_t attack = 0; attack < file.attack_names.size(); ++attack) {
      const auto owners = std::ranges::count_if(
          shards, [&](const auto& shard) { return rows_with(file, shard, attack) > 0; });
      if (attack == 0) {
        CHECK(owners == 4);
      } else {
        CHECK(owners >= 1);
        CHECK(owners <= 2);
      }
    }
    for (const auto& shard : shards) CHECK(rows_with(file, shard, 0) < shard.size());
  }
}

TEST_CASE("impossible partitions are ConfigErrors") {
  const RawFile file = file_of(5, 1);
  CHECK_THROWS_AS((void)partition(file, {}, 6, 1), ConfigError);
  CHECK_THROWS_AS((void)partition(file, {}, 0, 1), ConfigError);
  CHECK_THROWS_AS((void)partition(file, {PartitionKind::kDirichlet, 0.0}, 2, 1), ConfigError);
  CHECK_THROWS_AS((void)partition(file, {PartitionKind::kDirichlet, -1.0}, 2, 1), ConfigError);
  CHECK_THROWS_AS((void)partition(file, {PartitionKind::kDirichlet, std::nan("")}, 2, 1),
                  ConfigError);
}

TEST_CASE("partition kinds have names that read back") {
  for (const PartitionKind kind : kKinds) CHECK(partition_from_string(to_string(kind)) == kind);
  CHECK_THROWS_AS((void)partition_from_string("IID"), ConfigError);
}

TEST_CASE("a shard holds its rows byte for byte and reads as a KDD file") {
  const test::TempDir folder;
  const std::string odd = test::replaced(test::kNormalRow, 4, "0181");
  write_file_atomic(folder.path() / "all", test::kSmurfRow + odd + test::kRootkitRow);
  const RawFile file = read_raw(folder.path() / "all");
  write_shard(file, {1, 2}, folder.path() / "shard");
  CHECK(read_text_file(folder.path() / "shard") == odd + test::kRootkitRow);
  CHECK(read_kdd(folder.path() / "shard").rows == 2);
}

}  // namespace
}  // namespace blindsum::data
