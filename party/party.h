// A party: holds one shard, computes on it, and lets nothing leave but encrypted updates.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "party/control_variate.h"
#include "party/local_trainer.h"
#include "shared/core/error.h"
#include "shared/crypto/update_cipher.h"
#include "shared/crypto/update_codec.h"
#include "shared/report/records.h"
#include "shared/wire/session.h"

namespace blindsum::party {

struct PartyConfig {
  wire::RunId run{};
  std::uint32_t id = 0;
  std::uint64_t seed = 1;
  std::uint32_t rounds = 0;
  Digest key_id{};      // zeros when cipher is none
  double idle_s = 150;  // without a word from the key-holder for this long, the run is aborted
  std::filesystem::path state =
      {};  // SCAFFOLD alone: file of what survives a crash; empty: nothing
};

// PartyKeys are the secrets of a party.
struct PartyKeys {
  SigningKey signing;
  SecretBytes tag_key;  // shared with the key-holder: 32 bytes
};

// Party is a party's session. Not thread-safe.
class Party : public wire::Session {
 public:
  // `records` must outlive the session.
  Party(PartyConfig config, PartyKeys keys, crypto::UpdateCodec codec, LocalTrainer trainer,
        std::unique_ptr<crypto::UpdateSealer> sealer, report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  bool work_ahead() override;
  [[nodiscard]] bool finished() const override { return fault_.has_value(); }

  [[nodiscard]] Fault fault() const { return fault_.value(); }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  void say_hello(wire::MessageSink& sink);
  void on_hello(const wire::Hello& hello, wire::MessageSink& sink);
  void on_round_start(const wire::RoundStart& start, wire::MessageSink& sink);
  void on_reply(const wire::UpdateReply& reply, wire::MessageSink& sink);
  // RoundInputs is what a gradient round is computed from; `control` is SCAFFOLD's c, else empty.
  struct RoundInputs {
    model::Parameters parameters, control;
  };
  // read_inputs throws ProtocolError or DecodeError for what no honest key-holder sends.
  [[nodiscard]] RoundInputs read_inputs(const wire::RoundStart& start);
  [[nodiscard]] wire::EncryptedUpdate make_update(const wire::RoundStart& start,
                                                  RoundInputs inputs);
  // The packed update of a gradient round; what it took is noted in `record`.
  [[nodiscard]] crypto::PlaintextVector gradient(const model::Parameters& parameters,
                                                 model::Parameters control,
                                                 report::RoundRecord& record);
  void count_clipped(const crypto::Quantised& quantised, report::RoundRecord& record) const;
  [[nodiscard]] crypto::PlaintextVector private_gradient(const model::Parameters& parameters,
                                                         report::RoundRecord& record) const;
  void send_update(wire::MessageSink& sink);
  // fail ends the session because its own work cannot be done, and tells the key-holder why.
  void fail(std::uint32_t round, const Error& error, wire::MessageSink& sink);
  void end(Fault fault, std::string reason);

  PartyConfig config_;
  PartyKeys keys_;
  crypto::UpdateCodec codec_;
  LocalTrainer trainer_;
  std::unique_ptr<crypto::UpdateSealer> sealer_;
  report::RecordWriter* records_;
  std::optional<wire::EncryptedUpdate>
      update_;  // of the current round: a retry sends the same ciphertexts again
  bool is_update_queued_ = false;
  bool is_update_counted_ = false;         // the coordinator has said so
  std::optional<ControlVariate> control_;  // SCAFFOLD alone
  double prepare_s_ = 0;                   // spent on working ahead since the last update
  wire::TimeMs retry_at_ = 0;
  wire::TimeMs hello_at_ = 0;
  wire::TimeMs idle_deadline_ = 0;
  std::optional<Fault> fault_;
  std::string reason_;
};

}  // namespace blindsum::party
