#include "party/party.h"

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/data/synthetic.h"
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
  settings.statistics = data::Statistics::kValues;
  settings.parameters = kShape.parameters();
  return crypto::UpdateCodec(settings);
}

struct Fixture {
  report::RecordWriter records{""};
  test::RecordingSink sink;
  crypto::UpdateCodec codec = make_codec();
  data::RecordTable table = synthetic_records();
  Party party{{1, 9, 3, Digest{}, 100},
              codec,
              LocalTrainer({1, 9, kShape, model::ClassWeights::kSqrt, 32}, table),
              crypto::make_plain_sealer(codec.plaintext_limbs()),
              records};

  Fixture() {
    party.start(sink);
    sink.sent.clear();
  }

  [[nodiscard]] wire::RoundStart statistics_round() const {
    wire::RoundStart start;
    start.weights_hash = sha256({});
    return start;
  }
  [[nodiscard]] wire::RoundStart gradient_round(std::uint32_t round) const {
    wire::RoundStart start;
    start.round = round;
    start.kind = wire::RoundKind::kGradient;
    start.weights = model::parameters_to_bytes(model::initial_parameters(kShape, round));
    start.weights_hash = sha256(start.weights);
    for (const auto value : data::statistics_of(table).values) {
      append_le64(start.statistics, static_cast<std::uint64_t>(value));
    }
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

  LocalTrainer trainer({1, 9, kShape, model::ClassWeights::kSqrt, 32}, f.table);
  trainer.standardise(data::statistics_of(f.table));
  const auto local = trainer.train(model::parameters_from_bytes(start.weights, kShape), 3);
  CHECK(sum.values == f.codec.fixed_point().encode(local.weighted_gradient, 9, 1, 3).values);
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
  changed.weights_hash = sha256(changed.weights);
  CHECK_THROWS_AS(f.handle(changed), ProtocolError);
  auto forged = f.gradient_round(3);
  forged.weights[0] ^= 1;
  CHECK_THROWS_AS(f.handle(forged), ProtocolError);
  auto other_statistics = f.gradient_round(3);
  other_statistics.statistics[0] ^= 1;
  CHECK_THROWS_AS(f.handle(other_statistics), ProtocolError);
  auto short_weights = f.gradient_round(3);
  short_weights.weights.pop_back();
  short_weights.weights_hash = sha256(short_weights.weights);
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
  f.party.on_deadline(f.sink);
  const auto late = f.sink.take_last<wire::EncryptedUpdate>();
  REQUIRE(late);
  CHECK(late->second.payload == f.handle(f.gradient_round(1))->payload);
}

TEST_CASE("a silent key-holder ends the run at the idle deadline") {
  Fixture f;
  f.sink.time = f.party.next_deadline().value();
  f.party.on_deadline(f.sink);
  REQUIRE(f.party.finished());
  CHECK(f.party.fault() == Fault::kDeadline);
}

}  // namespace
}  // namespace blindsum::party
