// KDD Cup 1999 records: schema, class map, and the reader for plain and gzip-compressed CSV.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blindsum::data {

inline constexpr std::size_t kFeatures =
    41;  // 3 categorical (protocol, service, flag) and 38 numeric
inline constexpr std::size_t kNumericFeatures = 38;
inline constexpr std::size_t kClasses = 5;
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
inline constexpr std::int16_t kUnknownCategory = -1;

// RecordTable holds rows of one file. Numeric columns are in file order without the three
// categorical ones.
struct RecordTable {
  std::size_t rows = 0;
  std::vector<double> numeric;  // rows × 38, row-major
  std::vector<std::array<std::int16_t, 3>>
      categories;                         // indices of protocol, service, flag; kUnknownCategory
  std::vector<std::uint16_t> attacks;     // index into attack_names
  std::vector<std::string> attack_names;  // without the final dot, in order of first appearance
  std::vector<TrafficClass> classes;      // of the rows
};

// read_kdd reads a CSV of the KDD schema, plain or gzip-compressed (recognised by content): 41
// features and the attack, with or without its final dot; in NSL-KDD a difficulty (a whole number
// from 0 to 21) may follow, and a first line with the features' names is passed over. Throws
// DataError with "file:line: what".
[[nodiscard]] RecordTable read_kdd(const std::filesystem::path& path);

// select returns the given rows of `table`, in the given order (repeats allowed).
[[nodiscard]] RecordTable select(const RecordTable& table, std::span<const std::uint32_t> rows);

// distinct_rows returns the rows of `table` that no earlier row equals in all features and the
// attack, and in `multiplicity` how often each of them occurs.
struct DistinctRows {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> multiplicity;
};
[[nodiscard]] DistinctRows distinct_rows(const RecordTable& table);

// RawFile keeps the text of a file and where its lines are, for cutting shards without changing a
// byte of a record.
struct RawFile {
  std::string text;  // '\n'-terminated lines
  std::vector<std::size_t>
      line_begin;  // offset of every line, and the end of the text as a last entry
  std::vector<std::uint16_t> attacks;
  std::vector<std::string> attack_names;
  std::vector<std::int16_t> services;  // index or kUnknownCategory, by row
  [[nodiscard]] std::size_t rows() const { return attacks.size(); }
  [[nodiscard]] std::string_view line(std::size_t i) const {
    return std::string_view(text).substr(line_begin[i], line_begin[i + 1] - line_begin[i]);
  }
};

// read_raw reads and checks (field count, label) a KDD file. Throws DataError with file and line.
[[nodiscard]] RawFile read_raw(const std::filesystem::path& path);

// FileSet is a pair of files of the KDD schema under the names that they go by:
//   kKdd99   kddcup.data_10_percent and corrected (the contest)
//   kNslKdd  KDDTrain+.txt and KDDTest+.txt (Tavallaee et al. 2009)
//   kCsv     train.csv and test.csv
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
// find_test returns the test file of the first set that has one there. Throws DataError.
[[nodiscard]] std::filesystem::path find_test(const std::filesystem::path& directory);

// text_sha256 hashes the uncompressed text of a file (lower-case hex).
[[nodiscard]] std::string text_sha256(const std::filesystem::path& path);
inline constexpr std::string_view kTrainSha256 =
    "f8c8267ebcd9c0ed1fd7d6277fe5bfff8732e9b7db8e61b873542b2a534b6f9a";
inline constexpr std::string_view kTestSha256 =
    "547dfb9c0f0dc1d9944219ec79e851191faebaeb8acbfa1cd171c418397052a4";

}  // namespace blindsum::data
