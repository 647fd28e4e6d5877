// The key-holder of mode encrypted_inputs: on the owner's side, it opens what the compute service
// has computed and says how wrong it was.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/core/hash.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/wire/session.h"

namespace blindsum::key_holder {

// EpochScore is what one epoch came to. Training accuracy and loss are online: of each record
// before the step on it. Loss is the mean absolute error of the five outputs, as the study has it.
struct EpochScore {
  std::uint64_t train_rows = 0, train_right = 0, test_rows = 0, test_right = 0;
  std::int64_t error_sum = 0;  // Σ |dz2|, 16 fractional bits

  // take_train and take_test count one record. They return the errors dz2 = σ(z2) − y, rounded to
  // 16 fractional bits, and the predicted class.
  [[nodiscard]] std::array<std::int64_t, 5> take_train(std::span<const std::int64_t> sums,
                                                       std::uint8_t label);
  void take_test(std::span<const std::int64_t> sums, std::uint8_t label);

  [[nodiscard]] double train_accuracy() const;
  [[nodiscard]] double test_accuracy() const;
  [[nodiscard]] double loss() const;
  friend bool operator==(const EpochScore&, const EpochScore&) = default;
};
[[nodiscard]] nlohmann::json to_json(const EpochScore& score);

// SumTrace is a running hash over every sum that was opened, in order: two runs with the same trace
// had the same integers at every step.
class SumTrace {
 public:
  void take(std::span<const std::int64_t> sums);
  [[nodiscard]] Digest digest() const { return digest_; }

 private:
  Digest digest_{};
};

struct OpenerConfig {
  Digest key_id{}, replay_id{};
  std::uint32_t epochs = 0, train_rows = 0, test_rows = 0;
  bool gives_inputs = false;  // the right update needs them
  double idle_s = 0;
};

// ActivationOpener gets the labels from the party, then opens the sums of one record after the
// other, in the one order that the replay has; what is out of order is refused, and the last
// request, said again, gets the same answer. It tells the service of a training record the errors
// and the hidden values, and the inputs if the update needs them; of test records nothing.
class ActivationOpener : public wire::Session {
 public:
  // `pool` and `records` must outlive the session.
  ActivationOpener(OpenerConfig config, crypto::SecretKey key, ThreadPool& pool,
                   report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  // scores are those of the epochs that are over; trace is that of all that was opened.
  [[nodiscard]] const std::vector<EpochScore>& scores() const { return scores_; }
  [[nodiscard]] Digest trace() const { return trace_.digest(); }

 private:
  // Part is what the party has told of a set.
  struct Part {
    std::uint32_t rows = 0;
    Bytes labels, inputs;
    [[nodiscard]] bool is_whole() const { return labels.size() == rows; }
  };
  [[nodiscard]] Part& part(wire::RecordPart which) {
    return parts_.at(static_cast<unsigned>(which));
  }
  [[nodiscard]] bool has_all() const { return parts_[0].is_whole() && parts_[1].is_whole(); }
  void on_labels(const wire::RecordLabels& labels, wire::MessageSink& sink);
  void on_open(const wire::OpenSums& open, wire::MessageSink& sink);
  void ask(wire::MessageSink& sink);
  void end_epoch();
  void end(Fault fault, std::string reason);

  OpenerConfig config_;
  crypto::SecretKey key_;
  crypto::Decryptor decryptor_;
  report::RecordWriter* records_;
  std::array<Part, 2> parts_;
  wire::OpenSums expected_;  // step, part and first of the next request
  std::optional<wire::OpenedSums> last_;
  EpochScore score_;
  std::vector<EpochScore> scores_;
  SumTrace trace_;
  double decrypt_s_ = 0, train_s_ = 0;
  report::Stopwatch watch_;
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  wire::TimeMs repeat_at_ = 0, idle_deadline_ = 0;
  Fault fault_ = Fault::kNone;
  std::string reason_;
  bool finished_ = false;
};

// make_activation_opener loads the keys that the role file names. Throws KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<ActivationOpener> make_activation_opener(
    const settings::RoleFile& role, ThreadPool& pool, report::RecordWriter& records);

}  // namespace blindsum::key_holder
