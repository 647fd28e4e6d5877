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

constexpr Words<PartitionKind, 7> kPartitions("partition",
                                              {"iid", "dirichlet", "by_attack", "quantity",
                                               "classes", "by_service", "by_time"});

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

// rows_by groups `rows` by the group of each.
template <class GroupOf>
std::vector<Rows> rows_by(const Rows& rows, std::size_t groups, GroupOf&& group_of) {
  std::vector<Rows> result(groups);
  for (const std::uint32_t row : rows) result[group_of(row)].push_back(row);
  return result;
}

// rows_by_class groups them by the class of their attack.
std::vector<Rows> rows_by_class(const RawFile& file, const Rows& rows) {
  std::vector<std::size_t> class_of_attack;
  for (const std::string& name : file.attack_names) {
    class_of_attack.push_back(file.schema.class_of(name));
  }
  return rows_by(rows, file.schema.classes().size(),
                 [&](std::uint32_t row) { return class_of_attack[file.attacks[row]]; });
}

void deal_iid(Rows rows, SeededRandom& random, Shards& shards) {
  random.shuffle(std::span(rows));
  deal_evenly(rows, everyone(shards.size()), shards);
}

void require_positive(double alpha) {
  if (alpha > 0 && std::isfinite(alpha)) return;
  throw ConfigError(
      "data.partition.alpha: " + std::to_string(alpha) +
      " is not allowed; use a positive number: 0.1 for strong skew, 100 for hardly any");
}

