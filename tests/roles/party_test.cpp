#include "party/party.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/crypto/integrity_tag.h"
#include "shared/data/synthetic.h"
#include "tests/support/cohort.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"

namespace blindsum::party {
namespace {

const model::Shape kShape{122, {4}, 5, model::Activation::kRelu};

data::RecordTable synthetic_records() {
  const test::TempDir dir;
  data::write_synthetic(dir.path(), 5, {300, 100});
  return data::read_kdd(data::find_kdd(dir.path()).train);
}

crypto::UpdateCodec make_codec() {
  crypto::CodecSettings settings;
  settings.parties = 3;
  settings.modulus_bits = 2048;
  settings.statistics = data::Statistics().values.size();
  settings.parameters = kShape.parameters();
  return crypto::UpdateCodec(settings);
}

constexpr wire::RunId kRun{5};
constexpr wire::TagKey kTagKey{7};

struct Fixture {
  test::Cohort cohort{3};
  report::RecordWriter records{""};
  test::RecordingSink sink;
  crypto::UpdateCodec codec = make_codec();
  data::RecordTable table = synthetic_records();
  Party party{
      {kRun, 1, 9, 3, Digest{}, 100},
      cohort.keys_of(1),
      codec,
      LocalTrainer({1, 9, kShape, model::ClassWeights::kSqrt, {model::Algorithm::kFedSgd, 32}},
                   table),
      crypto::make_plain_sealer(codec.plaintext_limbs()),
      records};

  Fixture() {
    party.start(sink);
    sink.sent.clear();
  }

