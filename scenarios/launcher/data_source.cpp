#include "scenarios/launcher/data_source.h"

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/data/partition.h"
#include "shared/data/synthetic.h"

namespace blindsum::launcher {

std::filesystem::path named_data_directory() {
  const char* directory = std::getenv("BLINDSUM_DATA");
  return directory != nullptr && *directory != '\0' ? directory : "";
}

DataSource find_data(const settings::Settings& settings, const std::filesystem::path& named,
                     const std::filesystem::path& synthetic_directory, const Say& say) {
  const std::string& wanted = settings.data.source;
  const std::filesystem::path directory = named.empty() ? "data" : named;
  DataSource source;
  // A folder that was named must hold the files: a slip of the pen shall not train on other data.
  if (wanted == "kdd99" || (wanted == "auto" && (!named.empty() || data::has_kdd(directory)))) {
    const data::KddFiles files = data::find_kdd(directory);
    source = {"kdd99", std::filesystem::absolute(files.train),
              std::filesystem::absolute(files.test), data::text_sha256(files.train),
              data::text_sha256(files.test)};
    if (source.train_sha256 != data::kTrainSha256 || source.test_sha256 != data::kTestSha256) {
      source.name = "kdd99-modified";
      say("WARNING: the files in " + directory.string() +
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
  const data::KddFiles files = data::find_kdd(synthetic_directory);
  return {"synthetic", std::filesystem::absolute(files.train),
          std::filesystem::absolute(files.test), data::text_sha256(files.train),
          data::text_sha256(files.test)};
}

nlohmann::json to_json(const DataSource& source) {
  return {{"source", source.name},
          {"train", {{"file", source.train.string()}, {"sha256", source.train_sha256}}},
          {"test", {{"file", source.test.string()}, {"sha256", source.test_sha256}}}};
}

std::vector<std::vector<std::uint32_t>> shards_of(const settings::Settings& settings,
                                                  const data::RawFile& train) {
  const data::PartitionSettings partition{data::partition_from_string(settings.data.partition.kind),
                                          settings.data.partition.alpha};
  return data::partition(train, partition, settings.parties, settings.seed);
}

std::filesystem::path shard_path(const std::filesystem::path& directory, std::uint32_t party) {
  return directory / ("party-" + std::to_string(party) + ".csv");
}

void cut_shards(const settings::Settings& settings, const std::filesystem::path& train,
                std::span<const std::filesystem::path> paths, const std::atomic<bool>& stop) {
  const data::RawFile file = data::read_raw(train);
  const auto shards = shards_of(settings, file);
  for (std::uint32_t party = 0; party < settings.parties && !stop; ++party) {
    data::write_shard(file, shards[party], paths[party]);
  }
}

}  // namespace blindsum::launcher
