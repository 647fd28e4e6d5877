#include "shared/settings/role_file.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/settings/strict_object.h"

namespace blindsum::settings {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRoleFileBytes = std::size_t{64} << 20;

using PathField = std::pair<std::string_view, std::filesystem::path RoleFile::Files::*>;
constexpr std::array<PathField, 12> kPathFields{{
    {"identity", &RoleFile::Files::identity},
    {"public_key", &RoleFile::Files::public_key},
    {"secret_key", &RoleFile::Files::secret_key},
    {"tables", &RoleFile::Files::tables},
    {"shard", &RoleFile::Files::shard},
    {"test", &RoleFile::Files::test},
    {"state", &RoleFile::Files::state},
    {"records", &RoleFile::Files::records},
    {"endpoint", &RoleFile::Files::endpoint},
    {"model", &RoleFile::Files::model},
    {"traffic", &RoleFile::Files::traffic},
    {"log", &RoleFile::Files::log},
}};

json to_json(const RoleFile& role) {
  json servers = json::object();
  for (const auto& [peer, endpoint] : role.link.servers) servers[to_string(peer)] = endpoint;
  json files = json::object();
  for (const auto& [key, member] : kPathFields)
    files[std::string(key)] = (role.files.*member).string();
  return {{"run", to_hex(role.run)},
          {"self", to_string(role.self)},
          {"settings", to_json(role.settings)},
          {"threads", role.threads},
          {"log_level", role.log_level},
          {"enrolment", to_json(role.enrolment)},
          {"link", {{"bind", role.link.bind}, {"servers", servers}}},
          {"files", files}};
}

RoleFile::Link link_from(const json& value) {
  StrictObject object(value, "link");
  RoleFile::Link link;
  link.bind = object.text("bind");
  const json& servers = object.take("servers");
  if (!servers.is_object()) throw ConfigError("link.servers: an object is expected");
  for (const auto& [name, endpoint] : servers.items()) {
    if (!endpoint.is_string()) throw ConfigError("link.servers." + name + ": text is expected");
    link.servers.emplace(peer_named("link.servers", name), endpoint.get<std::string>());
  }
  object.end({"bind", "servers"});
  return link;
}

RoleFile::Files files_from(const json& value) {
  StrictObject object(value, "files");
  RoleFile::Files files;
  for (const auto& [key, member] : kPathFields) files.*member = object.text(key);
  for (const auto& [key, path] : value.items()) {
    if (std::none_of(kPathFields.begin(), kPathFields.end(),
                     [&, name = key](const PathField& field) { return field.first == name; })) {
      throw ConfigError("unknown key '" + object.name_of(key) + "'");
    }
  }
  return files;
}

RoleFile role_from(const json& value) {
  StrictObject object(value, "");
  RoleFile role;
  read_hex(object, "run", role.run);
  role.self = peer_named("self", object.text("self"));
  role.settings =
      with_name("settings", [&] { return settings_from_json(object.take("settings")); });
  const json& threads = object.take("threads");
  if (!threads.is_number_unsigned() || threads.get<std::uint64_t>() > 1024) {
    throw ConfigError("threads: a whole number from 0 to 1024 is expected");
  }
  role.threads = threads.get<std::uint32_t>();
  role.log_level = object.text("log_level");
  role.enrolment = enrolment_from_json(object.take("enrolment"));
  role.link = link_from(object.take("link"));
  role.files = files_from(object.take("files"));
  object.end({"run", "self", "settings", "threads", "log_level", "enrolment", "link", "files"});
  return role;
}

}  // namespace

void write_role_file(const std::filesystem::path& path, const RoleFile& role) {
  write_file_atomic(path, to_json(role).dump(2) + "\n");
}

RoleFile read_role_file(const std::filesystem::path& path) {
  return read_json_file(path, kMaxRoleFileBytes, role_from);
}

Enrolment enrolment_for(const wire::Peer& peer, const Enrolment& everybody) {
  if (peer.role != wire::Role::kParty) return everybody;
  Enrolment known;
  for (const wire::Peer& other : {wire::kCoordinatorPeer, wire::kKeyHolderPeer, peer}) {
    known.emplace(other, everybody.at(other));
  }
  return known;
}

const PublicIdentity& enrolled(const RoleFile& role, const wire::Peer& peer) {
  const auto found = role.enrolment.find(peer);
  if (found == role.enrolment.end()) {
    throw ConfigError("enrolment: " + to_string(peer) + " is missing");
  }
  return found->second;
}

Identity load_identity(const RoleFile& role) {
  Identity identity = read_identity(role.files.identity);
  if (enrolled(role, role.self) != identity.public_identity()) {
    throw KeyError(role.files.identity.string() + ": not the identity that is enrolled for " +
                   to_string(role.self));
  }
  return identity;
}

wire::ZmqConfig zmq_config(const RoleFile& role, wire::CurveKeyPair keys) {
  wire::ZmqConfig config;
  config.self = role.self;
  config.run = role.run;
  config.keys = std::move(keys);
  config.bind = role.link.bind;
  for (const auto& [peer, identity] : role.enrolment) {
    const bool calls = peer.role == wire::Role::kParty ||
                       (peer == wire::kKeyHolderPeer && role.self == wire::kCoordinatorPeer);
    if (calls && peer != role.self && !role.link.bind.empty()) {
      config.allowed.emplace(identity.curve, peer);
    }
  }
  for (const auto& [peer, endpoint] : role.link.servers) {
    config.servers.push_back({peer, endpoint, enrolled(role, peer).curve});
  }
  return config;
}

}  // namespace blindsum::settings
