// Who a role is: the keys that it proves itself with, and the public halves by which others know
// it.
#pragma once

#include <filesystem>
#include <map>

#include <nlohmann/json_fwd.hpp>

#include "shared/core/key_derivation.h"
#include "shared/core/signature.h"
#include "shared/wire/links.h"

namespace blindsum::settings {

// PublicIdentity is what others must know of a role.
struct PublicIdentity {
  std::string curve;               // ZeroMQ's CURVE: whose connection it is; 40 characters of Z85
  SigningPublicKey signing{};      // Ed25519: what was said through a third
  AgreementPublicKey agreement{};  // X25519: secrets that two roles share
  friend bool operator==(const PublicIdentity&, const PublicIdentity&) = default;
};

// Enrolment says who takes part: those that a role talks to, or hears of, and itself.
using Enrolment = std::map<wire::Peer, PublicIdentity>;

// to_json writes {"party-3": {"curve": …, "signing": …, "agreement": …}, …}, the last two in
// hexadecimal. enrolment_from_json throws ConfigError for anything else, and for a key that two
// roles have. write_enrolment and read_enrolment do the same with a file; ConfigError names it.
[[nodiscard]] nlohmann::json to_json(const Enrolment& enrolment);
[[nodiscard]] Enrolment enrolment_from_json(const nlohmann::json& json);
void write_enrolment(const std::filesystem::path& path, const Enrolment& enrolment);
[[nodiscard]] Enrolment read_enrolment(const std::filesystem::path& path);

// Identity is a role's own, with its three secrets.
struct Identity {
  wire::CurveKeyPair curve;
  SigningKey signing;
  AgreementKey agreement;

  [[nodiscard]] static Identity generate();
  [[nodiscard]] PublicIdentity public_identity() const;
};

// write_identity writes the secrets to a file of mode 0600; read_identity works the public halves
// out again. Throws KeyError when the file is missing, unprotected or malformed.
void write_identity(const std::filesystem::path& path, const Identity& identity);
[[nodiscard]] Identity read_identity(const std::filesystem::path& path);

}  // namespace blindsum::settings
