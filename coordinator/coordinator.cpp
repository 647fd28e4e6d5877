#include "coordinator/coordinator.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <spdlog/spdlog.h>

namespace blindsum::coordinator {
namespace {

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

}  // namespace

Coordinator::Coordinator(CoordinatorConfig config,
                         std::unique_ptr<crypto::UpdateAccumulator> accumulator,
                         report::RecordWriter& records)
    : config_(config),
      aggregator_(config.parties, std::move(accumulator)),
      records_(&records),
      present_(config.parties, false) {}

void Coordinator::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

void Coordinator::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (from.role == wire::Role::kParty && from.id >= config_.parties) {
    throw ProtocolError(to_string(from) + " is not enrolled");
  }
  if (from == wire::kKeyHolderPeer) idle_deadline_ = sink.now() + ms(config_.idle_s);
  if (const auto* hello = std::get_if<wire::Hello>(&body)) {
    on_hello(from, *hello);
  } else if (from == wire::kKeyHolderPeer) {
    if (const auto* open = std::get_if<wire::RoundOpen>(&body)) return on_round_open(*open, sink);
    if (std::holds_alternative<wire::Finish>(body)) return end(Fault::kNone, "");
    if (const auto* fault = std::get_if<wire::Abort>(&body)) {
      return end(fault->fault, "the key-holder aborted: " + fault->reason);
    }
    throw ProtocolError(std::string(message_name(body)) + " is not for the coordinator");
  } else if (const auto* update = std::get_if<wire::EncryptedUpdate>(&body);
             update != nullptr && from.role == wire::Role::kParty) {
    on_update(from.id, *update, sink);
  } else {
    throw ProtocolError(std::string(message_name(body)) + " is not for the coordinator");
  }
}

std::optional<wire::TimeMs> Coordinator::next_deadline() const {
  return open_ ? std::min(round_deadline_, idle_deadline_) : idle_deadline_;
}

void Coordinator::on_deadline(wire::MessageSink& sink) {
  if (finished()) return;
  if (open_ && sink.now() >= round_deadline_) {
    if (aggregator_.count() >= config_.quorum) return close_round(sink);
    return abort(Fault::kQuorumLost,
                 "round " + std::to_string(open_->round) + " ended with " +
                     std::to_string(aggregator_.count()) + " of " +
                     std::to_string(config_.parties) + " updates; the quorum is " +
                     std::to_string(config_.quorum),
                 sink);
  }
  if (sink.now() >= idle_deadline_) {
    abort(Fault::kDeadline, "no word from the key-holder before the deadline", sink);
  }
}

bool Coordinator::work_ahead() {
  const bool is_sum_to_come = open_ || last_round_ < std::int64_t{config_.rounds};
  if (!is_sum_to_come) return false;
  const report::Stopwatch watch;
  const bool has_more = aggregator_.prepare(config_.gradient_chunks);
  prepare_s_ += watch.seconds();
  return has_more;
}

void Coordinator::on_hello(const wire::Peer& from, const wire::Hello& hello) {
  if (hello.key_id != config_.key_id || hello.codec_id != config_.codec_id) {
    throw ProtocolError(to_string(from) + " uses another key or codec");
  }
  if (from.role == wire::Role::kParty) present_[from.id] = true;
  spdlog::debug("peer={} hello", to_string(from));
}

void Coordinator::on_round_open(const wire::RoundOpen& open, wire::MessageSink& sink) {
  if (open_ || open.round <= last_round_) {
    throw ProtocolError("round " + std::to_string(open.round) + " after round " +
                        std::to_string(last_round_) + (open_ ? ", which is still open" : ""));
  }
  if ((open.round == 0) != (open.kind == wire::RoundKind::kStatistics)) {
    throw ProtocolError("round 0 sums statistics, every later one gradients");
  }
  const std::uint32_t chunks =
      open.round == 0 ? config_.statistics_chunks : config_.gradient_chunks;
  if (open.chunks != chunks) {
    throw ProtocolError("updates of " + std::to_string(open.chunks) +
                        " plaintexts, the codec has " + std::to_string(chunks));
  }
  if (open.participants < config_.quorum || open.participants > config_.parties) {
    throw ProtocolError("a round of " + std::to_string(open.participants) + " parties, quorum " +
                        std::to_string(config_.quorum));
  }
  open_ = open;
  last_round_ = open.round;
  round_deadline_ = sink.now() + open.deadline_ms;
  aggregator_.open(open.chunks);
  record_ = {};
  record_.round = open.round;
  record_.role = to_string(wire::kCoordinatorPeer);
  round_watch_.restart();
  for (auto& [party, update] : std::exchange(early_, {})) {
    if (open_) take(party, update, sink);
  }
}

