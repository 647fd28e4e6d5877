#include "party/party.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "shared/crypto/integrity_tag.h"

namespace blindsum::party {
namespace {

constexpr wire::TimeMs kRetryMs = 200;
constexpr wire::TimeMs kHelloMs = 2000;  // of silence

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

// statistics_from reads statistics that have the form of `own`.
data::Statistics statistics_from(ByteView bytes, const data::Statistics& own) {
  data::Statistics joint = own;
  if (bytes.size() != 8 * joint.values.size()) {
    throw DecodeError("joint statistics of " + std::to_string(bytes.size()) + " bytes, " +
                      std::to_string(8 * joint.values.size()) + " expected");
  }
  for (std::size_t i = 0; i < joint.values.size(); ++i) {
    joint.values[i] = static_cast<std::int64_t>(read_le64(bytes, 8 * i));
  }
  return joint;
}

}  // namespace

Party::Party(PartyConfig config, PartyKeys keys, crypto::UpdateCodec codec, LocalTrainer trainer,
             std::unique_ptr<crypto::UpdateSealer> sealer, report::RecordWriter& records)
    : config_(std::move(config)),
      keys_(std::move(keys)),
      codec_(codec),
      trainer_(std::move(trainer)),
      sealer_(std::move(sealer)),
      records_(&records) {
  if (trainer_.settings().local.algorithm == model::Algorithm::kScaffold) {
    control_.emplace(config_.run, config_.id, trainer_.settings().shape.parameters(),
                     config_.state);
  }
}

void Party::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
  say_hello(sink);
}

void Party::say_hello(wire::MessageSink& sink) {
  const wire::Hello hello{config_.key_id, codec_.id(), update_ ? update_->round : wire::kNoRound};
  sink.send(wire::kCoordinatorPeer, hello);
  sink.send(wire::kKeyHolderPeer, hello);
  hello_at_ = sink.now() + kHelloMs;
}

void Party::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  const bool is_key_holder = from == wire::kKeyHolderPeer;
  if (const auto* fault = std::get_if<wire::Abort>(&body)) {
    return end(fault->fault, to_string(from) + " aborted: " + fault->reason);
  }
  if (is_key_holder) idle_deadline_ = sink.now() + ms(config_.idle_s);
  if (const auto* start = std::get_if<wire::RoundStart>(&body); start != nullptr && is_key_holder) {
    return on_round_start(*start, sink);
  }
  if (const auto* hello = std::get_if<wire::Hello>(&body); hello != nullptr && is_key_holder) {
    return on_hello(*hello, sink);
  }
  if (std::holds_alternative<wire::Finish>(body) && is_key_holder) return end(Fault::kNone, "");
  if (const auto* reply = std::get_if<wire::UpdateReply>(&body);
      reply != nullptr && from == wire::kCoordinatorPeer) {
    return on_reply(*reply, sink);
  }
  throw ProtocolError(std::string(message_name(body)) + " from " + to_string(from) +
                      " is not for a party");
}

std::optional<wire::TimeMs> Party::next_deadline() const {
  const wire::TimeMs next = std::min(hello_at_, idle_deadline_);
  return update_ && !is_update_queued_ ? std::min(retry_at_, next) : next;
}

void Party::on_deadline(wire::MessageSink& sink) {
  if (finished()) return;
  if (sink.now() >= idle_deadline_) {
    return end(Fault::kDeadline, "no word from the key-holder before the deadline");
  }
  if (update_ && !is_update_queued_ && sink.now() >= retry_at_) send_update(sink);
  if (sink.now() >= hello_at_) say_hello(sink);
}

bool Party::work_ahead() {
  const bool is_last_update_made = update_ && update_->round >= config_.rounds;
  if (is_last_update_made) return false;
  const report::Stopwatch watch;
  const bool has_more = sealer_->prepare(codec_.gradient().plaintexts());
  prepare_s_ += watch.seconds();
  return has_more;
}

