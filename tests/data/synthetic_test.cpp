#include "shared/data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "tests/data/rows.h"
#include "tests/support/temp_dir.h"

namespace blindsum::data {
namespace {

using test::kNormalRow;
using test::kRootkitRow;
using test::kSmurfRow;
using test::parse;
using test::replaced;
using test::TempDir;

std::string repeated(const std::string& row, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += row;
  return text;
}

RecordTable generated(const std::string& table, std::uint64_t seed, SyntheticSizes sizes,
                      bool is_test = false) {
  const TempDir folder;
  write_synthetic(folder.path(), seed, sizes, table);
  const KddFiles files = find_kdd(folder.path());
  return read_kdd(is_test ? files.test : files.train);
}

std::map<std::string, std::size_t> rows_by_attack(const RecordTable& table) {
  std::map<std::string, std::size_t> rows;
  for (const std::uint16_t attack : table.attacks) ++rows[table.attack_names[attack]];
  return rows;
}

std::vector<double> column(const RecordTable& table, std::size_t index) {
  std::vector<double> values;
  for (std::size_t i = 0; i < table.rows; ++i) {
    values.push_back(table.numeric[i * kNumericFeatures + index]);
  }
  return values;
}

double rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto ranks = [](const std::vector<double>& values) {
    std::vector<double> sorted = values;
    std::ranges::sort(sorted);
    std::vector<double> result;
    for (const double value : values) {
      const auto [low, high] = std::ranges::equal_range(sorted, value);
      result.push_back(static_cast<double>((low - sorted.begin()) + (high - sorted.begin())) / 2);
    }
    return result;
  };
  const std::vector<double> x = ranks(a);
  const std::vector<double> y = ranks(b);
  const auto n = static_cast<double>(x.size());
  const double mean = std::reduce(x.begin(), x.end()) / n;
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xy / std::sqrt(xx * yy);
}

TEST_CASE("a fit says of each attack what can be counted by hand") {
  // 40 smurf rows: 30 with 1032 bytes, 10 with 520. 24 normal rows, alike.
  const std::string text = repeated(kSmurfRow, 30) + repeated(replaced(kSmurfRow, 4, "520"), 10) +
                           repeated(kNormalRow, 24);
  const RecordTable rows = parse(text);
  const std::string table = fit_synthetic(rows, rows);
  const std::string smurf =
      "attack smurf 40\n"
      "cell 40\n"
      "traffic icmp ecr_i SF 40\n"
      "src_bytes 0:520 25000:520 25000:1032 100000:1032\n"
      "count 0:511 100000:511\n"
      "srv_count 0:511 100000:511\n"
      "same_srv_rate 0:1 100000:1\n"
      "dst_host_count 0:255 100000:255\n"
      "dst_host_srv_count 0:255 100000:255\n"
      "dst_host_same_srv_rate 0:1 100000:1\n"
      "dst_host_same_src_port_rate 0:1 100000:1\n";
  const std::string normal =
      "attack normal 24\n"
      "cell 24\n"
      "traffic tcp http SF 24\n"
      "src_bytes 0:181 100000:181\n"
      "dst_bytes 0:5450 100000:5450\n"
      "logged_in 0:1 100000:1\n"
      "count 0:8 100000:8\n"
      "srv_count 0:8 100000:8\n"
      "same_srv_rate 0:1 100000:1\n"
      "dst_host_count 0:9 100000:9\n"
      "dst_host_srv_count 0:9 100000:9\n"
      "dst_host_same_srv_rate 0:1 100000:1\n"
      "dst_host_same_src_port_rate 0:0.11 100000:0.11\n";
  const std::size_t begin = table.find("set train\n");
  REQUIRE(begin != std::string::npos);
  CHECK(table.substr(begin) == "set train\n" + smurf + normal + "set test\n" + smurf + normal);
}

TEST_CASE("quantiles and correlation of a known population come back") {
  const std::uint64_t seed = 20260101;
  INFO("seed " << seed);
  SeededRandom random(seed, "synthetic test");
  constexpr double kCorrelation = 0.8;
  std::string text;
  for (int i = 0; i < 6000; ++i) {
    const double x = random.normal();
    const double y =
        kCorrelation * x + std::sqrt(1 - kCorrelation * kCorrelation) * random.normal();
    const double z = random.normal();
    std::string row = replaced(kNormalRow, 4, std::to_string(std::lround(std::exp(6 + x))));
    row = replaced(row, 5, std::to_string(std::lround(std::exp(8 - y))));
    text += replaced(row, 22, std::to_string(std::lround(std::exp(7 + z))));
  }
  const RecordTable real = parse(text);
  const std::string table = fit_synthetic(real, real);
  for (const bool is_test : {false, true}) {
    const RecordTable drawn = generated(table, seed, {8000, 8000}, is_test);
    REQUIRE(drawn.rows == 8000);
    for (const std::size_t index : {1, 2, 19}) {  // src_bytes, dst_bytes, count
      CAPTURE(index);
      std::vector<double> expected = column(real, index);
      std::vector<double> got = column(drawn, index);
      std::ranges::sort(expected);
      std::ranges::sort(got);
      // The population's logarithms have deviation 1. The table has its quantiles at the first
      // levels (8000 draws put these within 0.042 of a deviation, or better), a line between them.
      const auto check = [&](double level, double tolerance) {
        CAPTURE(level);
        const double a = expected[static_cast<std::size_t>(level * 6000)];
        const double b = got[static_cast<std::size_t>(level * 8000)];
        CHECK(std::abs(std::log(b / a)) < tolerance);
      };
      for (const double level : {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99}) check(level, 0.17);
      for (const double level : {0.05, 0.4, 0.6, 0.95}) check(level, 0.3);
      CHECK(got.front() >= expected.front());
      CHECK(got.back() <= expected.back());
    }
    for (const auto& [a, b] : {std::pair{1, 2}, {1, 19}, {2, 19}}) {
      CAPTURE(a);
      CAPTURE(b);
      const double expected = rank_correlation(column(real, a), column(real, b));
      CHECK(std::abs(rank_correlation(column(drawn, a), column(drawn, b)) - expected) < 0.06);
    }
    CHECK(rank_correlation(column(drawn, 1), column(drawn, 2)) < -0.7);
  }
}

TEST_CASE("combinations of protocol, service and flag keep their numbers to themselves") {
  // http transfers 100 bytes, smtp 900; three rare services are in one cell.
  std::string text = repeated(replaced(kNormalRow, 4, "100"), 300);
  text += repeated(replaced(replaced(kNormalRow, 2, "smtp"), 4, "900"), 100);
  for (const std::string service : {"ftp", "telnet", "finger"}) {
    text += repeated(replaced(replaced(kNormalRow, 2, service), 4, "5"), 10);
  }
  const RecordTable real = parse(text);
  const std::string table = fit_synthetic(real, real);
  CHECK(table.find("cell 300\ntraffic tcp http SF 300\n") != std::string::npos);
  CHECK(table.find("cell 30\ntraffic tcp finger SF 10\ntraffic tcp ftp SF 10\n"
                   "traffic tcp telnet SF 10\n") != std::string::npos);
  const RecordTable drawn = generated(table, 1, {4300, 10});
  std::map<std::string_view, std::size_t> rows;
  for (std::size_t i = 0; i < drawn.rows; ++i) {
    const std::string_view service =
        services()[static_cast<std::size_t>(drawn.categories_of(i)[1])];
    ++rows[service];
    CHECK(drawn.numeric[i * kNumericFeatures + 1] == (service == "http"   ? 100
                                                      : service == "smtp" ? 900
                                                                          : 5));
  }
  // Expected 3000, 1000 and 100 each; five standard deviations.
  CHECK(std::abs(static_cast<double>(rows["http"]) - 3000) < 5 * 30.1);
  CHECK(std::abs(static_cast<double>(rows["smtp"]) - 1000) < 5 * 27.7);
  for (const std::string_view service : {"ftp", "telnet", "finger"}) {
    CHECK(std::abs(static_cast<double>(rows[service]) - 100) < 5 * 9.9);
  }
}

TEST_CASE("attacks have their share of the rows, and rare ones a few rows more") {
  const std::string text = repeated(kSmurfRow, 600) + repeated(kNormalRow, 300) +
                           repeated(kRootkitRow, 99) + replaced(kRootkitRow, 41, "perl.");
  const RecordTable real = parse(text);
  const std::string table = fit_synthetic(real, real);
  using Counts = std::map<std::string, std::size_t>;
  const auto counts = [&](std::size_t rows) {
    return rows_by_attack(generated(table, 1, {rows, 1}));
  };
  CHECK(counts(1000) == Counts{{"smurf", 600}, {"normal", 300}, {"rootkit", 99}, {"perl", 1}});
  // perl's one row would be a tenth of a row; the rest: 99 · (600, 300, 99) / 999.
  CHECK(counts(100) == Counts{{"smurf", 59}, {"normal", 30}, {"rootkit", 10}, {"perl", 1}});
  // The floor f = 1 puts 4 rows in 40, no more than a tenth; 39 · (600, 300, 99) / 999.
  CHECK(counts(40) == Counts{{"smurf", 23}, {"normal", 12}, {"rootkit", 4}, {"perl", 1}});
  // No floor: 10 · (600, 300, 99, 1) / 1000.
  CHECK(counts(10) == Counts{{"smurf", 6}, {"normal", 3}, {"rootkit", 1}});
  CHECK(counts(1) == Counts{{"smurf", 1}});
}

TEST_CASE("a rare attack shares its numbers, and too few rows are refused") {
  const std::string perl = replaced(kRootkitRow, 41, "perl.");
  const auto fit = [](const std::string& text) {
    const RecordTable rows = parse(text);
    return fit_synthetic(rows, rows);
  };
  const std::string many = repeated(kSmurfRow, 30) + repeated(kNormalRow, 30);
  CHECK(fit(many + repeated(kRootkitRow, 17) + repeated(perl, 3))
            .find("attack rootkit 17\nattack perl 3\ncell 20\n") != std::string::npos);
  CHECK(fit(many + repeated(kRootkitRow, 40) + repeated(perl, 3))
            .find("attack rootkit 40\nattack perl 3\ncell 43\n") != std::string::npos);
  CHECK_THROWS_WITH_AS(fit(many + repeated(kRootkitRow, 16) + repeated(perl, 3)),
                       "class u2r has 19 rows: a fit takes at least 20 of a class, or none",
                       DataError);
}

TEST_CASE("every number of the built-in table is about twenty rows or more") {
  std::istringstream lines{std::string(synthetic_table())};
  std::size_t cells = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("cell ")) continue;
    ++cells;
    CHECK(std::stoul(line.substr(5)) >= kFewestRows);
  }
  CHECK(cells > 100);
}

