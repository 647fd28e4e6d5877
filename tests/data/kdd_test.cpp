#include "shared/data/kdd.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <doctest/doctest.h>
#include <zlib.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"
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
using test::TempDir;

Bytes gzipped(const std::string& text) {
  const TempDir folder;
  const std::filesystem::path path = folder.path() / "packed.gz";
  gzFile file = gzopen(path.c_str(), "wb9");
  REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) ==
          static_cast<int>(text.size()));
  REQUIRE(gzclose(file) == Z_OK);
  return read_file(path);
}

// errors_of reads `content` with both readers and returns their messages without the folder.
std::array<std::string, 2> errors_of(ByteView content) {
  const TempDir folder;
  const std::filesystem::path path = folder.path() / "rows";
  write_file_atomic(path, content);
  std::array<std::string, 2> messages;
  const auto message_of = [&](auto&& read) -> std::string {
    try {
      (void)read(path);
    } catch (const DataError& error) {
      const std::string text = error.what();
      const std::string prefix = folder.path().string() + "/";
      REQUIRE(text.starts_with(prefix));
      return text.substr(prefix.size());
    }
    return "no error";
  };
  return {message_of([](const auto& p) { return read_kdd(p); }),
          message_of([](const auto& p) { return read_raw(p, Schema::kdd99()); })};
}
std::array<std::string, 2> errors_of(const std::string& text) { return errors_of(as_bytes(text)); }

TEST_CASE("a row is read field by field") {
  const RecordTable table = test::parse(kRootkitRow + kNormalRow + kSmurfRow + kNormalRow);
  REQUIRE(table.rows == 4);
  const std::vector<double> expected{61,   294,  3929, 1,    2,    3,    4,    5,    0,  6,
                                     1,    2,    7,    8,    9,    10,   11,   1,    1,  12,
                                     13,   0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 14, 15,
                                     0.08, 0.09, 0.10, 0.11, 0.12, 0.13, 0.14, 0.15};
  CHECK(std::vector(table.numeric.begin(), table.numeric.begin() + kNumericFeatures) == expected);
  CHECK(table.numeric.size() == 4 * kNumericFeatures);
  CHECK(protocols()[static_cast<std::size_t>(table.categories_of(0)[0])] == "udp");
  CHECK(services()[static_cast<std::size_t>(table.categories_of(0)[1])] == "other");
  CHECK(flags()[static_cast<std::size_t>(table.categories_of(0)[2])] == "S0");
  CHECK(services()[static_cast<std::size_t>(table.categories_of(2)[1])] == "ecr_i");
  CHECK(table.attack_names == std::vector<std::string>{"rootkit", "normal", "smurf"});
  CHECK(table.attacks == std::vector<std::uint16_t>{0, 1, 2, 1});
  CHECK(table.classes == std::vector<std::uint8_t>{4, 0, 1, 0});
}

TEST_CASE("the schema has the sizes of the contest, and every class its attacks") {
  CHECK(feature_names().size() == kFeatures);
  CHECK(protocols().size() == 3);
  CHECK(services().size() == 70);
  CHECK(flags().size() == 11);
  CHECK(to_string(class_of("normal")) == "normal");
  CHECK(to_string(class_of("neptune")) == "dos");
  CHECK(to_string(class_of("mscan")) == "probe");
  CHECK(to_string(class_of("snmpguess")) == "r2l");
  CHECK(to_string(class_of("httptunnel")) == "u2r");
  CHECK_THROWS_AS((void)class_of("smurf."), DataError);
  CHECK_THROWS_AS((void)class_of(""), DataError);
}

TEST_CASE("a category outside the schema is unknown, not an error") {
  const RecordTable table =
      test::parse(replaced(replaced(replaced(kNormalRow, 1, "sctp"), 2, "icmp"), 3, ""));
  CHECK(table.categories == std::vector(3, kUnknownCategory));
}

