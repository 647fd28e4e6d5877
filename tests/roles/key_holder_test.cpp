#include "party/key_holder/key_holder.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/data/synthetic.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"

namespace blindsum::key_holder {
namespace {

constexpr std::uint32_t kParties = 4;
const model::Shape kShape{122, {4}, 5, model::Activation::kRelu};

data::RecordTable synthetic_records() {
  const test::TempDir dir;
  data::write_synthetic(dir.path(), 5, {300, 100});
  return data::read_kdd(data::find_kdd(dir.path()).test);
}

crypto::UpdateCodec make_codec() {
  crypto::CodecSettings settings;
  settings.parties = kParties;
  settings.modulus_bits = 2048;
  settings.statistics = data::Statistics::kValues;
  settings.parameters = kShape.parameters();
  return crypto::UpdateCodec(settings);
}

KeyHolderConfig make_config() {
  KeyHolderConfig config;
  config.parties = kParties;
  config.quorum = 3;
  config.rounds = 2;
  config.shape = kShape;
  return config;
}

struct Fixture {
  ThreadPool pool{1};
  report::RecordWriter records{""};
  test::RecordingSink sink;
  crypto::UpdateCodec codec = make_codec();
  data::RecordTable table = synthetic_records();
  KeyHolder holder{make_config(), codec, crypto::make_plain_opener(codec.plaintext_limbs()),
                   table,         pool,  records};

  Fixture() { holder.start(sink); }

