#include "party/key_holder/key_holder.h"

#include <algorithm>
#include <functional>
#include <map>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/integrity_tag.h"
#include "shared/data/synthetic.h"
#include "tests/support/cohort.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"

namespace blindsum::key_holder {
namespace {

constexpr std::uint32_t kParties = 4;
constexpr wire::RunId kRun{5};
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
  settings.statistics = data::Statistics().values.size();
  settings.parameters = kShape.parameters();
  return crypto::UpdateCodec(settings);
}

KeyHolderConfig make_config(const test::Cohort& cohort) {
  KeyHolderConfig config;
  config.run = kRun;
  config.parties = cohort.party_records();
  config.tag_secret = test::copy_of(cohort.tag_secret);
  config.quorum = 3;
  config.rounds = 2;
  config.shape = kShape;
  return config;
}

// Sink also remembers the last RoundStart.
class Sink : public test::RecordingSink {
 public:
  bool send(const wire::Peer& to, const wire::Body& body) override {
    if (const auto* start = std::get_if<wire::RoundStart>(&body)) last_start = *start;
    return RecordingSink::send(to, body);
  }
  wire::RoundStart last_start;
};

// MemoryStore keeps everything in memory that outlives it, and can fail.
struct Kept {
  Recovered state;
  bool is_full = false;
  std::size_t appended = 0;
};
class MemoryStore : public StateStore {
 public:
  explicit MemoryStore(Kept& kept) : kept_(&kept) {}
  Recovered recover() override { return kept_->state; }
  void append(std::uint32_t round, ByteView content) override {
    if (kept_->is_full) throw StorageError("no space left");
    ++kept_->appended;
    kept_->state.journal.push_back({round, Bytes(content.begin(), content.end())});
  }
  void checkpoint(std::uint32_t round, ByteView content) override {
    if (kept_->is_full) throw StorageError("no space left");
    kept_->state.round = round;
    kept_->state.checkpoint.assign(content.begin(), content.end());
    kept_->state.journal.clear();
  }

 private:
  Kept* kept_;
};

// CountingOpener counts what it opens.
class CountingOpener : public crypto::UpdateOpener {
 public:
  CountingOpener(std::size_t limbs, std::size_t& opened)
      : opener_(crypto::make_plain_opener(limbs)), opened_(&opened) {}
  crypto::PlaintextVector open(ByteView payload, std::size_t chunks) override {
    ++*opened_;
    return opener_->open(payload, chunks);
  }

 private:
  std::unique_ptr<crypto::UpdateOpener> opener_;
  std::size_t* opened_;
};

struct Fixture {
  test::Cohort cohort{kParties};
  ThreadPool pool{1};
  report::RecordWriter records{""};
  Sink sink;
  Kept kept;
  std::size_t opened = 0;
  crypto::UpdateCodec codec = make_codec();
  data::RecordTable table = synthetic_records();
  std::function<void(KeyHolderConfig&)> change = [](KeyHolderConfig&) {};  // of the next holder
  std::unique_ptr<KeyHolder> owned = make_holder();
  KeyHolder& holder = *owned;

  Fixture() { holder.start(sink); }

