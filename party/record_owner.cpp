#include "party/record_owner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/data/encoder.h"
#include "shared/data/kdd.h"
#include "shared/role/codec.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::party {
namespace {

using role::InputNetwork;
using wire::RecordPart;

constexpr wire::TimeMs kHelloMs = 2000;

wire::TimeMs ms(double seconds) { return static_cast<wire::TimeMs>(seconds * 1000); }

void require_rows(const std::filesystem::path& path, const data::RecordTable& table,
                  const char* key, std::uint32_t rows) {
  if (table.rows >= rows) return;
  throw DataError(path.string() + ": " + std::to_string(table.rows) + " rows, encrypted_inputs." +
                  key + " says " + std::to_string(rows) + "; use fewer");
}

RecordSet set_of(const data::RecordTable& table, std::span<const std::uint32_t> rows,
                 const data::MinMax& range) {
  const data::Dataset encoded = data::encode_ordinal41(data::select(table, rows), range);
  RecordSet set;
  set.rows = encoded.rows;
  set.labels = encoded.labels;
  set.inputs.reserve(encoded.features.size());
  for (const float x : encoded.features) {
    // A test record may lie outside of the training set's ranges.
    const double clipped = std::clamp(static_cast<double>(x), 0.0, 1.0);
    set.inputs.push_back(static_cast<std::uint8_t>(
        std::llround(clipped * static_cast<double>(InputNetwork::kInputMax))));
  }
  return set;
}

}  // namespace

ReplayRecords ReplayRecords::read(const settings::Settings& settings,
                                  const std::filesystem::path& train,
                                  const std::filesystem::path& test) {
  const auto& inputs = settings.encrypted_inputs;
  const data::RecordTable train_table = data::read_kdd(train);
  const data::RecordTable test_table = data::read_kdd(test);
  require_rows(train, train_table, "train_rows", inputs.train_rows);
  require_rows(test, test_table, "test_rows", inputs.test_rows);
  std::vector<std::uint32_t> rows(train_table.rows);
  std::iota(rows.begin(), rows.end(), 0U);
  SeededRandom(settings.seed, "replay-rows").shuffle(std::span(rows));
  rows.resize(inputs.train_rows);
  std::vector<std::uint32_t> first(inputs.test_rows);
  std::iota(first.begin(), first.end(), 0U);
  const data::MinMax range = data::MinMax::of(train_table);
  return {
      set_of(train_table, rows, range),
      set_of(test_table, first, inputs.scaler == "seed" ? data::MinMax::of(test_table) : range)};
}

RecordOwner::RecordOwner(OwnerConfig config, ReplayRecords data, crypto::Encryptor encryptor,
                         report::RecordWriter& records)
    : config_(config),
      data_(std::move(data)),
      encryptor_(std::move(encryptor)),
      records_(&records) {}

void RecordOwner::start(wire::MessageSink& sink) {
  idle_deadline_ = sink.now() + ms(config_.idle_s);
  say_hello(sink);
}

void RecordOwner::say_hello(wire::MessageSink& sink) {
  const wire::Hello hello{config_.key_id, config_.replay_id, wire::kNoRound};
  sink.send(wire::kKeyHolderPeer, hello);
  sink.send(wire::kCoordinatorPeer, hello);
  hello_at_ = sink.now() + kHelloMs;
}

void RecordOwner::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (finished_) return;
  if (from.role == wire::Role::kParty) {
    throw ProtocolError(to_string(from) + " has nothing to say to the party");
  }
  if (const auto* hello = std::get_if<wire::Hello>(&body)) {
    if (hello->key_id != config_.key_id || hello->codec_id != config_.replay_id) {
      throw ProtocolError(to_string(from) + " uses another key or other settings");
    }
  } else if (const auto* request = std::get_if<wire::RecordRequest>(&body)) {
    on_request(from, *request, sink);
  } else if (std::holds_alternative<wire::Finish>(body) && from == wire::kCoordinatorPeer) {
    return end(Fault::kNone, "");
  } else if (const auto* fault = std::get_if<wire::Abort>(&body)) {
    return end(fault->fault, to_string(from) + " aborted: " + fault->reason);
  } else {
    throw ProtocolError(std::string(message_name(body)) + " from " + to_string(from) +
                        " is not for a party");
  }
  idle_deadline_ = sink.now() + ms(config_.idle_s);
}

std::optional<wire::TimeMs> RecordOwner::next_deadline() const {
  return std::min(hello_at_, idle_deadline_);
}

void RecordOwner::on_deadline(wire::MessageSink& sink) {
  if (finished_) return;
  if (sink.now() >= idle_deadline_) {
    return end(Fault::kDeadline, "no word from the others before the deadline");
  }
  if (sink.now() >= hello_at_) say_hello(sink);
}

void RecordOwner::on_request(const wire::Peer& from, const wire::RecordRequest& request,
                             wire::MessageSink& sink) {
  const bool is_train = request.part == RecordPart::kTrain;
  const RecordSet& set = is_train ? data_.train : data_.test;
  const bool is_holder = from == wire::kKeyHolderPeer;
  const std::uint32_t most = is_holder ? role::kLabelsAtOnce : role::kRecordsAtOnce;
  if (request.count == 0 || request.count > most || request.first > set.rows ||
      request.count > set.rows - request.first) {
    throw ProtocolError("a request for records that there are not");
  }
  const auto inputs =
      std::span(set.inputs)
          .subspan(request.first * InputNetwork::kInputs, request.count * InputNetwork::kInputs);
  if (is_holder) {
    const auto labels = std::span(set.labels).subspan(request.first, request.count);
    wire::RecordLabels reply{request.part, request.first, {labels.begin(), labels.end()}, {}};
    if (config_.gives_inputs && is_train) reply.inputs.assign(inputs.begin(), inputs.end());
    sink.send(from, reply);
    return;
  }
  const report::Stopwatch watch;
  crypto::PlaintextVector plaintexts(inputs.size(), encryptor_.key().plaintext_limbs());
  for (std::size_t i = 0; i < inputs.size(); ++i) plaintexts[i][0] = inputs[i];
  const auto ciphertexts = encryptor_.encrypt(plaintexts);
  encryptions_ += inputs.size();
  encrypt_s_ += watch.seconds();
  sink.send(from, wire::EncryptedRecords{request.part, request.first,
                                         encryptor_.key().serialize_ciphertexts(ciphertexts)});
}

void RecordOwner::end(Fault fault, std::string reason) {
  report::RoundRecord record;
  record.role = to_string(wire::party_peer(0));
  record.phase_s["encrypt"] = encrypt_s_;
  records_->add(record);
  fault_ = fault;
  reason_ = std::move(reason);
  finished_ = true;
}

std::unique_ptr<RecordOwner> make_record_owner(const settings::RoleFile& role, ThreadPool& pool,
                                               report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto key = role::load_public_key(role);
  OwnerConfig config;
  config.key_id = role::key_id_of(key);
  config.replay_id = role::replay_id(settings);
  config.gives_inputs = settings.encrypted_inputs.gradient == "right";
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  crypto::Encryptor encryptor(key.value(),
                              crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                              role::table_options_of(role));
  return std::make_unique<RecordOwner>(
      config, ReplayRecords::read(settings, role.files.shard, role.files.test),
      std::move(encryptor), records);
}

}  // namespace blindsum::party
