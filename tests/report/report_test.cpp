#include <bit>
#include <cstring>
#include <fstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/report/records.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::report;
using nlohmann::json;

RoundRecord any_record(SeededRandom& random) {
  RoundRecord record;
  record.round = static_cast<std::uint32_t>(random.next_u64());
  record.role = "party-" + std::to_string(random.below(1000));
  for (const char* phase : {"train", "encrypt", "wait"}) {
    if (random.below(2) == 0) record.phase_s[phase] = random.uniform();
  }
  record.bytes_in = random.next_u64();
  record.bytes_out = random.next_u64();
  for (std::uint64_t i = 0; i < random.below(20); ++i) {
    record.contributors.push_back(static_cast<std::uint32_t>(random.next_u64()));
  }
  record.clipped_values = random.next_u64();
  if (random.below(2) == 0) {
    Evaluation evaluation;
    evaluation.accuracy = random.uniform();
    evaluation.macro_f1 = random.uniform();
    evaluation.cost = random.uniform();
    const std::size_t classes = 2 + random.below(6);
    for (std::size_t c = 0; c < classes; ++c) {
      evaluation.classes.push_back("class " + std::to_string(classes - c));
      evaluation.recall.push_back(random.uniform());
      auto& row = evaluation.confusion.emplace_back();
      for (std::size_t d = 0; d < classes; ++d) row.push_back(random.next_u64());
    }
    record.evaluation = evaluation;
    record.model_digest = "sha256:" + std::to_string(random.next_u64());
  }
  return record;
}

std::string example_line() {
  SeededRandom random(5, "line");
  return to_json(any_record(random)).dump();
}

}  // namespace

TEST_CASE("a record survives the way through its line, exactly") {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    INFO("seed " << seed);
    SeededRandom random(seed, "record");
    const RoundRecord record = any_record(random);
    const RoundRecord read = round_record_from_json(json::parse(to_json(record).dump()));
    CHECK(to_json(read) == to_json(record));
    CHECK(read.phase_s == record.phase_s);
    CHECK(read.contributors == record.contributors);
    CHECK(read.evaluation.has_value() == record.evaluation.has_value());
    if (!read.evaluation) continue;
    CHECK(read.evaluation->confusion == record.evaluation->confusion);
    CHECK(read.evaluation->classes == record.evaluation->classes);
    CHECK(read.evaluation->recall == record.evaluation->recall);
  }
}

TEST_CASE("a record with a missing or mistyped field is a DecodeError") {
  const json good = json::parse(example_line());
  CHECK_NOTHROW((void)round_record_from_json(good));
  for (const char* key :
       {"round", "role", "phase_s", "bytes_in", "bytes_out", "contributors", "clipped_values"}) {
    INFO(key);
    json missing = good;
    missing.erase(key);
    CHECK_THROWS_AS((void)round_record_from_json(missing), DecodeError);
    json mistyped = good;
    mistyped[key] = json::array({json::array({"x"})});
    CHECK_THROWS_AS((void)round_record_from_json(mistyped), DecodeError);
  }
  for (const json& bad : {json(-1), json(1.5), json("1"), json(std::uint64_t{1} << 32)}) {
    json object = good;
    object["round"] = bad;
    CHECK_THROWS_AS((void)round_record_from_json(object), DecodeError);
    object = good;
    object["contributors"] = json::array({bad});
    CHECK_THROWS_AS((void)round_record_from_json(object), DecodeError);
  }
  // What a lenient reader would turn into numbers and lists.
  for (const auto& [pointer, bad] : std::vector<std::pair<std::string, json>>{
           {"/contributors", {{"a", 1}}},
           {"/phase_s", json::array({json::array({"train", 1})})},
           {"/phase_s/train", true},
           {"/evaluation/accuracy", true},
           {"/evaluation/recall/class 1", false},
           {"/evaluation/classes", json::array()},
           {"/evaluation/classes/0", 1},
           {"/evaluation/confusion/0/0", -1},
           {"/evaluation/confusion/0/0", 1e300},
           {"/evaluation/confusion/0", json::array({1, 2, 3, 4, 5, 6})}}) {
    INFO(pointer << " = " << bad.dump());
    json object = good;
    object[json::json_pointer(pointer)] = bad;
    CHECK_THROWS_AS((void)round_record_from_json(object), DecodeError);
  }
  json object = good;
  object["evaluation"] = json::object();
  CHECK_THROWS_AS((void)round_record_from_json(object), DecodeError);
  CHECK_THROWS_AS((void)round_record_from_json(json::array()), DecodeError);
}

