#include "party/key_holder/make.h"

#include <map>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "party/key_holder/activation_opener.h"
#include "party/key_holder/key_store.h"
#include "party/key_holder/score_opener.h"
#include "shared/core/error.h"
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

std::map<std::string, std::string> metadata_of(const model::Shape& shape,
                                               const data::Schema& schema,
                                               const model::Parameters& parameters,
                                               const data::Scaler& scaler) {
  using nlohmann::json;
  json columns = json::array();
  json logged = json::array();
  json ranges = json::object();
  for (const data::Feature& column : schema.columns()) {
    columns.push_back(column.name);
    if (column.kind == data::FeatureKind::kLog) logged.push_back(column.name);
    if (column.range) ranges[column.name] = {column.range->low, column.range->high};
  }
  return {{"model_digest", digest_text(model::model_digest(parameters))},
          {"activation", std::string(to_string(shape.activation))},
          {"encoding", schema.is_kdd99() ? "onehot122" : "onehot"},
          {"classes", json(schema.class_names()).dump()},
          {"label", schema.label()},
          {"columns", columns.dump()},
          {"inputs", json(schema.input_names()).dump()},
          {"log1p", logged.dump()},
          {"ranges", ranges.dump()},
          {"scale", json(data::Statistics::kScale).dump()},
          {"mean", json(scaler.mean).dump()},
          {"deviation", json(scaler.deviation).dump()},
          {"clip", json(data::kClip).dump()}};
}

}  // namespace

std::unique_ptr<KeyHolder> make_key_holder(const settings::RoleFile& role, ThreadPool& pool,
                                           report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto key = role::load_public_key(role);
  const crypto::UpdateCodec codec = role::codec_of(settings);

  KeyHolderConfig config;
  config.run = role.run;
  const settings::Identity identity = settings::load_identity(role);
  for (std::uint32_t party = 0; party < settings.parties; ++party) {
    const auto& enrolled = settings::enrolled(role, wire::party_peer(party));
    config.parties.push_back({enrolled.signing, identity.agreement.agree(enrolled.agreement)});
  }
  config.tag_secret = derive_key(identity.agreement.secret(), "blindsum/tag-secret/1", role.run);
  config.quorum = settings::quorum_of(settings.parties);
  config.rounds = settings.rounds;
  config.seed = settings.seed;
  config.local = role::local_of(settings);
  config.gradient_quorum = settings::gradient_quorum_of(settings);
  config.sample = settings.sampling.parties;
  config.extra = settings.sampling.extra;
  config.stop = {settings.stop.accuracy, settings.stop.patience, settings.stop.minutes};
  config.shape = role::shape_of(settings);
  config.optimizer = role::optimizer_of(settings);
  config.evaluate_every = settings.evaluate_every;
  const settings::Settings::ZeroDay& zero_day = settings.data.zero_day;
  if (zero_day.attack != "none") config.zero_day = zero_day.attack;
  config.round_s = settings.deadlines.round_s;
  config.start_s = settings.deadlines.start_s;
  config.key_id = role::key_id_of(key);
  config.noise = settings.privacy.noise;
  config.delta = settings.privacy.delta;

  std::unique_ptr<crypto::UpdateOpener> opener;
  if (key) {
    opener = std::make_unique<PaillierOpener>(
        load_secret_key(role.files.secret_key, role.files.public_key), pool);
  } else {
    opener = crypto::make_plain_opener(codec.plaintext_limbs());
  }
  return std::make_unique<KeyHolder>(
      std::move(config), codec, std::move(opener),
      role.files.state.empty() ? make_null_store() : make_file_store(role.files.state, role.run),
      data::read_records(role.files.test, role::schema_of(settings)), pool, records);
}

void save_model(const std::filesystem::path& path, const model::Shape& shape,
                const data::Schema& schema, const model::Parameters& parameters,
                const data::Scaler& scaler) {
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
  report::write_safetensors(path, tensors, metadata_of(shape, schema, parameters, scaler));
}

model::Parameters load_model(const std::filesystem::path& path, const model::Shape& shape) {
  const report::Tensors file = report::read_safetensors(path);
  const auto layers = shape.layers();
  const auto require = [&](bool is_right, const char* what) {
    if (!is_right) throw DecodeError(path.string() + ": " + what);
  };
  require(file.tensors.size() == 2 * layers.size(), "another number of layers than the model has");
  model::Parameters parameters;
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    const auto& [inputs, outputs] = layers[i / 2];
    const report::Tensor& tensor = file.tensors[i];
    const bool is_weight = i % 2 == 0;
    const std::string name = "layer" + std::to_string(i / 2) + (is_weight ? ".weight" : ".bias");
    const std::vector<std::size_t> dimensions =
        is_weight ? std::vector{inputs, outputs} : std::vector{outputs};
    require(tensor.name == name && tensor.shape == dimensions, "another shape than the model's");
    parameters.insert(parameters.end(), tensor.values.begin(), tensor.values.end());
  }
  const auto digest = file.metadata.find("model_digest");
  require(digest != file.metadata.end() &&
              digest->second == digest_text(model::model_digest(parameters)),
          "the parameters are not those of its model_digest");
  return parameters;
}

role::RoleProgram make_program(const settings::RoleFile& role, ThreadPool& pool,
                               report::RecordWriter& records) {
  if (settings::is_detection(role.settings)) {
    auto session = make_score_opener(role, pool, records);
    const ScoreOpener* opener = session.get();
    role::RoleProgram program = role::program_of(std::move(session));
    program.ending = [opener, path = role.files.model] {
      role::Ending ending{opener->fault(), opener->reason(), {}};
      if (ending.fault == Fault::kNone) write_scores(path, opener->scores());
      ending.extra["confusion"] = opener->confusion();
      ending.extra["stream_s"] = opener->stream_s();
      ending.extra["open_s"] = opener->work_s();
      return ending;
    };
    return program;
  }
  if (settings::is_encrypted_inputs(role.settings)) {
    auto session = make_activation_opener(role, pool, records);
    const ActivationOpener* opener = session.get();
    role::RoleProgram program = role::program_of(std::move(session));
    program.ending = [opener] {
      role::Ending ending{opener->fault(), opener->reason(), {}};
      ending.extra["trace"] = digest_text(opener->trace());
      ending.extra["epochs"] = nlohmann::json::array();
      for (const EpochScore& score : opener->scores()) {
        ending.extra["epochs"].push_back(to_json(score));
      }
      return ending;
    };
    return program;
  }
  auto session = make_key_holder(role, pool, records);
  const KeyHolder* holder = session.get();
  role::RoleProgram program = role::program_of(std::move(session));
  program.ending = [holder, path = role.files.model] {
    role::Ending ending{holder->fault(), holder->reason(), {}};
    if (ending.fault == Fault::kNone) {
      save_model(path, holder->shape(), holder->schema(), holder->parameters(), holder->scaler());
      ending.extra["model_digest"] = digest_text(model::model_digest(holder->parameters()));
    }
    return ending;
  };
  return program;
}

}  // namespace blindsum::key_holder
