// The compute service of mode encrypted_inputs: it holds the model and works on records that it
// cannot read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/integer_network.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/evaluator.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/wire/session.h"

namespace blindsum::coordinator {

// ServiceConfig: idle_s is how long the service waits for any word of the others.
struct ServiceConfig {
  Digest key_id{}, replay_id{};
  std::uint32_t epochs = 0, train_rows = 0, test_rows = 0;
  GradientRule gradient = GradientRule::kSeed;
  double idle_s = 0;
};

// ComputeService asks the party for all records, then trains on them one by one: it computes the
// encrypted sums of a record with the weights of the moment, has the key-holder open them, and
// steps. After every epoch the test records are opened, of which it is told nothing.
//
// It sees ciphertexts, and what the key-holder tells it of each training record: the output errors
// and the hidden values, or the inputs. With a model in the clear that is the record (see
// shared/SECURITY.md); encryption protects the test records alone.
class ComputeService : public wire::Session {
 public:
  // `pool` and `records` must outlive the session.
  ComputeService(ServiceConfig config, crypto::PublicKey key, IntegerNetwork network,
                 ThreadPool& pool, report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const IntegerNetwork& network() const { return network_; }

 private:
  void on_hello(const wire::Peer& from, const wire::Hello& hello, wire::MessageSink& sink);
  void on_records(const wire::EncryptedRecords& message, wire::MessageSink& sink);
  void on_opened(const wire::OpenedSums& opened, wire::MessageSink& sink);
  void ask_for_records(wire::MessageSink& sink);
  void ask_for_sums(wire::MessageSink& sink);
  void next(wire::MessageSink& sink);
  void say(wire::MessageSink& sink);
  void end(Fault fault, std::string reason, wire::MessageSink& sink);

  ServiceConfig config_;
  crypto::PublicKey key_;
  crypto::Evaluator evaluator_;
  IntegerNetwork network_;
  report::RecordWriter* records_;

  std::vector<crypto::CiphertextVector> train_, test_;  // a record each
  bool has_party_ = false, has_holder_ = false;
  std::uint32_t epoch_ = 0;
  // What was asked last, to be said again when no answer comes.
  struct Question {
    wire::Peer to;
    wire::Body body;
  };
  std::optional<Question> question_;
  wire::TimeMs repeat_at_ = 0, idle_deadline_ = 0;
  double compute_s_ = 0;
  report::Stopwatch epoch_watch_;
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;  // of this epoch
  Fault fault_ = Fault::kNone;
  std::string reason_;
  bool finished_ = false;
};

// make_compute_service loads what the role file names. Throws KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<ComputeService> make_compute_service(const settings::RoleFile& role,
                                                                   ThreadPool& pool,
                                                                   report::RecordWriter& records);

}  // namespace blindsum::coordinator
