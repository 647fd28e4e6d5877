// The key-holder: opens the sum of a round, steps the model, and sends the new weights to the
// parties. It stands on the parties' side of trust and never sees a single party's update.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/core/thread_pool.h"
#include "shared/crypto/update_cipher.h"
#include "shared/crypto/update_codec.h"
#include "shared/data/encoder.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"
#include "shared/model/training.h"
#include "shared/report/records.h"
#include "shared/wire/session.h"

namespace blindsum::key_holder {

struct KeyHolderConfig {
  std::uint32_t parties = 0;
  std::uint32_t quorum = 0;
  std::uint32_t rounds = 0;
  std::uint64_t seed = 1;
  std::uint32_t batch_rows = 256;
  model::Shape shape;
  model::OptimizerSettings optimizer;
  std::uint32_t evaluate_every = 1;
  double round_s = 30;
  double start_s = 120;
  Digest key_id{};  // zeros when cipher is none
};

// KeyHolder is the key-holder's session. Not thread-safe; `pool` and `records` must outlive it.
class KeyHolder : public wire::Session {
 public:
  KeyHolder(KeyHolderConfig config, crypto::UpdateCodec codec,
            std::unique_ptr<crypto::UpdateOpener> opener, data::RecordTable test, ThreadPool& pool,
            report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return fault_.has_value(); }

  [[nodiscard]] Fault fault() const { return fault_.value(); }
  [[nodiscard]] const std::string& reason() const { return reason_; }

  [[nodiscard]] const model::Shape& shape() const { return config_.shape; }

  // parameters of the model as it stands; the final ones after a good end.
  [[nodiscard]] const model::Parameters& parameters() const { return parameters_; }

  // scaler standardises the model's inputs. Throws IntegrityError before round 0 has ended.
  [[nodiscard]] data::Scaler scaler() const { return data::Scaler::from_statistics(statistics_); }

 private:
  enum class State { kWaiting, kCollecting, kEnded };

  void on_hello(const wire::Peer& from, const wire::Hello& hello, wire::MessageSink& sink);
  void on_aggregate(const wire::EncryptedAggregate& aggregate, wire::MessageSink& sink);
  void take_statistics(const std::vector<std::int64_t>& sums);
  void take_gradient(const crypto::GradientSum& sum, std::uint32_t contributors);
  void begin_round(std::uint32_t round, wire::MessageSink& sink);
  void abort(Fault fault, std::string reason, wire::MessageSink& sink);
  void tell_everyone(const wire::Body& body, wire::MessageSink& sink);
  void end(Fault fault, std::string reason);

  KeyHolderConfig config_;
  crypto::UpdateCodec codec_;
  std::unique_ptr<crypto::UpdateOpener> opener_;
  data::RecordTable test_records_;
  ThreadPool* pool_;
  report::RecordWriter* records_;

  State state_ = State::kWaiting;
  std::vector<bool> ready_;     // said hello: they are sent every round
  std::vector<bool> expected_;  // contributed to the last round, or said hello since: a round waits
  wire::TimeMs deadline_ = 0;
  wire::RoundStart round_start_;  // of the current round, for parties that come back
  data::Statistics statistics_;
  data::Dataset test_;
  model::Parameters parameters_;
  model::Optimizer optimizer_;
  report::RoundRecord record_;
  report::Stopwatch wait_watch_;
  std::optional<Fault> fault_;
  std::string reason_;
};

}  // namespace blindsum::key_holder
