#include "coordinator/coordinator.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/report/records.h"
#include "tests/support/cohort.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"

namespace blindsum::coordinator {
namespace {

using wire::AcceptResult;

constexpr std::size_t kLimbs = 2;
constexpr std::uint32_t kParties = 4;
constexpr std::uint32_t kRounds = 3;
constexpr wire::RunId kRun{5};
const Digest kCodec{1};
const Digest kWeights{2};

Bytes payload(std::uint64_t low) {
  crypto::PlaintextVector plaintexts(1, kLimbs);
  plaintexts[0][0] = low;
  return crypto::make_plain_sealer(kLimbs)->seal(plaintexts);
}

std::vector<std::uint32_t> parties_of(const wire::EncryptedAggregate& aggregate) {
  std::vector<std::uint32_t> parties;
  for (const auto& contribution : aggregate.contributions) parties.push_back(contribution.party);
  return parties;
}

struct Fixture {
  test::Cohort cohort{kParties};
  report::RecordWriter records{""};
  test::RecordingSink sink;
  Coordinator coordinator{{kRun, cohort.signing_keys(), 3, kRounds, Digest{}, kCodec, 1, 1, 100},
                          crypto::make_plain_accumulator(kLimbs),
                          records};

  Fixture() { coordinator.start(sink); }