TEST_CASE("an error says file, line and what is wrong") {
  const std::string short_row = kNormalRow.substr(kNormalRow.find(',') + 1);
  const std::string short_row_2 = short_row.substr(short_row.find(',') + 1);
  for (const auto& message : errors_of(kNormalRow + short_row_2)) {
    CHECK(message == "rows:2: 40 fields, expected 42");
  }
  for (const auto& message : errors_of(kNormalRow + kNormalRow + "0," + kNormalRow)) {
    CHECK(message == "rows:3: 43 fields, expected 42");
  }
  for (const auto& message : errors_of(kNormalRow + "\n" + kNormalRow)) {
    CHECK(message == "rows:2: 1 fields, expected 42");
  }
  for (const auto& message : errors_of(replaced(kNormalRow, 41, "smurfs."))) {
    CHECK(message == "rows:1: unknown attack label 'smurfs.'");
  }
  for (const auto& message : errors_of("")) CHECK(message == "rows: the file is empty");

  const auto number_error = [](std::size_t column, std::string_view value) {
    return errors_of(kSmurfRow + replaced(kNormalRow, column, value))[0];
  };
  CHECK(number_error(0, "abc") == "rows:2: 'abc' is not a number in column duration");
  CHECK(number_error(4, "") == "rows:2: '' is not a number in column src_bytes");
  CHECK(number_error(5, "1x") == "rows:2: '1x' is not a number in column dst_bytes");
  CHECK(number_error(40, "nan") ==
        "rows:2: 'nan' is not a number in column dst_host_srv_rerror_rate");
  CHECK(number_error(22, "inf") == "rows:2: 'inf' is not a number in column count");
  CHECK(number_error(22, "1e999") == "rows:2: '1e999' is not a number in column count");
  CHECK(number_error(22, "-1") == "rows:2: '-1' is negative in column count");
  CHECK(number_error(22, "\x01\xff") == "rows:2: '?\?' is not a number in column count");
}

TEST_CASE("a missing file is a DataError, and so is a folder") {
  const TempDir folder;
  CHECK_THROWS_AS((void)read_kdd(folder.path() / "none"), DataError);
  CHECK_THROWS_AS((void)read_raw(folder.path(), Schema::kdd99()), DataError);
  CHECK_THROWS_AS((void)text_sha256(folder.path() / "none"), DataError);
}

TEST_CASE("line ends of either kind, and none at the end, read alike") {
  const std::string plain = kNormalRow + kSmurfRow;
  std::string windows;
  for (const char c : plain) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const RecordTable expected = test::parse(plain);
  for (const std::string& text : {windows, plain.substr(0, plain.size() - 1)}) {
    const RecordTable table = test::parse(text);
    CHECK(table.numeric == expected.numeric);
    CHECK(table.attacks == expected.attacks);
  }
}

TEST_CASE("a gzip file reads like its plain text") {
  const TempDir folder;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += i % 3 == 0 ? kNormalRow : kSmurfRow;
  write_file_atomic(folder.path() / "plain", text);
  write_file_atomic(folder.path() / "packed", gzipped(text));
  const RecordTable plain = read_kdd(folder.path() / "plain");
  const RecordTable packed = read_kdd(folder.path() / "packed");
  CHECK(plain.rows == 5000);
  CHECK(packed.numeric == plain.numeric);
  CHECK(packed.categories == plain.categories);
  CHECK(packed.attacks == plain.attacks);
  CHECK(read_raw(folder.path() / "packed", Schema::kdd99()).text == text);
  CHECK(text_sha256(folder.path() / "packed") == to_hex(sha256(as_bytes(text))));
  CHECK(text_sha256(folder.path() / "plain") == to_hex(sha256(as_bytes(text))));
}

TEST_CASE("a gzip file cut anywhere, or with a flipped bit in its body, is a DataError") {
  std::string text;
  for (int i = 0; i < 50; ++i) text += replaced(kNormalRow, 4, std::to_string(i * i * 7919));
  const Bytes packed = gzipped(text);
  for (std::size_t size = 2; size < packed.size(); size += 1 + packed.size() / 60) {
    INFO("first " << size << " of " << packed.size() << " bytes");
    for (const auto& message : errors_of(ByteView(packed).first(size))) {
      CHECK(message != "no error");
    }
  }
  for (std::size_t at = 40; at < packed.size(); at += 1 + packed.size() / 60) {
    INFO("bit 3 of byte " << at);
    Bytes damaged = packed;
    damaged[at] ^= 8;
    for (const auto& message : errors_of(damaged)) CHECK(message != "no error");
  }
}

TEST_CASE("random bytes never read as rows and never crash") {
  constexpr std::uint64_t kSeed = 7;
  INFO("seed " << kSeed);
  SeededRandom random(kSeed, "hostile rows");
  for (int i = 0; i < 200; ++i) {
    std::string text = kNormalRow + kSmurfRow;
    for (std::uint64_t k = random.below(20) + 1; k > 0; --k) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    (void)errors_of(text);
    Bytes bytes(random.below(500));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
    for (const auto& message : errors_of(bytes)) CHECK(message != "no error");
  }
}

TEST_CASE("empty lines in plenty end at the first, without memory for their rows") {
  const std::string lines(100'000'000, '\n');
  const auto errors = errors_of(gzipped(lines));
  CHECK(errors[0] == "rows:1: 1 fields, expected 42");
  CHECK(errors[1] == errors[0]);
}

