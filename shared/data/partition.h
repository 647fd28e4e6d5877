// Partitioners: which party gets which row.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shared/data/kdd.h"

namespace blindsum::data {

enum class PartitionKind { kIid, kDirichlet, kByAttack };
[[nodiscard]] std::string_view to_string(PartitionKind kind);  // "iid", "dirichlet", "by_attack"
[[nodiscard]] PartitionKind partition_from_string(std::string_view name);  // Throws ConfigError.

struct PartitionSettings {
  PartitionKind kind = PartitionKind::kIid;
  double alpha =
      0.5;  // dirichlet alone: concentration of each class over the parties (Hsu et al. 2019)
};

// partition assigns every row of `file` to exactly one of `parties` shards; result[p] lists rows
// ascending. Every shard gets at least one row. Deterministic in (file, settings, seed).
//   iid        rows shuffled, cut into equal parts (sizes differ by at most one)
//   dirichlet  for each class, shares of the parties ~ Dirichlet(alpha)
//   by_attack  each attack type (and normal traffic cut among all) belongs to one or two parties
// Throws ConfigError when there are fewer rows than parties or alpha is not positive.
[[nodiscard]] std::vector<std::vector<std::uint32_t>> partition(const RawFile& file,
                                                                const PartitionSettings& settings,
                                                                std::uint32_t parties,
                                                                std::uint64_t seed);

// write_shard writes the given rows as a KDD CSV file (atomically).
void write_shard(const RawFile& file, const std::vector<std::uint32_t>& rows,
                 const std::filesystem::path& path);

}  // namespace blindsum::data
