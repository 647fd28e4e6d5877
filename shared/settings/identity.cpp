#include "shared/settings/identity.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/settings/strict_object.h"

namespace blindsum::settings {
namespace {

// The file is this line and the three secrets, as they are: CURVE in Z85, then the two of 32 bytes.
constexpr std::string_view kHeader = "blindsum identity 1\n";
constexpr std::size_t kFileBytes = kHeader.size() + wire::CurveKeyPair::kCharacters +
                                   SigningKey::kSeedBytes + AgreementKey::kSecretBytes;

}  // namespace

Identity Identity::generate() {
  return {wire::make_curve_key_pair(), SigningKey::generate(), AgreementKey::generate()};
}

PublicIdentity Identity::public_identity() const {
  return {curve.public_key, signing.public_key(), agreement.public_key()};
}

json to_json(const Enrolment& enrolment) {
  json object = json::object();
  for (const auto& [peer, identity] : enrolment) {
    object[to_string(peer)] = {{"curve", identity.curve},
                               {"signing", to_hex(identity.signing)},
                               {"agreement", to_hex(identity.agreement)}};
  }
  return object;
}

Enrolment enrolment_from_json(const json& value) {
  if (!value.is_object()) throw ConfigError("enrolment: an object is expected");
  Enrolment enrolment;
  std::set<std::string> known;  // a key is of one role
  for (const auto& [name, keys] : value.items()) {
    StrictObject object(keys, "enrolment." + name);
    PublicIdentity identity;
    identity.curve = object.text("curve");
    read_hex(object, "signing", identity.signing);
    read_hex(object, "agreement", identity.agreement);
    object.end({"curve", "signing", "agreement"});
    if (!known.insert(identity.curve).second || !known.insert(to_hex(identity.signing)).second ||
        !known.insert(to_hex(identity.agreement)).second) {
      throw ConfigError("enrolment." + name + ": has a key of another role");
    }
    enrolment.emplace(peer_named("enrolment", name), std::move(identity));
  }
  return enrolment;
}

void write_enrolment(const std::filesystem::path& path, const Enrolment& enrolment) {
  write_file_atomic(path, to_json(enrolment).dump(2) + "\n");
}

Enrolment read_enrolment(const std::filesystem::path& path) {
  constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  return read_json_file(path, kMaxBytes, enrolment_from_json);
}

void write_identity(const std::filesystem::path& path, const Identity& identity) {
  SecretBytes content(kFileBytes);
  auto out = content.bytes().begin();
  const auto append = [&](ByteView bytes) { out = std::copy(bytes.begin(), bytes.end(), out); };
  append(as_bytes(kHeader));
  append(identity.curve.secret_key.bytes());
  append(std::as_const(identity).signing.seed().bytes());
  append(identity.agreement.secret());
  write_secret_file(path, std::as_const(content).bytes());
}

Identity read_identity(const std::filesystem::path& path) {
  constexpr std::size_t kMaxFileBytes = 4096;
  const SecretBytes content = read_secret_file(path, kMaxFileBytes);
  ByteView rest = content.bytes();
  const auto take = [&](std::size_t bytes) {
    const ByteView taken = rest.first(bytes);
    rest = rest.subspan(bytes);
    return taken;
  };
  const auto is_header = [&] {
    const ByteView header = take(kHeader.size());
    return std::equal(header.begin(), header.end(), kHeader.begin(), kHeader.end());
  };
  if (rest.size() != kFileBytes || !is_header()) {
    throw KeyError(path.string() + ": not the identity of a role, of " +
                   std::to_string(kFileBytes) + " bytes");
  }
  try {
    wire::CurveKeyPair curve =
        wire::curve_key_pair_of(SecretBytes(take(wire::CurveKeyPair::kCharacters)));
    SigningKey signing(take(SigningKey::kSeedBytes));
    return {std::move(curve), std::move(signing), AgreementKey(take(AgreementKey::kSecretBytes))};
  } catch (const Error& error) {
    throw KeyError(path.string() + ": " + error.what());
  }
}

}  // namespace blindsum::settings
