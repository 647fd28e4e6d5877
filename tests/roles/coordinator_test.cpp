#include "coordinator/coordinator.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/report/records.h"
#include "tests/support/recording_sink.h"

namespace blindsum::coordinator {
namespace {

using wire::AcceptResult;

constexpr std::size_t kLimbs = 2;
constexpr std::uint32_t kParties = 4;
constexpr std::uint32_t kRounds = 3;
const Digest kCodec{1};
const Digest kWeights{2};

Bytes payload(std::uint64_t low) {
  crypto::PlaintextVector plaintexts(1, kLimbs);
  plaintexts[0][0] = low;
  return crypto::make_plain_sealer(kLimbs)->seal(plaintexts);
}

struct Fixture {
  report::RecordWriter records{""};
  test::RecordingSink sink;
  Coordinator coordinator{{kParties, 3, kRounds, Digest{}, kCodec, 1, 1, 100},
                          crypto::make_plain_accumulator(kLimbs),
                          records};

  Fixture() { coordinator.start(sink); }

  void open(std::uint32_t round, std::uint32_t participants = kParties) {
    coordinator.handle(wire::kKeyHolderPeer,
                       wire::RoundOpen{round, kind_of(round), kWeights, participants, 1, 5000},
                       sink);
  }
  static wire::RoundKind kind_of(std::uint32_t round) {
    return round == 0 ? wire::RoundKind::kStatistics : wire::RoundKind::kGradient;
  }
  static wire::EncryptedUpdate update(std::uint32_t round, std::uint64_t value) {
    return {round, kind_of(round), Digest{}, kCodec, kWeights, payload(value)};
  }
  // send hands over an update and returns the reply, if there was one.
  std::optional<AcceptResult> send(std::uint32_t party, const wire::EncryptedUpdate& update) {
    sink.sent.clear();
    coordinator.handle(wire::party_peer(party), update, sink);
    for (const auto& [to, body] : sink.sent) {
      if (const auto* reply = std::get_if<wire::UpdateReply>(&body)) {
        CHECK(to == wire::party_peer(party));
        return reply->result;
      }
    }
    return std::nullopt;
  }
};

TEST_CASE("the aggregate goes to the key-holder as soon as every participant has been counted") {
  Fixture f;
  f.open(1);
  for (std::uint32_t party = 0; party < kParties; ++party) {
    CHECK(f.send(party, Fixture::update(1, 10 + party)) == AcceptResult::kAccepted);
  }
  const auto sent = f.sink.take_last<wire::EncryptedAggregate>();
  REQUIRE(sent);
  CHECK(sent->first == wire::kKeyHolderPeer);
  CHECK(sent->second.round == 1);
  CHECK(sent->second.weights_hash == kWeights);
  CHECK(sent->second.contributors == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(crypto::make_plain_opener(kLimbs)->open(sent->second.payload, 1)[0][0] == 46);
}

TEST_CASE("an update that overtakes RoundOpen is kept and counted") {
  Fixture f;
  CHECK(f.send(2, Fixture::update(0, 5)) == std::nullopt);
  f.open(0, 3);
  const auto reply = f.sink.take_last<wire::UpdateReply>();
  REQUIRE(reply);
  CHECK(reply->second.result == AcceptResult::kAccepted);
  CHECK(f.send(0, Fixture::update(0, 1)) == AcceptResult::kAccepted);
  CHECK(f.send(1, Fixture::update(0, 1)) == AcceptResult::kAccepted);
  const auto sent = f.sink.take_last<wire::EncryptedAggregate>();
  REQUIRE(sent);
  CHECK(sent->second.contributors == std::vector<std::uint32_t>{0, 1, 2});
}

TEST_CASE("updates of another round, kind, key, codec or weights are refused by name") {
  Fixture f;
  f.open(3);
  const auto good = Fixture::update(3, 1);
  auto bad = good;
  bad.round = 2;
  CHECK(f.send(0, bad) == AcceptResult::kLate);
  bad.round = 4;
  CHECK(f.send(0, bad) == AcceptResult::kWrongRound);
  bad = good;
  bad.kind = wire::RoundKind::kStatistics;
  CHECK(f.send(0, bad) == AcceptResult::kWrongRound);
  bad = good;
  bad.key_id = {9};
  CHECK(f.send(0, bad) == AcceptResult::kMismatch);
  bad = good;
  bad.codec_id = {9};
  CHECK(f.send(0, bad) == AcceptResult::kMismatch);
  bad = good;
  bad.weights_hash = {9};
  CHECK(f.send(0, bad) == AcceptResult::kMismatch);
  bad = good;
  bad.payload.pop_back();
  CHECK(f.send(0, bad) == AcceptResult::kInvalid);
  CHECK(f.send(0, good) == AcceptResult::kAccepted);
  CHECK(f.send(0, good) == AcceptResult::kDuplicate);
}

TEST_CASE("an update for a round that has closed is late") {
  Fixture f;
  f.open(1, 3);
  for (std::uint32_t party = 0; party < 3; ++party) (void)f.send(party, Fixture::update(1, 1));
  CHECK(f.send(3, Fixture::update(1, 1)) == AcceptResult::kLate);
}

TEST_CASE("at the deadline a quorum is enough") {
  Fixture f;
  f.open(1);
  for (std::uint32_t party = 1; party < 4; ++party) (void)f.send(party, Fixture::update(1, 1));
  f.sink.time += 4999;
  f.coordinator.on_deadline(f.sink);
  CHECK_FALSE(f.sink.take_last<wire::EncryptedAggregate>());
  f.sink.time += 1;
  REQUIRE(f.coordinator.next_deadline() == f.sink.time);
  f.coordinator.on_deadline(f.sink);
  const auto sent = f.sink.take_last<wire::EncryptedAggregate>();
  REQUIRE(sent);
  CHECK(sent->second.contributors == std::vector<std::uint32_t>{1, 2, 3});
  CHECK_FALSE(f.coordinator.finished());
}

TEST_CASE("below the quorum the deadline ends the run and nothing is handed on") {
  Fixture f;
  f.open(1);
  (void)f.send(0, Fixture::update(1, 1));
  (void)f.send(1, Fixture::update(1, 1));
  f.sink.time += 5000;
  f.sink.sent.clear();
  f.coordinator.on_deadline(f.sink);
  REQUIRE(f.coordinator.finished());
  CHECK(f.coordinator.fault() == Fault::kQuorumLost);
  CHECK(std::none_of(f.sink.sent.begin(), f.sink.sent.end(), [](const auto& message) {
    return std::holds_alternative<wire::EncryptedAggregate>(message.second);
  }));
  CHECK(f.sink.take_last<wire::Abort>()->first == wire::kKeyHolderPeer);
}

TEST_CASE("a silent key-holder ends the run at the idle deadline") {
  Fixture f;
  f.sink.time += 100'000;
  REQUIRE(f.coordinator.next_deadline() == f.sink.time);
  f.coordinator.on_deadline(f.sink);
  REQUIRE(f.coordinator.finished());
  CHECK(f.coordinator.fault() == Fault::kDeadline);
}

TEST_CASE("messages out of turn or of strangers are protocol errors") {
  Fixture f;
  CHECK_THROWS_AS(f.send(kParties, Fixture::update(1, 1)), ProtocolError);
  CHECK_THROWS_AS(f.coordinator.handle(wire::party_peer(0), wire::RoundOpen{}, f.sink),
                  ProtocolError);
  CHECK_THROWS_AS(f.coordinator.handle(wire::party_peer(0), wire::Finish{}, f.sink), ProtocolError);
  CHECK_THROWS_AS(f.coordinator.handle(wire::party_peer(0), wire::Abort{}, f.sink), ProtocolError);
  CHECK_THROWS_AS(f.coordinator.handle(wire::kKeyHolderPeer, wire::EncryptedUpdate{}, f.sink),
                  ProtocolError);
  CHECK_THROWS_AS(
      f.coordinator.handle(wire::party_peer(0), wire::Hello{Digest{}, Digest{9}}, f.sink),
      ProtocolError);
  f.open(1);
  CHECK_THROWS_AS(f.open(1), ProtocolError);
  CHECK_THROWS_AS(f.open(0), ProtocolError);
  CHECK_THROWS_AS(f.open(2, 2), ProtocolError);
  CHECK_THROWS_AS(f.open(2, kParties + 1), ProtocolError);
  CHECK_THROWS_AS(f.open(2), ProtocolError);  // round 1 is still open
  CHECK_FALSE(f.coordinator.finished());
}

TEST_CASE("a round of the wrong kind or with chunks that the codec does not have is refused") {
  Fixture f;
  wire::RoundOpen open{0, wire::RoundKind::kGradient, kWeights, kParties, 1, 5000};
  CHECK_THROWS_AS(f.coordinator.handle(wire::kKeyHolderPeer, open, f.sink), ProtocolError);
  open = {1, wire::RoundKind::kGradient, kWeights, kParties, 4'000'000'000, 5000};
  CHECK_THROWS_AS(f.coordinator.handle(wire::kKeyHolderPeer, open, f.sink), ProtocolError);
  CHECK_FALSE(f.coordinator.finished());
}

TEST_CASE("any word of the key-holder counts against the idle deadline") {
  Fixture f;
  f.sink.time += 90'000;
  f.coordinator.handle(wire::kKeyHolderPeer, wire::Hello{Digest{}, kCodec}, f.sink);
  CHECK(f.coordinator.next_deadline() == f.sink.time + 100'000);
}

}  // namespace
}  // namespace blindsum::coordinator
