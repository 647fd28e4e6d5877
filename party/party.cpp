#include "party/party.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

namespace blindsum::party {
namespace {

constexpr wire::TimeMs kRetryMs = 200;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

data::Statistics statistics_from(ByteView bytes) {
  data::Statistics joint;
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

Party::Party(PartyConfig config, crypto::UpdateCodec codec, LocalTrainer trainer,
             std::unique_ptr<crypto::UpdateSealer> sealer, report::RecordWriter& records)
    : config_(config),
      codec_(codec),
      trainer_(std::move(trainer)),
      sealer_(std::move(sealer)),
      records_(&records) {}

void Party::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
  const wire::Hello hello{config_.key_id, codec_.id()};
  sink.send(wire::kCoordinatorPeer, hello);
  sink.send(wire::kKeyHolderPeer, hello);
}

void Party::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  const bool is_key_holder = from == wire::kKeyHolderPeer;
  if (const auto* fault = std::get_if<wire::Abort>(&body)) {
    return end(fault->fault, to_string(from) + " aborted: " + fault->reason);
  }
  if (const auto* start = std::get_if<wire::RoundStart>(&body); start != nullptr && is_key_holder) {
    idle_deadline_ = sink.now() + ms(config_.idle_s);
    return on_round_start(*start, sink);
  }
  if (std::holds_alternative<wire::Finish>(body) && is_key_holder) return end(Fault::kNone, "");
  if (const auto* reply = std::get_if<wire::UpdateReply>(&body);
      reply != nullptr && from == wire::kCoordinatorPeer) {
    return on_reply(*reply);
  }
  throw ProtocolError(std::string(message_name(body)) + " from " + to_string(from) +
                      " is not for a party");
}

std::optional<wire::TimeMs> Party::next_deadline() const {
  return update_ && !is_update_queued_ ? std::min(retry_at_, idle_deadline_) : idle_deadline_;
}

void Party::on_deadline(wire::MessageSink& sink) {
  if (finished()) return;
  if (sink.now() >= idle_deadline_) {
    return end(Fault::kDeadline, "no word from the key-holder before the deadline");
  }
  if (update_ && !is_update_queued_ && sink.now() >= retry_at_) send_update(sink);
}

bool Party::work_ahead() {
  const bool is_last_update_made = update_ && update_->round >= config_.rounds;
  if (is_last_update_made) return false;
  const report::Stopwatch watch;
  const bool has_more = sealer_->prepare(codec_.gradient().plaintexts());
  prepare_s_ += watch.seconds();
  return has_more;
}

void Party::on_round_start(const wire::RoundStart& start, wire::MessageSink& sink) {
  if (sha256(start.weights) != start.weights_hash) {
    throw ProtocolError("the weights do not match their hash");
  }
  if (update_ && start.round < update_->round) {
    throw ProtocolError("round " + std::to_string(start.round) + " is over");
  }
  if (update_ && start.round == update_->round) {
    if (start.weights_hash != update_->weights_hash || start.kind != update_->kind) {
      throw ProtocolError("round " + std::to_string(start.round) + " was started differently");
    }
  } else {
    update_ = make_update(start);
  }
  send_update(sink);
}

wire::EncryptedUpdate Party::make_update(const wire::RoundStart& start) {
  report::RoundRecord record;
  record.round = start.round;
  record.role = to_string(wire::party_peer(config_.id));
  record.bytes_in = start.weights.size() + start.statistics.size();
  report::Stopwatch watch;

  crypto::PlaintextVector packed;
  if (start.kind == wire::RoundKind::kStatistics) {
    packed = codec_.statistics().pack(trainer_.statistics().values);
    record.phase_s["encode"] = watch.restart();
  } else {
    trainer_.standardise(statistics_from(start.statistics));
    const auto parameters = model::parameters_from_bytes(start.weights, trainer_.settings().shape);
    const LocalUpdate local = trainer_.train(parameters, start.round);
    record.phase_s["train"] = watch.restart();
    crypto::Quantised quantised =
        codec_.fixed_point().encode(local.weighted_gradient, config_.seed, config_.id, start.round);
    packed = codec_.pack_gradient(std::move(quantised.values), local.rows);
    record.clipped_values = quantised.clipped;
    record.phase_s["encode"] = watch.restart();
  }
  wire::EncryptedUpdate update{start.round, start.kind,         config_.key_id,
                               codec_.id(), start.weights_hash, sealer_->seal(packed)};
  record.phase_s["encrypt"] = watch.restart();
  record.phase_s["prepare"] = std::exchange(prepare_s_, 0);
  record.bytes_out = update.payload.size();
  records_->add(record);
  spdlog::debug("round={} bytes={} encrypt_s={:.3f}", update.round, update.payload.size(),
                record.phase_s["encrypt"]);
  return update;
}

void Party::send_update(wire::MessageSink& sink) {
  is_update_queued_ = sink.send(wire::kCoordinatorPeer, *update_);
  if (!is_update_queued_) retry_at_ = sink.now() + kRetryMs;
}

void Party::on_reply(const wire::UpdateReply& reply) {
  const bool is_fine = reply.result == wire::AcceptResult::kAccepted ||
                       reply.result == wire::AcceptResult::kDuplicate;
  spdlog::log(is_fine ? spdlog::level::debug : spdlog::level::warn, "round={} update {}",
              reply.round, to_string(reply.result));
}

void Party::end(Fault fault, std::string reason) {
  if (fault != Fault::kNone) spdlog::error("fault={} {}", to_string(fault), reason);
  fault_ = fault;
  reason_ = std::move(reason);
}

}  // namespace blindsum::party
