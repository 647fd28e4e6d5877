#include "shared/data/encoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/data/synthetic.h"
#include "tests/data/rows.h"
#include "tests/support/temp_dir.h"

namespace blindsum::data {
namespace {

using test::kNormalRow;
using test::kRootkitRow;
using test::kSmurfRow;
using test::replaced;

constexpr std::size_t kSums = 1 + kClasses;
constexpr std::size_t kSquares = kSums + kNumericFeatures;

RecordTable synthetic(std::size_t rows) {
  const test::TempDir folder;
  write_synthetic(folder.path(), 5, {rows, 1});
  return read_kdd(find_kdd(folder.path()).train);
}

RecordTable slice(const RecordTable& table, std::size_t begin, std::size_t end) {
  RecordTable part;
  part.rows = end - begin;
  const auto cut = [](const auto& from, std::size_t a, std::size_t b) {
    return std::vector(from.begin() + std::ptrdiff_t(a), from.begin() + std::ptrdiff_t(b));
  };
  part.numeric = cut(table.numeric, begin * kNumericFeatures, end * kNumericFeatures);
  part.categories = cut(table.categories, 3 * begin, 3 * end);
  part.attacks = cut(table.attacks, begin, end);
  part.attack_names = table.attack_names;
  part.classes = cut(table.classes, begin, end);
  return part;
}

TEST_CASE("statistics are the integers that the definition gives") {
  const Statistics statistics = statistics_of(test::parse(kNormalRow + kSmurfRow + kSmurfRow));
  CHECK(statistics.rows() == 3);
  CHECK(statistics.class_rows(0) == 1);
  CHECK(statistics.class_rows(1) == 2);
  CHECK(statistics.class_rows(4) == 0);
  const std::int64_t normal = std::llround(4096 * std::log1p(181.0));  // src_bytes
  const std::int64_t smurf = std::llround(4096 * std::log1p(1032.0));
  CHECK(statistics.values[kSums + 1] == normal + 2 * smurf);
  CHECK(statistics.values[kSquares + 1] == normal * normal + 2 * smurf * smurf);
  constexpr std::size_t kSameSrcPort = 32;  // dst_host_same_src_port_rate: 0.11 and twice 1.00
  CHECK(statistics.values[kSums + kSameSrcPort] == 451 + 2 * 4096);
  CHECK(statistics.values[kSums + 8] == 4096);  // logged_in, not logged
}

TEST_CASE("every input is what its name says") {
  const Schema& schema = Schema::kdd99();
  const auto names = schema.input_names();
  REQUIRE(names.size() == 122);
  REQUIRE(schema.inputs() == 122);
  const auto place_of = [&](const std::string& name) {
    return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
  };
  CHECK(std::set(names.begin(), names.end()).size() == names.size());
  const auto columns = feature_names();
  std::size_t numeric = 0;
  for (std::size_t column = 0; column < columns.size(); ++column) {
    INFO(columns[column]);
    const bool is_category = column >= 1 && column <= 3;
    const std::string row =
        is_category ? kNormalRow : replaced(replaced(kNormalRow, column, "7"), 1, "tcp");
    const Dataset before =
        encode_onehot(test::parse(kNormalRow), Scaler::unscaled(Schema::kdd99()));
    const Dataset after = encode_onehot(test::parse(row), Scaler::unscaled(Schema::kdd99()));
    if (is_category) {
      const std::string value = column == 1 ? "tcp" : column == 2 ? "http" : "SF";
      CHECK(after.features[place_of(std::string(columns[column]) + "=" + value)] == 1);
      continue;
    }
    const double changed = after.features[place_of(std::string(columns[column]))];
    const bool is_logged = schema.numeric_column(numeric).kind == FeatureKind::kLog;
    CHECK(changed == doctest::Approx(is_logged ? std::log1p(7.0) : 5).epsilon(1e-3));
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] != columns[column]) CHECK(after.features[i] == before.features[i]);
    }
    ++numeric;
  }
  CHECK(numeric == kNumericFeatures);
}

