// Records of one file, and the readers of plain and gzip-compressed CSV.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/data/schema.h"

namespace blindsum::data {

// RecordTable holds rows of one file. Numeric and categorical columns are in the order of the
// schema's numeric() and categorical().
struct RecordTable {
  Schema schema = Schema::kdd99();
  std::size_t rows = 0;
  std::vector<double> numeric;           // rows × numeric columns, row-major
  std::vector<std::int16_t> categories;  // rows × categorical columns: index or kUnknownCategory
  std::vector<std::uint16_t> attacks;    // index into attack_names
  // Labels, of KDD'99 without the final dot, in order of first appearance.
  std::vector<std::string> attack_names;
  std::vector<std::uint8_t> classes;  // of the rows

  [[nodiscard]] std::span<const double> numeric_of(std::size_t row) const {
    const std::size_t columns = schema.numeric().size();
    return std::span(numeric).subspan(row * columns, columns);
  }
  [[nodiscard]] std::span<const std::int16_t> categories_of(std::size_t row) const {
    const std::size_t columns = schema.categorical().size();
    return std::span(categories).subspan(row * columns, columns);
  }
};

// read_records reads a CSV of the schema, plain or gzip-compressed (recognised by content). Throws
// DataError with "file:line: what".
//
// KDD'99: 41 features and the attack, with or without its final dot; in NSL-KDD a difficulty (a
// whole number from 0 to 21) may follow, and a first line with the features' names is passed over.
// No number is negative.
//
// Another schema: when the first line has the names of all columns and the label, columns go by
// name, in any order, and others are passed over; else a line has the schema's columns, in their
// order, and the label behind them. Spaces around a field do not count; quotes are refused.
[[nodiscard]] RecordTable read_records(const std::filesystem::path& path, const Schema& schema);

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
  Schema schema = Schema::kdd99();
  std::string text;    // '\n'-terminated lines
  std::string header;  // the line that names the columns, where they go by name; else empty
  std::vector<std::size_t>
      line_begin;  // offset of every record, and the end of the text as a last entry
  std::vector<std::uint16_t> attacks;
  std::vector<std::string> attack_names;
  // By row: index of the value of the categorical column "service", or kUnknownCategory; empty
  // when the schema has no such column.
  std::vector<std::int16_t> services;
  [[nodiscard]] std::size_t rows() const { return attacks.size(); }
  [[nodiscard]] std::string_view line(std::size_t i) const {
    return std::string_view(text).substr(line_begin[i], line_begin[i + 1] - line_begin[i]);
  }
};
inline constexpr std::string_view kServiceColumn = "service";

// read_raw reads a file as read_records does, but checks only the number of fields and the label.
[[nodiscard]] RawFile read_raw(const std::filesystem::path& path, const Schema& schema);

// text_sha256 hashes the uncompressed text of a file (lower-case hex).
[[nodiscard]] std::string text_sha256(const std::filesystem::path& path);

}  // namespace blindsum::data
