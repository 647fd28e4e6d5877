#include "shared/report/records.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <limits>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"

namespace blindsum::report {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRecordsBytes = std::size_t{1} << 30;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// whole refuses what nlohmann's conversions would take silently: negative and fractional numbers.
template <class Whole>
Whole whole(const json& value, const char* key) {
  if (!value.is_number_unsigned()) {
    throw DecodeError(std::string("record: ") + key + ": a whole number is expected");
  }
  const auto number = value.get<std::uint64_t>();
  if (number > std::numeric_limits<Whole>::max()) {
    throw DecodeError(std::string("record: ") + key + ": too large");
  }
  return static_cast<Whole>(number);
}

double number(const json& value, const char* key) {
  if (!value.is_number()) throw DecodeError(std::string("record: ") + key + ": not a number");
  return value.get<double>();
}

// list_of throws unless `value` is a list, of `size` items when that is not 0.
const json& list_of(const json& value, const char* key, std::size_t size = 0) {
  if (!value.is_array() || (size != 0 && value.size() != size)) {
    throw DecodeError(std::string("record: ") + key + ": a list is expected" +
                      (size != 0 ? " of " + std::to_string(size) : ""));
  }
  return value;
}

Evaluation evaluation_from_json(const json& object) {
  Evaluation evaluation;
  evaluation.accuracy = number(object.at("accuracy"), "accuracy");
  evaluation.macro_f1 = number(object.at("macro_f1"), "macro_f1");
  evaluation.cost = number(object.at("cost"), "cost");
  for (const json& name : list_of(object.at("classes"), "classes")) {
    if (!name.is_string()) throw DecodeError("record: classes: names are expected");
    evaluation.classes.push_back(name.get<std::string>());
  }
  const std::size_t classes = evaluation.classes.size();
  if (classes == 0) throw DecodeError("record: classes: none");
  const auto counts_of = [&](const json& value, const char* key) {
    std::vector<std::uint64_t> counts;
    for (const json& count : list_of(value, key, classes)) {
      counts.push_back(whole<std::uint64_t>(count, key));
    }
    return counts;
  };
  for (const json& row : list_of(object.at("confusion"), "confusion", classes)) {
    evaluation.confusion.push_back(counts_of(row, "confusion"));
  }
  for (const std::string& name : evaluation.classes) {
    evaluation.recall.push_back(number(object.at("recall").at(name), "recall"));
  }
  if (object.contains("zero_day")) {
    evaluation.zero_day = counts_of(object.at("zero_day"), "zero_day");
  }
  return evaluation;
}

}  // namespace

json to_json(const Evaluation& evaluation) {
  json recall = json::object();
  for (std::size_t c = 0; c < evaluation.classes.size(); ++c) {
    recall[evaluation.classes[c]] = evaluation.recall.at(c);
  }
  json object = {{"accuracy", evaluation.accuracy},
                 {"macro_f1", evaluation.macro_f1},
                 {"cost", evaluation.cost},
                 {"classes", evaluation.classes},
                 {"recall", recall},
                 {"confusion", evaluation.confusion}};
  if (evaluation.zero_day) object["zero_day"] = *evaluation.zero_day;
  return object;
}

json to_json(const RoundRecord& record) {
  json object = {{"round", record.round},
                 {"role", record.role},
                 {"phase_s", record.phase_s},
                 {"bytes_in", record.bytes_in},
                 {"bytes_out", record.bytes_out},
                 {"contributors", record.contributors},
                 {"clipped_values", record.clipped_values}};
  if (!record.clipped_by_layer.empty()) object["clipped_by_layer"] = record.clipped_by_layer;
  if (record.clipped_rows > 0) object["clipped_rows"] = record.clipped_rows;
  if (record.epsilon) object["epsilon"] = *record.epsilon;
  if (record.evaluation) object["evaluation"] = to_json(*record.evaluation);
  if (!record.model_digest.empty()) object["model_digest"] = record.model_digest;
  return object;
}

Event event_now(std::string event, std::uint32_t round, std::string role, std::string by,
                std::string detail) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  struct tm parts = {};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string digits = std::to_string(1000 + ms);
  digits[0] = '.';
  return {std::move(event),  round,
          std::move(role),   std::move(by),
          std::move(detail), std::string(text.data(), size) + digits + "Z"};
}

json to_json(const Event& event) {
  return {{"event", event.event}, {"round", event.round},   {"role", event.role},
          {"by", event.by},       {"detail", event.detail}, {"at", event.at}};
}

