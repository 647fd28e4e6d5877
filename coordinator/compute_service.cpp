#include "coordinator/compute_service.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "shared/core/error.h"
#include "shared/role/codec.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::coordinator {
namespace {

using role::InputNetwork;
using role::SumLayout;
using wire::RecordPart;

constexpr wire::TimeMs kRepeatMs = 2000;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

}  // namespace

ComputeService::ComputeService(ServiceConfig config, crypto::PublicKey key, IntegerNetwork network,
                               ThreadPool& pool, report::RecordWriter& records)
    : config_(config),
      key_(std::move(key)),
      evaluator_(key_, pool),
      network_(std::move(network)),
      records_(&records) {}

void ComputeService::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

void ComputeService::handle(const wire::Peer& from, const wire::Body& body,
                            wire::MessageSink& sink) {
  if (finished_) return;
  const bool is_holder = from == wire::kKeyHolderPeer;
  if (!is_holder && from != wire::party_peer(0)) {
    throw ProtocolError(to_string(from) + " is not enrolled");
  }
  if (const auto* hello = std::get_if<wire::Hello>(&body)) {
    on_hello(from, *hello, sink);
  } else if (const auto* message = std::get_if<wire::EncryptedRecords>(&body);
             message != nullptr && !is_holder) {
    on_records(*message, sink);
  } else if (const auto* opened = std::get_if<wire::OpenedSums>(&body);
             opened != nullptr && is_holder) {
    on_opened(*opened, sink);
  } else if (const auto* fault = std::get_if<wire::Abort>(&body)) {
    return end(fault->fault, to_string(from) + " aborted: " + fault->reason, sink);
  } else {
    throw ProtocolError(std::string(message_name(body)) + " from " + to_string(from) +
                        " is not for the compute service");
  }
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

std::optional<wire::TimeMs> ComputeService::next_deadline() const {
  return question_ ? std::min(repeat_at_, idle_deadline_) : idle_deadline_;
}

void ComputeService::on_deadline(wire::MessageSink& sink) {
  if (finished_) return;
  if (sink.now() >= idle_deadline_) {
    return end(Fault::kDeadline, "no word from the others before the deadline", sink);
  }
  if (question_ && sink.now() >= repeat_at_) say(sink);
}

void ComputeService::on_hello(const wire::Peer& from, const wire::Hello& hello,
                              wire::MessageSink& sink) {
  if (hello.key_id != config_.key_id || hello.codec_id != config_.replay_id) {
    throw ProtocolError(to_string(from) + " uses another key or other settings");
  }
  (from == wire::kKeyHolderPeer ? has_holder_ : has_party_) = true;
  sink.send(from, wire::Hello{config_.key_id, config_.replay_id, wire::kNoRound});
  if (has_party_ && has_holder_ && !question_) {
    epoch_watch_.restart();
    ask_for_records(sink);
  }
}

void ComputeService::ask_for_records(wire::MessageSink& sink) {
  const bool is_train = train_.size() < config_.train_rows;
  const auto have = static_cast<std::uint32_t>(is_train ? train_.size() : test_.size());
  const std::uint32_t rows = is_train ? config_.train_rows : config_.test_rows;
  question_ = {wire::party_peer(0),
               wire::RecordRequest{is_train ? RecordPart::kTrain : RecordPart::kTest, have,
                                   std::min(role::kRecordsAtOnce, rows - have)}};
  say(sink);
}

void ComputeService::on_records(const wire::EncryptedRecords& message, wire::MessageSink& sink) {
  const auto* asked = question_ ? std::get_if<wire::RecordRequest>(&question_->body) : nullptr;
  if (asked == nullptr || asked->part != message.part || asked->first != message.first) {
    throw ProtocolError("records that were not asked for");
  }
  const crypto::CiphertextVector all =
      key_.parse_ciphertexts(message.payload, asked->count * InputNetwork::kInputs);
  auto& kept = message.part == RecordPart::kTrain ? train_ : test_;
  const std::size_t limbs = InputNetwork::kInputs * all.limbs_each();
  for (std::size_t i = 0; i < asked->count; ++i) {
    crypto::CiphertextVector record(InputNetwork::kInputs, all.limbs_each());
    std::ranges::copy(all.limbs().subspan(i * limbs, limbs), record.limbs().begin());
    kept.push_back(std::move(record));
  }
  bytes_in_ += message.payload.size();
  if (train_.size() < config_.train_rows || test_.size() < config_.test_rows) {
    return ask_for_records(sink);
  }
  report::RoundRecord record;
  record.role = to_string(wire::kCoordinatorPeer);
  record.phase_s["receive"] = epoch_watch_.restart();
  record.bytes_in = std::exchange(bytes_in_, 0);
  records_->add(record);
  spdlog::info("{} training and {} test records, all encrypted", train_.size(), test_.size());
  question_ = {wire::kKeyHolderPeer, wire::OpenSums{}};
  ask_for_sums(sink);
}

// ask_for_sums computes on the records that the question in hand names.
void ComputeService::ask_for_sums(wire::MessageSink& sink) {
  auto& open = std::get<wire::OpenSums>(question_->body);
  const bool is_train = open.part == RecordPart::kTrain;
  const SumLayout layout = is_train ? SumLayout::training() : SumLayout::testing();
  open.count = is_train ? 1 : std::min(role::kTestsAtOnce, config_.test_rows - open.first);
  const report::Stopwatch watch;
  const auto& forward = network_.forward();
  const auto weights =
      layout.padded(std::span(forward.weights).first(layout.sums * InputNetwork::kInputs));
  const auto offsets = layout.offsets(forward.biases, key_.plaintext_limbs());
  open.payload.clear();
  for (std::uint32_t i = 0; i < open.count; ++i) {
    const auto& record = (is_train ? train_ : test_)[open.first + i];
    const auto sums = evaluator_.packed_combinations(record, weights, layout.ciphertexts,
                                                     layout.slots, SumLayout::kSlotBits);
    const Bytes bytes = key_.serialize_ciphertexts(evaluator_.add_plain(sums, offsets));
    open.payload.insert(open.payload.end(), bytes.begin(), bytes.end());
  }
  compute_s_ += watch.seconds();
  bytes_out_ += open.payload.size();
  say(sink);
}

void ComputeService::on_opened(const wire::OpenedSums& opened, wire::MessageSink& sink) {
  const auto* asked = question_ ? std::get_if<wire::OpenSums>(&question_->body) : nullptr;
  if (asked == nullptr || asked->step != opened.step) {
    throw ProtocolError("sums that were not asked for");
  }
  if (asked->part == RecordPart::kTrain) {
    const bool has_inputs = config_.gradient == GradientRule::kRight;
    const auto values = role::values_from(
        opened.values, InputNetwork::kSums + (has_inputs ? InputNetwork::kInputs : 0));
    const std::span all(values);
    const report::Stopwatch watch;
    network_.step(all.first(InputNetwork::kOutputs),
                  all.subspan(InputNetwork::kOutputs, InputNetwork::kHidden),
                  all.subspan(InputNetwork::kSums));
    compute_s_ += watch.seconds();
  } else {
    (void)role::values_from(opened.values, 0);
  }
  bytes_in_ += opened.values.size();
  next(sink);
}

// next goes on to the records behind those of the question in hand, or ends.
void ComputeService::next(wire::MessageSink& sink) {
  auto& open = std::get<wire::OpenSums>(question_->body);
  ++open.step;
  open.first += open.count;
  if (open.part == RecordPart::kTrain && open.first == config_.train_rows) {
    open.part = RecordPart::kTest;
    open.first = 0;
  } else if (open.part == RecordPart::kTest && open.first == config_.test_rows) {
    open.part = RecordPart::kTrain;
    open.first = 0;
    ++epoch_;
    report::RoundRecord record;
    record.round = epoch_;
    record.role = to_string(wire::kCoordinatorPeer);
    record.phase_s["compute"] = std::exchange(compute_s_, 0);
    record.phase_s["epoch"] = epoch_watch_.restart();
    record.bytes_in = std::exchange(bytes_in_, 0);
    record.bytes_out = std::exchange(bytes_out_, 0);
    records_->add(record);
    if (epoch_ == config_.epochs) return end(Fault::kNone, "", sink);
  }
  ask_for_sums(sink);
}

void ComputeService::say(wire::MessageSink& sink) {
  sink.send(question_->to, question_->body);
  repeat_at_ = sink.now() + kRepeatMs;
}

void ComputeService::end(Fault fault, std::string reason, wire::MessageSink& sink) {
  for (const wire::Peer& peer : {wire::kKeyHolderPeer, wire::party_peer(0)}) {
    if (fault == Fault::kNone) {
      sink.send(peer, wire::Finish{epoch_, network_.digest()});
    } else {
      sink.send(peer, wire::Abort{fault, reason});
    }
  }
  fault_ = fault;
  reason_ = std::move(reason);
  finished_ = true;
}

std::unique_ptr<ComputeService> make_compute_service(const settings::RoleFile& role,
                                                     ThreadPool& pool,
                                                     report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto& inputs = settings.encrypted_inputs;
  const auto key = role::load_public_key(role);
  ServiceConfig config;
  config.key_id = role::key_id_of(key);
  config.replay_id = role::replay_id(settings);
  config.epochs = inputs.epochs;
  config.train_rows = inputs.train_rows;
  config.test_rows = inputs.test_rows;
  config.gradient = gradient_rule_from_string(inputs.gradient);
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  return std::make_unique<ComputeService>(
      config, key.value(), IntegerNetwork(settings.seed, config.gradient, settings.server.rate),
      pool, records);
}

}  // namespace blindsum::coordinator
