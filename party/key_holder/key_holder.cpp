#include "party/key_holder/key_holder.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <spdlog/spdlog.h>

#include "shared/core/key_derivation.h"
#include "shared/crypto/integrity_tag.h"
#include "shared/role/learning.h"
#include "shared/wire/codec.h"

namespace blindsum::key_holder {
namespace {

// How long after a round's deadline the coordinator may still bring the aggregate.
constexpr wire::TimeMs kGraceMs = 4000;
// How often a round that is being collected is looked after.
constexpr wire::TimeMs kLookMs = 2000;
// How long one that finds all rounds over tells so to who asks.
constexpr wire::TimeMs kPartingMs = 5000;
// Rounds between checkpoints: as many may have to be opened again after a crash.
constexpr std::uint32_t kCheckpointRounds = 16;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

Bytes statistics_bytes(const data::Statistics& statistics) {
  Bytes bytes;
  bytes.reserve(8 * statistics.values.size());
  for (const std::int64_t value : statistics.values) {
    append_le64(bytes, static_cast<std::uint64_t>(value));
  }
  return bytes;
}

// rows_of lists the rows of an attack.
std::vector<std::uint32_t> rows_of(const data::RecordTable& records, const std::string& attack) {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < records.rows; ++row) {
    if (records.attack_names[records.attacks[row]] == attack) rows.push_back(row);
  }
  return rows;
}

std::string count_of(std::size_t count, std::size_t all) {
  return std::to_string(count) + " of " + std::to_string(all);
}

}  // namespace

KeyHolder::KeyHolder(KeyHolderConfig config, crypto::UpdateCodec codec,
                     std::unique_ptr<crypto::UpdateOpener> opener,
                     std::unique_ptr<StateStore> store, data::RecordTable test, ThreadPool& pool,
                     report::RecordWriter& records)
    : config_(std::move(config)),
      codec_(codec),
      opener_(std::move(opener)),
      store_(std::move(store)),
      schema_(test.schema),
      test_records_(std::move(test)),
      pool_(&pool),
      records_(&records),
      ready_(parties(), false),
      expected_(parties(), false),
      asked_(parties(), true),
      statistics_(schema_),
      parameters_(model::initial_parameters(config_.shape, config_.seed)),
      control_(config_.local.algorithm == model::Algorithm::kScaffold ? parameters_.size() : 0),
      optimizer_(config_.optimizer, parameters_.size(), config_.rounds) {
  if (codec_.settings().parameters != parameters_.size() ||
      codec_.settings().statistics != statistics_.values.size()) {
    throw ConfigError("the update codec does not fit the model");
  }
}

void KeyHolder::start(wire::MessageSink& sink) {
  recover();
  state_ = is_over() ? State::kParting : State::kWaiting;
  deadline_ = sink.now() + (is_over() ? kPartingMs : ms(config_.start_s));
  sink.send(wire::kCoordinatorPeer, wire::Hello{config_.key_id, codec_.id(), wire::kNoRound});
  if (is_over()) {
    sink.send(wire::kCoordinatorPeer,
              wire::Finish{next_round_ - 1, model::model_digest(parameters_)});
  }
}

// recover brings this object to the state of the process that wrote the store.
void KeyHolder::recover() {
  const Recovered recovered = store_->recover();
  if (!recovered.checkpoint.empty()) {
    try {
      restore(recovered.checkpoint);
    } catch (const DecodeError& error) {
      throw StorageError("the checkpoint of round " + std::to_string(recovered.round) + ": " +
                         error.what());
    }
    next_round_ = recovered.round + 1;
  }
  for (const Recovered::Entry& entry : recovered.journal) {
    const wire::EncryptedAggregate aggregate = aggregate_from(entry);
    set_round(next_round_);
    require_claims(aggregate);
    record_.bytes_in = aggregate.payload.size();
    apply(aggregate);
    evaluate(record_);
    write_record(record_);
    ++next_round_;
  }
  if (next_round_ > 0) {
    spdlog::info("recovered the state after round {}, {} rounds of it from the journal",
                 next_round_ - 1, recovered.journal.size());
  }
}

