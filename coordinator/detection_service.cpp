#include "coordinator/detection_service.h"

#include <algorithm>
#include <array>
#include <utility>

#include <NTL/ZZ.h>
#include <spdlog/spdlog.h>

#include "shared/core/error.h"
#include "shared/core/random.h"
#include "shared/crypto/numbers.h"
#include "shared/role/codec.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::coordinator {
namespace {

using crypto::CiphertextVector;
using crypto::PlaintextVector;
using role::DetectionInputs;
using role::DetectionPlan;
using role::Slots;

constexpr wire::TimeMs kRepeatMs = 2000;
constexpr std::size_t kBatchesAhead = 2;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

// part_of returns `count` ciphertexts from `first` on.
CiphertextVector part_of(const CiphertextVector& all, std::size_t first, std::size_t count) {
  CiphertextVector part(count, all.limbs_each());
  std::ranges::copy(all.limbs().subspan(first * all.limbs_each(), count * all.limbs_each()),
                    part.limbs().begin());
  return part;
}

void append(CiphertextVector& all, std::size_t first, const CiphertextVector& part) {
  std::ranges::copy(part.limbs(),
                    all.limbs().begin() + static_cast<std::ptrdiff_t>(first * all.limbs_each()));
}

// fresh_blind is uniform in [2^kHiddenBits, 2^kBlindBits), but for 2^-40 of it.
std::int64_t fresh_blind() {
  constexpr std::int64_t kLeast = std::int64_t{1} << DetectionPlan::kHiddenBits;
  constexpr std::int64_t kMost = std::int64_t{1} << DetectionPlan::kBlindBits;
  for (;;) {
    std::uint64_t bits = 0;
    fill_random(std::span(reinterpret_cast<std::uint8_t*>(&bits), sizeof bits));
    const auto blind = static_cast<std::int64_t>(bits & static_cast<std::uint64_t>(kMost - 1));
    if (blind >= kLeast) return blind;
  }
}

}  // namespace

DetectionService::DetectionService(DetectionConfig config, Detector detector,
                                   crypto::Encryptor encryptor, ThreadPool& pool,
                                   report::RecordWriter& records)
    : config_(config),
      detector_(std::move(detector)),
      encryptor_(std::move(encryptor)),
      key_(encryptor_.key()),
      evaluator_(key_, pool),
      records_(&records) {
  detector_.check();
  if (detector_.hidden != config_.plan.hidden) {
    throw ConfigError("detector: " + std::to_string(detector_.hidden) +
                      " hidden units, the settings say " + std::to_string(config_.plan.hidden));
  }
}

void DetectionService::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

