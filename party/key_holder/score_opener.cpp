#include "party/key_holder/score_opener.h"

#include <algorithm>
#include <utility>

#include "party/key_holder/key_store.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/data/kdd.h"
#include "shared/role/codec.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::key_holder {
namespace {

using role::DetectionInputs;
using role::DetectionPlan;
using role::Slots;
using wire::RecordPart;

constexpr wire::TimeMs kRepeatMs = 2000;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

ScoreOpener::Scores scores_from(std::span<const std::int64_t> values) {
  ScoreOpener::Scores scores{};
  std::ranges::copy(values, scores.begin());
  return scores;
}

}  // namespace

std::size_t predicted_class(const ScoreOpener::Scores& scores) {
  return static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
}

void write_scores(const std::filesystem::path& path, std::span<const ScoreOpener::Scores> scores) {
  std::string text = "record,class";
  for (std::size_t c = 0; c < data::kClasses; ++c) {
    text += "," + std::string(to_string(static_cast<data::TrafficClass>(c)));
  }
  for (std::size_t i = 0; i < scores.size(); ++i) {
    text += "\n" + std::to_string(i) + "," +
            std::string(to_string(static_cast<data::TrafficClass>(predicted_class(scores[i]))));
    for (const std::int64_t score : scores[i]) text += "," + std::to_string(score);
  }
  write_secret_file(path, as_bytes(text + "\n"));
}

ScoreOpener::ScoreOpener(ScoreConfig config, crypto::SecretKey key, crypto::Encryptor encryptor,
                         ThreadPool& pool, report::RecordWriter& records)
    : config_(config),
      key_(std::move(key)),
      encryptor_(std::move(encryptor)),
      decryptor_(key_, pool),
      records_(&records) {
  scores_.reserve(config_.plan.rows);
}

void ScoreOpener::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
  ask(sink);
}

// ask asks the party for labels, or tells the service that all are there.
void ScoreOpener::ask(wire::MessageSink& sink) {
  repeat_at_ = sink.now() + kRepeatMs;
  const auto have = static_cast<std::uint32_t>(labels_.size());
  if (have == config_.plan.rows) {
    sink.send(wire::kCoordinatorPeer,
              wire::Hello{config_.key_id, config_.replay_id, wire::kNoRound});
    return;
  }
  sink.send(wire::party_peer(0),
            wire::RecordRequest{RecordPart::kTest, have,
                                std::min(role::kLabelsAtOnce, config_.plan.rows - have)});
}

void ScoreOpener::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (finished_) return;
  const bool is_service = from == wire::kCoordinatorPeer;
  if (!is_service && from != wire::party_peer(0)) {
    throw ProtocolError(to_string(from) + " is not enrolled");
  }
  if (const auto* hello = std::get_if<wire::Hello>(&body)) {
    if (hello->key_id != config_.key_id || hello->codec_id != config_.replay_id) {
      throw ProtocolError(to_string(from) + " uses another key or other settings");
    }
    if (!is_service && labels_.size() < config_.plan.rows) ask(sink);
  } else if (const auto* labels = std::get_if<wire::RecordLabels>(&body);
             labels != nullptr && !is_service) {
    on_labels(*labels);
    ask(sink);
  } else if (const auto* open = std::get_if<wire::OpenSums>(&body); open != nullptr && is_service) {
    on_open(*open, sink);
  } else if (std::holds_alternative<wire::Finish>(body) && is_service) {
    if (scores_.size() != config_.plan.rows) {
      return end(Fault::kRoleFailed, "the compute service ended before the last record");
    }
    return end(Fault::kNone, "");
  } else if (const auto* fault = std::get_if<wire::Abort>(&body)) {
    return end(fault->fault, to_string(from) + " aborted: " + fault->reason);
  } else {
    throw ProtocolError(std::string(message_name(body)) + " from " + to_string(from) +
                        " is not for the key-holder");
  }
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

std::optional<wire::TimeMs> ScoreOpener::next_deadline() const {
  return last_ ? idle_deadline_ : std::min(repeat_at_, idle_deadline_);
}

void ScoreOpener::on_deadline(wire::MessageSink& sink) {
  if (finished_) return;
  if (sink.now() >= idle_deadline_) {
    sink.send(wire::kCoordinatorPeer, wire::Abort{Fault::kDeadline, "no word from the others"});
    return end(Fault::kDeadline, "no word from the others before the deadline");
  }
  if (!last_ && sink.now() >= repeat_at_) ask(sink);
}

void ScoreOpener::on_labels(const wire::RecordLabels& labels) {
  if (labels.first < labels_.size()) return;  // said again
  if (labels.part != RecordPart::kTest || labels.first != labels_.size() || labels.labels.empty() ||
      labels.labels.size() > config_.plan.rows - labels_.size() || !labels.inputs.empty()) {
    throw ProtocolError("labels that were not asked for");
  }
  if (std::ranges::any_of(labels.labels, [](std::uint8_t l) { return l >= data::kClasses; })) {
    throw ProtocolError("a label is out of range");
  }
  labels_.insert(labels_.end(), labels.labels.begin(), labels.labels.end());
}