Event event_from_json(const json& object) {
  try {
    Event event;
    object.at("event").get_to(event.event);
    event.round = whole<std::uint32_t>(object.at("round"), "round");
    object.at("role").get_to(event.role);
    object.at("by").get_to(event.by);
    object.at("detail").get_to(event.detail);
    object.at("at").get_to(event.at);
    return event;
  } catch (const json::exception& error) {
    throw DecodeError(std::string("event: ") + error.what());
  }
}

LineKind kind_of(const json& line) {
  if (line.contains("end")) return LineKind::kEnd;
  return line.contains("event") ? LineKind::kEvent : LineKind::kRound;
}

RoundRecord round_record_from_json(const json& object) {
  try {
    RoundRecord record;
    record.round = whole<std::uint32_t>(object.at("round"), "round");
    object.at("role").get_to(record.role);
    for (const auto& [phase, seconds] : object.at("phase_s").get_ref<const json::object_t&>()) {
      record.phase_s[phase] = number(seconds, "phase_s");
    }
    record.bytes_in = whole<std::uint64_t>(object.at("bytes_in"), "bytes_in");
    record.bytes_out = whole<std::uint64_t>(object.at("bytes_out"), "bytes_out");
    for (const json& party : list_of(object.at("contributors"), "contributors")) {
      record.contributors.push_back(whole<std::uint32_t>(party, "contributors"));
    }
    record.clipped_values = whole<std::uint64_t>(object.at("clipped_values"), "clipped_values");
    if (object.contains("clipped_by_layer")) {
      for (const json& count : list_of(object.at("clipped_by_layer"), "clipped_by_layer")) {
        record.clipped_by_layer.push_back(whole<std::uint64_t>(count, "clipped_by_layer"));
      }
    }
    if (object.contains("clipped_rows")) {
      record.clipped_rows = whole<std::uint64_t>(object.at("clipped_rows"), "clipped_rows");
    }
    if (object.contains("epsilon")) record.epsilon = number(object.at("epsilon"), "epsilon");
    if (object.contains("evaluation")) {
      record.evaluation = evaluation_from_json(object.at("evaluation"));
    }
    if (object.contains("model_digest")) object.at("model_digest").get_to(record.model_digest);
    return record;
  } catch (const json::exception& error) {
    throw DecodeError(std::string("record: ") + error.what());
  }
}

namespace {

// cut_torn_line makes the file end with its last complete line, and returns the latest round in it.
std::optional<std::uint32_t> cut_torn_line(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, kMaxRecordsBytes);
  const std::size_t complete = text.rfind('\n') + 1;  // 0 when there is no line
  if (complete < text.size()) std::filesystem::resize_file(path, complete);
  std::optional<std::uint32_t> latest;
  for (const json& line : read_records(path)) {
    const auto round = line.find("round");
    if (round != line.end())
      latest = std::max(latest.value_or(0), whole<std::uint32_t>(*round, "round"));
  }
  return latest;
}

}  // namespace

RecordWriter::RecordWriter(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.empty()) return;
  if (std::filesystem::is_regular_file(path_)) last_round_ = cut_torn_line(path_);
  file_.open(path_, std::ios::app);
  if (!file_) throw Error(path_.string() + ": cannot be opened for writing");
}

void RecordWriter::add(const RoundRecord& record) {
  if (!path_.empty()) write(to_json(record));
}

void RecordWriter::note(const Event& event) {
  if (!path_.empty()) write(to_json(event));
}

void RecordWriter::end(const json& last) {
  if (!path_.empty()) write(last);
}

void RecordWriter::write(const json& object) {
  // One write per line: a crash tears at most the last one.
  const std::string line = object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  file_.write(line.data(), static_cast<std::streamsize>(line.size()));
  file_.flush();
  if (!file_) throw Error(path_.string() + ": cannot be written");
}

std::vector<json> read_records(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, kMaxRecordsBytes);
  std::vector<json> records;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    json object = json::parse(line, nullptr, false);
    if (!object.is_object()) {
      throw DecodeError(path.string() + ":" + std::to_string(records.size() + 1) +
                        ": not a JSON object");
    }
    records.push_back(std::move(object));
    begin = end + 1;
  }
  return records;
}

Stopwatch::Stopwatch() : start_ns_(now_ns()) {}

double Stopwatch::seconds() const { return static_cast<double>(now_ns() - start_ns_) * 1e-9; }

double Stopwatch::restart() {
  const std::int64_t now = now_ns();
  const double elapsed = static_cast<double>(now - start_ns_) * 1e-9;
  start_ns_ = now;
  return elapsed;
}

}  // namespace blindsum::report