// As NSL-KDD and its copies have them: no dot, a difficulty, the features' names above.
TEST_CASE("labels without a dot, a difficulty and a header line change nothing") {
  const RecordTable plain = test::parse(kNormalRow + kSmurfRow + kRootkitRow);
  std::string header;
  for (const std::string_view name : feature_names()) header += std::string(name) + ",";
  const auto as_nsl = [](std::string row, const std::string& difficulty) {
    return row.substr(0, row.size() - 2) + difficulty + "\n";
  };
  for (const std::string& above :
       {std::string(), header + "attack\n", header + "class,level\r\n"}) {
    for (const std::string difficulty : {"", ",0", ",21"}) {
      const RecordTable table = test::parse(above + as_nsl(kNormalRow, difficulty) +
                                            as_nsl(kSmurfRow, difficulty) + kRootkitRow);
      CHECK(table.rows == plain.rows);
      CHECK(table.numeric == plain.numeric);
      CHECK(table.categories == plain.categories);
      CHECK(table.attack_names == plain.attack_names);
      CHECK(table.attacks == plain.attacks);
    }
  }
  for (const std::string wrong : {",22", ",-1", ",x", ",", ",3,4"}) {
    const std::string row = as_nsl(kNormalRow, wrong);
    CHECK_THROWS_WITH_AS((void)test::parse(kNormalRow + row), doctest::Contains("rows:2: 4"),
                         DataError);
  }
  // A header is one above the records, not between them.
  CHECK_THROWS_AS((void)test::parse(kNormalRow + header + "attack\n"), DataError);
}

TEST_CASE("sets of files are found by their names, the contest's first") {
  const TempDir folder;
  CHECK_FALSE(find_set(folder.path()));
  const auto put = [&](const char* name) {
    write_file_atomic(folder.path() / name, std::string_view("x"));
  };
  put("train.csv");
  CHECK_FALSE(find_set(folder.path()));
  put("test.csv.gz");
  CHECK(find_set(folder.path()) == FileSet::kCsv);
  put("KDDTrain+.txt");
  put("KDDTest+.txt");
  CHECK(find_set(folder.path()) == FileSet::kNslKdd);
  CHECK(find_kdd(folder.path(), FileSet::kNslKdd).test.filename() == "KDDTest+.txt");
  CHECK(find_kdd(folder.path(), FileSet::kCsv).test.filename() == "test.csv.gz");
  CHECK_THROWS_AS((void)find_kdd(folder.path()), DataError);
}

TEST_CASE("raw lines keep every byte") {
  const TempDir folder;
  const std::string odd = replaced(kNormalRow, 4, "0181");
  write_file_atomic(folder.path() / "rows", kSmurfRow + odd + kSmurfRow);
  const RawFile file = read_raw(folder.path() / "rows", Schema::kdd99());
  REQUIRE(file.rows() == 3);
  CHECK(file.line(0) == kSmurfRow);
  CHECK(file.line(1) == odd);
  CHECK(file.attacks == std::vector<std::uint16_t>{0, 1, 0});
  CHECK(file.attack_names == std::vector<std::string>{"smurf", "normal"});
  REQUIRE(file.services.size() == 3);
  CHECK(services()[static_cast<std::size_t>(file.services[0])] == "ecr_i");
  CHECK(services()[static_cast<std::size_t>(file.services[1])] == "http");
}

TEST_CASE("find_kdd takes either form of a file and says what is missing") {
  const TempDir folder;
  write_file_atomic(folder.path() / "corrected.gz", std::string_view("x"));
  CHECK_FALSE(find_set(folder.path()));
  try {
    (void)find_kdd(folder.path());
    FAIL("no error");
  } catch (const DataError& error) {
    const std::string text = error.what();
    CHECK(text.find("kddcup.data_10_percent") != std::string::npos);
    CHECK(text.find("http://kdd.ics.uci.edu/databases/kddcup99/") != std::string::npos);
  }
  write_file_atomic(folder.path() / "kddcup.data_10_percent", std::string_view("x"));
  CHECK(find_set(folder.path()) == FileSet::kKdd99);
  CHECK(find_kdd(folder.path()).train.filename() == "kddcup.data_10_percent");
  CHECK(find_kdd(folder.path()).test.filename() == "corrected.gz");
}

