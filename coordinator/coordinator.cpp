#include "coordinator/coordinator.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <spdlog/spdlog.h>

namespace blindsum::coordinator {
namespace {

// A coordinator that comes up at the end of a round still gives the parties this long: they say
// hello every two seconds, and the key-holder waits for four more.
constexpr wire::TimeMs kMinRoundMs = 2500;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

}  // namespace

Coordinator::Coordinator(CoordinatorConfig config,
                         std::unique_ptr<crypto::UpdateAccumulator> accumulator,
                         report::RecordWriter& records)
    : config_(std::move(config)),
      aggregator_(parties(), std::move(accumulator)),
      records_(&records) {}

void Coordinator::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

void Coordinator::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (from.role == wire::Role::kParty && from.id >= parties()) {
    throw ProtocolError(to_string(from) + " is not enrolled");
  }
  if (from == wire::kKeyHolderPeer) idle_deadline_ = sink.now() + ms(config_.idle_s);
  if (const auto* hello = std::get_if<wire::Hello>(&body)) {
    on_hello(from, *hello, sink);
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
    if (aggregator_.count() >= quorum()) return close_round(sink);
    return abort(Fault::kQuorumLost,
                 "round " + std::to_string(open_->round) + " ended with " +
                     std::to_string(aggregator_.count()) + " of " + std::to_string(parties()) +
                     " updates; the quorum is " + std::to_string(quorum()),
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

void Coordinator::on_hello(const wire::Peer& from, const wire::Hello& hello,
                           wire::MessageSink& sink) {
  if (hello.key_id != config_.key_id || hello.codec_id != config_.codec_id) {
    throw ProtocolError(to_string(from) + " uses another key or codec");
  }
  spdlog::debug("peer={} hello round={}", to_string(from), hello.round);
  if (from.role != wire::Role::kParty) return;
  started_[from.id] = hello.round;
  if (open_) ask_for_update(from.id, sink);
}

// ask_for_update asks a party that was started for the open round for the update that has not come.
void Coordinator::ask_for_update(std::uint32_t party, wire::MessageSink& sink) {
  const auto started = started_.find(party);
  if (started == started_.end() || started->second != open_->round || aggregator_.has(party)) {
    return;
  }
  sink.send(wire::party_peer(party), wire::UpdateReply{open_->round, wire::AcceptResult::kMissing});
}

void Coordinator::on_round_open(const wire::RoundOpen& open, wire::MessageSink& sink) {
  if (std::int64_t{open.round} < last_round_) {
    throw ProtocolError("round " + std::to_string(open.round) + " after round " +
                        std::to_string(last_round_));
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
  if (!open.awaited.empty() && open.awaited.back() >= parties()) {
    throw ProtocolError("party " + std::to_string(open.awaited.back()) + " is not enrolled");
  }
  if (std::int64_t{open.round} == last_round_) return reopen(open, sink);
  // A round that is still open here is over for the key-holder: it has had the aggregate from a
  // coordinator that has been restarted since.
  open_ = open;
  closed_.reset();
  last_round_ = open.round;
  round_deadline_ = sink.now() + std::max<wire::TimeMs>(open.deadline_ms, kMinRoundMs);
  aggregator_.open(open.chunks);
  record_ = {};
  record_.round = open.round;
  record_.role = to_string(wire::kCoordinatorPeer);
  round_watch_.restart();
  for (auto& [party, update] : std::exchange(early_, {})) {
    if (open_) take(party, update, sink);
  }
  for (std::uint32_t party = 0; open_ && party < parties(); ++party) ask_for_update(party, sink);
}

// reopen handles a RoundOpen that has come before: the key-holder is still waiting.
void Coordinator::reopen(const wire::RoundOpen& open, wire::MessageSink& sink) {
  const Digest& weights_hash = open_ ? open_->weights_hash : closed_->weights_hash;
  if (open.weights_hash != weights_hash) {
    throw ProtocolError("round " + std::to_string(open.round) + " over other weights");
  }
  if (!open_) {
    sink.send(wire::kKeyHolderPeer, *closed_);
    return;
  }
  open_->awaited = open.awaited;
  close_if_complete(sink);
}

void Coordinator::on_update(std::uint32_t party, const wire::EncryptedUpdate& update,
                            wire::MessageSink& sink) {
  // The key-holder's RoundOpen and a party's update come over different links: an update may be a
  // little early, and a coordinator that has just started does not know which round runs.
  const bool may_come_next = last_round_ < 0 || update.round == last_round_ + 1;
  if (!open_ && may_come_next && early_.emplace(party, update).second) return;
  take(party, update, sink);
}

void Coordinator::take(std::uint32_t party, const wire::EncryptedUpdate& update,
                       wire::MessageSink& sink) {
  using enum wire::AcceptResult;
  wire::AcceptResult result = kAccepted;
  if (update.round <= last_round_ && !(open_ && update.round == open_->round)) {
    // One that has been counted, and comes again, is not late.
    const auto counted = counted_in_.find(party);
    const bool has_counted = counted != counted_in_.end() && counted->second == update.round;
    result = has_counted ? kDuplicate : kLate;
  } else if (!open_ || update.round != open_->round || update.kind != open_->kind) {
    result = kWrongRound;
  } else if (update.key_id != config_.key_id || update.codec_id != config_.codec_id ||
             update.weights_hash != open_->weights_hash) {
    result = kMismatch;
  } else if (aggregator_.has(party)) {
    result = kDuplicate;
  } else {
    const report::Stopwatch watch;
    const wire::UpdateStatement statement = statement_of(config_.run, party, update);
    const wire::Contribution contribution{party, statement.payload_hash, update.signature};
    result = verify(config_.parties[party], update.signature, signed_bytes(statement))
                 ? aggregator_.accept(contribution, update.payload)
                 : kInvalid;
    record_.phase_s["aggregate"] += watch.seconds();
    record_.bytes_in += update.payload.size();
  }
  const bool is_expected = result == kAccepted || result == kDuplicate || result == kLate;
  spdlog::log(is_expected ? spdlog::level::debug : spdlog::level::warn,
              "round={} party={} bytes={} {}", update.round, party, update.payload.size(),
              to_string(result));
  if (result != kAccepted && result != kDuplicate) note_refusal(party, update.round, result);
  sink.send(wire::party_peer(party), wire::UpdateReply{update.round, result});
  if (open_) close_if_complete(sink);
}

// note_refusal records that an update was refused: once a party and round, however many it sends.
void Coordinator::note_refusal(std::uint32_t party, std::uint32_t round, wire::AcceptResult why) {
  const auto now = static_cast<std::uint32_t>(std::max<std::int64_t>(last_round_, 0));
  const auto [noted, is_first] = refused_in_.emplace(party, now);
  if (!is_first && std::exchange(noted->second, now) == now) return;
  records_->note(report::event_now(
      why == wire::AcceptResult::kLate ? "late_update" : "update_refused", now,
      to_string(wire::party_peer(party)), to_string(wire::kCoordinatorPeer),
      "party " + std::to_string(party) + "'s update of round " + std::to_string(round) + " was " +
          (why == wire::AcceptResult::kLate ? "late" : "refused: " + std::string(to_string(why)))));
}

std::uint32_t Coordinator::quorum() const {
  const bool has_own = open_->round > 0 && config_.gradient_quorum > 0;
  return has_own ? config_.gradient_quorum : config_.quorum;
}

void Coordinator::close_if_complete(wire::MessageSink& sink) {
  const bool have_first =
      config_.first > 0 && open_->round > 0 && aggregator_.count() >= config_.first;
  const bool is_complete =
      aggregator_.count() >= quorum() &&
      (have_first || std::all_of(open_->awaited.begin(), open_->awaited.end(),
                                 [this](std::uint32_t party) { return aggregator_.has(party); }));
  if (is_complete) close_round(sink);
}

void Coordinator::close_round(wire::MessageSink& sink) {
  assert(open_ && aggregator_.count() >= quorum());
  const double collected_s = round_watch_.seconds();
  const report::Stopwatch watch;
  closed_ = wire::EncryptedAggregate{open_->round, open_->kind, open_->weights_hash,
                                     aggregator_.contributions(),
                                     wire::own_work([&] { return aggregator_.finish(); })};
  const double finish_s = watch.seconds();
  open_.reset();

  record_.phase_s["wait"] = collected_s - record_.phase_s["aggregate"];
  record_.phase_s["aggregate"] += finish_s;
  record_.phase_s["prepare"] = std::exchange(prepare_s_, 0);
  record_.bytes_out = closed_->payload.size();
  for (const auto& contribution : closed_->contributions) {
    record_.contributors.push_back(contribution.party);
    counted_in_[contribution.party] = closed_->round;
  }
  records_->add(record_);
  spdlog::info("round={} contributors={} bytes_in={} aggregate_s={:.3f}", closed_->round,
               closed_->contributions.size(), record_.bytes_in, record_.phase_s["aggregate"]);
  if (!sink.send(wire::kKeyHolderPeer, *closed_)) {
    spdlog::warn("round={} the key-holder cannot be reached; it will ask again", closed_->round);
  }
}

void Coordinator::abort(Fault fault, std::string reason, wire::MessageSink& sink) {
  const wire::Abort message{fault, reason};
  sink.send(wire::kKeyHolderPeer, message);
  for (const auto& [party, round] : started_) sink.send(wire::party_peer(party), message);
  end(fault, std::move(reason));
}

void Coordinator::end(Fault fault, std::string reason) {
  if (fault != Fault::kNone) spdlog::error("fault={} {}", to_string(fault), reason);
  fault_ = fault;
  reason_ = std::move(reason);
}

}  // namespace blindsum::coordinator
