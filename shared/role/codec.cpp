#include "shared/role/codec.h"

#include <algorithm>
#include <string>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/role/detection.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::role {
namespace {

std::size_t parameters_of(const settings::Settings& settings) {
  const settings::Dimensions dimensions = settings::dimensions_of(settings);
  std::size_t parameters = 0;
  std::size_t inputs = dimensions.inputs;
  for (const std::size_t outputs : settings.model.hidden) {
    parameters += (inputs + 1) * outputs;
    inputs = outputs;
  }
  return parameters + (inputs + 1) * dimensions.classes;
}

}  // namespace

crypto::UpdateCodec codec_of(const settings::Settings& settings) {
  crypto::CodecSettings codec;
  codec.parties = settings.parties;
  codec.modulus_bits = settings.paillier.key_bits;
  codec.statistics = settings::dimensions_of(settings).statistics;
  codec.parameters = parameters_of(settings);
  codec.bits = settings.fixed_point.bits;
  codec.clip = settings.fixed_point.clip;
  codec.rounding = crypto::rounding_from_string(settings.fixed_point.rounding);
  return crypto::UpdateCodec(codec);
}

wire::CodecLimits limits_of(const settings::Settings& settings) {
  if (settings::is_detection(settings)) return detection_limits(settings);
  if (settings::is_encrypted_inputs(settings)) return replay_limits(settings);
  const crypto::UpdateCodec codec = codec_of(settings);
  const std::size_t chunks =
      std::max(codec.statistics().plaintexts(), codec.gradient().plaintexts());
  const std::size_t aggregate = chunks * ((settings.paillier.key_bits + 7) / 8 * 2) +
                                wire::kContributionBytes * settings.parties;
  const std::size_t vectors = settings.algorithm == "scaffold" ? 2 : 1;  // weights, and c
  const std::size_t start =
      4 * vectors * codec.settings().parameters + 8 * codec.settings().statistics;
  constexpr std::size_t kHeaderBytes = 1024;
  constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  wire::CodecLimits limits;
  limits.max_message_bytes = std::max(aggregate, start) + kHeaderBytes;
  limits.max_parties = settings.parties;
  if (limits.max_message_bytes > kMaxBytes) {
    throw ConfigError("model.hidden: a network of " + std::to_string(codec.settings().parameters) +
                      " parameters needs messages of " + std::to_string(limits.max_message_bytes) +
                      " bytes, at most " + std::to_string(kMaxBytes) + " are allowed");
  }
  return limits;
}

crypto::KeyPolicy key_policy_of(const settings::Settings& settings) {
  const bool is_replay =
      settings::is_encrypted_inputs(settings) && !settings::is_detection(settings);
  return is_replay ? crypto::KeyPolicy::kInsecureTesting : crypto::KeyPolicy::kSecure;
}

std::optional<crypto::PublicKey> load_public_key(const settings::RoleFile& role) {
  if (crypto::cipher_from_string(role.settings.cipher) == crypto::CipherKind::kNone) {
    return std::nullopt;
  }
  constexpr std::size_t kMaxFileBytes = 65536;
  const auto key = [&] {
    try {
      return crypto::PublicKey::parse(read_file(role.files.public_key, kMaxFileBytes),
                                      key_policy_of(role.settings));
    } catch (const Error& error) {
      throw KeyError(role.files.public_key.string() + ": " + error.what());
    }
  }();
  if (key.modulus_bits() != role.settings.paillier.key_bits) {
    throw KeyError(role.files.public_key.string() + ": a key of " +
                   std::to_string(key.modulus_bits()) + " bits, the scenario says " +
                   std::to_string(role.settings.paillier.key_bits));
  }
  return key;
}

crypto::TableOptions table_options_of(const settings::RoleFile& role) {
  // A table that is there once for all may be larger than one that every process has.
  constexpr std::size_t kSharedBytes = std::size_t{256} << 20;
  crypto::TableOptions options;
  options.directory = role.files.tables;
  if (settings::is_encrypted_inputs(role.settings)) {
    const auto& inputs = role.settings.encrypted_inputs;
    if (settings::is_detection(role.settings)) {
      const DetectionPlan plan = DetectionPlan::of(role.settings);
      const std::size_t messages = (plan.rows + plan.batch - 1) / plan.batch;
      options.encryptions =
          DetectionInputs::kInputs * (plan.is_linear() ? messages : std::size_t{plan.rows});
    } else {
      options.encryptions =
          InputNetwork::kInputs * (std::size_t{inputs.train_rows} + inputs.test_rows);
    }
    return options;
  }
  const crypto::UpdateCodec codec = codec_of(role.settings);
  options.encryptions = role.settings.rounds * codec.gradient().plaintexts();
  if (!options.directory.empty()) {
    options.encryptions *= role.settings.parties + std::size_t{1};  // and the coordinator
    options.max_bytes = kSharedBytes;
  }
  return options;
}

Digest key_id_of(const std::optional<crypto::PublicKey>& key) { return key ? key->id() : Digest{}; }

}  // namespace blindsum::role
