#include "shared/data/encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <unordered_set>

#include "shared/core/error.h"
#include "shared/core/words.h"

namespace blindsum::data {
namespace {

constexpr Words<Encoding, 2> kEncodings("encoding", {"onehot122", "ordinal41"});

constexpr std::array<std::size_t, 3> kCategories{3, 70, 11};
constexpr std::size_t kOnehot = 3 + 70 + 11;

// kIsLogged says which numeric columns pass through log1p: duration, bytes and counters. Flags and
// rates stay as they are.
constexpr std::array<bool, kNumericFeatures> kIsLogged{
    true,                                                    // duration
    true,                                                    // src_bytes
    true,                                                    // dst_bytes
    false,                                                   // land
    true,                                                    // wrong_fragment
    true,                                                    // urgent
    true,                                                    // hot
    true,                                                    // num_failed_logins
    false,                                                   // logged_in
    true,                                                    // num_compromised
    false,                                                   // root_shell
    false,                                                   // su_attempted
    true,                                                    // num_root
    true,                                                    // num_file_creations
    true,                                                    // num_shells
    true,                                                    // num_access_files
    true,                                                    // num_outbound_cmds
    false,                                                   // is_host_login
    false,                                                   // is_guest_login
    true,                                                    // count
    true,                                                    // srv_count
    false, false, false, false, false, false, false,         // rates over two seconds
    true,                                                    // dst_host_count
    true,                                                    // dst_host_srv_count
    false, false, false, false, false, false, false, false,  // rates over 100 connections
};

// quantised returns q = round(2^12 · t(x)), the integer that statistics and features are made of.
std::int64_t quantised(double value, std::size_t column) {
  const double t = kIsLogged[column] ? std::log1p(value) : value;
  const double q = std::round(t * Statistics::kScale);
  if (!(std::abs(q) <= 0x1p31)) {
    throw DataError("a value of " + std::to_string(value) + " is out of range");
  }
  return static_cast<std::int64_t>(q);
}

// RowCollector builds a dataset row by row; with `collapse`, a row that is there already counts as
// one more of it.
class RowCollector {
 public:
  RowCollector(std::size_t inputs, std::size_t rows, bool collapse)
      : collapse_(collapse), seen_(0, Hash{this}, Equal{this}) {
    data_.inputs = inputs;
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
  void finish_row(TrafficClass label) {
    data_.labels.push_back(static_cast<std::uint8_t>(label));
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

// ordinal_of returns the 41 values of a row in file order, categories by index.
std::array<double, kFeatures> ordinal_of(const RecordTable& records, std::size_t row) {
  std::array<double, kFeatures> values{};
  const double* numeric = records.numeric.data() + row * kNumericFeatures;
  values[0] = numeric[0];
  for (std::size_t k = 0; k < 3; ++k) values[1 + k] = records.categories[row][k];
  std::copy(numeric + 1, numeric + kNumericFeatures, values.begin() + 4);
  return values;
}

bool is_unknown(double value, std::size_t column) {
  return column >= 1 && column <= 3 && value == kUnknownCategory;
}

}  // namespace

std::string_view to_string(Encoding encoding) { return kEncodings.word(encoding); }

Encoding encoding_from_string(std::string_view name) { return kEncodings.value(name); }

std::size_t inputs_of(Encoding encoding) {
  return encoding == Encoding::kOnehot122 ? kOnehot + kNumericFeatures : kFeatures;
}

std::vector<std::string> input_names(Encoding encoding) {
  const auto features = feature_names();
  if (encoding == Encoding::kOrdinal41) return {features.begin(), features.end()};
  std::vector<std::string> names;
  const std::array values{protocols(), services(), flags()};
  for (std::size_t k = 0; k < values.size(); ++k) {
    for (const std::string_view value : values[k]) {
      names.push_back(std::string(features[1 + k]) + "=" + std::string(value));
    }
  }
  names.emplace_back(features[0]);
  for (const std::string_view name : features.subspan(4)) names.emplace_back(name);
  return names;
}

bool is_logged(std::size_t column) { return kIsLogged.at(column); }

Statistics statistics_of(const RecordTable& records) {
  Statistics statistics;
  std::vector<std::int64_t>& values = statistics.values;
  std::int64_t* sums = values.data() + 1 + kClasses;
  std::int64_t* squares = sums + kNumericFeatures;
  values[0] = static_cast<std::int64_t>(records.rows);
  for (const TrafficClass c : records.classes) ++values[1 + static_cast<std::size_t>(c)];
  for (std::size_t row = 0; row < records.rows; ++row) {
    for (std::size_t k = 0; k < kNumericFeatures; ++k) {
      const std::int64_t q = quantised(records.numeric[row * kNumericFeatures + k], k);
      if (__builtin_add_overflow(sums[k], q, &sums[k]) ||
          __builtin_add_overflow(squares[k], q * q, &squares[k])) {
        throw DataError("the values of a numeric column are too large to sum");
      }
    }
  }
  return statistics;
}

Scaler Scaler::from_statistics(const Statistics& sum) {
  __extension__ using Wide = __int128;
  if (sum.values.size() != Statistics::kValues) {
    throw IntegrityError("statistics have " + std::to_string(sum.values.size()) +
                         " values, expected " + std::to_string(Statistics::kValues));
  }
  const std::int64_t n = sum.rows();
  if (n <= 0) throw IntegrityError("statistics of " + std::to_string(n) + " rows");
  Wide of_classes = 0;
  for (std::size_t c = 0; c < kClasses; ++c) {
    if (sum.class_rows(c) < 0) throw IntegrityError("statistics count a class negatively");
    of_classes += sum.class_rows(c);
  }
  if (of_classes != n) throw IntegrityError("class counts do not add up to the rows");

  Scaler scaler;
  const std::int64_t* sums = sum.values.data() + 1 + kClasses;
  const std::int64_t* squares = sums + kNumericFeatures;
  for (std::size_t k = 0; k < kNumericFeatures; ++k) {
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

Dataset encode_onehot122(const RecordTable& records, const Scaler& scaler, bool collapse) {
  RowCollector rows(inputs_of(Encoding::kOnehot122), records.rows, collapse);
  for (std::size_t i = 0; i < records.rows; ++i) {
    const std::span<float> row = rows.next_row();
    std::size_t begin = 0;
    for (std::size_t k = 0; k < kCategories.size(); ++k) {
      const std::int16_t value = records.categories[i][k];
      if (value == kUnknownCategory) {
        rows.count_unknown();
      } else {
        row[begin + static_cast<std::size_t>(value)] = 1.0F;
      }
      begin += kCategories[k];
    }
    for (std::size_t k = 0; k < kNumericFeatures; ++k) {
      const auto q = static_cast<double>(quantised(records.numeric[i * kNumericFeatures + k], k));
      const double z = (q / Statistics::kScale - scaler.mean[k]) / scaler.deviation[k];
      row[kOnehot + k] = static_cast<float>(std::clamp(z, -kClip, kClip));
    }
    rows.finish_row(records.classes[i]);
  }
  return rows.finish();
}

MinMax MinMax::of(const RecordTable& records) {
  MinMax range;
  range.low.assign(kFeatures, std::numeric_limits<double>::infinity());
  range.high.assign(kFeatures, -std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < records.rows; ++i) {
    const auto values = ordinal_of(records, i);
    for (std::size_t k = 0; k < kFeatures; ++k) {
      if (is_unknown(values[k], k)) continue;
      range.low[k] = std::min(range.low[k], values[k]);
      range.high[k] = std::max(range.high[k], values[k]);
    }
  }
  return range;
}

Dataset encode_ordinal41(const RecordTable& records, const MinMax& range, bool collapse) {
  RowCollector rows(kFeatures, records.rows, collapse);
  for (std::size_t i = 0; i < records.rows; ++i) {
    const std::span<float> row = rows.next_row();
    const auto values = ordinal_of(records, i);
    for (std::size_t k = 0; k < kFeatures; ++k) {
      if (is_unknown(values[k], k)) {
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
