// A whole small federation in one thread, over MemoryLink, on synthetic data.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/coordinator.h"
#include "party/key_holder/key_holder.h"
#include "party/party.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/secret/secret_key.h"
#include "shared/data/kdd.h"
#include "shared/data/partition.h"
#include "shared/data/synthetic.h"
#include "shared/wire/links.h"
#include "tests/support/cohort.h"
#include "tests/support/temp_dir.h"

namespace blindsum::test {

// FederationData is what the roles of a federation read from their files.
struct FederationData {
  std::vector<data::RecordTable> shards;  // by party
  data::RecordTable test;
};

struct FederationOptions {
  std::uint32_t parties = 4;
  std::uint32_t rounds = 3;
  std::uint64_t seed = 1;
  std::size_t threads = 1;
  // A key turns encryption on. Its size sets the packing either way, so that runs with and without
  // it compare.
  const crypto::SecretKey* key = nullptr;
  std::size_t modulus_bits = 2048;
  crypto::Randomizer randomizer = crypto::Randomizer::kShort;
  crypto::Rounding rounding = crypto::Rounding::kNearest;
  unsigned bits = 24;
  data::SyntheticSizes sizes{1200, 600};
  model::Shape shape{122, {8}, 5, model::Activation::kRelu};
  model::LocalSettings local{model::Algorithm::kFedSgd,
                             64};  // rounds and parties are set from here
  model::OptimizerSettings optimizer;
  data::PartitionSettings partition;
  double clip = 8;
  std::uint32_t sample = 0, extra = 0;
  key_holder::KeyHolderConfig::Stop stop;
  bool keeps_records = true;
  bool keeps_controls = false;           // of scaffold, in folder()
  const FederationData* data = nullptr;  // of make_data with the same options, to save the time
  const Cohort* cohort = nullptr;        // of so many parties; else fresh keys
  // Puts another opener in the key-holder's place.
  std::function<std::unique_ptr<crypto::UpdateOpener>(std::unique_ptr<crypto::UpdateOpener>)>
      replace_opener;
};

[[nodiscard]] FederationData make_data(const FederationOptions& options);

// Federation owns the sessions of one run. Shards are cut from a synthetic set made from the seed.
class Federation {
 public:
  explicit Federation(const FederationOptions& options);

  // run drives all sessions (parties in `absent` never start) and returns whether every session
  // that took part finished.
  bool run(const std::vector<std::uint32_t>& absent = {});

  [[nodiscard]] wire::MemoryLink& link() { return link_; }
  [[nodiscard]] key_holder::KeyHolder& key_holder() { return *key_holder_; }
  [[nodiscard]] coordinator::Coordinator& coordinator() { return *coordinator_; }
  [[nodiscard]] party::Party& party(std::uint32_t id) { return *parties_.at(id); }
  [[nodiscard]] const wire::RunId& run_id() const;
  [[nodiscard]] Digest digest() const { return model::model_digest(key_holder_->parameters()); }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  TempDir folder_;
  ThreadPool pool_;
  std::vector<std::unique_ptr<report::RecordWriter>> records_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;
  std::unique_ptr<key_holder::KeyHolder> key_holder_;
  std::vector<std::unique_ptr<party::Party>> parties_;
  wire::MemoryLink link_;
};

}  // namespace blindsum::test