// aggregate_from reads what on_aggregate put into the journal.
wire::EncryptedAggregate KeyHolder::aggregate_from(const Recovered::Entry& entry) const {
  const std::string where = "the journal's entry of round " + std::to_string(entry.round) + ": ";
  try {
    wire::Message message = wire::decode(entry.content, {entry.content.size(), parties()});
    auto* aggregate = std::get_if<wire::EncryptedAggregate>(&message.body);
    if (message.run == config_.run && aggregate != nullptr && aggregate->round == next_round_) {
      return std::move(*aggregate);
    }
  } catch (const DecodeError& error) {
    throw StorageError(where + error.what());
  }
  throw StorageError(where + "not the aggregate of round " + std::to_string(next_round_) +
                     " of this run");
}

Bytes KeyHolder::checkpoint() const {
  Bytes bytes;
  const auto append = [&](ByteView field) {
    append_le64(bytes, field.size());
    bytes.insert(bytes.end(), field.begin(), field.end());
  };
  append(Bytes(expected_.begin(), expected_.end()));
  append(statistics_bytes(statistics_));
  append(model::parameters_to_bytes(parameters_));
  append(optimizer_.state());
  append(model::parameters_to_bytes(control_));
  Bytes progress;
  append_le64(progress, std::bit_cast<std::uint64_t>(progress_.best_macro_f1));
  append_le32(progress, progress_.evaluations_since);
  append(progress);
  append(as_bytes(progress_.stop_reason));
  return bytes;
}

void KeyHolder::restore(ByteView checkpoint) {
  const auto take = [&]() -> ByteView {
    const std::uint64_t size = read_le64(checkpoint, 0);
    if (size > checkpoint.size() - 8) throw DecodeError("a checkpoint that ends too early");
    const ByteView field = checkpoint.subspan(8, size);
    checkpoint = checkpoint.subspan(8 + size);
    return field;
  };
  const ByteView expected = take();
  const ByteView statistics = take();
  if (expected.size() != expected_.size() || statistics.size() != 8 * statistics_.values.size()) {
    throw DecodeError("a checkpoint of another federation");
  }
  for (std::size_t i = 0; i < expected.size(); ++i) expected_[i] = expected[i] != 0;
  std::vector<std::int64_t> sums(statistics_.values.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i] = static_cast<std::int64_t>(read_le64(statistics, 8 * i));
  }
  take_statistics(sums);
  parameters_ = model::parameters_from_bytes(take(), config_.shape);
  optimizer_.restore(take());
  const ByteView control = take();
  if (!control_.empty()) {
    control_ = model::parameters_from_bytes(control, config_.shape);
  } else if (!control.empty()) {
    throw DecodeError("a checkpoint of another algorithm");
  }
  const ByteView progress = take();
  progress_.best_macro_f1 = std::bit_cast<double>(read_le64(progress, 0));
  progress_.evaluations_since = read_le32(progress, 8);
  const ByteView reason = take();
  progress_.stop_reason.assign(reason.begin(), reason.end());
}