  [[nodiscard]] std::unique_ptr<KeyHolder> make_holder() {
    KeyHolderConfig config = make_config(cohort);
    change(config);
    return std::make_unique<KeyHolder>(
        std::move(config), codec, std::make_unique<CountingOpener>(codec.plaintext_limbs(), opened),
        std::make_unique<MemoryStore>(kept), table, pool, records);
  }
  void hello(std::uint32_t party, std::uint32_t round = wire::kNoRound) {
    hello(holder, party, round);
  }
  void hello(KeyHolder& to, std::uint32_t party, std::uint32_t round = wire::kNoRound) {
    to.handle(wire::party_peer(party), wire::Hello{Digest{}, codec.id(), round}, sink);
  }
  void all_ready() {
    for (std::uint32_t party = 0; party < kParties; ++party) hello(party);
  }
  // deliver hands an aggregate to the key-holder, which must not throw.
  void deliver(const wire::EncryptedAggregate& aggregate) {
    holder.handle(wire::kCoordinatorPeer, aggregate, sink);
  }
  // update makes the honest update of `party` for the round that was last started.
  [[nodiscard]] wire::EncryptedUpdate update(std::uint32_t party,
                                             const std::vector<std::int64_t>& values) const {
    const wire::RoundStart& start = sink.last_start;
    const auto& encoder = start.round == 0 ? codec.statistics() : codec.gradient();
    const Digest context =
        round_context(kRun, start.round, start.kind, Digest{}, codec.id(), start.weights_hash);
    crypto::PlaintextVector packed = encoder.pack(values);
    const std::size_t chunks = packed.size();
    encoder.add_tags(packed, crypto::tag_multipliers(start.tag_key, context, chunks),
                     crypto::tag_masks(cohort.tag_keys[party].bytes(), context, chunks));
    wire::EncryptedUpdate update{start.round,
                                 start.kind,
                                 Digest{},
                                 codec.id(),
                                 start.weights_hash,
                                 {},
                                 crypto::make_plain_sealer(codec.plaintext_limbs())->seal(packed)};
    cohort.sign(update, kRun, party);
    return update;
  }
  // aggregate makes the honest sum of equal updates for the round that was last started.
  [[nodiscard]] wire::EncryptedAggregate aggregate(
      const std::vector<std::int64_t>& values,
      const std::vector<std::uint32_t>& contributors) const {
    const wire::RoundStart& start = sink.last_start;
    const auto& encoder = start.round == 0 ? codec.statistics() : codec.gradient();
    auto sum = crypto::make_plain_accumulator(codec.plaintext_limbs());
    sum->reset(encoder.plaintexts());
    wire::EncryptedAggregate aggregate{start.round, start.kind, start.weights_hash, {}, {}};
    for (const std::uint32_t party : contributors) {
      const wire::EncryptedUpdate own = update(party, values);
      sum->add(own.payload);
      aggregate.contributions.push_back({party, content_hash(own.payload), own.signature});
    }
    aggregate.payload = sum->finish();
    return aggregate;
  }
  [[nodiscard]] wire::EncryptedAggregate statistics_aggregate(
      const std::vector<std::uint32_t>& contributors = {0, 1, 2, 3}) const {
    return aggregate(data::statistics_of(table).values, contributors);
  }
  [[nodiscard]] wire::EncryptedAggregate gradient_aggregate() const {
    std::vector<std::int64_t> values(codec.gradient().values(), 100 + sink.last_start.round);
    values.back() = 64;  // rows
    return aggregate(values, {0, 1, 2});
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
  CHECK(open->second.awaited == std::vector<std::uint32_t>{0, 1, 2});
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

TEST_CASE("an aggregate of another round or kind, or of a party, is refused unopened") {
  Fixture f;
  f.all_ready();
  auto other_round = f.statistics_aggregate();
  other_round.round = 1;
  CHECK_THROWS_AS(f.deliver(other_round), ProtocolError);
  auto other_kind = f.statistics_aggregate();
  other_kind.kind = wire::RoundKind::kGradient;
  CHECK_THROWS_AS(f.deliver(other_kind), ProtocolError);
  CHECK_THROWS_AS(f.holder.handle(wire::party_peer(0), f.statistics_aggregate(), f.sink),
                  ProtocolError);
  CHECK_FALSE(f.holder.finished());
  CHECK(f.opened == 0);
}

// expect_refusal hands over an aggregate that must end the run unopened, with this reason.
void expect_refusal(Fixture& f, const wire::EncryptedAggregate& aggregate,
                    const std::string& reason) {
  f.sink.sent.clear();
  f.deliver(aggregate);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kIntegrity);
  CHECK(f.holder.reason() == reason);
  CHECK(f.opened == 0);
  CHECK(f.kept.appended == 0);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
}

TEST_CASE("an aggregate below the quorum is never opened") {
  Fixture f;
  f.all_ready();
  expect_refusal(f, f.statistics_aggregate({0, 1}),
                 "round 0: an aggregate of 2 of 4 parties; the quorum is 3");
}

TEST_CASE("an aggregate that counts a stranger is never opened") {
  Fixture f;
  f.all_ready();
  auto strangers = f.statistics_aggregate();
  strangers.contributions.back().party = kParties;
  expect_refusal(f, strangers, "round 0: party 4 is not enrolled");
}

TEST_CASE("an aggregate over other weights is never opened") {
  Fixture f;
  f.all_ready();
  auto other = f.statistics_aggregate();
  other.weights_hash[0] ^= 1;
  expect_refusal(f, other, "round 0: the aggregate is over other weights");
}

TEST_CASE("an aggregate that counts a party without its signature is never opened") {
  for (int kind = 0; kind < 4; ++kind) {
    CAPTURE(kind);
    Fixture f;
    f.all_ready();
    auto forged = f.statistics_aggregate({0, 1, 2});
    if (kind == 0) forged.contributions[2].party = 3;
    if (kind == 1) forged.contributions[2].payload_hash[0] ^= 1;
    if (kind == 2) forged.contributions[2].signature[0] ^= 1;
    if (kind == 3) forged.contributions[2].signature = forged.contributions[1].signature;
    expect_refusal(
        f, forged,
        "round 0: the signature of party " + std::to_string(kind == 0 ? 3 : 2) + " is not valid");
  }
}

TEST_CASE("one aggregate is opened per round: a second one is refused") {
  Fixture f;
  f.all_ready();
  const auto aggregate = f.statistics_aggregate();
  f.deliver(aggregate);
  CHECK_THROWS_AS(f.deliver(aggregate), ProtocolError);
  CHECK(f.opened == 1);
}

TEST_CASE("a party that missed a round is sent the next one, but no round waits for it") {
  Fixture f;
  f.all_ready();
  const auto aggregate = f.statistics_aggregate({0, 1, 3});
  f.sink.sent.clear();
  f.deliver(aggregate);
  std::size_t starts = 0;
  for (const auto& [to, body] : f.sink.sent) {
    starts += std::holds_alternative<wire::RoundStart>(body) ? 1 : 0;
  }
  CHECK(starts == kParties);
  CHECK(f.sink.take_last<wire::RoundOpen>()->second.awaited == std::vector<std::uint32_t>{0, 1, 3});
}

TEST_CASE("a sum that does not fit its list of contributors ends the run with integrity") {
  for (int kind = 0; kind < 3; ++kind) {
    CAPTURE(kind);
    Fixture f;
    f.all_ready();
    auto lying = f.statistics_aggregate({0, 1, 2, 3});
    if (kind == 0) lying.payload = f.statistics_aggregate({0, 1, 2}).payload;  // one dropped
    if (kind == 1) lying.contributions.pop_back();                             // one not named
    if (kind == 2) lying.payload[0] ^= 1;                                      // altered
    f.sink.sent.clear();
    f.deliver(lying);
    REQUIRE(f.holder.finished());
    CHECK(f.holder.fault() == Fault::kIntegrity);
    const auto abort = f.sink.take_last<wire::Abort>();
    REQUIRE(abort);
    // What was inside the sum is plaintext: nobody is told.
    CHECK(abort->second.reason ==
          "round 0: the opened aggregate is not the sum of its contributors' updates");
    CHECK(f.holder.reason() == abort->second.reason);
  }
}

TEST_CASE("a truncated aggregate ends the run with integrity and releases nothing") {
  Fixture f;
  f.all_ready();
  auto truncated = f.statistics_aggregate();
  truncated.payload.pop_back();
  f.sink.sent.clear();
  f.deliver(truncated);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kIntegrity);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
}

TEST_CASE("an aggregate that cannot be put into the journal is never opened") {
  Fixture f;
  f.all_ready();
  f.kept.is_full = true;
  const auto aggregate = f.statistics_aggregate();
  f.sink.sent.clear();
  f.deliver(aggregate);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kStorage);
  CHECK(f.opened == 0);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
}