TEST_CASE("statistics of shards add up to those of the whole, exactly") {
  const RecordTable whole = synthetic(3000);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed);
    SeededRandom random(seed, "statistics");
    const std::size_t a = random.below(3000);
    const std::size_t b = a + random.below(3000 - a);
    Statistics sum;
    for (const auto& [begin, end] : {std::pair{std::size_t{0}, a}, {a, b}, {b, whole.rows}}) {
      const Statistics part = statistics_of(slice(whole, begin, end));
      for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += part.values[i];
    }
    CHECK(sum.values == statistics_of(whole).values);
  }
}

TEST_CASE("values too large to sum are a DataError") {
  CHECK_THROWS_AS((void)statistics_of(test::parse(replaced(kNormalRow, 24, "1e300"))), DataError);
  CHECK_NOTHROW((void)statistics_of(test::parse(replaced(kNormalRow, 24, "500000"))));
  std::string text;
  for (int i = 0; i < 4; ++i) text += replaced(kNormalRow, 24, "500000");
  CHECK_THROWS_AS((void)statistics_of(test::parse(text)), DataError);
}

TEST_CASE("a scaler has mean and deviation, 1 for constant columns") {
  const RecordTable table = synthetic(2000);
  const Scaler scaler = Scaler::from_statistics(statistics_of(table));
  for (const std::size_t column : {std::size_t{1}, std::size_t{19}, std::size_t{25}}) {
    double mean = 0;
    double square = 0;
    for (std::size_t i = 0; i < table.rows; ++i) {
      const double x = table.numeric[i * kNumericFeatures + column];
      const double t = column == 25 ? x : std::log1p(x);
      mean += t / 2000;
      square += t * t / 2000;
    }
    CHECK(scaler.mean[column] == doctest::Approx(mean).epsilon(1e-3));
    CHECK(scaler.deviation[column] ==
          doctest::Approx(std::sqrt(square - mean * mean)).epsilon(1e-3));
  }
  CHECK(scaler.mean[16] == 0);       // num_outbound_cmds
  CHECK(scaler.deviation[16] == 1);  // num_outbound_cmds
}

TEST_CASE("impossible statistics are an IntegrityError") {
  const Statistics good = statistics_of(test::parse(kNormalRow + kSmurfRow));
  CHECK_NOTHROW((void)Scaler::from_statistics(good));
  CHECK_THROWS_AS((void)Scaler::from_statistics(Statistics{}), IntegrityError);
  for (const auto& [index, value] :
       std::vector<std::pair<std::size_t, std::int64_t>>{{0, 0},
                                                         {0, -2},
                                                         {0, 3},
                                                         {1, -1},
                                                         {1, 2},
                                                         {kSums + 1, std::int64_t{1} << 40},
                                                         {kSquares + 1, 0},
                                                         {kSquares + 1, -5}}) {
    INFO("value " << index << " = " << value);
    Statistics bad = good;
    bad.values[index] = value;
    CHECK_THROWS_AS((void)Scaler::from_statistics(bad), IntegrityError);
  }
  Statistics short_one = good;
  short_one.values.pop_back();
  CHECK_THROWS_AS((void)Scaler::from_statistics(short_one), IntegrityError);
}

TEST_CASE("one-hot encoding sets one input per category and standardises the rest") {
  const RecordTable table = test::parse(kNormalRow + kSmurfRow);
  const Dataset dataset = encode_onehot(table, Scaler::from_statistics(statistics_of(table)));
  REQUIRE(dataset.inputs == 122);
  REQUIRE(dataset.rows == 2);
  CHECK(dataset.labels == std::vector<std::uint8_t>{0, 1});
  CHECK(dataset.multiplicity == std::vector<std::uint32_t>{1, 1});
  CHECK(dataset.unknown_categories == 0);
  for (std::size_t row = 0; row < 2; ++row) {
    const float* x = dataset.features.data() + row * 122;
    CHECK(std::accumulate(x, x + 84, 0.0F) == 3.0F);
    for (std::size_t i = 0; i < 84; ++i) CHECK((x[i] == 0.0F || x[i] == 1.0F));
    // Of two different values, one is one deviation above the mean and one below.
    const float sign = row == 0 ? -1.0F : 1.0F;
    CHECK(x[84 + 1] == doctest::Approx(sign).epsilon(1e-6));   // src_bytes
    CHECK(x[84 + 2] == doctest::Approx(-sign).epsilon(1e-6));  // dst_bytes
    CHECK(x[84 + 32] == doctest::Approx(sign).epsilon(1e-6));  // dst_host_same_src_port_rate
    CHECK(x[84 + 0] == 0.0F);                                  // duration: 0 in both
  }
  CHECK(dataset.features[1] == 1.0F);           // tcp
  CHECK(dataset.features[3 + 24] == 1.0F);      // http
  CHECK(dataset.features[3 + 70 + 9] == 1.0F);  // SF
  CHECK(dataset.features[122 + 0] == 1.0F);     // icmp
}

