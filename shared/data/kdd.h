// KDD Cup 1999: its columns and classes, and the files that hold such records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/data/records.h"
#include "shared/data/schema.h"

namespace blindsum::data {

inline constexpr std::size_t kFeatures =
    41;  // 3 categorical (protocol, service, flag) and 38 numeric
inline constexpr std::size_t kNumericFeatures = 38;
inline constexpr std::size_t kClasses = 5;

// TrafficClass names the contest's classes: indices into Schema::kdd99().classes().
enum class TrafficClass : std::uint8_t { kNormal, kDos, kProbe, kR2l, kU2r };

[[nodiscard]] std::string_view to_string(
    TrafficClass traffic_class);  // "normal", "dos", "probe", "r2l", "u2r"
[[nodiscard]] std::span<const std::string_view> feature_names();  // 41, in file order
[[nodiscard]] std::span<const std::string_view> protocols();      // 3
[[nodiscard]] std::span<const std::string_view> services();       // 70
[[nodiscard]] std::span<const std::string_view> flags();          // 11

// class_of maps an attack name without its final dot ("smurf", "normal") to its class by the
// contest's map (httptunnel is u2r). Throws DataError for an unknown name.
[[nodiscard]] TrafficClass class_of(std::string_view attack);

// read_kdd is read_records by the schema of KDD'99.
[[nodiscard]] RecordTable read_kdd(const std::filesystem::path& path);

// FileSet is a pair of files under the names that they go by:
//   kKdd99   kddcup.data_10_percent and corrected (the contest)
//   kNslKdd  KDDTrain+.txt and KDDTest+.txt (Tavallaee et al. 2009)
//   kCsv     train.csv and test.csv: of the KDD schema, or of the scenario's own
enum class FileSet : std::uint8_t { kKdd99, kNslKdd, kCsv };
[[nodiscard]] std::string_view to_string(FileSet set);              // "kdd99", "nsl_kdd", "csv"
[[nodiscard]] FileSet file_set_from_string(std::string_view name);  // Throws ConfigError.

// A training and a test file, looked up in `directory` under their names with and without ".gz".
struct KddFiles {
  std::filesystem::path train, test;
};
// find_kdd returns the paths, or throws DataError that says which file is missing where and how to
// get it. find_set returns the first set that is whole in `directory`, nothing when there is none.
[[nodiscard]] KddFiles find_kdd(const std::filesystem::path& directory,
                                FileSet set = FileSet::kKdd99);
[[nodiscard]] std::optional<FileSet> find_set(const std::filesystem::path& directory);

// find_file returns the path of `name` or `name`.gz in `directory`, or an empty one.
[[nodiscard]] std::filesystem::path find_file(const std::filesystem::path& directory,
                                              std::string_view name);
// find_csv is find_file for records of a scenario's own schema. Throws DataError when there is
// none.
[[nodiscard]] std::filesystem::path find_csv(const std::filesystem::path& directory,
                                             std::string_view name);
// find_test returns the test file of the first set that has one there. Throws DataError.
[[nodiscard]] std::filesystem::path find_test(const std::filesystem::path& directory);

inline constexpr std::string_view kTrainSha256 =
    "f8c8267ebcd9c0ed1fd7d6277fe5bfff8732e9b7db8e61b873542b2a534b6f9a";
inline constexpr std::string_view kTestSha256 =
    "547dfb9c0f0dc1d9944219ec79e851191faebaeb8acbfa1cd171c418397052a4";

}  // namespace blindsum::data