TEST_CASE("every line is in the file when add returns") {
  const test::TempDir folder;
  const auto path = folder.path() / "party-0.jsonl";
  SeededRandom random(1, "lines");
  RecordWriter writer(path);
  for (std::size_t lines = 1; lines <= 20; ++lines) {
    const RoundRecord record = any_record(random);
    writer.add(record);
    const std::vector<json> read = read_records(path);
    REQUIRE(read.size() == lines);
    CHECK(read.back() == to_json(record));
  }
  writer.end({{"end", true}, {"status", "done"}});
  CHECK(read_records(path).back()["end"] == true);
}

TEST_CASE("a writer adds to what is there") {
  const test::TempDir folder;
  const auto path = folder.path() / "r.jsonl";
  RecordWriter(path).end({{"a", 1}});
  RecordWriter(path).end({{"b", 2}});
  CHECK(read_records(path).size() == 2);
}

TEST_CASE("a writer cuts off what a crash has torn, and knows how far its role had come") {
  const test::TempDir folder;
  const auto path = folder.path() / "r.jsonl";
  CHECK_FALSE(RecordWriter(path).last_round());
  RoundRecord record;
  record.role = "party-1";
  for (record.round = 0; record.round < 4; ++record.round) RecordWriter(path).add(record);
  for (const char* torn : {"{", "{\"round\": 9}", "\"round\": 4, ", "\0"}) {
    write_file_atomic(path, read_text_file(path) + torn);
    RecordWriter writer(path);
    CHECK(writer.last_round() == 3);
    writer.note(event_now("role_restarted", 3, "party-1", "party-1", ""));
  }
  CHECK(read_records(path).size() == 4 + 4);
}

TEST_CASE("an event reads back, and every kind of line is told apart") {
  const Event event = event_now("party_lost", 7, "party-3", "launcher", "killed \"so\"");
  const json line = json::parse(to_json(event).dump());
  CHECK(to_json(event_from_json(line)) == line);
  CHECK(event.at.size() == std::string("2026-11-23T07:12:09.736Z").size());
  CHECK(kind_of(line) == LineKind::kEvent);
  CHECK(kind_of(to_json(RoundRecord{})) == LineKind::kRound);
  CHECK(kind_of({{"end", true}}) == LineKind::kEnd);
  for (const char* key : {"event", "round", "role", "by", "detail", "at"}) {
    json bad = line;
    bad.erase(key);
    CHECK_THROWS_AS((void)event_from_json(bad), DecodeError);
    bad[key] = json::array();
    CHECK_THROWS_AS((void)event_from_json(bad), DecodeError);
  }
}

TEST_CASE("a writer without a path keeps nothing") {
  RecordWriter writer("");
  CHECK_NOTHROW(writer.add({}));
  CHECK_NOTHROW(writer.end({{"end", true}}));
}

TEST_CASE("a writer that cannot write says so") {
  const test::TempDir folder;
  CHECK_THROWS_AS(RecordWriter(folder.path() / "no" / "such" / "r.jsonl"), Error);
  if (std::filesystem::exists("/dev/full")) {
    RecordWriter full("/dev/full");
    CHECK_THROWS_AS(full.end({{"end", true}}), Error);
  }
}

