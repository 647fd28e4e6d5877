#include "shared/data/encoder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <unordered_set>

#include "shared/core/error.h"

namespace blindsum::data {
namespace {

// transformed is what a numeric column's value is standardised as.
double transformed(double value, const Feature& column) {
  if (column.kind == FeatureKind::kLog) return std::copysign(std::log1p(std::abs(value)), value);
  if (!column.range) return value;
  const auto& [low, high] = *column.range;
  return (std::clamp(value, low, high) - low) / (high - low);
}

// quantised returns q = round(2^12 · t(x)), the integer that statistics and features are made of.
std::int64_t quantised(double value, const Feature& column) {
  const double q = std::round(transformed(value, column) * Statistics::kScale);
  if (!(std::abs(q) <= 0x1p31)) {
    throw DataError("column " + in_quotes(column.name) + ": a value of " + std::to_string(value) +
                    " is out of range");
  }
  return static_cast<std::int64_t>(q);
}

// RowCollector builds a dataset row by row; with `collapse`, a row that is there already counts as
// one more of it.
class RowCollector {
 public:
  RowCollector(const Schema& schema, std::size_t inputs, std::size_t rows, bool collapse)
      : collapse_(collapse), seen_(0, Hash{this}, Equal{this}) {
    data_.inputs = inputs;
    data_.classes = schema.classes().size();
    if (collapse) return;
    data_.features.reserve(rows * inputs);
    data_.labels.reserve(rows);
    data_.multiplicity.reserve(rows);
  }
  RowCollector(const RowCollector&) = delete;
  RowCollector& operator=(const RowCollector&) = delete;

  // next_row returns the features of a new row, all zero.
  std::span<float> next_row() {
    data_.features.resize((data_.rows + 1) * data_.inputs, 0.0F);
    return std::span(data_.features).last(data_.inputs);
  }

  // finish_row ends the row that next_row began.
  void finish_row(std::uint8_t label) {
    data_.labels.push_back(label);
    if (collapse_) {
      const auto [found, is_new] = seen_.insert(static_cast<std::uint32_t>(data_.rows));
      if (!is_new) {
        ++data_.multiplicity[*found];
        data_.features.resize(data_.rows * data_.inputs);
        data_.labels.pop_back();
        return;
      }
    }
    data_.multiplicity.push_back(1);
    ++data_.rows;
  }

  void count_unknown() { ++data_.unknown_categories; }

  Dataset finish() {
    seen_.clear();
    return std::move(data_);
  }

 private:
  [[nodiscard]] std::string_view bytes_of(std::uint32_t row) const {
    return {reinterpret_cast<const char*>(data_.features.data() + row * data_.inputs),
            data_.inputs * sizeof(float)};
  }
  struct Hash {
    const RowCollector* rows;
    std::size_t operator()(std::uint32_t row) const {
      return std::hash<std::string_view>{}(rows->bytes_of(row)) + rows->data_.labels[row];
    }
  };
  struct Equal {
    const RowCollector* rows;
    bool operator()(std::uint32_t a, std::uint32_t b) const {
      return rows->data_.labels[a] == rows->data_.labels[b] &&
             rows->bytes_of(a) == rows->bytes_of(b);
    }
  };

