// Where the records of a run come from, and how they are cut into shards.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/data/kdd.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

// DataSource is a pair of files of the KDD schema. `name` is "kdd99", "nsl_kdd", "csv",
// "synthetic" (made for this run, or by `data synth` as data::kSyntheticMark says), or
// "kdd99-modified" for other files with the contest's names and another content.
struct DataSource {
  std::string name;
  std::filesystem::path train, test;
  std::string train_sha256, test_sha256;  // of the uncompressed text
  std::vector<std::uint32_t> party_rows = {};
};

using Say = std::function<void(const std::string&)>;

// named_data_directory is $BLINDSUM_DATA, or empty when it is not set.
[[nodiscard]] std::filesystem::path named_data_directory();

// With data.partition.kind: files the folder holds a training file for every party, party-<k>.csv,
// and a test file; `train` is then all of them one behind the other, and party_rows says how many
// rows are whose.
//
// find_data returns the files that the scenario asks for, from the folder `named` by the user or,
// when none was, from ./data. The synthetic set is written into
// `synthetic_directory`; that `source: auto` fell back to it, or that the folder's files are marked
// as synthetic or not the published ones, is told to `say`. Throws DataError
// when a named folder, or any for `source: kdd99`, does not hold the files.
[[nodiscard]] DataSource find_data(const settings::Settings& settings,
                                   const std::filesystem::path& named,
                                   const std::filesystem::path& synthetic_directory,
                                   const Say& say);

// files_in returns the training and the test file of `set`, test_file_in the test file beside the
// parties' own, as the scenario's records have them: with a schema train.csv and test.csv. They
// throw DataError when one is not there.
[[nodiscard]] data::KddFiles files_in(const settings::Settings& settings,
                                      const std::filesystem::path& directory, data::FileSet set);
[[nodiscard]] std::filesystem::path test_file_in(const settings::Settings& settings,
                                                 const std::filesystem::path& directory);

[[nodiscard]] nlohmann::json to_json(const DataSource& source);

// shards_of says which rows of the training file `train`, that of `source`, each party gets.
[[nodiscard]] std::vector<std::vector<std::uint32_t>> shards_of(const settings::Settings& settings,
                                                                const DataSource& source,
                                                                const data::RawFile& train);

// shard_path is "party-<k>.csv" in `directory`. cut_shards writes party k's rows to paths[k], and
// gives up once `stop` is true. It returns the rows of each class that each party got.
[[nodiscard]] std::filesystem::path shard_path(const std::filesystem::path& directory,
                                               std::uint32_t party);
using ClassRows = std::vector<std::uint64_t>;  // by class of the schema
std::vector<ClassRows> cut_shards(const settings::Settings& settings, const DataSource& source,
                                  std::span<const std::filesystem::path> paths,
                                  const std::atomic<bool>& stop);

}  // namespace blindsum::launcher