void KeyHolder::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (from.role == wire::Role::kParty) {
    if (from.id >= parties()) throw ProtocolError(to_string(from) + " is not enrolled");
    if (const auto* hello = std::get_if<wire::Hello>(&body)) return on_hello(from, *hello, sink);
    if (const auto* fault = std::get_if<wire::Abort>(&body)) {
      if (state_ == State::kParting) return lose(from.id);
      return abort(fault->fault, to_string(from) + ": " + fault->reason, sink);
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

std::optional<wire::TimeMs> KeyHolder::next_deadline() const {
  return state_ == State::kCollecting ? std::min(deadline_, look_at_) : deadline_;
}

void KeyHolder::on_deadline(wire::MessageSink& sink) {
  if (finished()) return;
  if (state_ == State::kCollecting && sink.now() >= look_at_) look_after_round(sink);
  if (sink.now() < deadline_) return;
  if (state_ == State::kParting) return end(Fault::kNone, "");
  if (state_ == State::kWaiting) {
    const auto ready = static_cast<std::size_t>(std::count(ready_.begin(), ready_.end(), true));
    if (ready >= quorum(next_round_)) return begin_round(next_round_, sink);
    return abort(Fault::kQuorumLost,
                 count_of(ready, parties()) + " parties were ready in time; the quorum is " +
                     std::to_string(quorum(next_round_)),
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
    // It came late, came back, or something was lost on the way.
    if (asked_[from.id] && hello.round != round_start_.round) send_round_start(from.id, sink);
  } else if (state_ == State::kParting) {
    sink.send(from, wire::Finish{next_round_ - 1, model::model_digest(parameters_)});
    if (std::find(ready_.begin(), ready_.end(), false) == ready_.end()) end(Fault::kNone, "");
  } else if (are_expected_ready()) {
    begin_round(next_round_, sink);
  }
}

// are_expected_ready tells whether everybody is there: all enrolled before the first round, and
// after a restart those that were at work before it.
bool KeyHolder::are_expected_ready() const {
  for (std::uint32_t party = 0; party < parties(); ++party) {
    if (!ready_[party] && (next_round_ == 0 || expected_[party])) return false;
  }
  return true;
}

// set_round prepares what the parties are told of a round. All of it follows from the state after
// the round before: a key-holder that has been restarted tells them the same again.
void KeyHolder::set_round(std::uint32_t round) {
  round_start_ = {};
  round_start_.round = round;
  asked_.assign(parties(), round == 0);
  if (round > 0) {
    const std::uint32_t sample = config_.sample == 0 ? 0 : config_.sample + config_.extra;
    for (const std::uint32_t party :
         model::sampled_parties(parties(), sample, config_.seed, round)) {
      asked_[party] = true;
    }
    round_start_.kind = wire::RoundKind::kGradient;
    round_start_.weights = model::parameters_to_bytes(parameters_);
    const Bytes control = model::parameters_to_bytes(control_);
    round_start_.weights.insert(round_start_.weights.end(), control.begin(), control.end());
    round_start_.statistics = statistics_bytes(statistics_);
  }
  round_start_.weights_hash = wire::weights_hash_of(round_start_.weights, round_start_.statistics);
  const Digest context = round_context(config_.run, round, round_start_.kind, config_.key_id,
                                       codec_.id(), round_start_.weights_hash);
  const SecretBytes tag_key =
      derive_key(std::as_const(config_.tag_secret).bytes(), "blindsum/round-tag-key/1", context);
  std::copy(tag_key.bytes().begin(), tag_key.bytes().end(), round_start_.tag_key.begin());

  record_ = {};
  record_.round = round;
  record_.role = to_string(wire::kKeyHolderPeer);
}

void KeyHolder::begin_round(std::uint32_t round, wire::MessageSink& sink) {
  set_round(round);
  state_ = State::kCollecting;
  deadline_ = sink.now() + ms(config_.round_s) + kGraceMs;
  look_at_ = sink.now() + kLookMs;
  wait_watch_.restart();
  if (round > 0 && !training_watch_) training_watch_.emplace();
  for (std::uint32_t party = 0; party < parties(); ++party) {
    if (ready_[party] && asked_[party]) send_round_start(party, sink);
  }
  send_round_open(sink);
}

void KeyHolder::send_round_start(std::uint32_t party, wire::MessageSink& sink) {
  if (sink.send(wire::party_peer(party), round_start_)) {
    record_.bytes_out += round_start_.weights.size() + round_start_.statistics.size();
  } else {
    spdlog::warn("round={} party={} cannot be reached", round_start_.round, party);
    lose(party);
  }
}

void KeyHolder::send_round_open(wire::MessageSink& sink) {
  wire::RoundOpen open;
  open.round = round_start_.round;
  open.kind = round_start_.kind;
  open.weights_hash = round_start_.weights_hash;
  const crypto::PackedEncoder& encoder = open.round == 0 ? codec_.statistics() : codec_.gradient();
  open.chunks = static_cast<std::uint32_t>(encoder.plaintexts());
  open.deadline_ms =
      static_cast<std::uint32_t>(std::max<wire::TimeMs>(0, deadline_ - kGraceMs - sink.now()));
  for (std::uint32_t party = 0; party < parties(); ++party) {
    if (expected_[party] && asked_[party]) open.awaited.push_back(party);
  }
  if (!sink.send(wire::kCoordinatorPeer, open)) {
    spdlog::warn("round={} the coordinator cannot be reached", open.round);
  }
}

// look_after_round finds out who has gone, and repeats what may have been lost.
void KeyHolder::look_after_round(wire::MessageSink& sink) {
  look_at_ = sink.now() + kLookMs;
  const wire::Hello hello{config_.key_id, codec_.id(), round_start_.round};
  for (std::uint32_t party = 0; party < parties(); ++party) {
    if (ready_[party] && !sink.send(wire::party_peer(party), hello)) {
      spdlog::warn("round={} party={} has gone", round_start_.round, party);
      lose(party);
    }
  }
  send_round_open(sink);
}

void KeyHolder::lose(std::uint32_t party) {
  ready_[party] = false;
  expected_[party] = false;
}

// require_claims throws IntegrityError unless every contributor has signed what it is said to have
// contributed, over the weights of this round.
void KeyHolder::require_claims(const wire::EncryptedAggregate& aggregate) const {
  const std::string where = "round " + std::to_string(aggregate.round) + ": ";
  if (aggregate.weights_hash != round_start_.weights_hash) {
    throw IntegrityError(where + "the aggregate is over other weights");
  }
  if (aggregate.contributions.size() < quorum(aggregate.round)) {
    throw IntegrityError(where + "an aggregate of " +
                         count_of(aggregate.contributions.size(), parties()) +
                         " parties; the quorum is " + std::to_string(quorum(aggregate.round)));
  }
  for (const wire::Contribution& contribution : aggregate.contributions) {
    if (contribution.party >= parties()) {
      throw IntegrityError(where + "party " + std::to_string(contribution.party) +
                           " is not enrolled");
    }
    if (!asked_[contribution.party]) {
      throw IntegrityError(where + "party " + std::to_string(contribution.party) +
                           " was not asked");
    }
    const wire::UpdateStatement statement{
        config_.run,    aggregate.round, aggregate.kind,         contribution.party,
        config_.key_id, codec_.id(),     aggregate.weights_hash, contribution.payload_hash};
    if (!verify(config_.parties[contribution.party].signing, contribution.signature,
                signed_bytes(statement))) {
      throw IntegrityError(where + "the signature of party " + std::to_string(contribution.party) +
                           " is not valid");
    }
  }
}

void KeyHolder::on_aggregate(const wire::EncryptedAggregate& aggregate, wire::MessageSink& sink) {
  if (state_ != State::kCollecting || aggregate.round != round_start_.round ||
      aggregate.kind != round_start_.kind) {
    throw ProtocolError("an aggregate of round " + std::to_string(aggregate.round) +
                        ", which is not open");
  }
  record_.phase_s["wait"] = wait_watch_.seconds();
  record_.bytes_in = aggregate.payload.size();
  try {
    require_claims(aggregate);
    report::Stopwatch watch;
    // From here on this aggregate, and no other, is the one of its round: whatever happens.
    store_->append(aggregate.round, wire::encode({config_.run, aggregate}));
    record_.phase_s["store"] = watch.seconds();
    apply(aggregate);
  } catch (const IntegrityError& error) {
    return abort(Fault::kIntegrity, error.what(), sink);
  } catch (const StorageError& error) {
    return abort(Fault::kStorage, error.what(), sink);
  } catch (const ConfigError& error) {
    return abort(Fault::kUsage, "round " + std::to_string(aggregate.round) + ": " + error.what(),
                 sink);
  }

  // The parties train on the new weights while this role evaluates them and writes its checkpoint.
  report::RoundRecord done = record_;
  const std::uint32_t round = aggregate.round;
  next_round_ = round + 1;
  const bool is_last = round == config_.rounds;
  if (is_last) {
    state_ = State::kEnded;
    tell_everyone(wire::Finish{round, model::model_digest(parameters_)}, sink);
  } else {
    begin_round(next_round_, sink);
  }
  evaluate(done);
  // Not before: whether the run goes on depends on this evaluation, and a checkpoint says so.
  const bool is_over_early = !is_last && !progress_.stop_reason.empty();
  if (is_last || is_over_early || round % kCheckpointRounds == 0) keep_checkpoint(round, done);
  write_record(done);
  if (is_last) return end(Fault::kNone, "");
  if (!is_over_early) return;
  // The parties are at work on a round that is no longer needed.
  spdlog::info("round={} the run ends: {}", round, progress_.stop_reason);
  records_->note(report::event_now("stopped_early", round, to_string(wire::kKeyHolderPeer),
                                   to_string(wire::kKeyHolderPeer), progress_.stop_reason));
  tell_everyone(wire::Finish{round, model::model_digest(parameters_)}, sink);
  end(Fault::kNone, "");
}

void KeyHolder::keep_checkpoint(std::uint32_t round, report::RoundRecord& record) {
  const report::Stopwatch watch;
  try {
    store_->checkpoint(round, checkpoint());
  } catch (const StorageError& error) {
    // All that a checkpoint holds can be had from the journal, which is whole.
    spdlog::warn("round={} no checkpoint: {}", round, error.what());
  }
  record.phase_s["store"] += watch.seconds();
}

// apply opens an aggregate and steps the model. Throws IntegrityError when it is not what its
// contributors have sent; nothing of what was found inside is in the message: that is plaintext.
void KeyHolder::apply(const wire::EncryptedAggregate& aggregate) {
  const bool is_statistics = aggregate.kind == wire::RoundKind::kStatistics;
  const crypto::PackedEncoder& encoder = is_statistics ? codec_.statistics() : codec_.gradient();
  const std::size_t chunks = encoder.plaintexts();
  const Digest context = round_context(config_.run, aggregate.round, aggregate.kind, config_.key_id,
                                       codec_.id(), aggregate.weights_hash);
  std::vector<std::uint64_t> masks(chunks, 0);
  // Of those who were asked beyond what was needed nobody knows whether they would have come.
  const bool shows_who_came = is_statistics || config_.extra == 0;
  for (std::uint32_t party = 0; shows_who_came && party < parties(); ++party) {
    if (asked_[party]) expected_[party] = false;
  }
  for (const wire::Contribution& contribution : aggregate.contributions) {
    expected_[contribution.party] = true;
    record_.contributors.push_back(contribution.party);
    const SecretBytes& key = config_.parties[contribution.party].tag_key;
    const auto own = crypto::tag_masks(key.bytes(), context, chunks);
    for (std::size_t i = 0; i < chunks; ++i) masks[i] = crypto::tag_add(masks[i], own[i]);
  }
  const auto addends = static_cast<std::uint32_t>(aggregate.contributions.size());
  report::Stopwatch watch;
  try {
    const auto plaintexts = opener_->open(aggregate.payload, chunks);
    record_.phase_s["decrypt"] = watch.restart();
    encoder.check_tags(plaintexts, crypto::tag_multipliers(round_start_.tag_key, context, chunks),
                       masks);
    if (is_statistics) {
      take_statistics(encoder.unpack_sum(plaintexts, addends));
    } else {
      take_gradient(codec_.unpack_gradient(plaintexts, addends), aggregate.round, addends);
    }
    record_.phase_s["step"] = watch.restart();
  } catch (const CryptoError& error) {
    const bool is_about_plaintext = dynamic_cast<const IntegrityError*>(&error) != nullptr;
    throw IntegrityError("round " + std::to_string(aggregate.round) +
                         (is_about_plaintext
                              ? ": the opened aggregate is not the sum of its contributors' updates"
                              : std::string(": the aggregate cannot be opened: ") + error.what()));
  }
}

// evaluate completes the round's record, with an evaluation of the model if it is this round's
// turn, and judges by it whether the run goes on.
void KeyHolder::evaluate(report::RoundRecord& record) {
  const std::uint32_t round = record.round;
  if (accountant_) record.epsilon = accountant_->epsilon(round, config_.delta);
  record.model_digest = digest_text(model::model_digest(parameters_));
  const bool is_late = is_time_over();
  if (round > 0 && (round == config_.rounds || round % config_.evaluate_every == 0 || is_late)) {
    const report::Stopwatch watch;
    record.evaluation =
        role::evaluation_of(model::evaluate(config_.shape, parameters_, test_, *pool_), schema_);
    if (!config_.zero_day.empty()) {
      const auto confusion = model::evaluate(config_.shape, parameters_, zero_day_test_, *pool_);
      record.evaluation->zero_day.emplace(confusion.counts.size(), 0);
      for (const auto& actual : confusion.counts) {
        for (std::size_t c = 0; c < actual.size(); ++c)
          (*record.evaluation->zero_day)[c] += actual[c];
      }
    }
    record.phase_s["evaluate"] = watch.seconds();
  }
  judge_progress(record, is_late);
}

void KeyHolder::write_record(const report::RoundRecord& record) {
  records_->add(record);
  if (record.evaluation) {
    spdlog::info("round={} contributors={} accuracy={:.4f} macro_f1={:.4f} cost={:.4f}",
                 record.round, record.contributors.size(), record.evaluation->accuracy,
                 record.evaluation->macro_f1, record.evaluation->cost);
  } else {
    spdlog::info("round={} contributors={}", record.round, record.contributors.size());
  }
}

bool KeyHolder::is_time_over() const {
  constexpr double kMinute = 60;
  return config_.stop.minutes > 0 && training_watch_ &&
         training_watch_->seconds() >= config_.stop.minutes * kMinute;
}

// judge_progress ends the run when the model is good enough, no longer gets better, or the time is
// over.
void KeyHolder::judge_progress(const report::RoundRecord& record, bool is_time_over) {
  if (!record.evaluation || record.round >= config_.rounds) return;
  const KeyHolderConfig::Stop& stop = config_.stop;
  const double accuracy = record.evaluation->accuracy;
  const double macro_f1 = record.evaluation->macro_f1;
  const bool is_better = macro_f1 > progress_.best_macro_f1;
  progress_.best_macro_f1 = std::max(macro_f1, progress_.best_macro_f1);
  progress_.evaluations_since = is_better ? 0 : progress_.evaluations_since + 1;
  if (stop.accuracy > 0 && accuracy >= stop.accuracy) {
    progress_.stop_reason = "stop.accuracy: it has been reached";
  } else if (stop.patience > 0 && progress_.evaluations_since >= stop.patience) {
    progress_.stop_reason = "stop.patience: no better macro-F1 in " +
                            std::to_string(progress_.evaluations_since) + " evaluations";
  } else if (is_time_over) {
    progress_.stop_reason = "stop.minutes: the time is over";
  }
}

void KeyHolder::take_statistics(const std::vector<std::int64_t>& sums) {
  statistics_.values = sums;
  const data::Scaler scaler = data::Scaler::from_statistics(statistics_);
  test_ = data::encode_onehot(test_records_, scaler, true);
  if (!config_.zero_day.empty()) {
    const auto rows = rows_of(test_records_, config_.zero_day);
    zero_day_test_ = data::encode_onehot(data::select(test_records_, rows), scaler, true);
  }
  test_records_ = {};
  if (config_.noise > 0) {
    accountant_.emplace(config_.noise,
                        model::sampling_rate(parties(), config_.local.batch_rows, statistics_));
  }
}

void KeyHolder::take_gradient(const crypto::GradientSum& sum, std::uint32_t round,
                              std::uint32_t contributors) {
  const model::LocalScale scale = model::scale_of(config_.local, statistics_, round);
  const bool is_possible =
      sum.rows > 0 && static_cast<std::uint64_t>(sum.rows) <= contributors * scale.most_rows;
  if (!is_possible) throw IntegrityError("an impossible number of rows");
  const double weight = static_cast<double>(sum.rows) / scale.rows;
  std::vector<double> direction(sum.values.size());
  for (std::size_t i = 0; i < direction.size(); ++i) {
    direction[i] = codec_.fixed_point().decode(sum.values[i]) / weight;
  }
  // c ← c + (1/N) Σ (c_i⁺ − c_i), and c_i⁺ − c_i is a contributor's direction less c.
  const double share = static_cast<double>(contributors) / parties();
  for (std::size_t i = 0; i < control_.size(); ++i) {
    const auto now = static_cast<double>(control_[i]);
    control_[i] = static_cast<float>(now + share * (direction[i] - now));
  }
  for (double& value : direction) value *= scale.unit;
  optimizer_.step(parameters_, direction);
  model::require_finite(config_.shape, config_.local, "the model", parameters_);
  if (!control_.empty()) {
    model::require_finite(config_.shape, config_.local, "the control variate", control_);
  }
}

void KeyHolder::tell_everyone(const wire::Body& body, wire::MessageSink& sink) {
  sink.send(wire::kCoordinatorPeer, body);
  for (std::uint32_t party = 0; party < parties(); ++party) {
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