void ScoreOpener::on_open(const wire::OpenSums& open, wire::MessageSink& sink) {
  if (last_ && open.step == last_->step) {
    sink.send(wire::kCoordinatorPeer, *last_);
    return;
  }
  const std::size_t left = config_.plan.rows - scores_.size();
  if (labels_.size() != config_.plan.rows || open.step != step_ || open.part != RecordPart::kTest ||
      open.first != scores_.size() || open.count == 0 ||
      open.count != std::min<std::size_t>(config_.plan.batch, left)) {
    throw ProtocolError("sums out of turn: step " + std::to_string(open.step));
  }
  if (open.step == 0) watch_.restart();
  const report::Stopwatch watch;
  wire::OpenedSums opened{open.step, {}};
  if (config_.plan.is_linear() || is_squared_) {
    take_scores(open);
    is_squared_ = false;
  } else {
    opened.values = squares(open);
    is_squared_ = true;
  }
  work_s_ += watch.seconds();
  if (scores_.size() == config_.plan.rows) stream_s_ = watch_.seconds();
  bytes_in_ += open.payload.size();
  bytes_out_ += opened.values.size();
  last_ = std::move(opened);
  ++step_;
  sink.send(wire::kCoordinatorPeer, *last_);
}

// squares opens blinded hidden values, and encrypts the square of each.
Bytes ScoreOpener::squares(const wire::OpenSums& open) {
  const DetectionPlan& plan = config_.plan;
  const std::size_t each = plan.hidden_ciphertexts();
  const auto plaintexts =
      decryptor_.decrypt_small(key_.public_key().parse_ciphertexts(open.payload, open.count * each),
                               DetectionPlan::kHiddenSlots * DetectionPlan::kHiddenSlotBits);
  crypto::PlaintextVector squares(open.count * plan.hidden, plaintexts.limbs_each());
  for (std::size_t i = 0; i < squares.size(); ++i) {
    const std::size_t record = i / plan.hidden;
    const std::size_t unit = i % plan.hidden;
    const std::uint64_t b = plaintexts[record * each + unit / DetectionPlan::kHiddenSlots]
                                      [unit % DetectionPlan::kHiddenSlots];
    if (b >> 63 != 0) throw CryptoError("a hidden value is out of range");
    const role::Int128 square = static_cast<role::Int128>(b) * b;  // below 2^126
    squares[i][0] = static_cast<std::uint64_t>(square);
    squares[i][1] = static_cast<std::uint64_t>(square >> 64);
  }
  return key_.public_key().serialize_ciphertexts(encryptor_.encrypt(squares));
}

void ScoreOpener::take_scores(const wire::OpenSums& open) {
  constexpr std::size_t kOut = DetectionInputs::kOutputs;
  const bool is_linear = config_.plan.is_linear();
  const auto ciphertexts =
      key_.public_key().parse_ciphertexts(open.payload, is_linear ? kOut : open.count);
  std::vector<Scores> scores(open.count);
  if (is_linear) {
    const auto plaintexts = decryptor_.decrypt(ciphertexts);
    for (std::size_t k = 0; k < kOut; ++k) {
      const auto values = Slots{DetectionPlan::kScoreBits, true}.get(plaintexts[k], open.count);
      for (std::size_t i = 0; i < open.count; ++i) scores[i][k] = values[i];
    }
  } else {
    constexpr unsigned kBits = DetectionPlan::kSquareScoreBits;
    const auto plaintexts = decryptor_.decrypt_small(ciphertexts, kOut * kBits);
    for (std::size_t i = 0; i < open.count; ++i) {
      scores[i] = scores_from(Slots{kBits, true}.get(plaintexts[i], kOut));
    }
  }
  for (const Scores& each : scores) {
    ++confusion_.at(labels_[scores_.size()])[predicted_class(each)];
    scores_.push_back(each);
  }
}

void ScoreOpener::end(Fault fault, std::string reason) {
  report::RoundRecord record;
  record.round = 1;
  record.role = to_string(wire::kKeyHolderPeer);
  record.phase_s["open"] = work_s_;
  record.phase_s["stream"] = stream_s_;
  record.bytes_in = bytes_in_;
  record.bytes_out = bytes_out_;
  records_->add(record);
  fault_ = fault;
  reason_ = std::move(reason);
  finished_ = true;
}

std::unique_ptr<ScoreOpener> make_score_opener(const settings::RoleFile& role, ThreadPool& pool,
                                               report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  auto key = load_secret_key(role.files.secret_key, role.files.public_key);
  ScoreConfig config;
  config.key_id = key.public_key().id();
  config.replay_id = role::replay_id(settings);
  config.plan = DetectionPlan::of(settings);
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  crypto::Encryptor encryptor(key.public_key(),
                              crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                              role::table_options_of(role));
  return std::make_unique<ScoreOpener>(config, std::move(key), std::move(encryptor), pool, records);
}

}  // namespace blindsum::key_holder
