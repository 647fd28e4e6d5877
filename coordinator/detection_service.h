// The compute service of private detection: it scores records that it cannot read, and cannot read
// the scores.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/detector.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/wire/session.h"

namespace blindsum::coordinator {

// DetectionConfig: idle_s is how long the service waits for any word of the others.
struct DetectionConfig {
  Digest key_id{}, replay_id{};
  role::DetectionPlan plan;
  double idle_s = 0;
};

// DetectionService asks the party for one batch of encrypted records after the other and sends the
// encrypted scores to the party's key-holder. Every ciphertext that leaves is re-randomised: it
// says nothing of the weights but what its plaintext says.
//
// With a hidden layer it has the key-holder square the hidden values, blinded: for a_j it sends
// E(b_j), b_j = a_j + r_j, r_j fresh and uniform in [2^22, 2^62), within 2^-40 of independent of
// a_j; and gets E(b_j²). From a_j² = b_j² − 2·r_j·a_j − r_j² and a_j linear in the record follow
// the scores as one linear combination of the E(x_i) and the E(b_j²).
class DetectionService : public wire::Session {
 public:
  // Throws ConfigError when the detector is not that of the plan. `pool` and `records` must outlive
  // the session.
  DetectionService(DetectionConfig config, Detector detector, crypto::Encryptor encryptor,
                   ThreadPool& pool, report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  // view is what the service saw of the records: their number, bytes, and the first bytes.
  struct View {
    std::uint64_t records = 0, messages = 0, bytes = 0;
    std::string begins_with;  // hexadecimal
  };
  [[nodiscard]] const View& view() const { return view_; }

 private:
  // Batch is a batch in work. `blinds` are the r_j of its records, record by record.
  struct Batch {
    std::uint32_t first = 0, count = 0;
    crypto::CiphertextVector records;
    std::vector<std::int64_t> blinds;
  };
  // Question is what was asked last, to be said again when no answer comes.
  struct Question {
    wire::Peer to;
    wire::Body body;
    wire::TimeMs repeat_at = 0;
  };
  void on_hello(const wire::Peer& from, const wire::Hello& hello, wire::MessageSink& sink);
  void on_records(const wire::EncryptedRecords& message, wire::MessageSink& sink);
  void on_opened(const wire::OpenedSums& opened, wire::MessageSink& sink);
  void ask_for_records(wire::MessageSink& sink);
  void work_on_next(wire::MessageSink& sink);
  [[nodiscard]] crypto::CiphertextVector linear_scores(const Batch& batch) const;
  [[nodiscard]] crypto::CiphertextVector blinded_hidden(Batch& batch) const;
  [[nodiscard]] crypto::CiphertextVector square_scores(
      const Batch& batch, const crypto::CiphertextVector& squares) const;
  void send_sums(const crypto::CiphertextVector& sums, wire::MessageSink& sink);
  void say(Question& question, wire::MessageSink& sink);
  void end(Fault fault, std::string reason, wire::MessageSink& sink);

  DetectionConfig config_;
  Detector detector_;
  crypto::Encryptor encryptor_;
  crypto::PublicKey key_;
  crypto::Evaluator evaluator_;
  report::RecordWriter* records_;

  bool has_party_ = false, has_holder_ = false;
  std::uint32_t asked_ = 0;    // records that were asked for
  std::deque<Batch> batches_;  // the first one's sums are at the key-holder's
  bool is_squared_ = false;  // of the first batch: the key-holder has its scores, not hidden values
  std::uint32_t step_ = 0;
  std::optional<Question> record_question_, sum_question_;
  wire::TimeMs idle_deadline_ = 0;
  double compute_s_ = 0;
  std::uint64_t bytes_out_ = 0;
  View view_;
  Fault fault_ = Fault::kNone;
  std::string reason_;
  bool finished_ = false;
};

// make_detection_service loads what the role file names. Throws KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<DetectionService> make_detection_service(
    const settings::RoleFile& role, ThreadPool& pool, report::RecordWriter& records);

}  // namespace blindsum::coordinator