void Coordinator::on_update(std::uint32_t party, const wire::EncryptedUpdate& update,
                            wire::MessageSink& sink) {
  // The key-holder's RoundOpen and a party's update come over different links: an update may be a
  // little early.
  if (!open_ && update.round == last_round_ + 1 && early_.emplace(party, update).second) return;
  take(party, update, sink);
}

void Coordinator::take(std::uint32_t party, const wire::EncryptedUpdate& update,
                       wire::MessageSink& sink) {
  using enum wire::AcceptResult;
  wire::AcceptResult result = kAccepted;
  if (update.round <= last_round_ && !(open_ && update.round == open_->round)) {
    result = kLate;
  } else if (!open_ || update.round != open_->round || update.kind != open_->kind) {
    result = kWrongRound;
  } else if (update.key_id != config_.key_id || update.codec_id != config_.codec_id ||
             update.weights_hash != open_->weights_hash) {
    result = kMismatch;
  } else {
    const report::Stopwatch watch;
    result = aggregator_.accept(party, update.payload);
    record_.phase_s["aggregate"] += watch.seconds();
    record_.bytes_in += update.payload.size();
  }
  const bool is_expected = result == kAccepted || result == kDuplicate || result == kLate;
  spdlog::log(is_expected ? spdlog::level::debug : spdlog::level::warn,
              "round={} party={} bytes={} {}", update.round, party, update.payload.size(),
              to_string(result));
  sink.send(wire::party_peer(party), wire::UpdateReply{update.round, result});
  if (open_ && aggregator_.count() == open_->participants) close_round(sink);
}

void Coordinator::close_round(wire::MessageSink& sink) {
  assert(open_ && aggregator_.count() >= config_.quorum);
  const double collected_s = round_watch_.seconds();
  const report::Stopwatch watch;
  wire::EncryptedAggregate aggregate{open_->round, open_->kind, open_->weights_hash,
                                     aggregator_.contributors(), aggregator_.finish()};
  const double finish_s = watch.seconds();
  open_.reset();

  record_.phase_s["wait"] = collected_s - record_.phase_s["aggregate"];
  record_.phase_s["aggregate"] += finish_s;
  record_.phase_s["prepare"] = std::exchange(prepare_s_, 0);
  record_.bytes_out = aggregate.payload.size();
  record_.contributors = aggregate.contributors;
  records_->add(record_);
  spdlog::info("round={} contributors={} bytes_in={} aggregate_s={:.3f}", aggregate.round,
               aggregate.contributors.size(), record_.bytes_in, record_.phase_s["aggregate"]);
  if (!sink.send(wire::kKeyHolderPeer, std::move(aggregate))) {
    abort(Fault::kRoleFailed, "the key-holder cannot be reached", sink);
  }
}

void Coordinator::abort(Fault fault, std::string reason, wire::MessageSink& sink) {
  const wire::Abort message{fault, reason};
  sink.send(wire::kKeyHolderPeer, message);
  for (std::uint32_t party = 0; party < config_.parties; ++party) {
    if (present_[party]) sink.send(wire::party_peer(party), message);
  }
  end(fault, std::move(reason));
}

void Coordinator::end(Fault fault, std::string reason) {
  if (fault != Fault::kNone) spdlog::error("fault={} {}", to_string(fault), reason);
  fault_ = fault;
  reason_ = std::move(reason);
}

}  // namespace blindsum::coordinator
