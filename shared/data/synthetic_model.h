// The table behind the synthetic data: what is drawn from it, and its text. For synthetic.cpp and
// synthetic_fit.cpp alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/data/kdd.h"

namespace blindsum::data {

// normal_score returns Φ⁻¹(share), 0 < share < 1, within 1e-6.
[[nodiscard]] double normal_score(double share);

// Column is one numeric column of a cell: a quantile function through `knots`, and what its normal
// score owes to the cell's factors, in hundredths. Between two knots the value is linear in the
// normal score (if the column is of whole numbers, its log1p is); a flat piece is a value that many
// rows share.
struct Column {
  struct Knot {
    std::uint32_t share = 0;  // rows below, in 100,000 of the cell's: rises from 0 to kWhole
    double value = 0;         // never falls
    double score = 0;         // of the share, the ends' as if they were 1 and kWhole - 1
  };
  static constexpr std::uint32_t kWhole = 100'000;
  std::size_t index = 0;  // of the 38 numeric columns
  std::vector<Knot> knots;
  std::vector<int> loadings;  // kFactors, or none for a column that depends on no other
};
inline constexpr std::size_t kFactors = 4;

// Combination is a protocol, a service and a flag.
struct Combination {
  std::array<std::int16_t, 3> categories{};
  std::uint64_t rows = 0;
};

// Cell describes the rows of some combinations. Columns that are not listed are 0.
struct Cell {
  std::uint64_t rows = 0;
  std::vector<Combination> combinations;
  std::vector<Column> columns;
};

// Entry describes an attack, or the rare attacks of a class.
struct Entry {
  struct Attack {
    std::string name;
    std::uint64_t rows = 0;
  };
  std::vector<Attack> attacks;
  std::vector<Cell> cells;
};

struct SyntheticModel {
  std::vector<Entry> train, test;
};

// is_rate says whether a numeric column holds shares with two decimals; the others are whole
// numbers.
[[nodiscard]] constexpr bool is_rate(std::size_t column) {
  return (column >= 21 && column <= 27) || column >= 30;
}

// numeric_name returns the name of a numeric column.
[[nodiscard]] std::string_view numeric_name(std::size_t column);

[[nodiscard]] std::string to_text(const SyntheticModel& model);
// parse_synthetic reads what to_text wrote. Throws DataError with the line.
[[nodiscard]] SyntheticModel parse_synthetic(std::string_view text);

}  // namespace blindsum::data
