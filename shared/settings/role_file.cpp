#include "shared/settings/role_file.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"

namespace blindsum::settings {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRoleFileBytes = std::size_t{64} << 20;

// StrictObject reads a JSON object every key of which must be taken.
class StrictObject {
 public:
  StrictObject(const json& object, std::string name) : object_(&object), name_(std::move(name)) {
    if (!object.is_object()) throw ConfigError(name_ + ": an object is expected");
  }

  [[nodiscard]] std::string name_of(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  }

  const json& take(std::string_view key) {
    const auto found = object_->find(key);
    if (found == object_->end()) throw ConfigError(name_of(key) + ": is missing");
    ++taken_;
    return *found;
  }

  std::string text(std::string_view key) {
    const json& value = take(key);
    if (!value.is_string()) throw ConfigError(name_of(key) + ": text is expected");
    return value.get<std::string>();
  }

  // end throws when the object has a key that was not taken; `keys` are those that were.
  void end(std::initializer_list<std::string_view> keys) const {
    if (taken_ == object_->size()) return;
    for (const auto& [key, value] : object_->items()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        throw ConfigError("unknown key '" + name_of(key) + "'");
      }
    }
  }

 private:
  const json* object_;
  std::string name_;
  std::size_t taken_ = 0;
};

// with_name runs `read` and names the key in the DecodeError or ConfigError that it throws.
template <class Read>
auto with_name(const std::string& name, Read read) {
  try {
    return read();
  } catch (const Error& error) {
    throw ConfigError(name + ": " + error.what());
  }
}

using PathField = std::pair<std::string_view, std::filesystem::path RoleFile::Files::*>;
constexpr std::array<PathField, 11> kPathFields{{
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
    {"log", &RoleFile::Files::log},
}};

json to_json(const RoleFile& role) {
  json enrolment = json::object();
  for (const auto& [peer, identity] : role.enrolment) {
    enrolment[to_string(peer)] = {{"curve", identity.curve},
                                  {"signing", to_hex(identity.signing)},
                                  {"agreement", to_hex(identity.agreement)}};
  }
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
          {"enrolment", enrolment},
          {"link", {{"bind", role.link.bind}, {"servers", servers}}},
          {"files", files}};
}

wire::Peer peer_named(const std::string& where, const std::string& name) {
  return with_name(where, [&] { return wire::peer_from_string(name); });
}

template <std::size_t N>
void read_hex(StrictObject& object, std::string_view key, std::array<std::uint8_t, N>& out) {
  const Bytes bytes = with_name(object.name_of(key), [&] { return from_hex(object.text(key)); });
  if (bytes.size() != N) {
    throw ConfigError(object.name_of(key) + ": " + std::to_string(2 * N) +
                      " hexadecimal digits are expected");
  }
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

Enrolment enrolment_from(const json& value) {
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
  role.enrolment = enrolment_from(object.take("enrolment"));
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
  try {
    return role_from(json::parse(read_text_file(path, kMaxRoleFileBytes)));
  } catch (const json::exception& error) {
    throw ConfigError(path.string() + ": " + error.what());
  } catch (const ConfigError& error) {
    throw ConfigError(path.string() + ": " + error.what());
  } catch (const Error& error) {  // unreadable: the message names the path
    throw ConfigError(error.what());
  }
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