  Dataset data_;
  bool collapse_;
  std::unordered_set<std::uint32_t, Hash, Equal> seen_;
};

// ordinal_of returns the values of a row in file order, categories by index.
std::vector<double> ordinal_of(const RecordTable& records, std::size_t row) {
  const Schema& schema = records.schema;
  std::vector<double> values(schema.columns().size());
  for (std::size_t k = 0; k < schema.numeric().size(); ++k) {
    values[schema.numeric()[k]] = records.numeric_of(row)[k];
  }
  for (std::size_t k = 0; k < schema.categorical().size(); ++k) {
    values[schema.categorical()[k]] = records.categories_of(row)[k];
  }
  return values;
}

bool is_unknown(double value, const Feature& column) {
  return column.kind == FeatureKind::kCategory && value == kUnknownCategory;
}

}  // namespace

double in_units(double transformed, const Feature& column) {
  if (column.kind == FeatureKind::kLog) {
    return std::copysign(std::expm1(std::abs(transformed)), transformed);
  }
  if (!column.range) return transformed;
  return column.range->low + transformed * (column.range->high - column.range->low);
}

Statistics statistics_of(const RecordTable& records) {
  Statistics statistics(records.schema);
  const std::size_t columns = statistics.numeric_columns();
  std::int64_t* sums = statistics.values.data() + 1 + statistics.classes;
  std::int64_t* squares = sums + columns;
  statistics.values[0] = static_cast<std::int64_t>(records.rows);
  for (const std::uint8_t c : records.classes) ++statistics.values[1 + c];
  for (std::size_t row = 0; row < records.rows; ++row) {
    for (std::size_t k = 0; k < columns; ++k) {
      const Feature& column = records.schema.numeric_column(k);
      const std::int64_t q = quantised(records.numeric_of(row)[k], column);
      if (__builtin_add_overflow(sums[k], q, &sums[k]) ||
          __builtin_add_overflow(squares[k], q * q, &squares[k])) {
        throw DataError("column " + in_quotes(column.name) + ": its values are too large to sum");
      }
    }
  }
  return statistics;
}

Scaler Scaler::unscaled(const Schema& schema) {
  const std::size_t columns = schema.numeric().size();
  return {std::vector<double>(columns, 0.0), std::vector<double>(columns, 1.0)};
}

Scaler Scaler::from_statistics(const Statistics& sum) {
  __extension__ using Wide = __int128;
  const std::size_t columns = sum.numeric_columns();
  if (sum.values.size() != 1 + sum.classes + 2 * columns) {
    throw IntegrityError("statistics of " + std::to_string(sum.values.size()) + " values");
  }
  const std::int64_t n = sum.rows();
  if (n <= 0) throw IntegrityError("statistics of " + std::to_string(n) + " rows");
  Wide of_classes = 0;
  for (std::size_t c = 0; c < sum.classes; ++c) {
    if (sum.class_rows(c) < 0) throw IntegrityError("statistics count a class negatively");
    of_classes += sum.class_rows(c);
  }
  if (of_classes != n) throw IntegrityError("class counts do not add up to the rows");

  Scaler scaler;
  const std::int64_t* sums = sum.values.data() + 1 + sum.classes;
  const std::int64_t* squares = sums + columns;
  scaler.mean.resize(columns);
  scaler.deviation.resize(columns);
  for (std::size_t k = 0; k < columns; ++k) {
    // n² · variance, exactly; sums of integers obey Cauchy and Schwarz without a rounding margin.
    const Wide spread = Wide{n} * squares[k] - Wide{sums[k]} * sums[k];
    if (spread < 0) throw IntegrityError("statistics have a negative variance");
    const double scale = static_cast<double>(n) * Statistics::kScale;
    scaler.mean[k] = static_cast<double>(sums[k]) / scale;
    scaler.deviation[k] = spread == 0 ? 1.0 : std::sqrt(static_cast<double>(spread)) / scale;
  }
  return scaler;
}

std::uint64_t Dataset::records() const {
  return std::accumulate(multiplicity.begin(), multiplicity.end(), std::uint64_t{0});
}

Dataset encode_onehot(const RecordTable& records, const Scaler& scaler, bool collapse) {
  const Schema& schema = records.schema;
  const std::size_t columns = schema.numeric().size();
  if (scaler.mean.size() != columns || scaler.deviation.size() != columns) {
    throw Error("records of " + std::to_string(columns) + " numeric columns, a scaler of " +
                std::to_string(scaler.mean.size()));
  }
  RowCollector rows(schema, schema.inputs(), records.rows, collapse);
  for (std::size_t i = 0; i < records.rows; ++i) {
    const std::span<float> row = rows.next_row();
    const auto categories = records.categories_of(i);
    std::size_t begin = 0;
    for (std::size_t k = 0; k < categories.size(); ++k) {
      if (categories[k] == kUnknownCategory) {
        rows.count_unknown();
      } else {
        row[begin + static_cast<std::size_t>(categories[k])] = 1.0F;
      }
      begin += schema.categorical_column(k).values.size();
    }
    const auto numeric = records.numeric_of(i);
    for (std::size_t k = 0; k < columns; ++k) {
      const auto q = static_cast<double>(quantised(numeric[k], schema.numeric_column(k)));
      const double z = (q / Statistics::kScale - scaler.mean[k]) / scaler.deviation[k];
      row[begin + k] = static_cast<float>(std::clamp(z, -kClip, kClip));
    }
    rows.finish_row(records.classes[i]);
  }
  return rows.finish();
}

MinMax MinMax::of(const RecordTable& records) {
  const auto columns = records.schema.columns();
  MinMax range;
  range.low.assign(columns.size(), std::numeric_limits<double>::infinity());
  range.high.assign(columns.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < records.rows; ++i) {
    const auto values = ordinal_of(records, i);
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (is_unknown(values[k], columns[k])) continue;
      range.low[k] = std::min(range.low[k], values[k]);
      range.high[k] = std::max(range.high[k], values[k]);
    }
  }
  return range;
}

Dataset encode_ordinal(const RecordTable& records, const MinMax& range, bool collapse) {
  const auto columns = records.schema.columns();
  RowCollector rows(records.schema, columns.size(), records.rows, collapse);
  for (std::size_t i = 0; i < records.rows; ++i) {
    const std::span<float> row = rows.next_row();
    const auto values = ordinal_of(records, i);
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (is_unknown(values[k], columns[k])) {
        rows.count_unknown();
      } else if (range.high[k] > range.low[k]) {
        row[k] = static_cast<float>((values[k] - range.low[k]) / (range.high[k] - range.low[k]));
      }
    }
    rows.finish_row(records.classes[i]);
  }
  return rows.finish();
}

}  // namespace blindsum::data