TEST_CASE("a torn last line is left out, wherever it is torn") {
  const test::TempDir folder;
  const auto path = folder.path() / "torn.jsonl";
  const std::string line = example_line() + "\n";
  for (std::size_t length = 0; length < line.size(); ++length) {
    write_file_atomic(path, line + line.substr(0, length));
    CHECK(read_records(path).size() == 1);
  }
  write_file_atomic(path, line + line);
  CHECK(read_records(path).size() == 2);
  write_file_atomic(path, "");
  CHECK(read_records(path).empty());
}

TEST_CASE("a complete line that is not an object is a DecodeError with its number") {
  const test::TempDir folder;
  const auto path = folder.path() / "bad.jsonl";
  for (const char* bad : {"", "[1]", "{\"a\":", "nonsense", "7"}) {
    write_file_atomic(path, std::string("{}\n") + bad + "\n{}\n");
    try {
      (void)read_records(path);
      FAIL("nothing was thrown for " << bad);
    } catch (const DecodeError& error) {
      CHECK(std::string(error.what()) == path.string() + ":2: not a JSON object");
    }
  }
  CHECK_THROWS_AS((void)read_records(folder.path() / "absent"), Error);
}

TEST_CASE("a stopwatch starts again from zero") {
  Stopwatch watch;
  const double first = watch.restart();
  CHECK(first >= 0);
  CHECK(watch.seconds() >= 0);
  CHECK(watch.seconds() < 60);
}

TEST_CASE("safetensors: header length, aligned JSON header, then the values of every tensor") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  const std::vector<Tensor> tensors{{"layer0.weight", {2, 3}, {1, -2, 3.5F, 0, 1e-30F, -0.0F}},
                                    {"layer0.bias", {3}, {7, 8, 9}},
                                    {"empty", {0}, {}},
                                    {"scalar", {}, {42}}};
  write_safetensors(path, tensors, {{"model_digest", "sha256:00"}});

  const Bytes file = read_file(path);
  const std::uint64_t header_bytes = read_le64(file, 0);
  CHECK(header_bytes % 8 == 0);
  REQUIRE(file.size() == 8 + header_bytes + 4 * 10);
  const json header = json::parse(
      std::string(file.begin() + 8, file.begin() + 8 + static_cast<std::ptrdiff_t>(header_bytes)));
  CHECK(header["__metadata__"]["model_digest"] == "sha256:00");
  CHECK(header.size() == tensors.size() + 1);
  std::size_t expected_begin = 0;
  for (const Tensor& tensor : tensors) {
    INFO(tensor.name);
    const json& entry = header[tensor.name];
    CHECK(entry["dtype"] == "F32");
    CHECK(entry["shape"] == json(tensor.shape));
    CHECK(entry["data_offsets"][0] == expected_begin);
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
      const auto bits = read_le32(file, 8 + header_bytes + expected_begin + 4 * i);
      CHECK(bits == std::bit_cast<std::uint32_t>(tensor.values[i]));
    }
    expected_begin += 4 * tensor.values.size();
    CHECK(entry["data_offsets"][1] == expected_begin);
  }
}

TEST_CASE("safetensors: a shape that does not fit, or a name twice, is an Error") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  CHECK_THROWS_AS(write_safetensors(path, {{"a", {2, 2}, {1, 2, 3}}}, {}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"a", {1}, {1}}, {"a", {1}, {1}}}, {}), Error);
  CHECK_THROWS_AS(write_safetensors(path, {{"__metadata__", {1}, {1}}}, {}), Error);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("safetensors: what was written is read back, exactly") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  const std::vector<Tensor> tensors{
      {"z", {2, 3}, {1, -2, 3.5F, 0, 1e-30F, -0.0F}}, {"b", {3}, {7, 8, 9}}, {"a", {}, {42}}};
  const std::map<std::string, std::string> metadata{{"k", "v"}, {"unicode", "\u2192"}};
  write_safetensors(path, tensors, metadata);
  const Tensors read = read_safetensors(path);
  CHECK(read.metadata == metadata);
  REQUIRE(read.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(read.tensors[i].name == tensors[i].name);
    CHECK(read.tensors[i].shape == tensors[i].shape);
    REQUIRE(read.tensors[i].values.size() == tensors[i].values.size());
    CHECK(std::memcmp(read.tensors[i].values.data(), tensors[i].values.data(),
                      4 * tensors[i].values.size()) == 0);
  }
}

