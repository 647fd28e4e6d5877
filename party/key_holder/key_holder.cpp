#include "party/key_holder/key_holder.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

namespace blindsum::key_holder {
namespace {

// How long after a round's deadline the coordinator may still bring the aggregate.
constexpr wire::TimeMs kGraceMs = 4000;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

Bytes statistics_bytes(const data::Statistics& statistics) {
  Bytes bytes;
  bytes.reserve(8 * statistics.values.size());
  for (const std::int64_t value : statistics.values) {
    append_le64(bytes, static_cast<std::uint64_t>(value));
  }
  return bytes;
}

report::Evaluation evaluation_of(const model::Confusion& confusion) {
  const model::Metrics metrics = model::metrics_of(confusion);
  return {metrics.accuracy, metrics.macro_f1, metrics.cost, metrics.recall, confusion.counts};
}

}  // namespace

KeyHolder::KeyHolder(KeyHolderConfig config, crypto::UpdateCodec codec,
                     std::unique_ptr<crypto::UpdateOpener> opener, data::RecordTable test,
                     ThreadPool& pool, report::RecordWriter& records)
    : config_(std::move(config)),
      codec_(codec),
      opener_(std::move(opener)),
      test_records_(std::move(test)),
      pool_(&pool),
      records_(&records),
      ready_(config_.parties, false),
      expected_(config_.parties, false),
      parameters_(model::initial_parameters(config_.shape, config_.seed)),
      optimizer_(config_.optimizer, parameters_.size(), config_.rounds) {
  if (codec_.settings().parameters != parameters_.size() ||
      codec_.settings().statistics != data::Statistics::kValues) {
    throw ConfigError("the update codec does not fit the model");
  }
}

void KeyHolder::start(wire::MessageSink& sink) {
  deadline_ = sink.now() + ms(config_.start_s);
  sink.send(wire::kCoordinatorPeer, wire::Hello{config_.key_id, codec_.id()});
}

void KeyHolder::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (from.role == wire::Role::kParty) {
    if (from.id >= config_.parties) throw ProtocolError(to_string(from) + " is not enrolled");
    if (const auto* hello = std::get_if<wire::Hello>(&body)) return on_hello(from, *hello, sink);
    if (const auto* fault = std::get_if<wire::Abort>(&body)) {
      spdlog::warn("peer={} left: {}", to_string(from), fault->reason);
      ready_[from.id] = false;
      return;
    }
  } else if (from == wire::kCoordinatorPeer) {
    if (const auto* aggregate = std::get_if<wire::EncryptedAggregate>(&body)) {
      return on_aggregate(*aggregate, sink);
    }
    if (const auto* fault = std::get_if<wire::Abort>(&body)) {
      return abort(fault->fault, fault->reason, sink);
    }
  }
  throw ProtocolError(std::string(message_name(body)) + " from " + to_string(from) +
                      " is not for the key-holder");
}

std::optional<wire::TimeMs> KeyHolder::next_deadline() const { return deadline_; }

void KeyHolder::on_deadline(wire::MessageSink& sink) {
  if (finished() || sink.now() < deadline_) return;
  const auto ready = std::count(ready_.begin(), ready_.end(), true);
  if (state_ == State::kWaiting) {
    if (ready >= config_.quorum) return begin_round(0, sink);
    return abort(Fault::kQuorumLost,
                 std::to_string(ready) + " of " + std::to_string(config_.parties) +
                     " parties were ready in time; the quorum is " + std::to_string(config_.quorum),
                 sink);
  }
  abort(Fault::kDeadline,
        "no aggregate for round " + std::to_string(round_start_.round) + " before the deadline",
        sink);
}

void KeyHolder::on_hello(const wire::Peer& from, const wire::Hello& hello,
                         wire::MessageSink& sink) {
  if (hello.key_id != config_.key_id || hello.codec_id != codec_.id()) {
    sink.send(from, wire::Abort{Fault::kUsage, "another key or codec than the key-holder's"});
    throw ProtocolError(to_string(from) + " uses another key or codec");
  }
  ready_[from.id] = true;
  expected_[from.id] = true;
  if (state_ == State::kCollecting) {
    sink.send(from, round_start_);  // it came late or came back
  } else if (std::count(ready_.begin(), ready_.end(), true) == config_.parties) {
    begin_round(0, sink);
  }
}

void KeyHolder::begin_round(std::uint32_t round, wire::MessageSink& sink) {
  state_ = State::kCollecting;
  round_start_ = {};
  round_start_.round = round;
  if (round > 0) {
    round_start_.kind = wire::RoundKind::kGradient;
    round_start_.weights = model::parameters_to_bytes(parameters_);
    round_start_.statistics = statistics_bytes(statistics_);
  }
  round_start_.weights_hash = sha256(round_start_.weights);

  record_ = {};
  record_.round = round;
  record_.role = to_string(wire::kKeyHolderPeer);
  wait_watch_.restart();

  wire::RoundOpen open;
  open.round = round;
  open.kind = round_start_.kind;
  open.weights_hash = round_start_.weights_hash;
  open.participants =
      std::max(config_.quorum,
               static_cast<std::uint32_t>(std::count(expected_.begin(), expected_.end(), true)));
  open.chunks = static_cast<std::uint32_t>(
      (round == 0 ? codec_.statistics() : codec_.gradient()).plaintexts());
  open.deadline_ms = static_cast<std::uint32_t>(ms(config_.round_s));
  deadline_ = sink.now() + open.deadline_ms + kGraceMs;
  if (!sink.send(wire::kCoordinatorPeer, open)) {
    return abort(Fault::kRoleFailed, "the coordinator cannot be reached", sink);
  }
  for (std::uint32_t party = 0; party < config_.parties; ++party) {
    if (!ready_[party]) continue;
    if (sink.send(wire::party_peer(party), round_start_)) {
      record_.bytes_out += round_start_.weights.size() + round_start_.statistics.size();
    } else {
      spdlog::warn("round={} party={} cannot be reached", round, party);
    }
  }
}

