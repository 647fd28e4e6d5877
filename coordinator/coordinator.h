// The coordinator: collects one encrypted update per party and hands their encrypted sum to the
// key-holder. It can open nothing: it holds the public key alone, and neither weights nor data.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/aggregator.h"
#include "shared/crypto/update_cipher.h"
#include "shared/report/records.h"
#include "shared/wire/session.h"

namespace blindsum::coordinator {

struct CoordinatorConfig {
  wire::RunId run{};
  std::vector<SigningPublicKey> parties;  // who may contribute, by party number
  std::uint32_t quorum = 0;               // of round 0
  std::uint32_t rounds = 0;
  Digest key_id{};  // zeros when cipher is none
  Digest codec_id{};
  std::uint32_t statistics_chunks = 0;  // plaintexts per update, by kind of round
  std::uint32_t gradient_chunks = 0;
  double idle_s = 150;  // without a word from the key-holder for this long, the run is aborted
  std::uint32_t gradient_quorum = 0;  // of every later round; 0: as of round 0
  std::uint32_t first =
      0;  // a gradient round is complete with so many updates; 0: with all awaited
};

// Coordinator is the coordinator's session. Not thread-safe.
class Coordinator : public wire::Session {
 public:
  // `records` must outlive the session.
  Coordinator(CoordinatorConfig config, std::unique_ptr<crypto::UpdateAccumulator> accumulator,
              report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  bool work_ahead() override;
  [[nodiscard]] bool finished() const override { return fault_.has_value(); }

  // fault is how the run ended for this role; kNone after a good end. Only when finished.
  [[nodiscard]] Fault fault() const { return fault_.value(); }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  [[nodiscard]] std::uint32_t parties() const {
    return static_cast<std::uint32_t>(config_.parties.size());
  }
  void on_hello(const wire::Peer& from, const wire::Hello& hello, wire::MessageSink& sink);
  void on_round_open(const wire::RoundOpen& open, wire::MessageSink& sink);
  void on_update(std::uint32_t party, const wire::EncryptedUpdate& update, wire::MessageSink& sink);
  void reopen(const wire::RoundOpen& open, wire::MessageSink& sink);
  void take(std::uint32_t party, const wire::EncryptedUpdate& update, wire::MessageSink& sink);
  void ask_for_update(std::uint32_t party, wire::MessageSink& sink);
  void note_refusal(std::uint32_t party, std::uint32_t round, wire::AcceptResult why);
  [[nodiscard]] std::uint32_t quorum() const;  // of the open round
  void close_if_complete(wire::MessageSink& sink);
  void close_round(wire::MessageSink& sink);
  void abort(Fault fault, std::string reason, wire::MessageSink& sink);
  void end(Fault fault, std::string reason);

  CoordinatorConfig config_;
  Aggregator aggregator_;
  report::RecordWriter* records_;
  std::optional<wire::RoundOpen> open_;             // the round that collects updates
  std::int64_t last_round_ = -1;                    // the last round that was opened
  std::optional<wire::EncryptedAggregate> closed_;  // of that round, to be sent again if it is lost
  wire::TimeMs round_deadline_ = 0;
  wire::TimeMs idle_deadline_ = 0;
  std::map<std::uint32_t, wire::EncryptedUpdate> early_;  // for the next round, one a party
  std::map<std::uint32_t, std::uint32_t> started_;  // parties that said hello, and for which round
  std::map<std::uint32_t, std::uint32_t> counted_in_;  // by party: the last sum that it was in
  std::map<std::uint32_t, std::uint32_t> refused_in_;  // by party: the round of the last refusal
  report::RoundRecord record_;
  report::Stopwatch round_watch_;
  double prepare_s_ = 0;  // spent on working ahead since the last aggregate
  std::optional<Fault> fault_;
  std::string reason_;
};

}  // namespace blindsum::coordinator