// deal_by_shares cuts `rows` into parts whose sizes are drawn from Dirichlet(alpha).
void deal_by_shares(const Rows& rows, double alpha, SeededRandom& random, Shards& shards) {
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

void deal_quantity(Rows rows, double alpha, SeededRandom& random, Shards& shards) {
  require_positive(alpha);
  random.shuffle(std::span(rows));
  deal_by_shares(rows, alpha, random, shards);
}

// deal_classes lets the parties, in a shuffled order, take the next `each` of the classes that the
// rows have, round and round.
void deal_classes(const RawFile& file, const Rows& all, std::uint32_t each, SeededRandom& random,
                  Shards& shards) {
  std::vector<Rows> classes = rows_by_class(file, all);
  std::erase_if(classes, [](const Rows& rows) { return rows.empty(); });
  if (each < 1 || each > classes.size()) {
    throw ConfigError("data.partition.classes: " + std::to_string(each) +
                      " classes a party, but the training rows have " +
                      std::to_string(classes.size()) + "; use a whole number from 1 to " +
                      std::to_string(classes.size()));
  }
  if (shards.size() * each < classes.size()) {
    const std::size_t parties = shards.size();
    throw ConfigError("data.partition.classes: " + std::to_string(parties) + " parties of " +
                      std::to_string(each) + " classes each leave some of the " +
                      std::to_string(classes.size()) + " classes of the rows out; use at least " +
                      std::to_string((classes.size() + parties - 1) / parties) +
                      ", or more parties");
  }
  std::vector<std::uint32_t> parties = everyone(shards.size());
  random.shuffle(std::span(parties));
  std::vector<std::vector<std::uint32_t>> owners(classes.size());
  for (std::size_t i = 0; i < parties.size() * each; ++i) {
    owners[i % classes.size()].push_back(parties[i / each]);
  }
  for (std::size_t c = 0; c < classes.size(); ++c) {
    random.shuffle(std::span(classes[c]));
    deal_evenly(classes[c], owners[c], shards);
  }
}

void deal_dirichlet(const RawFile& file, const Rows& all, double alpha, SeededRandom& random,
                    Shards& shards) {
  require_positive(alpha);
  for (Rows& rows : rows_by_class(file, all)) {
    random.shuffle(std::span(rows));
    deal_by_shares(rows, alpha, random, shards);
  }
}

// deal_groups gives each group to one or two parties, but cuts those that `is_shared` among all.
template <class IsShared>
void deal_groups(std::vector<Rows> groups, const IsShared& is_shared, SeededRandom& random,
                 Shards& shards) {
  std::vector<std::size_t> order(groups.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::size_t a) { return groups[a].size(); });
  // Large groups first, each to the parties with the fewest such rows so far, so that a rare
  // attack does not drown in a flood of its own party. A shuffled order breaks ties.
  std::vector<std::uint32_t> parties = everyone(shards.size());
  random.shuffle(std::span(parties));
  std::vector<std::size_t> dealt(shards.size(), 0);
  for (const std::size_t group : order) {
    Rows& rows = groups[group];
    random.shuffle(std::span(rows));
    if (is_shared(group)) {
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

void deal_by_attack(const RawFile& file, const Rows& rows, SeededRandom& random, Shards& shards) {
  const auto is_harmless = [&](std::size_t attack) {
    return file.schema.class_of(file.attack_names[attack]) == 0;
  };
  deal_groups(
      rows_by(rows, file.attack_names.size(), [&](std::uint32_t row) { return file.attacks[row]; }),
      is_harmless, random, shards);
}

void deal_by_service(const RawFile& file, const Rows& rows, SeededRandom& random, Shards& shards) {
  const auto column = file.schema.categorical_named(kServiceColumn);
  if (!column) {
    throw ConfigError("data.partition.kind: by_service needs a category column called '" +
                      std::string(kServiceColumn) + "', which the schema does not have");
  }
  const std::size_t known = file.schema.categorical_column(*column).values.size();
  auto groups = rows_by(rows, known + 1, [&](std::uint32_t row) {
    const std::int16_t service = file.services[row];
    return service == kUnknownCategory ? known : static_cast<std::size_t>(service);
  });
  std::erase_if(groups, [](const Rows& group) { return group.empty(); });
  deal_groups(
      std::move(groups), [](std::size_t) { return false; }, random, shards);
}

// attack_in returns the index of an attack of the file.
std::uint16_t attack_in(const RawFile& file, const std::string& name) {
  const auto found = std::ranges::find(file.attack_names, name);
  if (found == file.attack_names.end()) {
    std::string names;
    for (const std::string& known : file.attack_names) names += (names.empty() ? "" : ", ") + known;
    throw ConfigError("data.zero_day.attack: the training rows have no '" + name + "'; they have " +
                      names);
  }
  return static_cast<std::uint16_t>(found - file.attack_names.begin());
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
  if (parties == 0) throw ConfigError("parties: a partition needs one at least");
  if (file.rows() < parties) {
    throw ConfigError("parties: " + std::to_string(file.rows()) +
                      " training rows cannot be shared among " + std::to_string(parties) +
                      " parties; use at most " + std::to_string(file.rows()) +
                      ", or a larger training file (data.source)");
  }
  Rows rows = everyone(file.rows());
  Rows zero_day;
  if (!settings.zero_day.empty()) {
    const std::uint16_t attack = attack_in(file, settings.zero_day);
    const auto first = std::ranges::stable_partition(
        rows, [&](std::uint32_t row) { return file.attacks[row] != attack; });
    zero_day.assign(first.begin(), first.end());
    rows.erase(first.begin(), first.end());
    if (rows.size() < parties) {
      throw ConfigError("data.zero_day.attack: without '" + settings.zero_day + "' " +
                        std::to_string(rows.size()) + " rows are left for " +
                        std::to_string(parties) + " parties; use fewer parties or another attack");
    }
  }
  SeededRandom random(seed, "partition", {static_cast<std::uint64_t>(settings.kind), parties});
  Shards shards(parties);
  switch (settings.kind) {
    case PartitionKind::kIid:
      deal_iid(std::move(rows), random, shards);
      break;
    case PartitionKind::kDirichlet:
      deal_dirichlet(file, rows, settings.alpha, random, shards);
      break;
    case PartitionKind::kByAttack:
      deal_by_attack(file, rows, random, shards);
      break;
    case PartitionKind::kQuantity:
      deal_quantity(std::move(rows), settings.alpha, random, shards);
      break;
    case PartitionKind::kSomeClasses:
      deal_classes(file, rows, settings.classes, random, shards);
      break;
    case PartitionKind::kByService:
      deal_by_service(file, rows, random, shards);
      break;
    case PartitionKind::kByTime:
      deal_evenly(rows, everyone(parties), shards);
      break;
  }
  fill_empty(shards);
  if (settings.zero_day_party) {
    Rows& shard = shards.at(*settings.zero_day_party);
    shard.insert(shard.end(), zero_day.begin(), zero_day.end());
  }
  for (Rows& shard : shards) std::ranges::sort(shard);
  return shards;
}

void write_shard(const RawFile& file, const std::vector<std::uint32_t>& rows,
                 const std::filesystem::path& path) {
  std::string text = file.header;
  for (const std::uint32_t row : rows) text.append(file.line(row));
  write_file_atomic(path, text);
}

}  // namespace blindsum::data