void DetectionService::handle(const wire::Peer& from, const wire::Body& body,
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

std::optional<wire::TimeMs> DetectionService::next_deadline() const {
  wire::TimeMs deadline = idle_deadline_;
  for (const auto* question : {&record_question_, &sum_question_}) {
    if (*question) deadline = std::min(deadline, (*question)->repeat_at);
  }
  return deadline;
}

void DetectionService::on_deadline(wire::MessageSink& sink) {
  if (finished_) return;
  if (sink.now() >= idle_deadline_) {
    return end(Fault::kDeadline, "no word from the others before the deadline", sink);
  }
  for (auto* question : {&record_question_, &sum_question_}) {
    if (*question && sink.now() >= (*question)->repeat_at) say(**question, sink);
  }
}

void DetectionService::on_hello(const wire::Peer& from, const wire::Hello& hello,
                                wire::MessageSink& sink) {
  if (hello.key_id != config_.key_id || hello.codec_id != config_.replay_id) {
    throw ProtocolError(to_string(from) + " uses another key or other settings");
  }
  (from == wire::kKeyHolderPeer ? has_holder_ : has_party_) = true;
  sink.send(from, wire::Hello{config_.key_id, config_.replay_id, wire::kNoRound});
  if (has_party_ && has_holder_ && asked_ == 0) ask_for_records(sink);
}

void DetectionService::ask_for_records(wire::MessageSink& sink) {
  const std::uint32_t count = std::min(config_.plan.batch, config_.plan.rows - asked_);
  record_question_ = {wire::party_peer(0),
                      wire::RecordRequest{wire::RecordPart::kTest, asked_, count}};
  asked_ += count;
  say(*record_question_, sink);
}

void DetectionService::on_records(const wire::EncryptedRecords& message, wire::MessageSink& sink) {
  const auto* asked =
      record_question_ ? std::get_if<wire::RecordRequest>(&record_question_->body) : nullptr;
  if (asked == nullptr || asked->part != message.part || asked->first != message.first) {
    throw ProtocolError("records that were not asked for");
  }
  const std::size_t each = config_.plan.is_linear() ? 1 : asked->count;
  Batch batch{asked->first,
              asked->count,
              key_.parse_ciphertexts(message.payload, each * DetectionInputs::kInputs),
              {}};
  if (view_.messages == 0) {
    constexpr std::size_t kShown = 24;
    view_.begins_with = to_hex(ByteView(message.payload).first(kShown));
  }
  view_.records += batch.count;
  ++view_.messages;
  view_.bytes += message.payload.size();
  record_question_.reset();
  batches_.push_back(std::move(batch));
  if (batches_.size() < kBatchesAhead && asked_ < config_.plan.rows) ask_for_records(sink);
  if (!sum_question_) work_on_next(sink);
}

// work_on_next computes on the first batch.
void DetectionService::work_on_next(wire::MessageSink& sink) {
  const report::Stopwatch watch;
  is_squared_ = config_.plan.is_linear();
  Batch& batch = batches_.front();
  const CiphertextVector sums =
      config_.plan.is_linear() ? linear_scores(batch) : blinded_hidden(batch);
  compute_s_ += watch.seconds();
  send_sums(sums, sink);
}

void DetectionService::send_sums(const CiphertextVector& sums, wire::MessageSink& sink) {
  const Batch& batch = batches_.front();
  const report::Stopwatch watch;
  Bytes payload = key_.serialize_ciphertexts(encryptor_.rerandomize(sums));
  compute_s_ += watch.seconds();
  bytes_out_ += payload.size();
  sum_question_ = {wire::kKeyHolderPeer, wire::OpenSums{step_, wire::RecordPart::kTest, batch.first,
                                                        batch.count, std::move(payload)}};
  say(*sum_question_, sink);
}

CiphertextVector DetectionService::linear_scores(const Batch& batch) const {
  const CiphertextVector sums =
      evaluator_.linear_combinations(batch.records, detector_.first, DetectionInputs::kOutputs);
  PlaintextVector biases(DetectionInputs::kOutputs, key_.plaintext_limbs());
  for (std::size_t k = 0; k < biases.size(); ++k) {
    Slots{DetectionPlan::kScoreBits, true}.put(
        biases[k], std::vector<std::int64_t>(batch.count, detector_.first_bias[k]));
  }
  return evaluator_.add_plain(sums, biases);
}

CiphertextVector DetectionService::blinded_hidden(Batch& batch) const {
  const std::size_t each = config_.plan.hidden_ciphertexts();
  std::vector<std::int64_t> weights = detector_.first;
  weights.resize(each * DetectionPlan::kHiddenSlots * DetectionInputs::kInputs);
  CiphertextVector all(batch.count * each, key_.ciphertext_limbs());
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    const CiphertextVector record =
        part_of(batch.records, i * DetectionInputs::kInputs, DetectionInputs::kInputs);
    PlaintextVector blinds(each, key_.plaintext_limbs());
    for (std::size_t j = 0; j < detector_.hidden; ++j) {
      const std::int64_t blind = fresh_blind();
      batch.blinds.push_back(blind);
      blinds[j / DetectionPlan::kHiddenSlots][j % DetectionPlan::kHiddenSlots] =
          static_cast<std::uint64_t>(blind + detector_.first_bias[j]);
    }
    append(all, i * each,
           evaluator_.add_plain(
               evaluator_.packed_combinations(record, weights, each, DetectionPlan::kHiddenSlots,
                                              DetectionPlan::kHiddenSlotBits),
               blinds));
  }
  return all;
}