TEST_CASE("synthetic data parses, repeats with its seed, and tests attacks it does not train") {
  const TempDir first, again, other;
  write_synthetic(first.path(), 1, {8000, 4000});
  write_synthetic(again.path(), 1, {8000, 4000});
  write_synthetic(other.path(), 2, {8000, 4000});
  const KddFiles files = find_kdd(first.path());
  CHECK(text_sha256(files.train) == text_sha256(find_kdd(again.path()).train));
  CHECK(text_sha256(files.test) == text_sha256(find_kdd(again.path()).test));
  CHECK(text_sha256(files.train) != text_sha256(find_kdd(other.path()).train));
  const RecordTable train = read_kdd(files.train);
  const RecordTable test = read_kdd(files.test);
  CHECK(train.rows == 8000);
  CHECK(test.rows == 4000);
  for (const RecordTable* table : {&train, &test}) {
    std::map<std::uint8_t, std::size_t> rows;
    for (const std::uint8_t c : table->classes) ++rows[c];
    CHECK(rows.size() == kClasses);
    CHECK(rows[1] > table->rows * 6 / 10);  // dos
    CHECK(std::ranges::count(table->categories, kUnknownCategory) == 0);
  }
  for (const std::string_view attack : {"mscan", "apache2", "snmpguess"}) {
    CHECK(std::ranges::count(test.attack_names, attack) == 1);
    CHECK(std::ranges::count(train.attack_names, attack) == 0);
  }
}

TEST_CASE("the contest's files have their published rows per class and digests") {
  const char* directory = std::getenv("BLINDSUM_DATA");
  if (directory == nullptr || find_set(directory) != FileSet::kKdd99) {
    MESSAGE("BLINDSUM_DATA names no folder with the contest's files: skipped");
    return;
  }
  const KddFiles files = find_kdd(directory);
  using Counts = std::array<std::size_t, kClasses>;
  const auto check = [](const std::filesystem::path& path, std::string_view digest,
                        const Counts& expected, std::size_t unknown_services) {
    CHECK(text_sha256(path) == digest);
    const RecordTable table = read_kdd(path);
    Counts counts{};
    for (const std::uint8_t c : table.classes) ++counts.at(c);
    CHECK(counts == expected);
    std::size_t unknown = 0;
    for (std::size_t row = 0; row < table.rows; ++row) {
      const auto categories = table.categories_of(row);
      CHECK(categories[0] != kUnknownCategory);
      CHECK(categories[2] != kUnknownCategory);
      if (categories[1] == kUnknownCategory) ++unknown;
    }
    CHECK(unknown == unknown_services);
  };
  check(files.train, kTrainSha256, {97'278, 391'458, 4'107, 1'126, 52}, 0);
  check(files.test, kTestSha256, {60'593, 229'853, 4'166, 16'189, 228}, 2);
}

TEST_CASE("select takes rows as they are, in the order asked for") {
  const RecordTable table = test::parse(kNormalRow + kSmurfRow + kRootkitRow);
  const RecordTable selected = select(table, std::array<std::uint32_t, 3>{2, 0, 2});
  const RecordTable expected = test::parse(kRootkitRow + kNormalRow + kRootkitRow);
  CHECK(selected.rows == 3);
  CHECK(selected.numeric == expected.numeric);
  CHECK(selected.categories == expected.categories);
  CHECK(selected.classes == expected.classes);
  CHECK(selected.attack_names == table.attack_names);
  CHECK(selected.attacks == std::vector<std::uint16_t>{2, 0, 2});
  CHECK(select(table, {}).rows == 0);
}

TEST_CASE("distinct rows: the first of each kind, and how many there are") {
  // A row of another attack, category or number is another row.
  const std::string other_attack = replaced(kSmurfRow, 41, "pod.");
  const std::string other_service = replaced(kSmurfRow, 2, "http");
  const std::string other_number = replaced(kSmurfRow, 4, "1033");
  const DistinctRows distinct =
      distinct_rows(test::parse(kSmurfRow + kNormalRow + kSmurfRow + other_attack + other_service +
                                kNormalRow + other_number + kSmurfRow));
  CHECK(distinct.rows == std::vector<std::uint32_t>{0, 1, 3, 4, 6});
  CHECK(distinct.multiplicity == std::vector<std::uint32_t>{3, 2, 1, 1, 1});
}

TEST_CASE("distinct rows stand for the lines of a file, each as often as it occurs") {
  const TempDir folder;
  write_synthetic(folder.path(), 3, {5000, 1});
  const RawFile raw = read_raw(find_kdd(folder.path()).train, Schema::kdd99());
  std::string text = raw.text;
  text += text.substr(0, raw.line_begin[1000]);  // a thousand rows twice
  write_file_atomic(folder.path() / "twice", text);
  const RecordTable table = read_kdd(folder.path() / "twice");
  const RawFile lines = read_raw(folder.path() / "twice", Schema::kdd99());
  std::map<std::string, std::uint32_t> expected;  // numbers are written one way alone
  for (std::size_t i = 0; i < lines.rows(); ++i) ++expected[std::string(lines.line(i))];
  const DistinctRows distinct = distinct_rows(table);
  CHECK(distinct.rows.size() == expected.size());
  for (std::size_t i = 0; i < distinct.rows.size(); ++i) {
    CHECK(distinct.multiplicity[i] == expected.at(std::string(lines.line(distinct.rows[i]))));
  }
}

}  // namespace
}  // namespace blindsum::data
