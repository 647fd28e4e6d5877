// The key-holder of private detection: on the side of the organisation that owns the records, it
// opens their scores.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "party/key_holder/activation_opener.h"
#include "shared/crypto/encryptor.h"
#include "shared/role/detection.h"

namespace blindsum::key_holder {

struct ScoreConfig {
  Digest key_id{}, replay_id{};
  role::DetectionPlan plan;
  double idle_s = 0;
};

// ScoreOpener gets the labels from the party, only to count what was scored right, and opens the
// scores of one batch after the other, in order; what is out of order is refused, and the last
// request, said again, gets the same answer. With a hidden layer it first opens the blinded hidden
// values of a batch, and answers with fresh encryptions of their squares. The service is told
// nothing else.
class ScoreOpener : public wire::Session {
 public:
  // `pool` and `records` must outlive the session.
  ScoreOpener(ScoreConfig config, crypto::SecretKey key, crypto::Encryptor encryptor,
              ThreadPool& pool, report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

  // Scores are those of one record.
  using Scores = std::array<std::int64_t, role::DetectionInputs::kOutputs>;
  [[nodiscard]] const std::vector<Scores>& scores() const { return scores_; }
  // confusion counts records: [label][highest score, the first of equals].
  [[nodiscard]] const std::array<std::array<std::uint64_t, 5>, 5>& confusion() const {
    return confusion_;
  }
  // seconds from the first batch's arrival to the last score, and of the work on ciphertexts alone.
  [[nodiscard]] double stream_s() const { return stream_s_; }
  [[nodiscard]] double work_s() const { return work_s_; }

 private:
  void ask(wire::MessageSink& sink);
  void on_labels(const wire::RecordLabels& labels);
  void on_open(const wire::OpenSums& open, wire::MessageSink& sink);
  [[nodiscard]] Bytes squares(const wire::OpenSums& open);
  void take_scores(const wire::OpenSums& open);
  void end(Fault fault, std::string reason);

  ScoreConfig config_;
  crypto::SecretKey key_;
  crypto::Encryptor encryptor_;
  crypto::Decryptor decryptor_;
  report::RecordWriter* records_;
  Bytes labels_;
  std::uint32_t step_ = 0;   // of the next request
  bool is_squared_ = false;  // the next request has scores, after its hidden values
  std::optional<wire::OpenedSums> last_;
  std::vector<Scores> scores_;
  std::array<std::array<std::uint64_t, 5>, 5> confusion_{};
  report::Stopwatch watch_;
  double stream_s_ = 0, work_s_ = 0;
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  wire::TimeMs repeat_at_ = 0, idle_deadline_ = 0;
  Fault fault_ = Fault::kNone;
  std::string reason_;
  bool finished_ = false;
};

// predicted_class is the highest score's, the first of equals.
[[nodiscard]] std::size_t predicted_class(const ScoreOpener::Scores& scores);

// write_scores writes a CSV, 0600: record, class, and the five scores.
void write_scores(const std::filesystem::path& path, std::span<const ScoreOpener::Scores> scores);

// make_score_opener loads the keys that the role file names. Throws KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<ScoreOpener> make_score_opener(const settings::RoleFile& role,
                                                             ThreadPool& pool,
                                                             report::RecordWriter& records);

}  // namespace blindsum::key_holder
