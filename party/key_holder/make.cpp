#include "party/key_holder/make.h"

#include <utility>

#include "party/key_holder/key_store.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"

namespace blindsum::key_holder {
namespace {

// PaillierOpener owns the secret key of the opener that it wraps.
class PaillierOpener : public crypto::UpdateOpener {
 public:
  PaillierOpener(crypto::SecretKey key, ThreadPool& pool)
      : key_(std::move(key)), opener_(crypto::make_paillier_opener(key_, pool)) {}

  crypto::PlaintextVector open(ByteView payload, std::size_t chunks) override {
    return opener_->open(payload, chunks);
  }

 private:
  crypto::SecretKey key_;
  std::unique_ptr<crypto::UpdateOpener> opener_;
};

}  // namespace

std::unique_ptr<KeyHolder> make_key_holder(const settings::RoleFile& role, ThreadPool& pool,
                                           report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto key = role::load_public_key(role);
  const crypto::UpdateCodec codec = role::codec_of(settings);

  KeyHolderConfig config;
  config.parties = settings.parties;
  config.quorum = settings::quorum_of(settings.parties);
  config.rounds = settings.rounds;
  config.seed = settings.seed;
  config.batch_rows = settings.local.batch_rows;
  config.shape = role::shape_of(settings);
  config.optimizer = role::optimizer_of(settings);
  config.evaluate_every = settings.evaluate_every;
  config.round_s = settings.deadlines.round_s;
  config.start_s = settings.deadlines.start_s;
  config.key_id = role::key_id_of(key);

  std::unique_ptr<crypto::UpdateOpener> opener;
  if (key) {
    opener = std::make_unique<PaillierOpener>(
        load_secret_key(role.files.secret_key, role.files.public_key), pool);
  } else {
    opener = crypto::make_plain_opener(codec.plaintext_limbs());
  }
  return std::make_unique<KeyHolder>(std::move(config), codec, std::move(opener),
                                     data::read_kdd(role.files.test), pool, records);
}

void save_model(const std::filesystem::path& path, const model::Shape& shape,
                const model::Parameters& parameters) {
  std::vector<report::Tensor> tensors;
  auto next = parameters.begin();
  for (const auto& [inputs, outputs] : shape.layers()) {
    const std::string layer = "layer" + std::to_string(tensors.size() / 2);
    const auto take = [&](const std::string& name, std::vector<std::size_t> dimensions,
                          std::size_t count) {
      tensors.push_back({layer + name, std::move(dimensions), {next, next + count}});
      next += static_cast<std::ptrdiff_t>(count);
    };
    take(".weight", {inputs, outputs}, inputs * outputs);
    take(".bias", {outputs}, outputs);
  }
  report::write_safetensors(path, tensors,
                            {{"model_digest", digest_text(model::model_digest(parameters))},
                             {"activation", std::string(to_string(shape.activation))}});
}

}  // namespace blindsum::key_holder
