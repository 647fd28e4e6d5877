// Records that are not KDD'99's.
#include "shared/data/schema.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/data/encoder.h"
#include "shared/data/partition.h"
#include "shared/data/records.h"
#include "tests/support/temp_dir.h"

namespace blindsum::data {
namespace {

std::vector<Feature> columns() {
  return {{"proto", FeatureKind::kCategory, {"udp", "6", "tcp"}},
          {"bytes", FeatureKind::kLog},
          {"idle", FeatureKind::kNumber, {}, Feature::Range{-10, 30}},
          {"share", FeatureKind::kNumber}};
}
std::vector<RecordClass> classes() {
  return {{"benign", {"BENIGN", "ok"}, {0, 1, 5}},
          {"dos", {"DoS Hulk", "DDoS"}, {2, 0, 3}},
          {"scan", {"PortScan"}, {4, 1, 0}}};
}
Schema schema() { return {columns(), "Label", classes()}; }

struct File {
  test::TempDir folder;
  std::filesystem::path path = folder.path() / "rows.csv";
  explicit File(const std::string& text) { write_file_atomic(path, text); }
  [[nodiscard]] RecordTable read() const { return read_records(path, schema()); }
  // error is what both readers say, without the folder.
  [[nodiscard]] std::string error() const {
    try {
      (void)read();
    } catch (const DataError& error) {
      return std::string(error.what()).substr(folder.path().string().size() + 1);
    }
    return "no error";
  }
};

std::string refusal(const std::vector<Feature>& columns, const std::vector<RecordClass>& classes) {
  try {
    (void)Schema(columns, "Label", classes);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST_CASE("a schema counts its inputs, and its classes cost what they say") {
  const Schema own = schema();
  CHECK_FALSE(own.is_kdd99());
  CHECK(own.input_names() ==
        std::vector<std::string>{"proto=udp", "proto=6", "proto=tcp", "bytes", "idle", "share"});
  CHECK(own.inputs() == 6);
  CHECK(own.onehot_inputs() == 3);
  CHECK(Statistics::values_of(own) == 1 + 3 + 2 * 3);
  CHECK(own.class_names() == std::vector<std::string>{"benign", "dos", "scan"});
  CHECK(own.class_of("ok") == 0);
  CHECK(own.class_of("DDoS") == 1);
  CHECK_THROWS_WITH_AS((void)own.class_of("ddos"), "unknown label 'ddos'", DataError);
  CHECK(own.cost(0, 2) == 5);
  CHECK(own.cost(2, 0) == 4);
  auto free = classes();
  for (RecordClass& one : free) one.costs.clear();
  const Schema plain(columns(), "Label", free);
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t p = 0; p < 3; ++p) CHECK(plain.cost(a, p) == (a == p ? 0 : 1));
  }
}

TEST_CASE("KDD'99 is a schema of 122 inputs and 82 statistics, with the contest's costs") {
  const Schema& kdd = Schema::kdd99();
  CHECK(kdd.is_kdd99());
  CHECK(kdd.inputs() == 122);
  CHECK(kdd.onehot_inputs() == 84);
  CHECK(Statistics::values_of(kdd) == 82);
  CHECK(kdd.class_of("httptunnel") == 4);
  CHECK(kdd.cost(3, 0) == 4);
}

TEST_CASE("a schema that contradicts itself is refused, by name") {
  auto wrong = columns();
  wrong[3].name = "bytes";
  CHECK(refusal(wrong, classes()) == "column 'bytes' is there twice");
  wrong[3].name = "Label";
  CHECK(refusal(wrong, classes()) == "column 'Label' is there twice");
  wrong = columns();
  wrong[0].values = {"udp", "tcp", "udp"};
  CHECK(refusal(wrong, classes()) == "column 'proto': value 'udp' is there twice");
  wrong[0].values = {};
  CHECK(refusal(wrong, classes()) == "column 'proto': a category needs values");
  wrong = columns();
  wrong[2].range = Feature::Range{3, 3};
  CHECK(refusal(wrong, classes()) ==
        "column 'idle': a range is of a number, and low is below high");
  CHECK(refusal({}, classes()) == "0 columns; use 1 to 1024");
  auto mapped = classes();
  mapped[2].labels = {"ok"};
  CHECK(refusal(columns(), mapped) == "label 'ok' is there twice");
  mapped = classes();
  mapped[1].costs = {2, 1, 3};
  CHECK(refusal(columns(), mapped) == "class 'dos': costs are one a class, and 0 for its own");
  mapped[1].costs = {2, 0};
  CHECK(refusal(columns(), mapped) == "class 'dos': costs are one a class, and 0 for its own");
  mapped.resize(1);
  CHECK(refusal(columns(), mapped) == "1 classes; use 2 to 32");
  mapped = classes();
  for (std::size_t i = mapped[0].labels.size() + 3; i < 65535; ++i) {
    mapped[0].labels.push_back(std::to_string(i));
  }
  CHECK(refusal(columns(), mapped) == "nothing was refused");
  mapped[1].labels.emplace_back("one more");
  CHECK(refusal(columns(), mapped) == "65536 labels; use at most 65535");
}

TEST_CASE("with a header, columns go by name and others are passed over") {
  const File file(
      "\xEF\xBB\xBF"
      "id, Label,share , bytes,proto,idle\r\n7,ok,0.5,-20,tcp,5\r\n8, DoS Hulk ,1e-2,0,gre,-10");
  const RecordTable table = file.read();
  REQUIRE(table.rows == 2);
  CHECK(table.numeric == std::vector<double>{-20, 5, 0.5, 0, -10, 0.01});
  CHECK(table.categories == std::vector<std::int16_t>{2, kUnknownCategory});
  CHECK(table.attack_names == std::vector<std::string>{"ok", "DoS Hulk"});
  CHECK(table.classes == std::vector<std::uint8_t>{0, 1});
}

TEST_CASE("without a header a line has the schema's columns and the label") {
  const RecordTable table = File("6,3,4,5,PortScan\n").read();
  CHECK(table.numeric == std::vector<double>{3, 4, 5});
  CHECK(table.categories == std::vector<std::int16_t>{1});
  CHECK(table.classes == std::vector<std::uint8_t>{2});
}

TEST_CASE("a file that does not fit its schema is refused with its line") {
  CHECK(File("proto,bytes,idle,Label\nudp,1,2,ok\n").error() ==
        "rows.csv:1: the header has no column 'share'");
  CHECK(File("proto,bytes,bytes,idle,share,Label\n").error() ==
        "rows.csv:1: the header has column 'bytes' twice");
  CHECK(File("udp,1,2,3,ok\nudp,1,2,ok\n").error() == "rows.csv:2: 4 fields, expected 5");
  CHECK(File("udp,1,2,3,smurf\n").error() == "rows.csv:1: unknown label 'smurf'");
  CHECK(File("udp,1,2,3,ok.\n").error() == "rows.csv:1: unknown label 'ok.'");
  CHECK(File("udp,Infinity,2,3,ok\n").error() ==
        "rows.csv:1: 'Infinity' is not a number in column bytes");
  CHECK(File("udp,1,,3,ok\n").error() == "rows.csv:1: '' is not a number in column idle");
  CHECK(File("udp,\"1\",2,3,ok\n").error() ==
        "rows.csv:1: a quote; fields are read without quotes");
}

TEST_CASE("statistics and inputs follow each column's kind") {
  const RecordTable table = File("udp,-20,5,0.5,ok\ntcp,7,99,-3,PortScan\n").read();
  const Statistics statistics = statistics_of(table);
  const auto q = [](double t) { return std::llround(4096 * t); };
  const std::int64_t bytes[] = {q(-std::log1p(20.0)), q(std::log1p(7.0))};
  const std::int64_t idle[] = {q(15.0 / 40), q(1)};  // 99 counts as 30
  const std::int64_t share[] = {q(0.5), q(-3)};
  CHECK(statistics.values == std::vector<std::int64_t>{2, 1, 0, 1, bytes[0] + bytes[1],
                                                       idle[0] + idle[1], share[0] + share[1],
                                                       bytes[0] * bytes[0] + bytes[1] * bytes[1],
                                                       idle[0] * idle[0] + idle[1] * idle[1],
                                                       share[0] * share[0] + share[1] * share[1]});
  const Dataset plain = encode_onehot(table, Scaler::unscaled(table.schema));
  CHECK(plain.classes == 3);
  CHECK(plain.inputs == 6);
  const auto input = [](std::int64_t q) {
    return static_cast<float>(static_cast<double>(q) / 4096);
  };
  CHECK(plain.features ==
        std::vector<float>{1, 0, 0, input(bytes[0]), input(idle[0]), input(share[0]),  //
                           0, 0, 1, input(bytes[1]), input(idle[1]), input(share[1])});
  for (std::size_t k = 0; k < 3; ++k) {
    const Feature& column = table.schema.numeric_column(k);
    const double value = k == 0 ? -20 : k == 1 ? 5 : 0.5;
    const double t = k == 0 ? -std::log1p(20.0) : k == 1 ? 15.0 / 40 : 0.5;
    CHECK(in_units(t, column) == doctest::Approx(value).epsilon(1e-12));
  }
  CHECK_THROWS_AS((void)encode_onehot(table, Scaler::unscaled(Schema::kdd99())), Error);
}

TEST_CASE("shards keep the header, and together they are the file") {
  std::string text = "Label,proto,bytes,idle,share\n";
  for (int i = 0; i < 60; ++i) {
    const char* labels[] = {"ok", "BENIGN", "DDoS", "DoS Hulk", "PortScan"};
    text += std::string(labels[i % 5]) + ",udp," + std::to_string(i) + ",1,0\n";
  }
  const File file(text);
  const RawFile raw = read_raw(file.path, schema());
  REQUIRE(raw.rows() == 60);
  CHECK(raw.services.empty());
  for (const PartitionKind kind :
       {PartitionKind::kIid, PartitionKind::kDirichlet, PartitionKind::kByAttack,
        PartitionKind::kQuantity, PartitionKind::kSomeClasses, PartitionKind::kByTime}) {
    INFO(to_string(kind));
    const auto shards = partition(raw, {kind}, 4, 1);
    std::vector<double> bytes;
    for (const auto& rows : shards) {
      write_shard(raw, rows, file.folder.path() / "shard.csv");
      const RecordTable shard = read_records(file.folder.path() / "shard.csv", schema());
      REQUIRE(shard.rows == rows.size());
      bool has_harmless = false;
      for (std::size_t i = 0; i < shard.rows; ++i) {
        bytes.push_back(shard.numeric_of(i)[0]);
        has_harmless |= shard.classes[i] == 0;
        CHECK(shard.attack_names[shard.attacks[i]] == raw.attack_names[raw.attacks[rows[i]]]);
      }
      // The first class is cut among all.
      if (kind == PartitionKind::kByAttack) CHECK(has_harmless);
    }
    std::ranges::sort(bytes);
    for (int i = 0; i < 60; ++i) CHECK(bytes[static_cast<std::size_t>(i)] == i);
  }
  CHECK_THROWS_WITH_AS((void)partition(raw, {PartitionKind::kByService}, 4, 1),
                       doctest::Contains("needs a category column called 'service'"), ConfigError);
}

}  // namespace
}  // namespace blindsum::data
