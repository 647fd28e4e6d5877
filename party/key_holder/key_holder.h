// The key-holder: opens the sum of a round, steps the model, and sends the new weights to the
// parties. It stands on the parties' side of trust and never sees a single party's update.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "party/key_holder/state_store.h"
#include "shared/core/random.h"
#include "shared/core/signature.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/update_cipher.h"
#include "shared/crypto/update_codec.h"
#include "shared/data/encoder.h"
#include "shared/model/local_training.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"
#include "shared/model/privacy_accountant.h"
#include "shared/model/training.h"
#include "shared/report/records.h"
#include "shared/wire/session.h"

namespace blindsum::key_holder {

// PartyRecord is what the key-holder knows of an enrolled party.
struct PartyRecord {
  SigningPublicKey signing{};
  SecretBytes tag_key;  // shared with the party: 32 bytes
};

struct KeyHolderConfig {
  wire::RunId run{};
  std::vector<PartyRecord> parties;   // by party number
  SecretBytes tag_secret;             // what the tag keys of the rounds are derived from: 32 bytes
  std::uint32_t quorum = 0;           // of round 0
  std::uint32_t gradient_quorum = 0;  // of every later round; 0: as of round 0
  std::uint32_t sample = 0;           // parties that a gradient round asks; 0: all
  std::uint32_t extra = 0;            // asked beyond that
  std::uint32_t rounds = 0;
  std::uint64_t seed = 1;
  model::LocalSettings local;  // of the parties
  model::Shape shape;
  model::OptimizerSettings optimizer;
  std::uint32_t evaluate_every = 1;
  std::string zero_day;  // attack whose test records are also evaluated by themselves; may be empty
  double round_s = 30;
  double start_s = 120;
  Digest key_id{};   // zeros when cipher is none
  double noise = 0;  // that the parties add; 0: none
  double delta = 0;  // with noise
  struct Stop {
    double accuracy = 0;         // once reached; 0: off
    std::uint32_t patience = 0;  // evaluations without a better macro-F1; 0: off
    double minutes = 0;          // of this process's rounds; 0: off
  } stop;
};

// KeyHolder is the key-holder's session. What it has to remember over a crash it keeps in `store`:
// each aggregate before it is opened, and every few rounds its state. Started with a store that
// holds a run's state, it goes on with the next round, and ends in the same model as if it had
// never stopped. Not thread-safe; `pool` and `records` must outlive it.
class KeyHolder : public wire::Session {
 public:
  KeyHolder(KeyHolderConfig config, crypto::UpdateCodec codec,
            std::unique_ptr<crypto::UpdateOpener> opener, std::unique_ptr<StateStore> store,
            data::RecordTable test, ThreadPool& pool, report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return fault_.has_value(); }

  [[nodiscard]] Fault fault() const { return fault_.value(); }
  [[nodiscard]] const std::string& reason() const { return reason_; }

  [[nodiscard]] const model::Shape& shape() const { return config_.shape; }
  [[nodiscard]] const data::Schema& schema() const { return schema_; }

  // parameters of the model as it stands; the final ones after a good end.
  [[nodiscard]] const model::Parameters& parameters() const { return parameters_; }

  // scaler standardises the model's inputs. Throws IntegrityError before round 0 has ended.
  [[nodiscard]] data::Scaler scaler() const { return data::Scaler::from_statistics(statistics_); }

 private:
  // Progress is what decides whether a run goes on.
  struct Progress {
    double best_macro_f1 = 0;
    std::uint32_t evaluations_since = 0;
    std::string stop_reason;  // empty: the run goes on
  };

  // kWaiting for parties, before the first round of this process; kCollecting a round's aggregate;
  // kParting: all rounds were over when this process started, and who asks is told so.
  enum class State { kWaiting, kCollecting, kParting, kEnded };

  [[nodiscard]] std::uint32_t parties() const {
    return static_cast<std::uint32_t>(config_.parties.size());
  }
  void recover();
  [[nodiscard]] wire::EncryptedAggregate aggregate_from(const Recovered::Entry& entry) const;
  [[nodiscard]] Bytes checkpoint() const;
  void restore(ByteView checkpoint);
  void on_hello(const wire::Peer& from, const wire::Hello& hello, wire::MessageSink& sink);
  [[nodiscard]] bool are_expected_ready() const;
  void on_aggregate(const wire::EncryptedAggregate& aggregate, wire::MessageSink& sink);
  void require_claims(const wire::EncryptedAggregate& aggregate) const;
  void apply(const wire::EncryptedAggregate& aggregate);
  void take_statistics(const std::vector<std::int64_t>& sums);
  void take_gradient(const crypto::GradientSum& sum, std::uint32_t round,
                     std::uint32_t contributors);
  void evaluate(report::RoundRecord& record);
  void write_record(const report::RoundRecord& record);
  void judge_progress(const report::RoundRecord& record, bool is_time_over);
  [[nodiscard]] bool is_time_over() const;
  [[nodiscard]] bool is_over() const {
    return next_round_ > config_.rounds || !progress_.stop_reason.empty();
  }
  [[nodiscard]] std::uint32_t quorum(std::uint32_t round) const {
    return round > 0 && config_.gradient_quorum > 0 ? config_.gradient_quorum : config_.quorum;
  }
  void keep_checkpoint(std::uint32_t round, report::RoundRecord& record);
  void set_round(std::uint32_t round);
  void begin_round(std::uint32_t round, wire::MessageSink& sink);
  void send_round_start(std::uint32_t party, wire::MessageSink& sink);
  void send_round_open(wire::MessageSink& sink);
  void look_after_round(wire::MessageSink& sink);
  void lose(std::uint32_t party);
  void abort(Fault fault, std::string reason, wire::MessageSink& sink);
  void tell_everyone(const wire::Body& body, wire::MessageSink& sink);
  void end(Fault fault, std::string reason);

  KeyHolderConfig config_;
  crypto::UpdateCodec codec_;
  std::unique_ptr<crypto::UpdateOpener> opener_;
  std::unique_ptr<StateStore> store_;
  data::Schema schema_;
  data::RecordTable test_records_;
  ThreadPool* pool_;
  report::RecordWriter* records_;

  State state_ = State::kWaiting;
  std::uint32_t next_round_ = 0;
  std::vector<bool> ready_;       // said hello, and can be reached: they are sent every round
  std::vector<bool> expected_;    // contributed when last asked, or said hello since: a round waits
  std::vector<bool> asked_;       // the parties of the current round
  wire::TimeMs deadline_ = 0;     // of what state_ waits for
  wire::TimeMs look_at_ = 0;      // when to look after the round that is being collected
  wire::RoundStart round_start_;  // of the current round, for parties that come back
  data::Statistics statistics_;
  data::Dataset test_, zero_day_test_;
  model::Parameters parameters_;
  model::Parameters control_;  // SCAFFOLD's c; else empty
  Progress progress_;
  std::optional<report::Stopwatch> training_watch_;  // since the first gradient round from here
  model::Optimizer optimizer_;
  std::optional<model::PrivacyAccountant> accountant_;
  report::RoundRecord record_;
  report::Stopwatch wait_watch_;
  std::optional<Fault> fault_;
  std::string reason_;
};

}  // namespace blindsum::key_holder