TEST_CASE("the built-in data is the same everywhere, has KDD's attacks, and passes the reader") {
  const TempDir folder;
  write_synthetic(folder.path(), 1);
  const KddFiles files = find_kdd(folder.path());
  CHECK(text_sha256(files.train) ==
        "6ac3bad6ad3ff0317e61efcd33d961018db720c3e429f47183004a97f6bacb30");
  CHECK(text_sha256(files.test) ==
        "9bd3c052009ef871751396fdca75c0d13f1efc2b9e2240d96755e302073bee22");
  const RecordTable train = read_kdd(files.train);
  const RecordTable test = read_kdd(files.test);
  CHECK(train.rows == 40'000);
  CHECK(test.rows == 20'000);
  CHECK(train.attack_names.size() == 23);
  CHECK(test.attack_names.size() == 38);
  // 494,021 and 311,029 rows in all: KDD'99's own counts, to scale.
  const auto expect = [](const RecordTable& table, const std::string& attack, double share) {
    CAPTURE(attack);
    const double got = static_cast<double>(rows_by_attack(table)[attack]);
    CHECK(got / static_cast<double>(table.rows) == doctest::Approx(share).epsilon(0.01));
  };
  expect(train, "smurf", 280'790.0 / 494'021);
  expect(train, "neptune", 107'201.0 / 494'021);
  expect(train, "normal", 97'278.0 / 494'021);
  expect(test, "smurf", 164'091.0 / 311'029);
  expect(test, "neptune", 58'001.0 / 311'029);
  expect(test, "normal", 60'593.0 / 311'029);
  for (const RecordTable* table : {&train, &test}) {
    for (std::size_t i = 0; i < table->numeric.size(); ++i) {
      const std::size_t j = i % kNumericFeatures;
      const bool is_rate = (j >= 21 && j <= 27) || j >= 30;  // the names that end in _rate
      REQUIRE(feature_names()[j == 0 ? 0 : j + 3].ends_with("_rate") == is_rate);
      const double value = table->numeric[i];
      if (is_rate) {
        REQUIRE(value <= 1);
      } else {
        REQUIRE(value == std::floor(value));
      }
    }
  }
}

TEST_CASE("the real files fit to the built-in table, byte for byte") {
  const char* directory = std::getenv("BLINDSUM_DATA");
  if (directory == nullptr || find_set(directory) != FileSet::kKdd99) {
    MESSAGE("BLINDSUM_DATA names no folder with the contest's files: skipped");
    return;
  }
  const KddFiles files = find_kdd(directory);
  CHECK(fit_synthetic(read_kdd(files.train), read_kdd(files.test)) == synthetic_table());
}

TEST_CASE("a damaged table is a DataError that names the line") {
  const std::string good =
      "blindsum-synthetic 1\nset train\nattack smurf 5\ncell 5\ntraffic icmp ecr_i SF 5\n"
      "count 0:1 100000:9 | 10 0 0 0\n"
      "set test\nattack normal 5\ncell 5\ntraffic tcp http SF 5\n";
  CHECK(generated(good, 1, {7, 3}).rows == 7);
  const auto fails = [&](const std::string& from, const std::string& to, const std::string& what) {
    CAPTURE(to);
    std::string bad = good;
    const std::size_t at = bad.find(from);
    REQUIRE(at != std::string::npos);
    bad.replace(at, from.size(), to);
    std::string message = "accepted";
    try {
      (void)generated(bad, 1, {7, 3});
    } catch (const DataError& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find(what) != std::string::npos, message);
  };
  fails("synthetic 1", "synthetic 2", "line 1: expected 'blindsum-synthetic 1'");
  fails("set train", "set trial", "line 2: a set is 'train' or 'test'");
  fails("set test", "set train", "line 7: a set given twice");
  fails("set train\n", "", "line 2: an attack before a set");
  fails("attack smurf 5\n", "", "line 3: a cell before an attack");
  fails("attack smurf 5", "attack smurf", "line 3: a word is missing");
  fails("attack smurf 5", "attack smurf 0", "line 3: '0' is not a number from 1 to");
  fails("attack smurf 5", "attack smurf 5 5", "line 3: too many words");
  fails("attack smurf 5", "attack smarf 5", "smarf");
  fails("cell 5\ntraffic icmp", "traffic icmp", "line 4: this line belongs to a cell");
  fails("traffic icmp ecr_i SF 5\n", "", "has no traffic");
  fails("traffic icmp", "traffic igmp", "line 5: unknown traffic 'igmp'");
  fails("ecr_i SF 5", "ecr_i SF -5", "line 5: '-5' is not a number");
  fails("count", "account", "line 6: unknown column 'account'");
  fails("0:1 ", "5:1 ", "line 6: the shares of a column go from 0 to 100000");
  fails("100000:9", "90000:9", "line 6: the shares of a column go from 0 to 100000");
  fails("100000:9", "100001:9", "line 6: '100001' is not a number");
  fails("0:1 100000:9", "0:9 100000:1", "line 6: '1' is not a number from 9");
  fails("100000:9", "100000:nan", "line 6: 'nan' is not a number");
  fails("100000:9", "100000:1e11", "line 6: '1e11' is not a number");
  fails("| 10 0 0 0", "| 10 0 0", "line 6: a word is missing");
  fails("| 10 0 0 0", "| 90 90 0 0", "line 6: the loadings' squares add up to more than 1");
  fails("| 10 0 0 0\n", "| 10 0 0 0\ncount 0:1 100000:1\n", "line 7: a column given twice");
  fails("set test\nattack normal 5\ncell 5\ntraffic tcp http SF 5\n", "", "a set without attacks");
  CHECK_THROWS_AS((void)generated(std::string(1, '\0'), 1, {7, 3}), DataError);
  CHECK_THROWS_AS((void)generated("", 1, {7, 3}), DataError);
}

}  // namespace
}  // namespace blindsum::data
