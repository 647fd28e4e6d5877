// What every role derives from the settings alike: the update codec and the public key.
#pragma once

#include <optional>

#include "shared/crypto/public_key.h"
#include "shared/crypto/update_cipher.h"
#include "shared/crypto/update_codec.h"
#include "shared/settings/role_file.h"
#include "shared/wire/codec.h"

namespace blindsum::role {

// kGraceSeconds is how much longer than a legal silence the roles wait for each other.
inline constexpr double kGraceSeconds = 10;

// codec_of returns the codec of a run: the statistics of its records (82 of KDD'99) and the
// parameters of the network, for the scenario's key size.
[[nodiscard]] crypto::UpdateCodec codec_of(const settings::Settings& settings);

// limits_of returns what a link of this run accepts: its largest legal message and no more. Throws
// ConfigError when that is beyond 64 MiB: the network is too large.
[[nodiscard]] wire::CodecLimits limits_of(const settings::Settings& settings);

// key_policy_of says which key sizes the run admits: those of a replay may be insecure.
[[nodiscard]] crypto::KeyPolicy key_policy_of(const settings::Settings& settings);

// load_public_key reads the role's Paillier public key and checks its size against the settings;
// nothing when the cipher is none. Throws KeyError.
[[nodiscard]] std::optional<crypto::PublicKey> load_public_key(const settings::RoleFile& role);

// table_options_of returns where the role keeps the powers of the fixed base, and how much work is
// ahead for all who share them.
[[nodiscard]] crypto::TableOptions table_options_of(const settings::RoleFile& role);

// key_id_of returns the key's id, or zeros when there is none.
[[nodiscard]] Digest key_id_of(const std::optional<crypto::PublicKey>& key);

}  // namespace blindsum::role
