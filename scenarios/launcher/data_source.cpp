#include "scenarios/launcher/data_source.h"

#include <cstdlib>
#include <numeric>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/data/partition.h"
#include "shared/data/synthetic.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {

std::filesystem::path named_data_directory() {
  const char* directory = std::getenv("BLINDSUM_DATA");
  return directory != nullptr && *directory != '\0' ? directory : "";
}

namespace {

constexpr const char* kFiles = "files";

// find_party_files puts the parties' files one behind the other.
DataSource find_party_files(const settings::Settings& settings,
                            const std::filesystem::path& directory,
                            const std::filesystem::path& new_directory, const Say& say) {
  const auto name_of = [](std::uint32_t party) {
    return "party-" + std::to_string(party) + ".csv";
  };
  const data::Schema schema = role::schema_of(settings);
  DataSource source;
  source.name = "party_files";
  std::string text, header;
  for (std::uint32_t party = 0; party < settings.parties; ++party) {
    const auto path = data::find_file(directory, name_of(party));
    if (path.empty()) {
      throw DataError(directory.string() + ": neither " + name_of(party) + " nor " +
                      name_of(party) +
                      ".gz is there; data.partition.kind: files takes one file a "
                      "party, " +
                      name_of(0) + " to " + name_of(settings.parties - 1));
    }
    const data::RawFile file = data::read_raw(path, schema);
    if (party == 0) {
      text = header = file.header;
    } else if (file.header != header) {
      throw DataError(path.string() + ":1: another header than that of " + name_of(0) +
                      "; all parties' files have the same columns in the same order");
    }
    if (file.rows() == 0) throw DataError(path.string() + ": no records");
    source.party_rows.push_back(static_cast<std::uint32_t>(file.rows()));
    for (std::size_t row = 0; row < file.rows(); ++row) text.append(file.line(row));
  }
  if (!data::find_file(directory, name_of(settings.parties)).empty()) {
    say("WARNING: " + name_of(settings.parties) + " in " + directory.string() +
        " is not used: there are " + std::to_string(settings.parties) + " parties");
  }
  source.test = std::filesystem::absolute(test_file_in(settings, directory));
  std::filesystem::create_directories(new_directory);
  source.train = std::filesystem::absolute(new_directory / "train.csv");
  write_file_atomic(source.train, text);
  source.train_sha256 = data::text_sha256(source.train);
  source.test_sha256 = data::text_sha256(source.test);
  return source;
}

}  // namespace

DataSource find_data(const settings::Settings& settings, const std::filesystem::path& named,
                     const std::filesystem::path& synthetic_directory, const Say& say) {
  const std::string& wanted = settings.data.source;
  const std::filesystem::path directory = named.empty() ? "data" : named;
  if (settings.data.partition.kind == kFiles) {
    return find_party_files(settings, directory, synthetic_directory, say);
  }
  DataSource source;
  // A folder that was named must hold the files: a slip of the pen shall not train on other data.
  std::optional<data::FileSet> set;
  if (wanted == "auto") {
    set = data::find_set(directory);
    if (!set && !named.empty()) set = data::FileSet::kKdd99;  // whose absence is then the error
  } else if (wanted != "synthetic") {
    set = data::file_set_from_string(wanted);
  }
  if (set) {
    const data::KddFiles files = files_in(settings, directory, *set);
    source = {std::string(to_string(*set)), std::filesystem::absolute(files.train),
              std::filesystem::absolute(files.test), data::text_sha256(files.train),
              data::text_sha256(files.test)};
    const bool is_published =
        *set != data::FileSet::kKdd99 ||
        (source.train_sha256 == data::kTrainSha256 && source.test_sha256 == data::kTestSha256);
    if (!is_published) {
      const bool is_synthetic =
          data::is_marked_synthetic(directory, source.train_sha256, source.test_sha256);
      source.name = is_synthetic ? "synthetic" : "kdd99-modified";
      say(is_synthetic ? "WARNING: SYNTHETIC DATA is used, no real traffic: " +
                             (directory / data::kSyntheticMark).string() + " names these files"
                       : "WARNING: the files in " + directory.string() +
                             " are not the published KDD'99 files (other SHA-256)");
    }
    return source;
  }
  if (wanted == "auto") {
    try {
      (void)data::find_kdd(directory);
    } catch (const DataError& error) {
      say(std::string("WARNING: SYNTHETIC DATA is used, no real traffic: ") + error.what());
    }
  }
  std::filesystem::create_directories(synthetic_directory);
  data::write_synthetic(synthetic_directory, settings.seed);
  data::mark_synthetic(synthetic_directory, settings.seed);
  const data::KddFiles files = data::find_kdd(synthetic_directory);
  return {"synthetic", std::filesystem::absolute(files.train),
          std::filesystem::absolute(files.test), data::text_sha256(files.train),
          data::text_sha256(files.test)};
}

data::KddFiles files_in(const settings::Settings& settings, const std::filesystem::path& directory,
                        data::FileSet set) {
  if (!settings::has_schema(settings)) return data::find_kdd(directory, set);
  return {data::find_csv(directory, "train.csv"), data::find_csv(directory, "test.csv")};
}

std::filesystem::path test_file_in(const settings::Settings& settings,
                                   const std::filesystem::path& directory) {
  return settings::has_schema(settings) ? data::find_csv(directory, "test.csv")
                                        : data::find_test(directory);
}

nlohmann::json to_json(const DataSource& source) {
  return {{"source", source.name},
          {"train", {{"file", source.train.string()}, {"sha256", source.train_sha256}}},
          {"test", {{"file", source.test.string()}, {"sha256", source.test_sha256}}}};
}

std::vector<std::vector<std::uint32_t>> shards_of(const settings::Settings& settings,
                                                  const DataSource& source,
                                                  const data::RawFile& train) {
  if (settings.data.partition.kind == kFiles) {
    std::vector<std::vector<std::uint32_t>> shards;
    std::uint32_t next = 0;
    for (const std::uint32_t rows : source.party_rows) {
      auto& shard = shards.emplace_back(rows);
      std::iota(shard.begin(), shard.end(), next);
      next += rows;
    }
    return shards;
  }
  data::PartitionSettings partition{data::partition_from_string(settings.data.partition.kind),
                                    settings.data.partition.alpha, settings.data.partition.classes};
  const settings::Settings::ZeroDay& zero_day = settings.data.zero_day;
  if (zero_day.attack != "none") {
    partition.zero_day = zero_day.attack;
    partition.zero_day_party = settings::zero_day_party_of(settings);
  }
  return data::partition(train, partition, settings.parties, settings.seed);
}

std::filesystem::path shard_path(const std::filesystem::path& directory, std::uint32_t party) {
  return directory / ("party-" + std::to_string(party) + ".csv");
}

std::vector<ClassRows> cut_shards(const settings::Settings& settings, const DataSource& source,
                                  std::span<const std::filesystem::path> paths,
                                  const std::atomic<bool>& stop) {
  const data::Schema schema = role::schema_of(settings);
  const data::RawFile file = data::read_raw(source.train, schema);
  const auto shards = shards_of(settings, source, file);
  std::vector<ClassRows> classes(settings.parties, ClassRows(schema.classes().size(), 0));
  for (std::uint32_t party = 0; party < settings.parties && !stop; ++party) {
    data::write_shard(file, shards[party], paths[party]);
    for (const std::uint32_t row : shards[party]) {
      const std::string& attack = file.attack_names[file.attacks[row]];
      ++classes[party][schema.class_of(attack)];
    }
  }
  return classes;
}

}  // namespace blindsum::launcher
