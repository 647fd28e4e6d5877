#include "party/key_holder/activation_opener.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "party/key_holder/key_store.h"
#include "shared/core/error.h"
#include "shared/model/portable_math.h"
#include "shared/role/codec.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::key_holder {
namespace {

using role::InputNetwork;
using role::SumLayout;
using wire::RecordPart;

constexpr wire::TimeMs kRepeatMs = 2000;
constexpr std::uint8_t kClasses = InputNetwork::kOutputs;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

// sigmoid of a sum of z2.
double sigmoid(std::int64_t sum) {
  const double z = std::ldexp(static_cast<double>(sum),
                              -int{InputNetwork::kInputBits + InputNetwork::kOutputBits});
  const double e = model::exp_nonpositive(-std::abs(z));
  return z < 0 ? e / (1 + e) : 1 / (1 + e);
}

std::uint8_t predicted(std::span<const std::int64_t> sums) {
  const auto outputs = sums.first(InputNetwork::kOutputs);
  return static_cast<std::uint8_t>(std::ranges::max_element(outputs) - outputs.begin());
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::array<std::int64_t, 5> EpochScore::take_train(std::span<const std::int64_t> sums,
                                                   std::uint8_t label) {
  ++train_rows;
  if (predicted(sums) == label) ++train_right;
  std::array<std::int64_t, 5> errors{};
  for (std::size_t k = 0; k < errors.size(); ++k) {
    const double error = sigmoid(sums[k]) - (k == label ? 1 : 0);
    errors[k] = std::llround(std::ldexp(error, InputNetwork::kErrorBits));
    error_sum += std::abs(errors[k]);
  }
  return errors;
}

void EpochScore::take_test(std::span<const std::int64_t> sums, std::uint8_t label) {
  ++test_rows;
  if (predicted(sums) == label) ++test_right;
}

double EpochScore::train_accuracy() const { return ratio(train_right, train_rows); }
double EpochScore::test_accuracy() const { return ratio(test_right, test_rows); }
double EpochScore::loss() const {
  const double sum = std::ldexp(static_cast<double>(error_sum), -int{InputNetwork::kErrorBits});
  return train_rows == 0 ? 0 : sum / static_cast<double>(InputNetwork::kOutputs * train_rows);
}

nlohmann::json to_json(const EpochScore& score) {
  return {{"train_accuracy", score.train_accuracy()},
          {"train_loss", score.loss()},
          {"test_accuracy", score.test_accuracy()}};
}

void SumTrace::take(std::span<const std::int64_t> sums) {
  Bytes bytes(digest_.begin(), digest_.end());
  for (const std::int64_t sum : sums) append_le64(bytes, static_cast<std::uint64_t>(sum));
  digest_ = sha256(bytes);
}

ActivationOpener::ActivationOpener(OpenerConfig config, crypto::SecretKey key, ThreadPool& pool,
                                   report::RecordWriter& records)
    : config_(config), key_(std::move(key)), decryptor_(key_, pool), records_(&records) {
  part(RecordPart::kTrain).rows = config_.train_rows;
  part(RecordPart::kTest).rows = config_.test_rows;
}

void ActivationOpener::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
  ask(sink);
}

// ask asks the party for labels, or tells the service that all are there.
void ActivationOpener::ask(wire::MessageSink& sink) {
  repeat_at_ = sink.now() + kRepeatMs;
  if (has_all()) {
    sink.send(wire::kCoordinatorPeer,
              wire::Hello{config_.key_id, config_.replay_id, wire::kNoRound});
    return;
  }
  const RecordPart which = parts_[0].is_whole() ? RecordPart::kTest : RecordPart::kTrain;
  const auto have = static_cast<std::uint32_t>(part(which).labels.size());
  sink.send(
      wire::party_peer(0),
      wire::RecordRequest{which, have, std::min(role::kLabelsAtOnce, part(which).rows - have)});
}

void ActivationOpener::handle(const wire::Peer& from, const wire::Body& body,
                              wire::MessageSink& sink) {
  if (finished_) return;
  const bool is_service = from == wire::kCoordinatorPeer;
  if (!is_service && from != wire::party_peer(0)) {
    throw ProtocolError(to_string(from) + " is not enrolled");
  }
  if (const auto* hello = std::get_if<wire::Hello>(&body)) {
    if (hello->key_id != config_.key_id || hello->codec_id != config_.replay_id) {
      throw ProtocolError(to_string(from) + " uses another key or other settings");
    }
    if (!is_service && !has_all()) ask(sink);
  } else if (const auto* labels = std::get_if<wire::RecordLabels>(&body);
             labels != nullptr && !is_service) {
    on_labels(*labels, sink);
  } else if (const auto* open = std::get_if<wire::OpenSums>(&body); open != nullptr && is_service) {
    on_open(*open, sink);
  } else if (std::holds_alternative<wire::Finish>(body) && is_service) {
    if (scores_.size() != config_.epochs) {
      return end(Fault::kRoleFailed, "the compute service ended before the last epoch");
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

std::optional<wire::TimeMs> ActivationOpener::next_deadline() const {
  return last_ ? idle_deadline_ : std::min(repeat_at_, idle_deadline_);
}

void ActivationOpener::on_deadline(wire::MessageSink& sink) {
  if (finished_) return;
  if (sink.now() >= idle_deadline_) {
    sink.send(wire::kCoordinatorPeer, wire::Abort{Fault::kDeadline, "no word from the others"});
    return end(Fault::kDeadline, "no word from the others before the deadline");
  }
  if (!last_ && sink.now() >= repeat_at_) ask(sink);
}

void ActivationOpener::on_labels(const wire::RecordLabels& labels, wire::MessageSink& sink) {
  Part& kept = part(labels.part);
  if (labels.first < kept.labels.size()) return;  // said again
  const std::size_t inputs =
      config_.gives_inputs && labels.part == RecordPart::kTrain ? InputNetwork::kInputs : 0;
  const std::size_t left = kept.rows - kept.labels.size();
  if (labels.first != kept.labels.size() || labels.labels.empty() || labels.labels.size() > left ||
      labels.inputs.size() != inputs * labels.labels.size()) {
    throw ProtocolError("labels that were not asked for");
  }
  if (std::ranges::any_of(labels.labels, [](std::uint8_t label) { return label >= kClasses; }) ||
      std::ranges::any_of(labels.inputs,
                          [](std::uint8_t x) { return x > InputNetwork::kInputMax; })) {
    throw ProtocolError("a label or an input is out of range");
  }
  kept.labels.insert(kept.labels.end(), labels.labels.begin(), labels.labels.end());
  kept.inputs.insert(kept.inputs.end(), labels.inputs.begin(), labels.inputs.end());
  ask(sink);
}

void ActivationOpener::on_open(const wire::OpenSums& open, wire::MessageSink& sink) {
  if (last_ && open.step == last_->step) {
    sink.send(wire::kCoordinatorPeer, *last_);
    return;
  }
  const bool is_train = open.part == RecordPart::kTrain;
  const Part& known = part(open.part);
  const std::uint32_t at_once = is_train ? 1 : role::kTestsAtOnce;
  if (!has_all() || scores_.size() == config_.epochs || open.step != expected_.step ||
      open.part != expected_.part || open.first != expected_.first ||
      open.count != std::min(at_once, known.rows - open.first)) {
    throw ProtocolError("sums out of turn: step " + std::to_string(open.step));
  }
  if (open.step == 0) watch_.restart();
  const SumLayout layout = is_train ? SumLayout::training() : SumLayout::testing();
  const report::Stopwatch watch;
  const auto plaintexts = decryptor_.decrypt_small(
      key_.public_key().parse_ciphertexts(open.payload, open.count * layout.ciphertexts),
      layout.slots * SumLayout::kSlotBits);
  decrypt_s_ += watch.seconds();
  std::vector<std::vector<std::int64_t>> sums;
  for (std::uint32_t i = 0; i < open.count; ++i) {
    sums.push_back(layout.read(plaintexts, i * layout.ciphertexts));
  }
  // Nothing can be refused from here on.
  wire::OpenedSums opened{open.step, {}};
  for (std::uint32_t i = 0; i < open.count; ++i) {
    const std::uint32_t row = open.first + i;
    trace_.take(sums[i]);
    if (!is_train) {
      score_.take_test(sums[i], known.labels[row]);
      continue;
    }
    role::append_values(opened.values, score_.take_train(sums[i], known.labels[row]));
    role::append_values(opened.values, std::span(sums[i]).subspan(InputNetwork::kOutputs));
    if (config_.gives_inputs) {
      const auto inputs =
          ByteView(known.inputs).subspan(row * InputNetwork::kInputs, InputNetwork::kInputs);
      role::append_values(opened.values, std::vector<std::int64_t>(inputs.begin(), inputs.end()));
    }
  }
  bytes_in_ += open.payload.size();
  bytes_out_ += opened.values.size();
  last_ = std::move(opened);
  ++expected_.step;
  expected_.first = open.first + open.count;
  if (expected_.first == known.rows) {
    expected_.first = 0;
    expected_.part = is_train ? RecordPart::kTest : RecordPart::kTrain;
    if (is_train) {
      train_s_ = watch_.seconds();
    } else {
      end_epoch();
    }
  }
  sink.send(wire::kCoordinatorPeer, *last_);
}

void ActivationOpener::end_epoch() {
  scores_.push_back(std::exchange(score_, {}));
  report::RoundRecord record;
  record.round = static_cast<std::uint32_t>(scores_.size());
  record.role = to_string(wire::kKeyHolderPeer);
  record.phase_s["decrypt"] = std::exchange(decrypt_s_, 0);
  record.phase_s["train"] = std::exchange(train_s_, 0);
  record.phase_s["epoch"] = watch_.restart();
  record.bytes_in = std::exchange(bytes_in_, 0);
  record.bytes_out = std::exchange(bytes_out_, 0);
  records_->add(record);
}

void ActivationOpener::end(Fault fault, std::string reason) {
  fault_ = fault;
  reason_ = std::move(reason);
  finished_ = true;
}

std::unique_ptr<ActivationOpener> make_activation_opener(const settings::RoleFile& role,
                                                         ThreadPool& pool,
                                                         report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto& inputs = settings.encrypted_inputs;
  auto key =
      load_secret_key(role.files.secret_key, role.files.public_key, role::key_policy_of(settings));
  OpenerConfig config;
  config.key_id = key.public_key().id();
  config.replay_id = role::replay_id(settings);
  config.epochs = inputs.epochs;
  config.train_rows = inputs.train_rows;
  config.test_rows = inputs.test_rows;
  config.gives_inputs = inputs.gradient == "right";
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  return std::make_unique<ActivationOpener>(config, std::move(key), pool, records);
}

}  // namespace blindsum::key_holder