TEST_CASE("a key-holder that starts again goes on where it was, and says the same again") {
  Fixture f;
  f.all_ready();
  f.deliver(f.statistics_aggregate());
  f.deliver(f.gradient_aggregate());
  const wire::RoundStart before = f.sink.last_start;
  const auto last = f.gradient_aggregate();
  const Kept kept = f.kept;
  REQUIRE(before.round == 2);
  REQUIRE(kept.state.journal.size() == 1);
  f.deliver(last);
  REQUIRE(f.holder.finished());
  REQUIRE(f.holder.fault() == Fault::kNone);

  f.kept = kept;
  const auto again = f.make_holder();
  f.sink.sent.clear();
  again->start(f.sink);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
  for (const std::uint32_t party : {0U, 1U, 2U}) f.hello(*again, party, 2);
  const wire::RoundStart& after = f.sink.last_start;
  CHECK(after.round == 2);
  CHECK(after.weights == before.weights);
  CHECK(after.weights_hash == before.weights_hash);
  CHECK(after.statistics == before.statistics);
  CHECK(after.tag_key == before.tag_key);
  again->handle(wire::kCoordinatorPeer, last, f.sink);
  REQUIRE(again->finished());
  CHECK(again->fault() == Fault::kNone);
  CHECK(again->parameters() == f.holder.parameters());
}

