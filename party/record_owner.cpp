#include "party/record_owner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/data/encoder.h"
#include "shared/data/kdd.h"
#include "shared/role/codec.h"
#include "shared/role/detection.h"
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

RecordSet replay_set(const data::RecordTable& table, std::span<const std::uint32_t> rows,
                     const data::MinMax& range) {
  const data::Dataset encoded = data::encode_ordinal(data::select(table, rows), range);
  RecordSet set;
  set.rows = encoded.rows;
  set.inputs_each = encoded.inputs;
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

std::vector<std::uint32_t> drawn_rows(std::size_t rows, std::size_t count, std::uint64_t seed,
                                      const char* label) {
  std::vector<std::uint32_t> drawn(rows);
  std::iota(drawn.begin(), drawn.end(), 0U);
  SeededRandom(seed, label).shuffle(std::span(drawn));
  drawn.resize(count);
  return drawn;
}

}  // namespace

std::vector<std::uint32_t> detection_rows(const settings::Settings& settings, std::size_t rows) {
  return drawn_rows(rows, settings.encrypted_inputs.test_rows, settings.seed, "detection-rows");
}

RecordSet detection_records(const settings::Settings& settings, const std::filesystem::path& file,
                            const data::Scaler& scaler) {
  using Inputs = role::DetectionInputs;
  const std::uint32_t count = settings.encrypted_inputs.test_rows;
  const data::RecordTable table = data::read_kdd(file);
  require_rows(file, table, "test_rows", count);
  const data::Dataset encoded =
      data::encode_onehot(data::select(table, detection_rows(settings, table.rows)), scaler);
  RecordSet set;
  set.rows = encoded.rows;
  set.inputs_each = encoded.inputs;
  set.labels = encoded.labels;
  set.inputs.reserve(encoded.features.size());
  for (std::size_t i = 0; i < encoded.features.size(); ++i) {
    const auto x = static_cast<double>(encoded.features[i]);
    const bool is_numeric = i % encoded.inputs >= Inputs::kOneHot;
    set.inputs.push_back(static_cast<std::uint8_t>(
        is_numeric ? std::llround(Inputs::kNumericScale * (x + data::kClip)) : std::llround(x)));
  }
  return set;
}

void write_encoding(const std::filesystem::path& path, const data::Scaler& scaler) {
  const nlohmann::json object = {{"mean", scaler.mean}, {"deviation", scaler.deviation}};
  write_file_atomic(path, object.dump());
}

data::Scaler read_encoding(const std::filesystem::path& path) {
  try {
    const auto object = nlohmann::json::parse(read_text_file(path));
    data::Scaler scaler;
    object.at("mean").get_to(scaler.mean);
    object.at("deviation").get_to(scaler.deviation);
    const auto is_right = [](double v) { return std::isfinite(v); };
    if (scaler.mean.size() != data::kNumericFeatures ||
        scaler.deviation.size() != data::kNumericFeatures ||
        !std::ranges::all_of(scaler.mean, is_right) ||
        !std::ranges::all_of(scaler.deviation,
                             [](double v) { return std::isfinite(v) && v > 0; })) {
      throw ConfigError(path.string() + ": not the means and deviations of 38 numbers");
    }
    return scaler;
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(path.string() + ": " + error.what());
  }
}

ReplayRecords ReplayRecords::read(const settings::Settings& settings,
                                  const std::filesystem::path& train,
                                  const std::filesystem::path& test) {
  const auto& inputs = settings.encrypted_inputs;
  const data::RecordTable train_table = data::read_kdd(train);
  const data::RecordTable test_table = data::read_kdd(test);
  require_rows(train, train_table, "train_rows", inputs.train_rows);
  require_rows(test, test_table, "test_rows", inputs.test_rows);
  const auto rows = drawn_rows(train_table.rows, inputs.train_rows, settings.seed, "replay-rows");
  std::vector<std::uint32_t> first(inputs.test_rows);
  std::iota(first.begin(), first.end(), 0U);
  const data::MinMax range = data::MinMax::of(train_table);
  return {replay_set(train_table, rows, range),
          replay_set(test_table, first,
                     inputs.scaler == "seed" ? data::MinMax::of(test_table) : range)};
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
  const std::uint32_t most = is_holder ? role::kLabelsAtOnce : config_.most_records;
  if (request.count == 0 || request.count > most || request.first > set.rows ||
      request.count > set.rows - request.first) {
    throw ProtocolError("a request for records that there are not");
  }
  const auto inputs =
      std::span(set.inputs)
          .subspan(request.first * set.inputs_each, request.count * set.inputs_each);
  if (is_holder) {
    const auto labels = std::span(set.labels).subspan(request.first, request.count);
    wire::RecordLabels reply{request.part, request.first, {labels.begin(), labels.end()}, {}};
    if (config_.gives_inputs && is_train) reply.inputs.assign(inputs.begin(), inputs.end());
    sink.send(from, reply);
    return;
  }
  const report::Stopwatch watch;
  const bool is_packed = config_.slot_bits > 0;
  crypto::PlaintextVector plaintexts(is_packed ? set.inputs_each : inputs.size(),
                                     encryptor_.key().plaintext_limbs());
  std::vector<std::int64_t> numbers(is_packed ? request.count : 1);
  for (std::size_t i = 0; i < plaintexts.size(); ++i) {
    for (std::size_t r = 0; r < numbers.size(); ++r) numbers[r] = inputs[r * set.inputs_each + i];
    role::Slots{is_packed ? config_.slot_bits : 64, false}.put(plaintexts[i], numbers);
  }
  const auto ciphertexts = wire::own_work([&] { return encryptor_.encrypt(plaintexts); });
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
  config.most_records = role::kRecordsAtOnce;
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  crypto::Encryptor encryptor(key.value(),
                              crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                              role::table_options_of(role));
  if (!settings::is_detection(settings)) {
    return std::make_unique<RecordOwner>(
        config, ReplayRecords::read(settings, role.files.shard, role.files.test),
        std::move(encryptor), records);
  }
  const auto plan = role::DetectionPlan::of(settings);
  config.gives_inputs = false;
  config.most_records = plan.batch;
  config.slot_bits = plan.is_linear() ? role::DetectionPlan::kScoreBits : 0;
  return std::make_unique<RecordOwner>(
      config,
      ReplayRecords{{},
                    detection_records(settings, role.files.test, read_encoding(role.files.model))},
      std::move(encryptor), records);
}

}  // namespace blindsum::party
