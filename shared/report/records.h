// Machine-readable records of a run: one JSON object a line, one line a round and role.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace blindsum::report {

// Evaluation is the model's quality on the full test set after a round.
struct Evaluation {
  double accuracy = 0, macro_f1 = 0, cost = 0;
  std::vector<std::string> classes;                   // their names: "normal", …
  std::vector<double> recall;                         // by class
  std::vector<std::vector<std::uint64_t>> confusion;  // [actual][predicted]
  // With a zero-day attack: what its records in the test set were taken for, by class.
  std::optional<std::vector<std::uint64_t>> zero_day = {};
};

// RoundRecord is what one role says of one round. It never holds plaintexts, weights, keys or
// updates.
struct RoundRecord {
  std::uint32_t round = 0;
  std::string role;  // "coordinator", "keyholder", "party-3"
  std::map<std::string, double>
      phase_s;  // wall seconds: train, encode, encrypt, aggregate, decrypt, evaluate, wait
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::vector<std::uint32_t> contributors;      // coordinator and key-holder
  std::uint64_t clipped_values = 0;             // party
  std::vector<std::uint64_t> clipped_by_layer;  // party: the same by layer; empty when 0
  std::uint64_t clipped_rows = 0;        // party, with noise: of longer gradients than allowed
  std::optional<double> epsilon;         // key-holder, with noise: of all rounds so far
  std::optional<Evaluation> evaluation;  // key-holder
  std::string model_digest;              // key-holder: of the weights after the round
};

// Event is something that happened beside the ordinary course of the rounds.
struct Event {
  std::string event;        // "party_lost": scenarios/README.md lists them
  std::uint32_t round = 0;  // that was going on
  std::string role;         // that it happened to
  std::string by;           // that says so; "launcher", too
  std::string detail;       // for people
  std::string at;           // UTC, milliseconds; event_now fills it
};

// kRestarted begins the records of every later life of a role.
inline constexpr const char* kRestarted = "role_restarted";

// event_now is an event of this moment.
[[nodiscard]] Event event_now(std::string event, std::uint32_t round, std::string role,
                              std::string by, std::string detail);

[[nodiscard]] nlohmann::json to_json(const RoundRecord& record);
[[nodiscard]] nlohmann::json to_json(const Event& event);
[[nodiscard]] nlohmann::json to_json(const Evaluation& evaluation);
// round_record_from_json throws DecodeError for missing or mistyped fields.
[[nodiscard]] RoundRecord round_record_from_json(const nlohmann::json& json);
[[nodiscard]] Event event_from_json(const nlohmann::json& json);

// LineKind is what a line of a records file is.
enum class LineKind { kRound, kEvent, kEnd };
[[nodiscard]] LineKind kind_of(const nlohmann::json& line);

// RecordWriter appends records to a .jsonl file; every line is flushed when the call returns. With
// an empty path it keeps nothing. What an earlier life of the role has written stays, but for a
// torn last line. Throws Error when the file cannot be written.
class RecordWriter {
 public:
  explicit RecordWriter(std::filesystem::path path);
  void add(const RoundRecord& record);
  void note(const Event& event);
  // end writes the role's last line: its end state (fault name, totals).
  void end(const nlohmann::json& last);

  // last_round is the latest that an earlier life of the role has written about; none when this
  // is the first.
  [[nodiscard]] std::optional<std::uint32_t> last_round() const { return last_round_; }

 private:
  void write(const nlohmann::json& json);
  std::filesystem::path path_;
  std::ofstream file_;
  std::optional<std::uint32_t> last_round_;
};

// read_records returns the complete lines of a .jsonl file as JSON objects; a torn last line (a
// crash) is left out.
[[nodiscard]] std::vector<nlohmann::json> read_records(const std::filesystem::path& path);

// Stopwatch measures wall seconds since it was made or last restarted.
class Stopwatch {
 public:
  Stopwatch();
  [[nodiscard]] double seconds() const;
  double restart();  // returns seconds()

 private:
  std::int64_t start_ns_;
};

// write_safetensors writes float32 tensors in the safetensors format (8-byte header length, JSON
// header, data).
struct Tensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::vector<float> values;
};
void write_safetensors(const std::filesystem::path& path, const std::vector<Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

// read_safetensors reads what write_safetensors wrote, tensors in the order of their data. Throws
// DecodeError for anything else: a header that is not one, another type than F32, tensors that
// overlap, leave gaps or do not fill the file.
struct Tensors {
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
};
[[nodiscard]] Tensors read_safetensors(const std::filesystem::path& path);

}  // namespace blindsum::report