// Every round is evaluated: predicted are u2r alone up to round 15, dos alone from round 16 on,
// and nothing gets better after that.
TEST_CASE("patience counts on after a restart from any round's state, of a checkpoint too") {
  constexpr std::uint32_t kPatience = 20;
  Fixture f;
  f.change = [](KeyHolderConfig& config) {
    config.rounds = 100;
    config.optimizer = {model::OptimizerKind::kSgd, 1, model::Schedule::kConstant};
    config.stop.patience = kPatience;
  };
  const auto next_aggregate = [&] {
    const std::uint32_t round = f.sink.last_start.round;
    if (round == 0) return f.statistics_aggregate();
    std::vector<std::int64_t> values(f.codec.gradient().values(), 0);
    const std::size_t biases = kShape.parameters() - kShape.outputs;
    const std::int64_t step = f.codec.fixed_point().max_abs();
    if (round == 1) values[biases + 4] = -step;
    if (round == 16) values[biases + 4] = step;
    if (round == 16) values[biases + 1] = -step;
    values.back() = 256;
    return f.aggregate(values, {0, 1, 2, 3});
  };
  const auto run = [&](KeyHolder& holder, std::map<std::uint32_t, Kept>& after) {
    holder.start(f.sink);
    for (std::uint32_t party = 0; party < kParties; ++party) f.hello(holder, party);
    while (!holder.finished()) {
      const auto aggregate = next_aggregate();
      holder.handle(wire::kCoordinatorPeer, aggregate, f.sink);
      after[aggregate.round] = f.kept;
    }
    REQUIRE(holder.fault() == Fault::kNone);
    return after.rbegin()->first;
  };
  std::map<std::uint32_t, Kept> after;
  const auto whole = f.make_holder();
  REQUIRE(run(*whole, after) == 16 + kPatience);
  REQUIRE(after.at(16).state.round == 16);
  REQUIRE(after.at(16).state.journal.empty());
  for (const std::uint32_t round : {1U, 15U, 16U, 17U, 31U, 32U, 35U}) {
    CAPTURE(round);
    f.kept = after.at(round);
    std::map<std::uint32_t, Kept> later;
    const auto again = f.make_holder();
    CHECK(run(*again, later) == 16 + kPatience);
    CHECK(again->parameters() == whole->parameters());
    CHECK(later.rbegin()->second.state.checkpoint == after.rbegin()->second.state.checkpoint);
  }
}

TEST_CASE("a party that ends by itself ends the run, and everybody is told whose fault it was") {
  Fixture f;
  f.all_ready();
  f.deliver(f.statistics_aggregate());
  f.sink.sent.clear();
  f.holder.handle(wire::party_peer(2), wire::Abort{Fault::kUsage, "round 1: it diverged"}, f.sink);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kUsage);
  CHECK(f.holder.reason() == "party-2: round 1: it diverged");
  REQUIRE(f.sink.sent.size() == 1 + kParties);
  for (const auto& [to, body] : f.sink.sent) {
    CHECK(std::get<wire::Abort>(body).fault == Fault::kUsage);
    CHECK(std::get<wire::Abort>(body).reason == "party-2: round 1: it diverged");
  }
}

TEST_CASE("a model that is no longer finite ends the run with its round, and is not sent") {
  Fixture f;
  f.change = [](KeyHolderConfig& config) {
    config.optimizer = {model::OptimizerKind::kSgd, 1e50, model::Schedule::kConstant};
  };
  const auto holder = f.make_holder();
  holder->start(f.sink);
  for (std::uint32_t party = 0; party < kParties; ++party) f.hello(*holder, party);
  holder->handle(wire::kCoordinatorPeer, f.statistics_aggregate(), f.sink);
  f.sink.sent.clear();
  holder->handle(wire::kCoordinatorPeer, f.gradient_aggregate(), f.sink);
  REQUIRE(holder->finished());
  CHECK(holder->fault() == Fault::kUsage);
  CHECK(holder->reason() ==
        "round 1: training diverged: the model of layer 1 is not finite; lower server.rate");
  for (const auto& [to, body] : f.sink.sent) CHECK(std::holds_alternative<wire::Abort>(body));
}