// The exponent of x_i is Σ_k 2^(S·k)·e_ik with S = kSquareScoreBits and e_ik = −Σ_j
// 2·v_kj·r_j·w_ji, up to 90 bits. Its digits in base 2^28 go alternately into two rows of slots of
// S bits, `low` and `high`: the product is low·high^(2^28).
CiphertextVector DetectionService::square_scores(const Batch& batch,
                                                 const CiphertextVector& squares) const {
  constexpr unsigned kDigitBits = DetectionPlan::kSquareScoreBits / 2;
  constexpr std::size_t kDigits = 4;
  constexpr std::size_t kSlots = DetectionInputs::kOutputs + kDigits / 2 - 1;
  constexpr std::size_t kIn = DetectionInputs::kInputs;
  const std::size_t hidden = detector_.hidden;
  const std::size_t numbers = kIn + hidden;
  CiphertextVector all(batch.count, key_.ciphertext_limbs());
  for (std::uint32_t record = 0; record < batch.count; ++record) {
    const auto blinds = std::span(batch.blinds).subspan(record * hidden, hidden);
    std::vector<std::int64_t> weights(2 * kSlots * numbers);
    const auto weight = [&](std::size_t row, std::size_t slot, std::size_t i) -> std::int64_t& {
      return weights[(row * kSlots + slot) * numbers + i];
    };
    NTL::ZZ constants;
    for (std::size_t k = DetectionInputs::kOutputs; k-- > 0;) {
      const std::int64_t* const v = &detector_.second[k * hidden];
      NTL::ZZ constant = NTL::conv<NTL::ZZ>(detector_.second_bias[k]) +
                         NTL::power2_ZZ(DetectionPlan::kSquareScoreBits - 1);
      for (std::size_t j = 0; j < hidden; ++j) {
        const NTL::ZZ r = NTL::conv<NTL::ZZ>(blinds[j]);
        constant -= (2 * detector_.first_bias[j] + r) * r * v[j];
        weight(0, k, kIn + j) = v[j];
      }
      constants = (constants << DetectionPlan::kSquareScoreBits) + constant;
      for (std::size_t i = 0; i < kIn; ++i) {
        role::Int128 e = 0;
        for (std::size_t j = 0; j < hidden; ++j) {
          e -= role::Int128{2} * blinds[j] * v[j] * detector_.first[j * kIn + i];
        }
        for (std::size_t d = 0; d < kDigits; ++d) {
          constexpr std::int64_t kHalf = std::int64_t{1} << (kDigitBits - 1);
          std::int64_t digit = static_cast<std::int64_t>(e) & (2 * kHalf - 1);
          if (digit >= kHalf) digit -= 2 * kHalf;
          weight(d % 2, k + d / 2, i) += digit;
          e = (e - digit) >> kDigitBits;
        }
        if (e != 0) throw CryptoError("a blinded weight is too large");
      }
    }
    CiphertextVector inputs(numbers, key_.ciphertext_limbs());
    append(inputs, 0, part_of(batch.records, record * kIn, kIn));
    append(inputs, kIn, part_of(squares, record * hidden, hidden));
    const CiphertextVector rows =
        evaluator_.packed_combinations(inputs, weights, 2, kSlots, DetectionPlan::kSquareScoreBits);
    const std::array<std::int64_t, 2> places{1, std::int64_t{1} << kDigitBits};
    PlaintextVector plain(1, key_.plaintext_limbs());
    crypto::copy_to(plain[0], constants % crypto::to_zz(key_.modulus_limbs()));
    append(all, record,
           evaluator_.add_plain(evaluator_.linear_combinations(rows, places, 1), plain));
  }
  return all;
}

void DetectionService::on_opened(const wire::OpenedSums& opened, wire::MessageSink& sink) {
  if (!sum_question_ || step_ != opened.step) throw ProtocolError("sums that were not asked for");
  if (!is_squared_) {
    const report::Stopwatch watch;
    const Batch& batch = batches_.front();
    const CiphertextVector sums =
        square_scores(batch, key_.parse_ciphertexts(opened.values, batch.count * detector_.hidden));
    compute_s_ += watch.seconds();
    is_squared_ = true;
    ++step_;
    return send_sums(sums, sink);
  }
  (void)role::values_from(opened.values, 0);
  sum_question_.reset();
  ++step_;
  batches_.pop_front();
  if (asked_ < config_.plan.rows && !record_question_) ask_for_records(sink);
  if (!batches_.empty()) return work_on_next(sink);
  if (view_.records == config_.plan.rows) end(Fault::kNone, "", sink);
}

void DetectionService::say(Question& question, wire::MessageSink& sink) {
  sink.send(question.to, question.body);
  question.repeat_at = sink.now() + kRepeatMs;
}

void DetectionService::end(Fault fault, std::string reason, wire::MessageSink& sink) {
  for (const wire::Peer& peer : {wire::kKeyHolderPeer, wire::party_peer(0)}) {
    if (fault == Fault::kNone) {
      sink.send(peer, wire::Finish{1, Digest{}});
    } else {
      sink.send(peer, wire::Abort{fault, reason});
    }
  }
  report::RoundRecord record;
  record.round = 1;
  record.role = to_string(wire::kCoordinatorPeer);
  record.phase_s["compute"] = compute_s_;
  record.bytes_in = view_.bytes;
  record.bytes_out = bytes_out_;
  records_->add(record);
  fault_ = fault;
  reason_ = std::move(reason);
  finished_ = true;
}

std::unique_ptr<DetectionService> make_detection_service(const settings::RoleFile& role,
                                                         ThreadPool& pool,
                                                         report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto key = role::load_public_key(role);
  DetectionConfig config;
  config.key_id = role::key_id_of(key);
  config.replay_id = role::replay_id(settings);
  config.plan = DetectionPlan::of(settings);
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  crypto::Encryptor encryptor(key.value(),
                              crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                              role::table_options_of(role));
  return std::make_unique<DetectionService>(config, read_detector(role.files.model),
                                            std::move(encryptor), pool, records);
}

}  // namespace blindsum::coordinator
