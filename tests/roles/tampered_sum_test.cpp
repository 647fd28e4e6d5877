// A coordinator that tampers, against a key-holder that checks: real Paillier sums, eight ways to
// change them, and none that passes.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string>

#include <doctest/doctest.h>

#include "party/key_holder/key_holder.h"
#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/integrity_tag.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/data/synthetic.h"
#include "tests/support/cohort.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace blindsum::key_holder {
namespace {

constexpr std::uint64_t kSeed = 20261123;
constexpr std::uint32_t kParties = 5;
constexpr std::uint32_t kQuorum = 4;
const model::Shape kShape{122, {}, 5, model::Activation::kRelu};

constexpr std::array<std::string_view, 8> kKinds{"drop",  "double", "replay", "swap",
                                                 "scale", "alter",  "forge",  "misname"};

data::RecordTable synthetic_records() {
  const test::TempDir dir;
  data::write_synthetic(dir.path(), 5, {300, 60});
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

// LastStart is a sink that keeps the last RoundStart and nothing else.
class LastStart : public wire::MessageSink {
 public:
  bool send(const wire::Peer& /*to*/, const wire::Body& body) override {
    if (const auto* sent = std::get_if<wire::RoundStart>(&body)) start = *sent;
    return true;
  }
  [[nodiscard]] wire::TimeMs now() const override { return 0; }
  wire::RoundStart start;
};

// SharedOpener opens with an opener that many key-holders share: making one takes a while.
class SharedOpener : public crypto::UpdateOpener {
 public:
  explicit SharedOpener(crypto::UpdateOpener& opener) : opener_(&opener) {}
  crypto::PlaintextVector open(ByteView payload, std::size_t chunks) override {
    return opener_->open(payload, chunks);
  }

 private:
  crypto::UpdateOpener* opener_;
};

struct World {
  ThreadPool pool{1};
  test::Cohort cohort{kParties};
  crypto::UpdateCodec codec = make_codec();
  data::RecordTable table = synthetic_records();
  std::vector<std::int64_t> statistics = data::statistics_of(table).values;
  const crypto::SecretKey& key = test::key_2048();
  crypto::PublicKey public_key = key.public_key();
  crypto::Evaluator evaluator{public_key, pool};
  std::unique_ptr<crypto::UpdateSealer> sealer =
      crypto::make_paillier_sealer(public_key, crypto::Randomizer::kShort, pool);
  std::unique_ptr<crypto::UpdateAccumulator> sum =
      crypto::make_paillier_accumulator(public_key, crypto::Randomizer::kShort, pool);
  std::unique_ptr<crypto::UpdateOpener> opener = crypto::make_paillier_opener(key, pool);
  std::size_t chunks = codec.statistics().plaintexts();
};

// Trial is one round 0 with fresh values in a run of its own.
class Trial {
 public:
  Trial(World& world, SeededRandom& random) : world_(world), random_(random) {
    for (std::uint8_t& byte : run_) byte = static_cast<std::uint8_t>(random.next_u64());
    KeyHolderConfig config;
    config.run = run_;
    config.parties = world.cohort.party_records();
    config.tag_secret = test::copy_of(world.cohort.tag_secret);
    config.quorum = kQuorum;
    config.rounds = 1;
    config.shape = kShape;
    config.key_id = world.public_key.id();
    holder_ = std::make_unique<KeyHolder>(std::move(config), world.codec,
                                          std::make_unique<SharedOpener>(*world.opener),
                                          make_null_store(), world.table, world.pool, records_);
    holder_->start(sink_);
    for (std::uint32_t party = 0; party < kParties; ++party) {
      holder_->handle(wire::party_peer(party),
                      wire::Hello{world.public_key.id(), world.codec.id(), wire::kNoRound}, sink_);
    }
    REQUIRE(sink_.start.weights_hash != Digest{});
    for (std::uint32_t party = 0; party < kParties; ++party) {
      updates_.push_back(update_of(party, run_));
    }
  }

  // honest is what an honest coordinator sends, now and then of a quorum only.
  wire::EncryptedAggregate honest() {
    if (random_.below(2) == 0) left_out_ = static_cast<std::uint32_t>(random_.below(kParties));
    wire::EncryptedAggregate aggregate{
        0, wire::RoundKind::kStatistics, sink_.start.weights_hash, {}, {}};
    world_.sum->reset(world_.chunks);
    for (std::uint32_t party = 0; party < kParties; ++party) {
      if (party == left_out_) continue;
      world_.sum->add(updates_[party].payload);
      aggregate.contributions.push_back(
          {party, content_hash(updates_[party].payload), updates_[party].signature});
    }
    aggregate.payload = world_.sum->finish();
    return aggregate;
  }

  wire::EncryptedAggregate tampered(std::string_view kind) {
    wire::EncryptedAggregate aggregate = honest();
    const std::uint32_t victim = aggregate.contributions[random_.below(kQuorum)].party;
    const auto sum_with = [&](const Bytes* instead) {
      world_.sum->reset(world_.chunks);
      for (const auto& contribution : aggregate.contributions) {
        const bool is_victim = contribution.party == victim;
        if (!is_victim) world_.sum->add(updates_[contribution.party].payload);
        if (is_victim && instead != nullptr) world_.sum->add(*instead);
      }
      aggregate.payload = world_.sum->finish();
    };
    if (kind == "drop") {
      sum_with(nullptr);
    } else if (kind == "double") {
      add(aggregate.payload, updates_[victim].payload);
    } else if (kind == "replay") {
      wire::RunId other = run_;
      other[random_.below(other.size())] ^= 1;
      sum_with(&(updates_[victim] = update_of(victim, other)).payload);
      // Its old signature is shown, or the one that the party has given since.
      if (random_.below(2) == 0) {
        for (auto& contribution : aggregate.contributions) {
          if (contribution.party == victim) {
            contribution.payload_hash = content_hash(updates_[victim].payload);
          }
        }
      }
    } else if (kind == "swap") {
      const std::size_t width = aggregate.payload.size() / world_.chunks;
      const std::size_t a = random_.below(world_.chunks);
      const std::size_t b = (a + 1 + random_.below(world_.chunks - 1)) % world_.chunks;
      const auto at = [&](std::size_t chunk) {
        return aggregate.payload.begin() + static_cast<std::ptrdiff_t>(chunk * width);
      };
      std::swap_ranges(at(a), at(a + 1), at(b));
    } else if (kind == "scale") {
      const auto ciphertexts =
          world_.public_key.parse_ciphertexts(aggregate.payload, world_.chunks);
      crypto::PlaintextVector factor(world_.chunks, world_.public_key.plaintext_limbs());
      for (std::size_t i = 0; i < world_.chunks; ++i) factor[i][0] = 2 + random_.below(5);
      aggregate.payload = world_.public_key.serialize_ciphertexts(
          world_.evaluator.multiply_plain(ciphertexts, factor));
    } else if (kind == "alter") {
      // +1 in one slot, as whoever wants to shift the model a little would.
      crypto::PlaintextVector change(world_.chunks, world_.public_key.plaintext_limbs());
      const auto& layout = world_.codec.statistics().layout();
      const std::size_t value = random_.below(world_.codec.statistics().values());
      const std::size_t bit = value % layout.slots * layout.slot_bits;
      change[value / layout.slots][bit / 64] = std::uint64_t{1} << (bit % 64);
      add(aggregate.payload, world_.sealer->seal(change));
    } else if (kind == "forge") {
      // An update of the coordinator's own in a party's place: right in all but the secret keys.
      crypto::PlaintextVector packed = world_.codec.statistics().pack(world_.statistics);
      Bytes guess(32);
      for (std::uint8_t& byte : guess) byte = static_cast<std::uint8_t>(random_.next_u64());
      world_.codec.statistics().add_tags(packed,
                                         crypto::tag_multipliers(guess, Digest{}, world_.chunks),
                                         crypto::tag_masks(guess, Digest{}, world_.chunks));
      const Bytes forged = world_.sealer->seal(packed);
      sum_with(&forged);
    } else {
      REQUIRE(kind == "misname");
      // The sum of some parties under the names of others.
      const std::uint32_t absent = left_out_ < kParties ? left_out_ : victim;
      if (absent == victim) {
        sum_with(nullptr);
      } else {
        for (auto& contribution : aggregate.contributions) {
          if (contribution.party == victim) {
            contribution = {absent, content_hash(updates_[absent].payload),
                            updates_[absent].signature};
          }
        }
        std::sort(aggregate.contributions.begin(), aggregate.contributions.end(),
                  [](const auto& a, const auto& b) { return a.party < b.party; });
      }
    }
    return aggregate;
  }

  // accepts says whether the key-holder went on to round 1 with this aggregate.
  bool accepts(const wire::EncryptedAggregate& aggregate) {
    holder_->handle(wire::kCoordinatorPeer, aggregate, sink_);
    if (!holder_->finished()) return sink_.start.round == 1;
    CHECK(holder_->fault() == Fault::kIntegrity);
    CHECK(sink_.start.round == 0);
    return false;
  }

 private:
  wire::EncryptedUpdate update_of(std::uint32_t party, const wire::RunId& run) {
    std::vector<std::int64_t> values = world_.statistics;
    // More in a sum of squares keeps the statistics plausible.
    values[values.size() - 1 - random_.below(38)] += static_cast<std::int64_t>(random_.below(1000));
    crypto::PlaintextVector packed = world_.codec.statistics().pack(values);
    const Digest context =
        round_context(run, 0, wire::RoundKind::kStatistics, world_.public_key.id(),
                      world_.codec.id(), sink_.start.weights_hash);
    world_.codec.statistics().add_tags(
        packed, crypto::tag_multipliers(sink_.start.tag_key, context, world_.chunks),
        crypto::tag_masks(std::as_const(world_.cohort.tag_keys[party]).bytes(), context,
                          world_.chunks));
    wire::EncryptedUpdate update{0,
                                 wire::RoundKind::kStatistics,
                                 world_.public_key.id(),
                                 world_.codec.id(),
                                 sink_.start.weights_hash,
                                 {},
                                 world_.sealer->seal(packed)};
    world_.cohort.sign(update, run, party);
    return update;
  }
  void add(Bytes& payload, const Bytes& other) {
    world_.sum->reset(world_.chunks);
    world_.sum->add(payload);
    world_.sum->add(other);
    payload = world_.sum->finish();
  }

  World& world_;
  SeededRandom& random_;
  wire::RunId run_{};
  LastStart sink_;
  report::RecordWriter records_{""};
  std::unique_ptr<KeyHolder> holder_;
  std::vector<wire::EncryptedUpdate> updates_;
  std::uint32_t left_out_ = kParties;
};

TEST_CASE("no tampered aggregate is accepted, and every honest one is") {
  std::size_t trials = 25 * kKinds.size();
  if (const char* wanted = std::getenv("BLINDSUM_TEST_CASES")) trials = std::stoul(wanted);
  INFO("seed ", kSeed);
  World world;
  std::map<std::string_view, std::size_t> tried;
  for (std::size_t i = 0; i < trials; ++i) {
    SeededRandom random(kSeed, "tampering", {i});
    const std::string_view kind = kKinds[i % kKinds.size()];
    INFO("trial ", i, ", ", kind);
    {
      Trial trial(world, random);
      REQUIRE(trial.accepts(trial.honest()));
    }
    Trial trial(world, random);
    REQUIRE_FALSE(trial.accepts(trial.tampered(kind)));
    ++tried[kind];
  }
  for (const auto& [kind, count] : tried) MESSAGE(kind, ": ", count, " tried, 0 accepted");
  MESSAGE("honest: ", trials, " tried, ", trials, " accepted");
}

}  // namespace
}  // namespace blindsum::key_holder
