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

crypto::UpdateCodec codec_of(const FederationOptions& options) {
  crypto::CodecSettings settings;
  settings.parties = options.parties;
  settings.modulus_bits = options.modulus_bits;
  settings.statistics = data::Statistics().values.size();
  settings.parameters = options.shape.parameters();
  settings.bits = options.bits;
  settings.rounding = options.rounding;
  settings.clip = options.clip;
  return crypto::UpdateCodec(settings);
}

}  // namespace

FederationData make_data(const FederationOptions& options) {
  const TempDir folder;
  data::write_synthetic(folder.path(), options.seed, options.sizes);
  const data::KddFiles files = data::find_kdd(folder.path());
  const data::RawFile train = data::read_raw(files.train, data::Schema::kdd99());
  FederationData made;
  made.test = data::read_kdd(files.test);
  for (const auto& rows :
       data::partition(train, options.partition, options.parties, options.seed)) {
    data::write_shard(train, rows, folder.path() / "shard.csv");
    made.shards.push_back(data::read_kdd(folder.path() / "shard.csv"));
  }
  return made;
}

Federation::Federation(const FederationOptions& options) : pool_(options.threads), link_(kRun) {
  std::optional<FederationData> own;
  if (options.data == nullptr) own = make_data(options);
  const FederationData& read = own ? *own : *options.data;
  std::optional<Cohort> fresh;
  if (options.cohort == nullptr) fresh.emplace(options.parties);
  const Cohort& cohort = fresh ? *fresh : *options.cohort;

  const crypto::UpdateCodec codec = codec_of(options);
  const Digest key_id = options.key != nullptr ? options.key->public_key().id() : Digest{};
  const auto writer = [&](const std::string& role) -> report::RecordWriter& {
    records_.push_back(std::make_unique<report::RecordWriter>(
        options.keeps_records ? folder_.path() / (role + ".jsonl") : std::filesystem::path()));
    return *records_.back();
  };

  coordinator::CoordinatorConfig coordinator;
  coordinator.run = kRun;
  coordinator.parties = cohort.signing_keys();
  coordinator.rounds = options.rounds;
  coordinator.quorum = std::max(3U, (2 * options.parties + 2) / 3);
  coordinator.gradient_quorum = options.sample > 0 ? std::max(3U, (2 * options.sample + 2) / 3) : 0;
  coordinator.first = options.extra > 0 ? options.sample : 0;
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
  holder.parties = cohort.party_records();
  holder.tag_secret = copy_of(cohort.tag_secret);
  holder.quorum = coordinator.quorum;
  holder.rounds = options.rounds;
  holder.seed = options.seed;
  holder.gradient_quorum = coordinator.gradient_quorum;
  holder.sample = options.sample;
  holder.extra = options.extra;
  holder.stop = options.stop;
  holder.optimizer = options.optimizer;
  model::LocalSettings local = options.local;
  local.rounds = options.rounds;
  local.parties = options.parties;
  holder.local = local;
  holder.shape = options.shape;
  holder.key_id = key_id;
  auto opener = options.key != nullptr ? crypto::make_paillier_opener(*options.key, pool_)
                                       : crypto::make_plain_opener(codec.plaintext_limbs());
  if (options.replace_opener) opener = options.replace_opener(std::move(opener));
  key_holder_ = std::make_unique<key_holder::KeyHolder>(std::move(holder), codec, std::move(opener),
                                                        key_holder::make_null_store(), read.test,
                                                        pool_, writer("keyholder"));

  for (std::uint32_t id = 0; id < options.parties; ++id) {
    party::TrainerSettings trainer;
    trainer.party = id;
    trainer.seed = options.seed;
    trainer.shape = options.shape;
    trainer.local = local;
    party::PartyConfig config;
    config.run = kRun;
    config.id = id;
    config.seed = options.seed;
    config.rounds = options.rounds;
    config.key_id = key_id;
    if (options.keeps_controls) {
      config.state = folder_.path() / ("party-" + std::to_string(id) + ".control");
    }
    parties_.push_back(std::make_unique<party::Party>(
        config, cohort.keys_of(id), codec, party::LocalTrainer(trainer, read.shards.at(id)),
        options.key != nullptr
            ? crypto::make_paillier_sealer(options.key->public_key(), options.randomizer, pool_)
            : crypto::make_plain_sealer(codec.plaintext_limbs()),
        writer("party-" + std::to_string(id))));
  }
}

const wire::RunId& Federation::run_id() const { return kRun; }

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