void Party::on_hello(const wire::Hello& hello, wire::MessageSink& sink) {
  if (hello.key_id != config_.key_id || hello.codec_id != codec_.id()) {
    throw ProtocolError("the key-holder uses another key or codec");
  }
  const bool is_behind =
      hello.round != wire::kNoRound && (!update_ || update_->round < hello.round);
  if (is_behind) say_hello(sink);
}

void Party::on_round_start(const wire::RoundStart& start, wire::MessageSink& sink) {
  if (wire::weights_hash_of(start.weights, start.statistics) != start.weights_hash) {
    throw ProtocolError("the weights or statistics do not match their hash");
  }
  if (update_ && start.round < update_->round) {
    throw ProtocolError("round " + std::to_string(start.round) + " is over");
  }
  if (update_ && start.round == update_->round) {
    if (start.weights_hash != update_->weights_hash || start.kind != update_->kind) {
      throw ProtocolError("round " + std::to_string(start.round) + " was started differently");
    }
  } else {
    RoundInputs inputs = read_inputs(start);
    try {
      update_ = make_update(start, std::move(inputs));
    } catch (const Error& error) {
      return fail(start.round, error, sink);
    }
    is_update_counted_ = false;
  }
  send_update(sink);
}

Party::RoundInputs Party::read_inputs(const wire::RoundStart& start) {
  RoundInputs inputs;
  if (start.kind == wire::RoundKind::kStatistics) return inputs;
  trainer_.standardise(statistics_from(start.statistics, trainer_.statistics()));
  const auto& shape = trainer_.settings().shape;
  ByteView weights = start.weights;
  if (control_) {
    const std::size_t size = std::min(weights.size(), sizeof(float) * shape.parameters());
    inputs.control = model::parameters_from_bytes(weights.subspan(size), shape);
    weights = weights.first(size);
  }
  inputs.parameters = model::parameters_from_bytes(weights, shape);
  return inputs;
}

wire::EncryptedUpdate Party::make_update(const wire::RoundStart& start, RoundInputs inputs) {
  report::RoundRecord record;
  record.round = start.round;
  record.role = to_string(wire::party_peer(config_.id));
  record.bytes_in = start.weights.size() + start.statistics.size();
  report::Stopwatch watch;

  const bool is_statistics = start.kind == wire::RoundKind::kStatistics;
  const crypto::PackedEncoder& encoder = is_statistics ? codec_.statistics() : codec_.gradient();
  crypto::PlaintextVector packed;
  if (is_statistics) {
    packed = encoder.pack(trainer_.statistics().values);
  } else {
    packed = trainer_.settings().privacy
                 ? private_gradient(inputs.parameters, record)
                 : gradient(inputs.parameters, std::move(inputs.control), record);
    watch.restart();
  }
  const Digest context = round_context(config_.run, start.round, start.kind, config_.key_id,
                                       codec_.id(), start.weights_hash);
  encoder.add_tags(packed, crypto::tag_multipliers(start.tag_key, context, packed.size()),
                   crypto::tag_masks(keys_.tag_key.bytes(), context, packed.size()));
  record.phase_s["encode"] += watch.restart();

  wire::EncryptedUpdate update{start.round,        start.kind, config_.key_id,       codec_.id(),
                               start.weights_hash, {},         sealer_->seal(packed)};
  update.signature =
      keys_.signing.sign(signed_bytes(statement_of(config_.run, config_.id, update)));
  record.phase_s["encrypt"] = watch.restart();
  record.phase_s["prepare"] = std::exchange(prepare_s_, 0);
  record.bytes_out = update.payload.size();
  records_->add(record);
  spdlog::debug("round={} bytes={} encrypt_s={:.3f}", update.round, update.payload.size(),
                record.phase_s["encrypt"]);
  return update;
}

void Party::count_clipped(const crypto::Quantised& quantised, report::RoundRecord& record) const {
  record.clipped_values = quantised.clipped.size();
  if (quantised.clipped.empty()) return;
  std::size_t end = 0;
  for (const auto& [in, out] : trainer_.settings().shape.layers()) {
    const std::size_t begin = end;
    end += (in + 1) * out;
    record.clipped_by_layer.push_back(
        static_cast<std::uint64_t>(std::ranges::lower_bound(quantised.clipped, end) -
                                   std::ranges::lower_bound(quantised.clipped, begin)));
  }
}