TEST_CASE("standardised values are clipped to 5 deviations") {
  const RecordTable table = test::parse(kNormalRow + kSmurfRow);
  Scaler scaler = Scaler::from_statistics(statistics_of(table));
  scaler.mean[1] = 1000;
  scaler.mean[2] = -1000;
  const Dataset dataset = encode_onehot(table, scaler);
  CHECK(dataset.features[84 + 1] == -5.0F);
  CHECK(dataset.features[84 + 2] == 5.0F);
}

TEST_CASE("unknown categories encode as zeros and are counted") {
  const RecordTable table =
      test::parse(replaced(replaced(kNormalRow, 1, "sctp"), 2, "icmp") + kSmurfRow);
  const Dataset onehot = encode_onehot(table, Scaler::from_statistics(statistics_of(table)));
  CHECK(onehot.unknown_categories == 2);
  CHECK(std::accumulate(onehot.features.begin(), onehot.features.begin() + 84, 0.0F) == 1.0F);
  const Dataset ordinal = encode_ordinal(table, MinMax::of(table));
  CHECK(ordinal.unknown_categories == 2);
  CHECK(ordinal.features[1] == 0.0F);
  CHECK(ordinal.features[2] == 0.0F);
}

TEST_CASE("ordinal encoding scales every column by its range") {
  const RecordTable table =
      test::parse(kNormalRow + kSmurfRow + replaced(replaced(kNormalRow, 4, "606"), 0, "4"));
  const MinMax range = MinMax::of(table);
  REQUIRE(range.low.size() == 41);
  CHECK(range.low[4] == 181);
  CHECK(range.high[4] == 1032);
  const Dataset dataset = encode_ordinal(table, range);
  REQUIRE(dataset.inputs == 41);
  CHECK(dataset.features[4] == 0.0F);
  CHECK(dataset.features[41 + 4] == 1.0F);
  CHECK(dataset.features[2 * 41 + 4] == static_cast<float>(425.0 / 851.0));
  CHECK(dataset.features[2 * 41 + 0] == 1.0F);
  CHECK(dataset.features[1] == 1.0F);       // tcp after icmp
  CHECK(dataset.features[41 + 1] == 0.0F);  // icmp
  CHECK(dataset.features[3] == 0.0F);       // a constant column
}

TEST_CASE("collapsing keeps first appearances, in order, and every record") {
  const RecordTable table = test::parse(kSmurfRow + kNormalRow + kSmurfRow +
                                        replaced(kSmurfRow, 41, "normal.") + kSmurfRow);
  const Scaler scaler = Scaler::from_statistics(statistics_of(table));
  const Dataset full = encode_onehot(table, scaler);
  const Dataset collapsed = encode_onehot(table, scaler, true);
  CHECK(full.rows == 5);
  CHECK(full.records() == 5);
  CHECK(collapsed.rows == 3);
  CHECK(collapsed.records() == 5);
  CHECK(collapsed.multiplicity == std::vector<std::uint32_t>{3, 1, 1});
  CHECK(collapsed.labels == std::vector<std::uint8_t>{1, 0, 0});
  CHECK(collapsed.features.size() == std::size_t{3} * 122);
  CHECK(std::equal(collapsed.features.begin(), collapsed.features.begin() + 244,
                   full.features.begin()));
  CHECK(encode_ordinal(table, MinMax::of(table), true).rows == 3);
}

}  // namespace
}  // namespace blindsum::data