  void hello(std::uint32_t party) {
    holder.handle(wire::party_peer(party), wire::Hello{Digest{}, codec.id()}, sink);
  }
  void all_ready() {
    for (std::uint32_t party = 0; party < kParties; ++party) hello(party);
  }
  // aggregate makes the honest sum of `addends` equal updates with the given values for the open
  // round.
  [[nodiscard]] wire::EncryptedAggregate aggregate(std::uint32_t round, const Digest& weights_hash,
                                                   const std::vector<std::int64_t>& values,
                                                   std::vector<std::uint32_t> contributors) const {
    const auto& encoder = round == 0 ? codec.statistics() : codec.gradient();
    auto sum = crypto::make_plain_accumulator(codec.plaintext_limbs());
    sum->reset(encoder.plaintexts());
    for (std::size_t i = 0; i < contributors.size(); ++i) {
      sum->add(crypto::make_plain_sealer(codec.plaintext_limbs())->seal(encoder.pack(values)));
    }
    return {round, round == 0 ? wire::RoundKind::kStatistics : wire::RoundKind::kGradient,
            weights_hash, std::move(contributors), sum->finish()};
  }
  [[nodiscard]] wire::EncryptedAggregate statistics_aggregate() const {
    return aggregate(0, sha256({}), data::statistics_of(table).values, {0, 1, 2, 3});
  }
};

TEST_CASE("no round starts before every party is ready, unless the start deadline finds a quorum") {
  Fixture f;
  for (std::uint32_t party = 0; party < 3; ++party) f.hello(party);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
  f.sink.time = f.holder.next_deadline().value();
  f.holder.on_deadline(f.sink);
  const auto open = f.sink.take_last<wire::RoundOpen>();
  REQUIRE(open);
  CHECK(open->second.participants == 3);
  CHECK(open->second.chunks == f.codec.statistics().plaintexts());
}

TEST_CASE("too few parties at the start deadline lose the quorum") {
  Fixture f;
  f.hello(0);
  f.hello(1);
  f.sink.time = f.holder.next_deadline().value();
  f.holder.on_deadline(f.sink);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kQuorumLost);
}

TEST_CASE("the coordinator is never sent weights") {
  Fixture f;
  f.all_ready();
  f.holder.handle(wire::kCoordinatorPeer, f.statistics_aggregate(), f.sink);
  CHECK(std::any_of(f.sink.sent.begin(), f.sink.sent.end(), [](const auto& message) {
    const auto* start = std::get_if<wire::RoundStart>(&message.second);
    return start != nullptr && !start->weights.empty();
  }));
  for (const auto& [to, body] : f.sink.sent) {
    if (std::holds_alternative<wire::RoundStart>(body)) CHECK(to.role == wire::Role::kParty);
  }
}

TEST_CASE(
    "an aggregate below the quorum, of strangers, of another round or over other weights is "
    "refused unopened") {
  Fixture f;
  f.all_ready();
  const auto values = data::statistics_of(f.table).values;
  const auto refuse = [&](const wire::EncryptedAggregate& aggregate) {
    CHECK_THROWS_AS(f.holder.handle(wire::kCoordinatorPeer, aggregate, f.sink), ProtocolError);
  };
  refuse(f.aggregate(0, sha256({}), values, {0, 1}));
  auto strangers = f.statistics_aggregate();
  strangers.contributors = {0, 1, 2, kParties};
  refuse(strangers);
  refuse(f.aggregate(0, Digest{3}, values, {0, 1, 2, 3}));
  auto other_round = f.statistics_aggregate();
  other_round.round = 1;
  refuse(other_round);
  auto other_kind = f.statistics_aggregate();
  other_kind.kind = wire::RoundKind::kGradient;
  refuse(other_kind);
  CHECK_THROWS_AS(f.holder.handle(wire::party_peer(0), f.statistics_aggregate(), f.sink),
                  ProtocolError);
  CHECK_FALSE(f.holder.finished());
}

TEST_CASE("one aggregate is opened per round: a second one is refused") {
  Fixture f;
  f.all_ready();
  f.holder.handle(wire::kCoordinatorPeer, f.statistics_aggregate(), f.sink);
  CHECK_THROWS_AS(f.holder.handle(wire::kCoordinatorPeer, f.statistics_aggregate(), f.sink),
                  ProtocolError);
}

TEST_CASE("a party that missed a round is sent the next one, but no round waits for it") {
  Fixture f;
  f.all_ready();
  f.sink.sent.clear();
  f.holder.handle(wire::kCoordinatorPeer,
                  f.aggregate(0, sha256({}), data::statistics_of(f.table).values, {0, 1, 3}),
                  f.sink);
  std::size_t starts = 0;
  for (const auto& [to, body] : f.sink.sent) {
    starts += std::holds_alternative<wire::RoundStart>(body) ? 1 : 0;
  }
  CHECK(starts == kParties);
  CHECK(f.sink.take_last<wire::RoundOpen>()->second.participants == 3);
}

TEST_CASE("a sum that does not fit its list of contributors ends the run with integrity") {
  Fixture f;
  f.all_ready();
  auto lying = f.aggregate(0, sha256({}), data::statistics_of(f.table).values, {0, 1, 2});
  lying.contributors = {0, 1, 2, 3};
  f.sink.sent.clear();
  f.holder.handle(wire::kCoordinatorPeer, lying, f.sink);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kIntegrity);
  const auto abort = f.sink.take_last<wire::Abort>();
  REQUIRE(abort);
  // What was inside the sum is plaintext: nobody is told.
  CHECK(abort->second.reason ==
        "round 0: the opened aggregate is not a sum of its contributors' updates");
  CHECK(f.holder.reason() == abort->second.reason);
}

TEST_CASE("a truncated aggregate ends the run with integrity and releases nothing") {
  Fixture f;
  f.all_ready();
  auto truncated = f.statistics_aggregate();
  truncated.payload.pop_back();
  f.sink.sent.clear();
  f.holder.handle(wire::kCoordinatorPeer, truncated, f.sink);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kIntegrity);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
}

TEST_CASE("a party that comes back is sent the current round again") {
  Fixture f;
  f.all_ready();
  f.sink.sent.clear();
  f.hello(2);
  const auto start = f.sink.take_last<wire::RoundStart>();
  REQUIRE(start);
  CHECK(start->first == wire::party_peer(2));
  CHECK(start->second.round == 0);
}

TEST_CASE("a party with another key or codec is told and not counted") {
  Fixture f;
  CHECK_THROWS_AS(f.holder.handle(wire::party_peer(0), wire::Hello{Digest{}, Digest{9}}, f.sink),
                  ProtocolError);
  CHECK(f.sink.take_last<wire::Abort>()->first == wire::party_peer(0));
}

TEST_CASE("a silent coordinator ends the run at the round's deadline") {
  Fixture f;
  f.all_ready();
  f.sink.time = f.holder.next_deadline().value();
  f.holder.on_deadline(f.sink);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kDeadline);
}

}  // namespace
}  // namespace blindsum::key_holder
