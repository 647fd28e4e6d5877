// Partitioners: which party gets which row.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/data/records.h"

namespace blindsum::data {

enum class PartitionKind {
  kIid,
  kDirichlet,
  kByAttack,
  kQuantity,
  kSomeClasses,
  kByService,
  kByTime
};
// "iid", "dirichlet", "by_attack", "quantity", "classes", "by_service", "by_time"
[[nodiscard]] std::string_view to_string(PartitionKind kind);
[[nodiscard]] PartitionKind partition_from_string(std::string_view name);  // Throws ConfigError.

struct PartitionSettings {
  PartitionKind kind = PartitionKind::kIid;
  // kDirichlet: concentration of each class over the parties (Yurochkin et al. 2019; Li et al.
  // 2022); kQuantity: of rows.
  double alpha = 0.5;
  std::uint32_t classes = 2;  // kSomeClasses: of a party
  // The rows of this attack, if any, go to that party, or to none.
  std::string zero_day = {};
  std::optional<std::uint32_t> zero_day_party = {};
};

// partition assigns every row of `file`, but for those of a zero-day attack, to exactly one of
// `parties` shards; result[p] lists rows ascending. Every shard gets at least one row.
// Deterministic in (file, settings, seed).
//   iid        rows shuffled, cut into equal parts (sizes differ by at most one)
//   dirichlet  for each class, shares of the parties ~ Dirichlet(alpha)
//   by_attack  each label belongs to one or two parties; the first class is cut among all
//   quantity   rows shuffled, sizes ~ Dirichlet(alpha)
//   classes    each party has rows of `classes` classes, and each class some party
//   by_service each service belongs to one or two parties, as attacks in by_attack
//   by_time    rows as they come, cut into equal runs
// Throws ConfigError when there are fewer rows than parties, alpha is not positive, the parties are
// too few for the classes, the schema has no column for by_service, or the zero-day attack is none
// of the file's (with the nearest name).
[[nodiscard]] std::vector<std::vector<std::uint32_t>> partition(const RawFile& file,
                                                                const PartitionSettings& settings,
                                                                std::uint32_t parties,
                                                                std::uint64_t seed);

// write_shard writes the given rows, behind the file's header if it has one (atomically).
void write_shard(const RawFile& file, const std::vector<std::uint32_t>& rows,
                 const std::filesystem::path& path);

}  // namespace blindsum::data
