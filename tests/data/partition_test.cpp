#include "shared/data/partition.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "tests/data/rows.h"
#include "tests/support/temp_dir.h"

namespace blindsum::data {
namespace {

constexpr std::array kKinds{PartitionKind::kIid,         PartitionKind::kDirichlet,
                            PartitionKind::kByAttack,    PartitionKind::kQuantity,
                            PartitionKind::kSomeClasses, PartitionKind::kByService,
                            PartitionKind::kByTime};

// file_of makes a file whose attacks are drawn with a skew like KDD's.
RawFile file_of(std::size_t rows, std::uint64_t seed) {
  RawFile file;
  file.attack_names = {"normal", "smurf", "neptune", "satan", "warezclient", "rootkit", "phf"};
  SeededRandom random(seed, "partition test");
  for (std::size_t i = 0; i < rows; ++i) {
    std::uint16_t attack = 0;
    while (attack < 6 && random.below(5) > 1) ++attack;
    file.attacks.push_back(attack);
    file.services.push_back(static_cast<std::int16_t>(random.below(9)) - 1);
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
      PartitionSettings settings{kind, alpha, 5};
      // With all five classes each, no class is left without a party.
      const std::set<std::uint16_t> attacks(file.attacks.begin(), file.attacks.end());
      std::set<TrafficClass> classes;
      for (const std::uint16_t attack : attacks)
        classes.insert(class_of(file.attack_names[attack]));
      settings.classes = static_cast<std::uint32_t>(classes.size());
      const auto shards = partition(file, settings, parties, seed);
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
      CHECK(partition(file, settings, parties, seed) == shards);
    }
  }
}

TEST_CASE("another seed gives another partition") {
  const RawFile file = file_of(1000, 1);
  for (const PartitionKind kind : kKinds) {
    if (kind == PartitionKind::kByTime) continue;  // time knows no chance
    CHECK(partition(file, {kind}, 5, 1) != partition(file, {kind}, 5, 2));
  }
}

TEST_CASE("by time, shards are runs of the file") {
  const auto shards = partition(file_of(10, 1), {PartitionKind::kByTime}, 3, 1);
  CHECK(shards[0] == std::vector<std::uint32_t>{0, 1, 2});
  CHECK(shards[1] == std::vector<std::uint32_t>{3, 4, 5});
  CHECK(shards[2] == std::vector<std::uint32_t>{6, 7, 8, 9});
}

TEST_CASE("by class, a party has as many classes as it should, and a class some party") {
  const RawFile file = file_of(2000, 6);
  for (const std::uint32_t each : {1U, 2U, 3U, 5U}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(each);
      CAPTURE(seed);
      std::set<TrafficClass> everywhere;
      for (const auto& shard : partition(file, {PartitionKind::kSomeClasses, 1, each}, 12, seed)) {
        std::set<TrafficClass> own;
        for (const std::uint32_t row : shard) {
          own.insert(class_of(file.attack_names[file.attacks[row]]));
        }
        CHECK(own.size() == each);
        everywhere.insert(own.begin(), own.end());
      }
      CHECK(everywhere.size() == 5);
    }
  }
  CHECK_THROWS_WITH_AS((void)partition(file, {PartitionKind::kSomeClasses, 1, 6}, 12, 1),
                       "data.partition.classes: 6 classes a party, but the training rows have 5; "
                       "use a whole number from 1 to 5",
                       ConfigError);
  CHECK_THROWS_WITH_AS((void)partition(file, {PartitionKind::kSomeClasses, 1, 1}, 4, 1),
                       "data.partition.classes: 4 parties of 1 classes each leave some of the 5 "
                       "classes of the rows out; use at least 2, or more parties",
                       ConfigError);
}

TEST_CASE("by service, a service belongs to one or two parties") {
  const RawFile file = file_of(3000, 7);
  std::map<std::int16_t, std::set<std::size_t>> owners;
  const auto shards = partition(file, {PartitionKind::kByService}, 4, 3);
  for (std::size_t p = 0; p < shards.size(); ++p) {
    for (const std::uint32_t row : shards[p]) owners[file.services[row]].insert(p);
  }
  CHECK(owners.size() == 9);
  for (const auto& [service, parties] : owners) CHECK(parties.size() <= 2);
}

TEST_CASE("quantity makes sizes uneven and leaves the mix alone") {
  const RawFile file = file_of(20000, 8);
  const auto shards = partition(file, {PartitionKind::kQuantity, 0.5}, 10, 2);
  const auto [low, high] =
      std::ranges::minmax_element(shards, {}, [](const auto& shard) { return shard.size(); });
  CHECK(high->size() > 4 * low->size());
  const std::vector<std::uint32_t> all = [&] {
    std::vector<std::uint32_t> rows(file.rows());
    std::iota(rows.begin(), rows.end(), 0U);
    return rows;
  }();
  const double normal = static_cast<double>(rows_with(file, all, 0)) / 20000;
  const auto size = static_cast<double>(high->size());
  // Five standard deviations of a share drawn without replacement, at most.
  CHECK(std::abs(static_cast<double>(rows_with(file, *high, 0)) / size - normal) <
        5 * std::sqrt(normal * (1 - normal) / size));
}

TEST_CASE("a zero-day attack is held out, or one party's alone, whatever the kind") {
  const RawFile file = file_of(3000, 9);
  for (const PartitionKind kind : kKinds) {
    CAPTURE(to_string(kind));
    PartitionSettings settings{kind};
    settings.zero_day = "neptune";
    for (const std::optional<std::uint32_t> party :
         {std::optional<std::uint32_t>(), std::optional<std::uint32_t>(3)}) {
      settings.zero_day_party = party;
      const auto shards = partition(file, settings, 6, 4);
      std::size_t rows = 0;
      for (std::uint32_t p = 0; p < shards.size(); ++p) {
        CHECK(std::ranges::is_sorted(shards[p]));
        rows += shards[p].size();
        const std::size_t found = rows_with(file, shards[p], 2);
        CHECK((found > 0) == (party == p));
      }
      const auto neptune = static_cast<std::size_t>(std::ranges::count(file.attacks, 2));
      CHECK(rows == (party ? 3000 : 3000 - neptune));
    }
  }
  PartitionSettings settings;
  settings.zero_day = "nepture";
  CHECK_THROWS_WITH_AS((void)partition(file, settings, 6, 4),
                       doctest::Contains("no 'nepture'; they have normal, smurf, neptune"),
                       ConfigError);
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
  CHECK_THROWS_WITH_AS((void)partition(file, {}, 6, 1),
                       "parties: 5 training rows cannot be shared among 6 parties; use at most 5, "
                       "or a larger training file (data.source)",
                       ConfigError);
  CHECK_THROWS_WITH_AS((void)partition(file, {}, 0, 1), "parties: a partition needs one at least",
                       ConfigError);
  CHECK_THROWS_WITH_AS((void)partition(file, {PartitionKind::kDirichlet, 0.0}, 2, 1),
                       "data.partition.alpha: 0.000000 is not allowed; use a positive number: 0.1 "
                       "for strong skew, 100 for hardly any",
                       ConfigError);
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
  const RawFile file = read_raw(folder.path() / "all", Schema::kdd99());
  write_shard(file, {1, 2}, folder.path() / "shard");
  CHECK(read_text_file(folder.path() / "shard") == odd + test::kRootkitRow);
  CHECK(read_kdd(folder.path() / "shard").rows == 2);
}

}  // namespace
}  // namespace blindsum::data