void KeyHolder::on_aggregate(const wire::EncryptedAggregate& aggregate, wire::MessageSink& sink) {
  if (state_ != State::kCollecting || aggregate.round != round_start_.round ||
      aggregate.kind != round_start_.kind) {
    throw ProtocolError("an aggregate of round " + std::to_string(aggregate.round) +
                        ", which is not open");
  }
  if (aggregate.weights_hash != round_start_.weights_hash) {
    throw ProtocolError("an aggregate over other weights");
  }
  const auto& contributors = aggregate.contributors;
  if (contributors.size() < config_.quorum || contributors.back() >= config_.parties) {
    throw ProtocolError("an aggregate of " + std::to_string(contributors.size()) +
                        " contributors, quorum " + std::to_string(config_.quorum));
  }
  record_.phase_s["wait"] = wait_watch_.seconds();
  record_.bytes_in = aggregate.payload.size();
  record_.contributors = contributors;
  expected_.assign(expected_.size(), false);
  for (const std::uint32_t party : contributors) expected_[party] = true;

  report::Stopwatch watch;
  const bool is_statistics = aggregate.kind == wire::RoundKind::kStatistics;
  const crypto::PackedEncoder& encoder = is_statistics ? codec_.statistics() : codec_.gradient();
  try {
    const auto plaintexts = opener_->open(aggregate.payload, encoder.plaintexts());
    record_.phase_s["decrypt"] = watch.restart();
    const auto addends = static_cast<std::uint32_t>(contributors.size());
    if (is_statistics) {
      take_statistics(encoder.unpack_sum(plaintexts, addends));
    } else {
      take_gradient(codec_.unpack_gradient(plaintexts, addends), addends);
    }
    record_.phase_s["step"] = watch.restart();
  } catch (const IntegrityError&) {
    // What is wrong inside the opened sum is plaintext: it goes nowhere.
    return abort(Fault::kIntegrity,
                 "round " + std::to_string(aggregate.round) +
                     ": the opened aggregate is not a sum of its contributors' updates",
                 sink);
  } catch (const CryptoError& error) {
    return abort(Fault::kIntegrity,
                 "round " + std::to_string(aggregate.round) +
                     ": the aggregate cannot be opened: " + error.what(),
                 sink);
  }

  // The parties train on the new weights while the model is evaluated here.
  report::RoundRecord done = record_;
  const std::uint32_t round = aggregate.round;
  const bool is_last = round == config_.rounds;
  if (is_last) {
    state_ = State::kEnded;
    tell_everyone(wire::Finish{round, model::model_digest(parameters_)}, sink);
  }
  const model::Parameters evaluated = parameters_;
  if (!is_last) begin_round(round + 1, sink);
  done.model_digest = digest_text(model::model_digest(evaluated));
  if (round > 0 && (is_last || round % config_.evaluate_every == 0)) {
    watch.restart();
    done.evaluation = evaluation_of(model::evaluate(config_.shape, evaluated, test_, *pool_));
    done.phase_s["evaluate"] = watch.seconds();
  }
  records_->add(done);
  if (done.evaluation) {
    spdlog::info("round={} contributors={} accuracy={:.4f} macro_f1={:.4f} cost={:.4f}", round,
                 contributors.size(), done.evaluation->accuracy, done.evaluation->macro_f1,
                 done.evaluation->cost);
  } else {
    spdlog::info("round={} contributors={}", round, contributors.size());
  }
  if (is_last) end(Fault::kNone, "");
}

void KeyHolder::take_statistics(const std::vector<std::int64_t>& sums) {
  statistics_.values = sums;
  const data::Scaler scaler = data::Scaler::from_statistics(statistics_);
  test_ = data::encode_onehot122(test_records_, scaler, true);
  test_records_ = {};
}

void KeyHolder::take_gradient(const crypto::GradientSum& sum, std::uint32_t contributors) {
  if (sum.rows <= 0 || sum.rows > std::int64_t{contributors} * config_.batch_rows) {
    throw IntegrityError("an impossible number of rows");
  }
  const double weight = static_cast<double>(sum.rows) / config_.batch_rows;
  std::vector<double> gradient(sum.values.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = codec_.fixed_point().decode(sum.values[i]) / weight;
  }
  optimizer_.step(parameters_, gradient);
}

void KeyHolder::tell_everyone(const wire::Body& body, wire::MessageSink& sink) {
  sink.send(wire::kCoordinatorPeer, body);
  for (std::uint32_t party = 0; party < config_.parties; ++party) {
    sink.send(wire::party_peer(party), body);
  }
}

void KeyHolder::abort(Fault fault, std::string reason, wire::MessageSink& sink) {
  if (finished()) return;
  tell_everyone(wire::Abort{fault, reason}, sink);
  end(fault, std::move(reason));
}

void KeyHolder::end(Fault fault, std::string reason) {
  if (fault != Fault::kNone) spdlog::error("fault={} {}", to_string(fault), reason);
  state_ = State::kEnded;
  fault_ = fault;
  reason_ = std::move(reason);
}

}  // namespace blindsum::key_holder
