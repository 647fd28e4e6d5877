// A built-in KDD-like data set, for machines without the real files. It is synthetic and labelled
// so everywhere: rows are drawn from a table of numbers about the attack types of KDD Cup 1999.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "shared/data/kdd.h"

namespace blindsum::data {

struct SyntheticSizes {
  std::size_t train_rows = 40'000;
  std::size_t test_rows = 20'000;
};

// synthetic_table returns the table that the program was built with: fit_synthetic of the contest's
// two files.
[[nodiscard]] std::string_view synthetic_table();

// write_synthetic writes kddcup.data_10_percent and corrected (plain CSV, KDD schema and label
// names) into `directory`, deterministic in `seed`, sizes and table. Rows are in random order.
// Attacks have their share of the rows, rare ones a few rows more, so that small files have every
// class: an attack has at least min(rows of it that were fitted, f) rows, where f <= 8 is the
// largest whole number for which these make up no more than a tenth of the file.
// Throws DataError with the line when `table` is not one that fit_synthetic wrote.
void write_synthetic(const std::filesystem::path& directory, std::uint64_t seed,
                     const SyntheticSizes& sizes = {}, std::string_view table = synthetic_table());

// mark_synthetic writes kSyntheticMark beside the two files that write_synthetic wrote with the
// same arguments: a line that says what they are, and their SHA-256. is_marked_synthetic says
// whether the mark in `directory` names a training and a test file of these SHA-256 (of the
// uncompressed text); no mark names none.
inline constexpr std::string_view kSyntheticMark = "SYNTHETIC.txt";
void mark_synthetic(const std::filesystem::path& directory, std::uint64_t seed,
                    const SyntheticSizes& sizes = {}, std::string_view table = synthetic_table());
[[nodiscard]] bool is_marked_synthetic(const std::filesystem::path& directory,
                                       std::string_view train_sha256, std::string_view test_sha256);

// fit_synthetic returns a table about the attack types of a training and a test set: text, the same
// bytes for the same rows. Every cell of it, with its quantiles and correlations, is fitted to at
// least kFewestRows rows; attacks with fewer share one entry with the other rare attacks of their
// class. Rows of an unknown protocol, service or flag are left out.
// Security: the table does not hide single rows. A combination of protocol, service and flag is in
// it with its number of rows, which may be 1, and the outer quantiles of a column are the least and
// the greatest value that occurs: values of one row. Do not give away a table of private traffic.
// Throws DataError when a class has fewer than kFewestRows rows
// altogether, but some.
inline constexpr std::size_t kFewestRows = 20;
[[nodiscard]] std::string fit_synthetic(const RecordTable& train, const RecordTable& test);

}  // namespace blindsum::data