TEST_CASE("a key-holder that finds all rounds over tells everybody who asks, and ends") {
  Fixture f;
  f.all_ready();
  f.deliver(f.statistics_aggregate());
  f.deliver(f.gradient_aggregate());
  f.deliver(f.gradient_aggregate());
  REQUIRE(f.holder.fault() == Fault::kNone);
  const auto again = f.make_holder();
  f.sink.sent.clear();
  again->start(f.sink);
  const auto told = f.sink.take_last<wire::Finish>();
  REQUIRE(told);
  CHECK(told->first == wire::kCoordinatorPeer);
  CHECK(told->second.model_digest == model::model_digest(f.holder.parameters()));
  // Party 3 had no part in the last rounds; it may come back all the same, and is waited for a
  // while.
  for (const std::uint32_t party : {0U, 1U, 2U, 3U}) {
    CHECK_FALSE(again->finished());
    f.hello(*again, party, 2);
    CHECK(f.sink.take_last<wire::Finish>()->first == wire::party_peer(party));
  }
  REQUIRE(again->finished());
  CHECK(again->fault() == Fault::kNone);

  const auto alone = f.make_holder();
  alone->start(f.sink);
  alone->handle(wire::party_peer(0), wire::Abort{Fault::kData, "too late to matter"}, f.sink);
  CHECK_FALSE(alone->finished());
  f.sink.time = alone->next_deadline().value();
  alone->on_deadline(f.sink);
  REQUIRE(alone->finished());
  CHECK(alone->fault() == Fault::kNone);
}

TEST_CASE("a state that is not this run's is a StorageError") {
  Fixture f;
  f.all_ready();
  f.deliver(f.statistics_aggregate());
  f.deliver(f.gradient_aggregate());
  const Kept good = f.kept;
  REQUIRE(good.state.journal.size() == 1);
  const auto expect_error = [&] {
    const auto again = f.make_holder();
    CHECK_THROWS_AS(again->start(f.sink), StorageError);
    f.kept = good;
  };
  f.kept.state.checkpoint.pop_back();
  expect_error();
  f.kept.state.journal[0].content.pop_back();
  expect_error();
  f.kept.state.journal[0].content[5] ^= 1;  // in the run id
  expect_error();
  f.kept.state.journal.push_back(f.kept.state.journal[0]);
  expect_error();
}

TEST_CASE("a party that comes back is sent the current round again, one that has it is not") {
  Fixture f;
  f.all_ready();
  f.sink.sent.clear();
  f.hello(2, 0);
  CHECK_FALSE(f.sink.take_last<wire::RoundStart>());
  f.hello(2);
  const auto start = f.sink.take_last<wire::RoundStart>();
  REQUIRE(start);
  CHECK(start->first == wire::party_peer(2));
  CHECK(start->second.round == 0);
}

TEST_CASE("every two seconds a round is opened again, without the parties that have gone") {
  Fixture f;
  f.all_ready();
  f.sink.sent.clear();
  f.sink.unreachable.insert(wire::party_peer(1));
  CHECK(f.holder.next_deadline() == f.sink.time + 2000);
  f.sink.time += 2000;
  f.holder.on_deadline(f.sink);
  const auto open = f.sink.take_last<wire::RoundOpen>();
  REQUIRE(open);
  CHECK(open->second.awaited == std::vector<std::uint32_t>{0, 2, 3});
  CHECK(open->second.deadline_ms == 28'000);
  f.sink.unreachable.clear();
  f.hello(1);
  f.sink.time += 2000;
  f.holder.on_deadline(f.sink);
  CHECK(f.sink.take_last<wire::RoundOpen>()->second.awaited.size() == 4);
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
  f.sink.time += 33'999;
  f.holder.on_deadline(f.sink);
  CHECK_FALSE(f.holder.finished());
  f.sink.time += 1;
  f.holder.on_deadline(f.sink);
  REQUIRE(f.holder.finished());
  CHECK(f.holder.fault() == Fault::kDeadline);
}

}  // namespace
}  // namespace blindsum::key_holder