TEST_CASE("safetensors: a file that is cut or lengthened anywhere is a DecodeError") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  write_safetensors(path, {{"a", {2}, {1, 2}}, {"b", {1}, {3}}}, {{"k", "v"}});
  const Bytes good = read_file(path);
  for (std::size_t length = 0; length < good.size(); ++length) {
    INFO("length " << length);
    write_file_atomic(path, ByteView(good).first(length));
    CHECK_THROWS_AS((void)read_safetensors(path), DecodeError);
  }
  Bytes longer = good;
  longer.push_back(0);
  write_file_atomic(path, ByteView(longer));
  CHECK_THROWS_AS((void)read_safetensors(path), DecodeError);
}

TEST_CASE("safetensors: a header that lies is a DecodeError") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  const auto is_refused = [&](const std::string& header, std::size_t bytes) {
    Bytes file;
    append_le64(file, header.size());
    file.insert(file.end(), header.begin(), header.end());
    file.resize(file.size() + bytes);
    write_file_atomic(path, ByteView(file));
    try {
      (void)read_safetensors(path);
      return false;
    } catch (const DecodeError&) {
      return true;
    }
  };
  const auto tensor = [](const std::string& name, const std::string& shape,
                         const std::string& offsets, const std::string& type = "F32") {
    return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}";
  };
  CHECK_FALSE(is_refused("{" + tensor("a", "[2]", "[0,8]") + "}", 8));
  CHECK(is_refused("{" + tensor("a", "[2]", "[0,8]", "F64") + "}", 8));
  CHECK(is_refused("{" + tensor("a", "[3]", "[0,8]") + "}", 8));    // too small for its shape
  CHECK(is_refused("{" + tensor("a", "[2]", "[0,9]") + "}", 9));    // not whole values
  CHECK(is_refused("{" + tensor("a", "[2]", "[8,0]") + "}", 8));    // ends before it begins
  CHECK(is_refused("{" + tensor("a", "[2]", "[-8,0]") + "}", 8));   // begins before the data
  CHECK(is_refused("{" + tensor("a", "[2]", "[4,12]") + "}", 8));   // outside
  CHECK(is_refused("{" + tensor("a", "[2]", "[4,12]") + "}", 12));  // a gap
  CHECK(is_refused("{" + tensor("a", "[2]", "[0,8]") + "," + tensor("b", "[2]", "[4,12]") + "}",
                   12));  // an overlap
  CHECK(is_refused("{" + tensor("a", "[2]", "[0,8]") + "," + tensor("b", "[2]", "[0,8]") + "}",
                   8));  // shared
  CHECK(is_refused("{" + tensor("a", "\"x\"", "[0,8]") + "}", 8));
  CHECK(is_refused("{" + tensor("a", "[2]", "[0,8,8]") + "}", 8));
  CHECK(is_refused("{" + tensor("a", "[2.5]", "[0,8]") + "}", 8));
  CHECK(is_refused("{" + tensor("a", "[1e300]", "[0,8]") + "}", 8));
  CHECK(is_refused("{" + tensor("a", "[true,2]", "[0,8]") + "}", 8));
  // Products that wrap around: to nothing, and to 2.
  CHECK(is_refused("{" + tensor("a", "[4294967296,4294967296]", "[0,0]") + "}", 0));
  CHECK(is_refused("{" + tensor("a", "[9223372036854775809,2]", "[0,8]") + "}", 8));
  CHECK(is_refused("{\"a\":{}}", 0));
  CHECK(is_refused("{\"a\":7}", 0));
  CHECK(is_refused("{\"__metadata__\":{\"k\":1}}", 0));
  CHECK(is_refused("[]", 0));
}