crypto::PlaintextVector Party::gradient(const model::Parameters& parameters,
                                        model::Parameters control, report::RoundRecord& record) {
  report::Stopwatch watch;
  if (control_) {
    const std::vector<float>& own = control_->at_round(record.round);
    for (std::size_t i = 0; i < control.size(); ++i) control[i] -= own[i];
  }
  const LocalUpdate local = trainer_.train(parameters, record.round, control);
  const TrainerSettings& settings = trainer_.settings();
  model::require_finite(settings.shape, settings.local, "the update", local.weighted);
  record.phase_s["train"] = watch.restart();
  crypto::Quantised quantised =
      codec_.fixed_point().encode(local.weighted, config_.seed, config_.id, record.round);
  count_clipped(quantised, record);
  if (control_) {
    // c_i⁺ = c_i − c + (w − w')/(steps · rate), the last as it is sent: cut and rounded, or c would
    // not be the mean of all c_i.
    std::vector<float> next(control.size());
    for (std::size_t i = 0; i < next.size(); ++i) {
      const double sent = codec_.fixed_point().decode(quantised.values[i]) / local.weight;
      next[i] = static_cast<float>(sent - static_cast<double>(control[i]));
    }
    model::require_finite(settings.shape, settings.local, "the control variate", next);
    control_->propose(record.round, std::move(next));
  }
  auto packed = codec_.pack_gradient(std::move(quantised.values), local.rows);
  record.phase_s["encode"] = watch.seconds();
  return packed;
}

// private_gradient says that it is over batch_rows rows: how many a party drew is its own affair.
crypto::PlaintextVector Party::private_gradient(const model::Parameters& parameters,
                                                report::RoundRecord& record) const {
  report::Stopwatch watch;
  PrivateUpdate local = trainer_.train_privately(parameters);
  record.phase_s["train"] = watch.restart();
  crypto::Quantised clamped = codec_.fixed_point().clamp(std::move(local.values));
  count_clipped(clamped, record);
  record.clipped_rows = local.clipped_rows;
  auto packed =
      codec_.pack_gradient(std::move(clamped.values), trainer_.settings().local.batch_rows);
  record.phase_s["encode"] = watch.seconds();
  return packed;
}

void Party::send_update(wire::MessageSink& sink) {
  is_update_queued_ = sink.send(wire::kCoordinatorPeer, *update_);
  if (!is_update_queued_) retry_at_ = sink.now() + kRetryMs;
  hello_at_ = sink.now() + kHelloMs;
}

void Party::on_reply(const wire::UpdateReply& reply, wire::MessageSink& sink) {
  const bool is_expected = reply.result == wire::AcceptResult::kAccepted ||
                           reply.result == wire::AcceptResult::kDuplicate ||
                           reply.result == wire::AcceptResult::kMissing;
  spdlog::log(is_expected ? spdlog::level::debug : spdlog::level::warn, "round={} update {}",
              reply.round, to_string(reply.result));
  if (!update_ || update_->round != reply.round) return;
  switch (reply.result) {
    case wire::AcceptResult::kAccepted:
    case wire::AcceptResult::kDuplicate:
      is_update_counted_ = true;
      break;
    case wire::AcceptResult::kMissing:
      send_update(sink);
      break;
    default:
      if (control_ && !is_update_counted_) control_->refuse(reply.round);
  }
}

void Party::fail(std::uint32_t round, const Error& error, wire::MessageSink& sink) {
  // A CryptoError of this role's own work is no sign of tampering.
  const Fault fault = fault_of(error) == Fault::kIntegrity ? Fault::kRoleFailed : fault_of(error);
  std::string reason = "round " + std::to_string(round) + ": " + error.what();
  sink.send(wire::kKeyHolderPeer, wire::Abort{fault, reason});
  end(fault, std::move(reason));
}

void Party::end(Fault fault, std::string reason) {
  if (fault != Fault::kNone) spdlog::error("fault={} {}", to_string(fault), reason);
  fault_ = fault;
  reason_ = std::move(reason);
}

}  // namespace blindsum::party
