#include "tests/support/federation.h"

#include <algorithm>
#include <string>
#include <utility>

#include "shared/crypto/secret/decryptor.h"
#include "shared/data/partition.h"
#include "shared/data/synthetic.h"

namespace blindsum::test {
namespace {

constexpr wire::RunId kRun{7};
constexpr std::uint32_t kBatchRows = 64;

crypto::UpdateCodec codec_of(const FederationOptions& options, const model::Shape& shape) {
  crypto::CodecSettings settings;
  settings.parties = options.parties;
  settings.modulus_bits = options.modulus_bits;
  settings.statistics = data::Statistics::kValues;
  settings.parameters = shape.parameters();
  settings.bits = options.bits;
  settings.rounding = options.rounding;
  return crypto::UpdateCodec(settings);
}

}  // namespace

Federation::Federation(const FederationOptions& options)
    : cohort_(options.parties), pool_(options.threads), link_(kRun) {
  data::write_synthetic(folder_.path(), options.seed, {1200, 600});
  const data::KddFiles files = data::find_kdd(folder_.path());
  const data::RawFile train = data::read_raw(files.train);
  const auto shards = data::partition(train, {}, options.parties, options.seed);

  const model::Shape shape{122, {8}, 5, model::Activation::kRelu};
  const crypto::UpdateCodec codec = codec_of(options, shape);
  const Digest key_id = options.key != nullptr ? options.key->public_key().id() : Digest{};
  const auto writer = [&](const std::string& role) -> report::RecordWriter& {
    records_.push_back(std::make_unique<report::RecordWriter>(folder_.path() / (role + ".jsonl")));
    return *records_.back();
  };

  coordinator::CoordinatorConfig coordinator;
  coordinator.run = kRun;
  coordinator.parties = cohort_.signing_keys();
  coordinator.rounds = options.rounds;
  coordinator.quorum = std::max(3U, (2 * options.parties + 2) / 3);
  coordinator.key_id = key_id;
  coordinator.codec_id = codec.id();
  coordinator.statistics_chunks = static_cast<std::uint32_t>(codec.statistics().plaintexts());
  coordinator.gradient_chunks = static_cast<std::uint32_t>(codec.gradient().plaintexts());
  coordinator_ = std::make_unique<coordinator::Coordinator>(
      coordinator,
      options.key != nullptr
          ? crypto::make_paillier_accumulator(options.key->public_key(), options.randomizer, pool_)
          : crypto::make_plain_accumulator(codec.plaintext_limbs()),
      writer("coordinator"));

  key_holder::KeyHolderConfig holder;
  holder.run = kRun;
  holder.parties = cohort_.party_records();
  holder.tag_secret = copy_of(cohort_.tag_secret);
  holder.quorum = coordinator.quorum;
  holder.rounds = options.rounds;
  holder.seed = options.seed;
  holder.batch_rows = kBatchRows;
  holder.shape = shape;
  holder.key_id = key_id;
  key_holder_ = std::make_unique<key_holder::KeyHolder>(
      std::move(holder), codec,
      options.key != nullptr ? crypto::make_paillier_opener(*options.key, pool_)
                             : crypto::make_plain_opener(codec.plaintext_limbs()),
      key_holder::make_null_store(), data::read_kdd(files.test), pool_, writer("keyholder"));

  for (std::uint32_t id = 0; id < options.parties; ++id) {
    const auto shard = folder_.path() / ("party-" + std::to_string(id) + ".csv");
    data::write_shard(train, shards[id], shard);
    party::TrainerSettings trainer;
    trainer.party = id;
    trainer.seed = options.seed;
    trainer.shape = shape;
    trainer.batch_rows = kBatchRows;
    party::PartyConfig config;
    config.run = kRun;
    config.id = id;
    config.seed = options.seed;
    config.rounds = options.rounds;
    config.key_id = key_id;
    parties_.push_back(std::make_unique<party::Party>(
        config, cohort_.keys_of(id), codec, party::LocalTrainer(trainer, data::read_kdd(shard)),
        options.key != nullptr
            ? crypto::make_paillier_sealer(options.key->public_key(), options.randomizer, pool_)
            : crypto::make_plain_sealer(codec.plaintext_limbs()),
        writer("party-" + std::to_string(id))));
  }
}

bool Federation::run(const std::vector<std::uint32_t>& absent) {
  link_.add(wire::kCoordinatorPeer, *coordinator_);
  link_.add(wire::kKeyHolderPeer, *key_holder_);
  for (std::uint32_t id = 0; id < parties_.size(); ++id) {
    if (std::find(absent.begin(), absent.end(), id) == absent.end()) {
      link_.add(wire::party_peer(id), *parties_[id]);
    }
  }
  const std::atomic<bool> stop{false};
  return link_.run(stop);
}

}  // namespace blindsum::test
