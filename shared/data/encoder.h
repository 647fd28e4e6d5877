// From records to network inputs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/data/kdd.h"
#include "shared/data/records.h"

namespace blindsum::data {

// Standardised values are clipped to ± kClip.
inline constexpr double kClip = 5;

// Statistics are the integers that parties sum in round 0: rows, rows per class, and for each
// numeric column Σq and Σq², where q = round(2^12 · t(x)) and t is what FeatureKind says. Integer
// sums do not depend on how rows are split.
struct Statistics {
  static constexpr double kScale = 4096;
  explicit Statistics(const Schema& schema = Schema::kdd99())
      : values(values_of(schema), 0), classes(schema.classes().size()) {}
  // values_of is how many there are: 82 of KDD'99.
  [[nodiscard]] static std::size_t values_of(const Schema& schema) {
    return 1 + schema.classes().size() + 2 * schema.numeric().size();
  }

  std::vector<std::int64_t> values;
  std::size_t classes;

  [[nodiscard]] std::int64_t rows() const { return values[0]; }
  [[nodiscard]] std::int64_t class_rows(std::size_t c) const { return values[1 + c]; }
  [[nodiscard]] std::size_t numeric_columns() const { return (values.size() - 1 - classes) / 2; }
};
// in_units is the value x whose t(x) is `transformed`: t's inverse.
[[nodiscard]] double in_units(double transformed, const Feature& column);

// statistics_of computes them for one shard. Throws DataError on overflow, with the column.
[[nodiscard]] Statistics statistics_of(const RecordTable& records);

// Scaler standardises: mean and deviation per numeric column (deviation 1 where a column is
// constant).
struct Scaler {
  std::vector<double> mean, deviation;
  // unscaled leaves values as they are.
  [[nodiscard]] static Scaler unscaled(const Schema& schema);
  // from_statistics throws IntegrityError when the sums are impossible (no rows, negative variance
  // beyond rounding).
  [[nodiscard]] static Scaler from_statistics(const Statistics& sum);
};

// Dataset is a design matrix with labels. `multiplicity[i]` says how many identical records row i
// stands for.
struct Dataset {
  std::size_t rows = 0;
  std::size_t inputs = 0;
  std::size_t classes = kClasses;
  std::vector<float> features;                  // rows × inputs, row-major
  std::vector<std::uint8_t> labels;             // class index
  std::vector<std::uint32_t> multiplicity;      // >= 1
  std::uint64_t unknown_categories = 0;         // encoded as all-zero, counted
  [[nodiscard]] std::uint64_t records() const;  // Σ multiplicity
};

// encode_onehot makes the schema's inputs: one-hot categories, then numeric columns, standardised
// by `scaler` and clipped to ± kClip (of KDD'99 3 + 70 + 11 + 38 = 122). With `collapse`, equal
// (features, label) rows become one row with multiplicity, in order of first appearance: metrics
// over it are exact and cheaper. Throws Error when the scaler has another number of columns.
[[nodiscard]] Dataset encode_onehot(const RecordTable& records, const Scaler& scaler,
                                    bool collapse = false);

// MinMax holds the range of each column, categories by index. encode_ordinal scales the columns by
// it, in file order: 41 inputs of KDD'99.
struct MinMax {
  std::vector<double> low, high;
  [[nodiscard]] static MinMax of(const RecordTable& records);
};
[[nodiscard]] Dataset encode_ordinal(const RecordTable& records, const MinMax& range,
                                     bool collapse = false);

}  // namespace blindsum::data