  void open(std::uint32_t round, const std::vector<std::uint32_t>& awaited = {0, 1, 2, 3}) {
    coordinator.handle(wire::kKeyHolderPeer,
                       wire::RoundOpen{round, kind_of(round), kWeights, 1, 5000, awaited}, sink);
  }
  static wire::RoundKind kind_of(std::uint32_t round) {
    return round == 0 ? wire::RoundKind::kStatistics : wire::RoundKind::kGradient;
  }
  static wire::EncryptedUpdate update(std::uint32_t round, std::uint64_t value) {
    return {round, kind_of(round), Digest{}, kCodec, kWeights, {}, payload(value)};
  }
  // send signs an update, hands it over and returns the reply, if there was one.
  std::optional<AcceptResult> send(std::uint32_t party, wire::EncryptedUpdate update) {
    if (party < kParties) cohort.sign(update, kRun, party);
    return send_as_it_is(party, update);
  }
  std::optional<AcceptResult> send_as_it_is(std::uint32_t party,
                                            const wire::EncryptedUpdate& update) {
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

TEST_CASE("refused and late updates are recorded once a party and round, repeated ones never") {
  const test::TempDir folder;
  const auto path = folder.path() / "coordinator.jsonl";
  test::Cohort cohort{kParties};
  test::RecordingSink sink;
  report::RecordWriter records(path);
  Coordinator coordinator({kRun, cohort.signing_keys(), 3, kRounds, Digest{}, kCodec, 1, 1, 100},
                          crypto::make_plain_accumulator(kLimbs), records);
  coordinator.start(sink);
  const auto send = [&](std::uint32_t party, wire::EncryptedUpdate update) {
    cohort.sign(update, kRun, party);
    coordinator.handle(wire::party_peer(party), update, sink);
  };
  const auto open = [&](std::uint32_t round, const std::vector<std::uint32_t>& awaited) {
    coordinator.handle(wire::kKeyHolderPeer,
                       wire::RoundOpen{round, Fixture::kind_of(round), kWeights, 1, 5000, awaited},
                       sink);
  };
  open(0, {0, 1, 2});
  auto broken = Fixture::update(0, 1);
  broken.payload.pop_back();
  for (int i = 0; i < 100; ++i) send(0, broken);
  for (const std::uint32_t party : {0, 1, 2}) send(party, Fixture::update(0, 1));
  for (int i = 0; i < 100; ++i) {
    send(1, Fixture::update(0, 1));  // it has been counted
    send(3, Fixture::update(0, 1));  // it has not
  }
  open(1, {0, 1, 2, 3});
  send(2, Fixture::update(0, 1));
  send(3, Fixture::update(0, 1));

  std::vector<std::string> events;
  for (const auto& line : report::read_records(path)) {
    if (report::kind_of(line) != report::LineKind::kEvent) continue;
    const report::Event event = report::event_from_json(line);
    events.push_back(event.event + " " + event.role + " " + std::to_string(event.round));
  }
  CHECK(events == std::vector<std::string>{"update_refused party-0 0", "late_update party-3 0",
                                           "late_update party-3 1"});
}

// BrokenAccumulator cannot finish a sum.
class BrokenAccumulator : public crypto::UpdateAccumulator {
 public:
  void reset(std::size_t chunks) override { sum_->reset(chunks); }
  void add(ByteView payload) override { sum_->add(payload); }
  [[nodiscard]] Bytes finish() override { throw CryptoError("no randomness"); }
  bool prepare(std::size_t) override { return false; }

 private:
  std::unique_ptr<crypto::UpdateAccumulator> sum_ = crypto::make_plain_accumulator(kLimbs);
};

TEST_CASE("a sum that the coordinator cannot finish is not blamed on the last party to come") {
  Fixture f;
  Coordinator coordinator({kRun, f.cohort.signing_keys(), 3, kRounds, Digest{}, kCodec, 1, 1, 100},
                          std::make_unique<BrokenAccumulator>(), f.records);
  coordinator.start(f.sink);
  coordinator.handle(wire::kKeyHolderPeer,
                     wire::RoundOpen{0, wire::RoundKind::kStatistics, kWeights, 1, 5000, {0, 1, 2}},
                     f.sink);
  for (const std::uint32_t party : {0, 1, 2}) {
    auto update = Fixture::update(0, 1);
    f.cohort.sign(update, kRun, party);
    if (party < 2) {
      coordinator.handle(wire::party_peer(party), update, f.sink);
      continue;
    }
    try {
      coordinator.handle(wire::party_peer(party), update, f.sink);
      FAIL("nothing was thrown");
    } catch (const Error& error) {
      CHECK(fault_of(error) == Fault::kRoleFailed);
      CHECK(std::string(error.what()) == "no randomness");
    }
  }
}

TEST_CASE(
    "the aggregate goes to the key-holder as soon as all that are awaited have been counted") {
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
  CHECK(parties_of(sent->second) == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(crypto::make_plain_opener(kLimbs)->open(sent->second.payload, 1)[0][0] == 46);
}

TEST_CASE("an update that overtakes RoundOpen is kept and counted") {
  Fixture f;
  CHECK(f.send(2, Fixture::update(0, 5)) == std::nullopt);
  f.open(0, {0, 1, 2});
  const auto reply = f.sink.take_last<wire::UpdateReply>();
  REQUIRE(reply);
  CHECK(reply->second.result == AcceptResult::kAccepted);
  CHECK(f.send(0, Fixture::update(0, 1)) == AcceptResult::kAccepted);
  CHECK(f.send(1, Fixture::update(0, 1)) == AcceptResult::kAccepted);
  const auto sent = f.sink.take_last<wire::EncryptedAggregate>();
  REQUIRE(sent);
  CHECK(parties_of(sent->second) == std::vector<std::uint32_t>{0, 1, 2});
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
  f.open(1, {0, 1, 2});
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
  CHECK(parties_of(sent->second) == std::vector<std::uint32_t>{1, 2, 3});
  CHECK_FALSE(f.coordinator.finished());
}

TEST_CASE("a round that is opened at its very end still gives the parties time to answer") {
  Fixture f;
  f.coordinator.handle(wire::kKeyHolderPeer,
                       wire::RoundOpen{4, Fixture::kind_of(4), kWeights, 1, 0, {0, 1, 2}}, f.sink);
  CHECK(f.coordinator.next_deadline() == f.sink.time + 2500);
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
  f.open(2);
  CHECK_THROWS_AS(f.open(1), ProtocolError);
  CHECK_THROWS_AS(f.open(0), ProtocolError);
  CHECK_THROWS_AS(f.open(3, {0, kParties}), ProtocolError);
  CHECK_FALSE(f.coordinator.finished());
}

TEST_CASE("an update that its party has not signed as it is, is invalid") {
  Fixture f;
  f.open(1);
  const auto good = Fixture::update(1, 7);
  CHECK(f.send_as_it_is(0, good) == AcceptResult::kInvalid);
  auto signed_by_one = good;
  f.cohort.sign(signed_by_one, kRun, 1);
  CHECK(f.send_as_it_is(0, signed_by_one) == AcceptResult::kInvalid);
  auto other_run = good;
  f.cohort.sign(other_run, wire::RunId{6}, 0);
  CHECK(f.send_as_it_is(0, other_run) == AcceptResult::kInvalid);
  auto changed = good;
  f.cohort.sign(changed, kRun, 0);
  changed.payload = payload(8);
  CHECK(f.send_as_it_is(0, changed) == AcceptResult::kInvalid);
  CHECK(f.send(0, good) == AcceptResult::kAccepted);
}

TEST_CASE("a round that is opened again goes on, and awaits whom the key-holder then names") {
  Fixture f;
  f.open(1);
  for (std::uint32_t party = 0; party < 3; ++party) (void)f.send(party, Fixture::update(1, 1));
  CHECK_FALSE(f.sink.take_last<wire::EncryptedAggregate>());
  f.open(1, {0, 1, 2, 3});
  CHECK_FALSE(f.sink.take_last<wire::EncryptedAggregate>());
  f.open(1, {0, 1, 2});  // party 3 has gone
  REQUIRE(f.sink.take_last<wire::EncryptedAggregate>());
  auto other = wire::RoundOpen{1, Fixture::kind_of(1), Digest{9}, 1, 5000, {0, 1, 2, 3}};
  CHECK_THROWS_AS(f.coordinator.handle(wire::kKeyHolderPeer, other, f.sink), ProtocolError);
}

TEST_CASE("awaiting fewer than the quorum does not close a round below it") {
  Fixture f;
  f.open(1, {0});
  CHECK(f.send(0, Fixture::update(1, 1)) == AcceptResult::kAccepted);
  CHECK(f.send(3, Fixture::update(1, 1)) == AcceptResult::kAccepted);
  CHECK_FALSE(f.sink.take_last<wire::EncryptedAggregate>());
  CHECK(f.send(2, Fixture::update(1, 1)) == AcceptResult::kAccepted);
  CHECK(f.sink.take_last<wire::EncryptedAggregate>());
}

TEST_CASE("a closed round that is opened again is answered with the same aggregate") {
  Fixture f;
  f.open(1);
  for (std::uint32_t party = 0; party < kParties; ++party) {
    (void)f.send(party, Fixture::update(1, 10 + party));
  }
  const auto first = f.sink.take_last<wire::EncryptedAggregate>();
  f.open(1);
  const auto second = f.sink.take_last<wire::EncryptedAggregate>();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->second.payload == second->second.payload);
  CHECK(first->second.contributions == second->second.contributions);
}

TEST_CASE("a newer round ends one that is still open") {
  Fixture f;
  f.open(1);
  CHECK(f.send(0, Fixture::update(1, 1)) == AcceptResult::kAccepted);
  f.open(2);
  CHECK(f.send(0, Fixture::update(1, 1)) == AcceptResult::kLate);
  CHECK(f.send(0, Fixture::update(2, 1)) == AcceptResult::kAccepted);
}

TEST_CASE("a party that waits in the open round is asked for an update that has not come") {
  Fixture f;
  f.open(1);
  const auto hello = [&](std::uint32_t party, std::uint32_t round) {
    f.sink.sent.clear();
    f.coordinator.handle(wire::party_peer(party), wire::Hello{Digest{}, kCodec, round}, f.sink);
    return f.sink.take_last<wire::UpdateReply>();
  };
  const auto asked = hello(2, 1);
  REQUIRE(asked);
  CHECK(asked->first == wire::party_peer(2));
  CHECK(asked->second.round == 1);
  CHECK(asked->second.result == AcceptResult::kMissing);
  CHECK_FALSE(hello(2, 0));
  CHECK_FALSE(hello(2, wire::kNoRound));
  CHECK(f.send(2, Fixture::update(1, 1)) == AcceptResult::kAccepted);
  CHECK_FALSE(hello(2, 1));
}

TEST_CASE("a coordinator that starts in the middle of a round asks for what it has missed") {
  Fixture f;
  CHECK(f.send(0, Fixture::update(7, 5)) == std::nullopt);
  f.coordinator.handle(wire::party_peer(1), wire::Hello{Digest{}, kCodec, 7}, f.sink);
  CHECK(f.sink.sent.empty());
  f.open(7);
  std::vector<std::pair<wire::Peer, AcceptResult>> replies;
  for (const auto& [to, body] : f.sink.sent) {
    if (const auto* reply = std::get_if<wire::UpdateReply>(&body)) {
      replies.emplace_back(to, reply->result);
    }
  }
  CHECK(replies == std::vector<std::pair<wire::Peer, AcceptResult>>{
                       {wire::party_peer(0), AcceptResult::kAccepted},
                       {wire::party_peer(1), AcceptResult::kMissing}});
}

TEST_CASE("a round of the wrong kind or with chunks that the codec does not have is refused") {
  Fixture f;
  wire::RoundOpen open{0, wire::RoundKind::kGradient, kWeights, 1, 5000, {0, 1, 2, 3}};
  CHECK_THROWS_AS(f.coordinator.handle(wire::kKeyHolderPeer, open, f.sink), ProtocolError);
  open = {1, wire::RoundKind::kGradient, kWeights, 4'000'000'000, 5000, {0, 1, 2, 3}};
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