  [[nodiscard]] wire::RoundStart statistics_round() const {
    wire::RoundStart start;
    start.weights_hash = wire::weights_hash_of({}, {});
    start.tag_key = kTagKey;
    return start;
  }
  [[nodiscard]] wire::RoundStart gradient_round(std::uint32_t round) const {
    wire::RoundStart start;
    start.round = round;
    start.kind = wire::RoundKind::kGradient;
    start.tag_key = kTagKey;
    start.weights = model::parameters_to_bytes(model::initial_parameters(kShape, round));
    for (const auto value : data::statistics_of(table).values) {
      append_le64(start.statistics, static_cast<std::uint64_t>(value));
    }
    start.weights_hash = wire::weights_hash_of(start.weights, start.statistics);
    return start;
  }
  std::optional<wire::EncryptedUpdate> handle(const wire::RoundStart& start) {
    party.handle(wire::kKeyHolderPeer, start, sink);
    const auto sent = sink.take_last<wire::EncryptedUpdate>();
    if (!sent) return std::nullopt;
    CHECK(sent->first == wire::kCoordinatorPeer);
    return sent->second;
  }
  [[nodiscard]] std::vector<std::int64_t> opened(const crypto::PackedEncoder& encoder,
                                                 const wire::EncryptedUpdate& update) const {
    const auto opener = crypto::make_plain_opener(codec.plaintext_limbs());
    return encoder.unpack_sum(opener->open(update.payload, encoder.plaintexts()), 1);
  }
};

TEST_CASE("the statistics update holds the statistics of the shard") {
  Fixture f;
  const auto update = f.handle(f.statistics_round());
  REQUIRE(update);
  CHECK(f.opened(f.codec.statistics(), *update) == data::statistics_of(f.table).values);
}

TEST_CASE(
    "the gradient update holds the fixed-point gradient, weighted by rows, and the rows last") {
  Fixture f;
  const auto start = f.gradient_round(3);
  const auto update = f.handle(start);
  REQUIRE(update);
  const auto opener = crypto::make_plain_opener(f.codec.plaintext_limbs());
  const auto sum =
      f.codec.unpack_gradient(opener->open(update->payload, f.codec.gradient().plaintexts()), 1);
  CHECK(sum.rows == 32);

  LocalTrainer trainer({1, 9, kShape, model::ClassWeights::kSqrt, {model::Algorithm::kFedSgd, 32}},
                       f.table);
  trainer.standardise(data::statistics_of(f.table));
  const auto local = trainer.train(model::parameters_from_bytes(start.weights, kShape), 3);
  CHECK(sum.values == f.codec.fixed_point().encode(local.weighted, 9, 1, 3).values);
}

TEST_CASE("clipped values are counted by layer") {
  const test::TempDir folder;
  const auto path = folder.path() / "party.jsonl";
  crypto::CodecSettings settings;
  settings.parties = 3;
  settings.modulus_bits = 2048;
  settings.statistics = data::Statistics().values.size();
  settings.parameters = kShape.parameters();
  settings.clip = 0.02;
  const crypto::UpdateCodec codec(settings);
  Fixture f;
  report::RecordWriter records(path);
  const LocalTrainer trainer(
      {1, 9, kShape, model::ClassWeights::kSqrt, {model::Algorithm::kFedSgd, 32}}, f.table);
  Party party({kRun, 1, 9, 3, Digest{}, 100}, f.cohort.keys_of(1), codec, trainer,
              crypto::make_plain_sealer(codec.plaintext_limbs()), records);
  const auto start = f.gradient_round(3);
  party.start(f.sink);
  party.handle(wire::kKeyHolderPeer, start, f.sink);

  LocalTrainer same = trainer;
  same.standardise(data::statistics_of(f.table));
  const auto gradient = same.train(model::parameters_from_bytes(start.weights, kShape), 3).weighted;
  std::vector<std::uint64_t> expected;
  std::size_t at = 0;
  for (const auto& [in, out] : kShape.layers()) {
    expected.push_back(0);
    for (std::size_t i = 0; i < (in + 1) * out; ++i, ++at) {
      if (std::abs(gradient[at]) > 0.02) ++expected.back();
    }
  }
  const auto lines = report::read_records(path);
  REQUIRE(lines.size() == 1);
  const auto record = report::round_record_from_json(lines[0]);
  CHECK(record.clipped_by_layer == expected);
  CHECK(record.clipped_values ==
        std::accumulate(expected.begin(), expected.end(), std::uint64_t{0}));
  CHECK(std::ranges::all_of(expected, [](std::uint64_t count) { return count > 0; }));
}

TEST_CASE("a repeated RoundStart is answered with the same bytes") {
  Fixture f;
  const auto first = f.handle(f.gradient_round(1));
  const auto second = f.handle(f.gradient_round(1));
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->payload == second->payload);
}

TEST_CASE("a round that went back, changed, or whose weights do not match their hash is refused") {
  Fixture f;
  REQUIRE(f.handle(f.gradient_round(2)));
  CHECK_THROWS_AS(f.handle(f.gradient_round(1)), ProtocolError);
  auto changed = f.gradient_round(2);
  changed.weights = model::parameters_to_bytes(model::initial_parameters(kShape, 77));
  changed.weights_hash = wire::weights_hash_of(changed.weights, changed.statistics);
  CHECK_THROWS_AS(f.handle(changed), ProtocolError);
  auto forged = f.gradient_round(3);
  forged.weights[0] ^= 1;
  CHECK_THROWS_AS(f.handle(forged), ProtocolError);
  auto other_statistics = f.gradient_round(3);
  other_statistics.statistics[0] ^= 1;
  CHECK_THROWS_AS(f.handle(other_statistics), ProtocolError);
  other_statistics.weights_hash =
      wire::weights_hash_of(other_statistics.weights, other_statistics.statistics);
  CHECK_THROWS_AS(f.handle(other_statistics), ProtocolError);  // others than in round 2
  auto short_weights = f.gradient_round(3);
  short_weights.weights.pop_back();
  short_weights.weights_hash =
      wire::weights_hash_of(short_weights.weights, short_weights.statistics);
  CHECK_THROWS_AS(f.handle(short_weights), DecodeError);
  CHECK_FALSE(f.party.finished());
  CHECK(f.handle(f.gradient_round(3)));
}

TEST_CASE("only the key-holder may start a round or finish the run") {
  Fixture f;
  CHECK_THROWS_AS(f.party.handle(wire::kCoordinatorPeer, f.statistics_round(), f.sink),
                  ProtocolError);
  CHECK_THROWS_AS(f.party.handle(wire::kCoordinatorPeer, wire::Finish{}, f.sink), ProtocolError);
  CHECK_THROWS_AS(f.party.handle(wire::kKeyHolderPeer, wire::UpdateReply{}, f.sink), ProtocolError);
}

TEST_CASE("an update that cannot be queued is sent again later, unchanged") {
  Fixture f;
  f.sink.unreachable.insert(wire::kCoordinatorPeer);
  CHECK_FALSE(f.handle(f.gradient_round(1)));
  f.sink.unreachable.clear();
  f.sink.time = f.party.next_deadline().value();
  CHECK(f.sink.time == 1200);
  f.party.on_deadline(f.sink);
  const auto late = f.sink.take_last<wire::EncryptedUpdate>();
  REQUIRE(late);
  CHECK(late->second.payload == f.handle(f.gradient_round(1))->payload);
}

TEST_CASE("an update is signed by its party, over everything that matters") {
  Fixture f;
  const auto update = f.handle(f.gradient_round(1));
  REQUIRE(update);
  const auto is_signed = [&](const wire::UpdateStatement& statement) {
    return verify(f.cohort.signing[1].public_key(), update->signature, signed_bytes(statement));
  };
  const wire::UpdateStatement good = statement_of(kRun, 1, *update);
  CHECK(is_signed(good));
  std::vector<wire::UpdateStatement> others(8, good);
  others[0].run[3] ^= 1;
  others[1].round ^= 1;
  others[2].kind = wire::RoundKind::kStatistics;
  others[3].party = 2;
  others[4].key_id[0] ^= 1;
  others[5].codec_id[0] ^= 1;
  others[6].weights_hash[0] ^= 1;
  others[7].payload_hash[0] ^= 1;
  for (const auto& other : others) CHECK_FALSE(is_signed(other));
}

TEST_CASE("an update carries the tags of its round and party") {
  Fixture f;
  for (const auto& start : {f.statistics_round(), f.gradient_round(1)}) {
    const auto update = f.handle(start);
    REQUIRE(update);
    const auto& encoder = start.round == 0 ? f.codec.statistics() : f.codec.gradient();
    const std::size_t chunks = encoder.plaintexts();
    const auto packed =
        crypto::make_plain_opener(f.codec.plaintext_limbs())->open(update->payload, chunks);
    const Digest context =
        round_context(kRun, start.round, start.kind, Digest{}, f.codec.id(), start.weights_hash);
    const auto multipliers = crypto::tag_multipliers(kTagKey, context, chunks);
    const ByteView own = std::as_const(f.cohort.tag_keys[1]).bytes();
    const ByteView another = std::as_const(f.cohort.tag_keys[2]).bytes();
    CHECK_NOTHROW(encoder.check_tags(packed, multipliers, crypto::tag_masks(own, context, chunks)));
    CHECK_THROWS_AS(
        encoder.check_tags(packed, multipliers, crypto::tag_masks(another, context, chunks)),
        IntegrityError);
  }
}

TEST_CASE("a coordinator that is missing the update is sent it again, unchanged") {
  Fixture f;
  const auto update = f.handle(f.gradient_round(2));
  REQUIRE(update);
  const auto ask = [&](std::uint32_t round) {
    f.party.handle(wire::kCoordinatorPeer, wire::UpdateReply{round, wire::AcceptResult::kMissing},
                   f.sink);
    return f.sink.take_last<wire::EncryptedUpdate>();
  };
  const auto again = ask(2);
  REQUIRE(again);
  CHECK(again->second.payload == update->payload);
  CHECK(again->second.signature == update->signature);
  CHECK_FALSE(ask(1));
  CHECK_FALSE(ask(3));
}

TEST_CASE("after two seconds of silence a party says again where it is") {
  Fixture f;
  REQUIRE(f.handle(f.gradient_round(2)));
  CHECK(f.party.next_deadline() == f.sink.time + 2000);
  f.sink.time += 2000;
  f.party.on_deadline(f.sink);
  REQUIRE(f.sink.sent.size() == 2);
  CHECK(f.sink.sent[0].first == wire::kCoordinatorPeer);
  CHECK(f.sink.sent[1].first == wire::kKeyHolderPeer);
  for (const auto& [to, body] : f.sink.sent) CHECK(std::get<wire::Hello>(body).round == 2);
  CHECK(f.party.next_deadline() == f.sink.time + 2000);
}

TEST_CASE("a party that hears of a round that it was not started for says so") {
  Fixture f;
  REQUIRE(f.handle(f.gradient_round(2)));
  const auto hear = [&](std::uint32_t round) {
    f.party.handle(wire::kKeyHolderPeer, wire::Hello{Digest{}, f.codec.id(), round}, f.sink);
    return f.sink.take_last<wire::Hello>().has_value();
  };
  CHECK_FALSE(hear(wire::kNoRound));
  CHECK_FALSE(hear(2));
  CHECK(hear(3));
  CHECK_THROWS_AS(f.party.handle(wire::kKeyHolderPeer, wire::Hello{Digest{}, Digest{9}, 3}, f.sink),
                  ProtocolError);
  CHECK_THROWS_AS(
      f.party.handle(wire::kCoordinatorPeer, wire::Hello{Digest{}, f.codec.id(), 3}, f.sink),
      ProtocolError);
}

// BrokenSealer cannot do its work.
class BrokenSealer : public crypto::UpdateSealer {
 public:
  [[nodiscard]] Bytes seal(const crypto::PlaintextVector&) override {
    throw CryptoError("no randomness");
  }
  bool prepare(std::size_t) override { return false; }
  [[nodiscard]] crypto::TableInfo table() const override { return {}; }
  [[nodiscard]] std::size_t bytes_each() const override { return 0; }
};

// check_own_fault: the party has ended by itself, and told the key-holder alone why.
void check_own_fault(const Party& party, test::RecordingSink& sink, Fault fault,
                     const std::string& reason) {
  REQUIRE(party.finished());
  CHECK(party.fault() == fault);
  CHECK(party.reason() == reason);
  REQUIRE(sink.sent.size() == 1);
  CHECK(sink.sent[0].first == wire::kKeyHolderPeer);
  const auto* told = std::get_if<wire::Abort>(&sink.sent[0].second);
  REQUIRE(told != nullptr);
  CHECK(told->fault == fault);
  CHECK(told->reason == reason);
}

TEST_CASE("a party whose training diverges ends, says in which round and what to lower") {
  Fixture f;
  const test::TempDir folder;
  for (const auto algorithm : {model::Algorithm::kFedAvg, model::Algorithm::kScaffold}) {
    CAPTURE(to_string(algorithm));
    model::LocalSettings local{algorithm, 32};
    local.rate = 1e38;  // the first step leaves float32
    const auto file = folder.path() / "control";
    Party party({kRun, 1, 9, 3, Digest{}, 100, file}, f.cohort.keys_of(1), f.codec,
                LocalTrainer({1, 9, kShape, model::ClassWeights::kSqrt, local}, f.table),
                crypto::make_plain_sealer(f.codec.plaintext_limbs()), f.records);
    party.start(f.sink);
    wire::RoundStart start = f.gradient_round(2);
    if (algorithm == model::Algorithm::kScaffold) {
      start.weights.resize(2 * start.weights.size(), 0);
      start.weights_hash = wire::weights_hash_of(start.weights, start.statistics);
    }
    f.sink.sent.clear();
    CHECK_NOTHROW(party.handle(wire::kKeyHolderPeer, start, f.sink));
    check_own_fault(party, f.sink, Fault::kUsage,
                    "round 2: training diverged: the update of layer 1 is not finite; lower "
                    "local.rate or server.rate");
    CHECK_FALSE(std::filesystem::exists(file));  // nothing is kept of it
  }
}

TEST_CASE("what a party itself cannot do is its own fault, not the key-holder's") {
  Fixture f;
  Party party({kRun, 1, 9, 3, Digest{}, 100}, f.cohort.keys_of(1), f.codec,
              LocalTrainer({1, 9, kShape}, f.table), std::make_unique<BrokenSealer>(), f.records);
  party.start(f.sink);
  f.sink.sent.clear();
  CHECK_NOTHROW(party.handle(wire::kKeyHolderPeer, f.statistics_round(), f.sink));
  check_own_fault(party, f.sink, Fault::kRoleFailed, "round 0: no randomness");
}

// Karimireddy et al. 2020, option II, with what the key-holder gets to see of (w − w')/(steps ·
// rate): cut to the clip.
TEST_CASE("a control variate is made of the update as it was sent") {
  Fixture f;
  crypto::CodecSettings codec_settings = f.codec.settings();
  codec_settings.clip = 0.003;
  codec_settings.bits = 12;
  const crypto::UpdateCodec codec(codec_settings);
  const test::TempDir folder;
  const auto file = folder.path() / "control";
  model::LocalSettings local{model::Algorithm::kScaffold, 128, 4};
  Party party({kRun, 1, 9, 3, Digest{}, 100, file}, f.cohort.keys_of(1), codec,
              LocalTrainer({1, 9, kShape, model::ClassWeights::kSqrt, local}, f.table),
              crypto::make_plain_sealer(codec.plaintext_limbs()), f.records);
  party.start(f.sink);
  std::vector<double> own(kShape.parameters(), 0.0);  // c_i
  for (std::uint32_t round = 1; round <= 3; ++round) {
    wire::RoundStart start = f.gradient_round(round);
    const model::Parameters control = model::initial_parameters(kShape, 100 + round);
    const Bytes bytes = model::parameters_to_bytes(control);
    start.weights.insert(start.weights.end(), bytes.begin(), bytes.end());
    start.weights_hash = wire::weights_hash_of(start.weights, start.statistics);
    party.handle(wire::kKeyHolderPeer, start, f.sink);
    const auto sent = f.sink.take_last<wire::EncryptedUpdate>();
    REQUIRE(sent);
    const auto sum =
        codec.unpack_gradient(crypto::make_plain_opener(codec.plaintext_limbs())
                                  ->open(sent->second.payload, codec.gradient().plaintexts()),
                              1);
    REQUIRE(sum.rows == 300);  // of the 512 that four steps may use
    const std::int64_t most = codec.fixed_point().max_abs();
    CHECK(std::ranges::count_if(sum.values, [&](auto v) { return std::abs(v) == most; }) > 100);
    ControlVariate kept(kRun, 1, kShape.parameters(), file);
    const std::vector<float>& next = kept.at_round(round + 1);
    for (std::size_t i = 0; i < own.size(); ++i) {
      const double direction =
          static_cast<double>(sum.values[i]) / static_cast<double>(most) * 0.003 / (300.0 / 512);
      own[i] += direction - double{control[i]};
      REQUIRE(double{next[i]} == doctest::Approx(own[i]).epsilon(1e-5));
    }
  }
}

TEST_CASE("a silent key-holder ends the run at the idle deadline") {
  Fixture f;
  f.sink.time += 100'000;
  f.party.on_deadline(f.sink);
  REQUIRE(f.party.finished());
  CHECK(f.party.fault() == Fault::kDeadline);
}

}  // namespace
}  // namespace blindsum::party
