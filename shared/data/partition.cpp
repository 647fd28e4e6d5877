#include "shared/data/partition.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/core/words.h"

namespace blindsum::data {
namespace {

constexpr Words<PartitionKind, 3> kPartitions("partition", {"iid", "dirichlet", "by_attack"});

using Rows = std::vector<std::uint32_t>;
using Shards = std::vector<Rows>;

// deal_evenly cuts `rows` into parts that differ by at most one and appends part i to
// shards[owners[i]].
void deal_evenly(const Rows& rows, const std::vector<std::uint32_t>& owners, Shards& shards) {
  for (std::size_t i = 0; i < owners.size(); ++i) {
    Rows& shard = shards[owners[i]];
    shard.insert(shard.end(), rows.begin() + std::ptrdiff_t(rows.size() * i / owners.size()),
                 rows.begin() + std::ptrdiff_t(rows.size() * (i + 1) / owners.size()));
  }
}

std::vector<std::uint32_t> everyone(std::size_t parties) {
  std::vector<std::uint32_t> all(parties);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

// rows_by groups the rows of `file` by the group of their attack.
template <class GroupOf>
std::vector<Rows> rows_by(const RawFile& file, std::size_t groups, GroupOf&& group_of) {
  std::vector<Rows> result(groups);
  for (std::uint32_t row = 0; row < file.rows(); ++row) {
    result[group_of(file.attacks[row])].push_back(row);
  }
  return result;
}

void deal_iid(const RawFile& file, SeededRandom& random, Shards& shards) {
  Rows rows = everyone(file.rows());
  random.shuffle(std::span(rows));
  deal_evenly(rows, everyone(shards.size()), shards);
}

void deal_dirichlet(const RawFile& file, double alpha, SeededRandom& random, Shards& shards) {
  std::vector<std::size_t> class_of_attack;
  for (const std::string& name : file.attack_names) {
    class_of_attack.push_back(static_cast<std::size_t>(class_of(name)));
  }
  for (Rows& rows :
       rows_by(file, kClasses, [&](std::uint16_t attack) { return class_of_attack[attack]; })) {
    random.shuffle(std::span(rows));
    std::vector<double> shares(shards.size());
    for (double& share : shares) share = random.gamma(alpha);
    double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    if (!(total > 0)) {  // every variate underflowed: the limit alpha → 0 gives one party all
      shares[random.below(shares.size())] = total = 1;
    }
    double upto = 0;
    std::size_t begin = 0;
    for (std::size_t p = 0; p < shards.size(); ++p) {
      upto += shares[p];
      const auto cut = static_cast<std::size_t>(
          std::llround(static_cast<double>(rows.size()) * std::min(1.0, upto / total)));
      const std::size_t end = p + 1 == shards.size() ? rows.size() : std::max(begin, cut);
      shards[p].insert(shards[p].end(), rows.begin() + std::ptrdiff_t(begin),
                       rows.begin() + std::ptrdiff_t(end));
      begin = end;
    }
  }
}

void deal_by_attack(const RawFile& file, SeededRandom& random, Shards& shards) {
  std::vector<Rows> attacks =
      rows_by(file, file.attack_names.size(), [](std::uint16_t attack) { return attack; });
  std::vector<std::size_t> order(attacks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::size_t a) { return attacks[a].size(); });
  // Frequent attacks first, each to the parties with the fewest attack rows so far, so that a rare
  // attack does not drown in a flood of its own party. A shuffled order breaks ties.
  std::vector<std::uint32_t> parties = everyone(shards.size());
  random.shuffle(std::span(parties));
  std::vector<std::size_t> dealt(shards.size(), 0);
  for (const std::size_t attack : order) {
    Rows& rows = attacks[attack];
    random.shuffle(std::span(rows));
    if (file.attack_names[attack] == "normal") {
      deal_evenly(rows, everyone(shards.size()), shards);
      continue;
    }
    std::ranges::stable_sort(parties, {}, [&](std::uint32_t p) { return dealt[p]; });
    const std::size_t count = std::min<std::size_t>(1 + random.below(2), shards.size());
    const std::vector<std::uint32_t> owners(parties.begin(),
                                            parties.begin() + std::ptrdiff_t(count));
    deal_evenly(rows, owners, shards);
    for (const std::uint32_t owner : owners) dealt[owner] += rows.size() / count;
  }
}

// fill_empty gives every empty shard a row of the shard that is largest then (the first on ties).
void fill_empty(Shards& shards) {
  for (Rows& shard : shards) {
    if (!shard.empty()) continue;
    Rows& largest = *std::ranges::max_element(shards, {}, &Rows::size);
    shard.push_back(largest.back());
    largest.pop_back();
  }
}

}  // namespace

std::string_view to_string(PartitionKind kind) { return kPartitions.word(kind); }

PartitionKind partition_from_string(std::string_view name) { return kPartitions.value(name); }

std::vector<std::vector<std::uint32_t>> partition(const RawFile& file,
                                                  const PartitionSettings& settings,
                                                  std::uint32_t parties, std::uint64_t seed) {
  if (parties == 0) throw ConfigError("a partition needs at least one party");
  if (file.rows() < parties) {
    throw ConfigError(std::to_string(file.rows()) + " rows cannot be shared among " +
                      std::to_string(parties) + " parties");
  }
  SeededRandom random(seed, "partition", {static_cast<std::uint64_t>(settings.kind), parties});
  Shards shards(parties);
  switch (settings.kind) {
    case PartitionKind::kIid:
      deal_iid(file, random, shards);
      break;
    case PartitionKind::kDirichlet:
      if (!(settings.alpha > 0) || !std::isfinite(settings.alpha)) {
        throw ConfigError("alpha must be a positive number");
      }
      deal_dirichlet(file, settings.alpha, random, shards);
      break;
    case PartitionKind::kByAttack:
      deal_by_attack(file, random, shards);
      break;
  }
  fill_empty(shards);
  for (Rows& shard : shards) std::ranges::sort(shard);
  return shards;
}

void write_shard(const RawFile& file, const std::vector<std::uint32_t>& rows,
                 const std::filesystem::path& path) {
  std::string text;
  for (const std::uint32_t row : rows) text.append(file.line(row));
  write_file_atomic(path, text);
}

}  // namespace blindsum::data
