// From records to network inputs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/data/kdd.h"

namespace blindsum::data {

// Encoding: kOnehot122 = 3 + 70 + 11 one-hot inputs, then 38 numeric ones (log1p on duration, bytes
// and counters, then standardised and clipped to ±5). kOrdinal41 = the 41 columns in file order,
// categories by index, min-max scaled.
enum class Encoding : std::uint8_t { kOnehot122, kOrdinal41 };
[[nodiscard]] std::string_view to_string(Encoding encoding);         // "onehot122", "ordinal41"
[[nodiscard]] Encoding encoding_from_string(std::string_view name);  // Throws ConfigError.
[[nodiscard]] std::size_t inputs_of(Encoding encoding);              // 122 or 41

// input_names says what each input of the encoding is: "protocol_type=tcp", …, "duration", … for
// kOnehot122, the 41 columns for kOrdinal41.
[[nodiscard]] std::vector<std::string> input_names(Encoding encoding);

// is_logged says whether a numeric column (0 to 37, file order) passes through log1p in kOnehot122.
[[nodiscard]] bool is_logged(std::size_t column);

// Standardised values are clipped to ± kClip.
inline constexpr double kClip = 5;

// Statistics are the integers that parties sum in round 0: rows, rows per class, and for each
// numeric column Σq and Σq², where q = round(2^12 · t(x)) and t is log1p or the identity by column.
// Integer sums do not depend on how rows are split.
struct Statistics {
  static constexpr double kScale = 4096;
  static constexpr std::size_t kValues = 1 + kClasses + 2 * kNumericFeatures;  // 82
  std::vector<std::int64_t> values = std::vector<std::int64_t>(kValues, 0);

  [[nodiscard]] std::int64_t rows() const { return values[0]; }
  [[nodiscard]] std::int64_t class_rows(std::size_t c) const { return values[1 + c]; }
};
// statistics_of computes them for one shard. Throws DataError on int64 overflow.
[[nodiscard]] Statistics statistics_of(const RecordTable& records);

// Scaler standardises: mean and deviation per numeric column (deviation 1 where a column is
// constant).
struct Scaler {
  std::vector<double> mean = std::vector<double>(kNumericFeatures, 0.0);
  std::vector<double> deviation = std::vector<double>(kNumericFeatures, 1.0);
  // from_statistics throws IntegrityError when the sums are impossible (no rows, negative variance
  // beyond rounding).
  [[nodiscard]] static Scaler from_statistics(const Statistics& sum);
};

// Dataset is a design matrix with labels. `multiplicity[i]` says how many identical records row i
// stands for.
struct Dataset {
  std::size_t rows = 0;
  std::size_t inputs = 0;
  std::vector<float> features;                  // rows × inputs, row-major
  std::vector<std::uint8_t> labels;             // class index
  std::vector<std::uint32_t> multiplicity;      // >= 1
  std::uint64_t unknown_categories = 0;         // encoded as all-zero, counted
  [[nodiscard]] std::uint64_t records() const;  // Σ multiplicity
};

// encode_onehot122 standardises by `scaler`. With `collapse`, equal (features, label) rows become
// one row with multiplicity, in order of first appearance: metrics over it are exact and cheaper.
[[nodiscard]] Dataset encode_onehot122(const RecordTable& records, const Scaler& scaler,
                                       bool collapse = false);

// MinMax holds the per-column range for kOrdinal41 (41 columns, file order).
struct MinMax {
  std::vector<double> low, high;
  [[nodiscard]] static MinMax of(const RecordTable& records);
};
[[nodiscard]] Dataset encode_ordinal41(const RecordTable& records, const MinMax& range,
                                       bool collapse = false);

}  // namespace blindsum::data
