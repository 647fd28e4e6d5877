#include "shared/settings/role_file.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"

namespace blindsum::settings {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxRoleFileBytes = std::size_t{4} << 20;
constexpr std::size_t kCurveKeyLength = 40;  // Z85

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
constexpr std::array<PathField, 9> kPathFields{{
    {"public_key", &RoleFile::Files::public_key},
    {"secret_key", &RoleFile::Files::secret_key},
    {"tables", &RoleFile::Files::tables},
    {"shard", &RoleFile::Files::shard},
    {"test", &RoleFile::Files::test},
    {"records", &RoleFile::Files::records},
    {"endpoint", &RoleFile::Files::endpoint},
    {"model", &RoleFile::Files::model},
    {"log", &RoleFile::Files::log},
}};

json to_json(const RoleFile& role) {
  json allowed = json::object();
  for (const auto& [public_key, peer] : role.link.allowed) allowed[public_key] = to_string(peer);
  json servers = json::array();
  for (const auto& server : role.link.servers) {
    servers.push_back({{"peer", to_string(server.peer)},
                       {"endpoint", server.endpoint},
                       {"public_key", server.public_key}});
  }
  json files = json::object();
  for (const auto& [key, member] : kPathFields)
    files[std::string(key)] = (role.files.*member).string();
  return {{"run", to_hex(role.run)},
          {"self", to_string(role.self)},
          {"settings", to_json(role.settings)},
          {"threads", role.threads},
          {"log_level", role.log_level},
          {"link",
           {{"bind", role.link.bind},
            {"public_key", role.link.public_key},
            {"secret_file", role.link.secret_file.string()},
            {"allowed", allowed},
            {"servers", servers}}},
          {"files", files}};
}

wire::Peer peer_from(const std::string& name, const json& value) {
  if (!value.is_string()) throw ConfigError(name + ": text is expected");
  return with_name(name, [&] { return wire::peer_from_string(value.get<std::string>()); });
}

RoleFile::Link link_from(const json& value) {
  StrictObject object(value, "link");
  RoleFile::Link link;
  link.bind = object.text("bind");
  link.public_key = object.text("public_key");
  link.secret_file = object.text("secret_file");

  const json& allowed = object.take("allowed");
  if (!allowed.is_object()) throw ConfigError("link.allowed: an object is expected");
  for (const auto& [public_key, peer] : allowed.items()) {
    link.allowed.emplace(public_key, peer_from("link.allowed", peer));
  }
  const json& servers = object.take("servers");
  if (!servers.is_array()) throw ConfigError("link.servers: a list is expected");
  for (const json& item : servers) {
    StrictObject server(item, "link.servers");
    const wire::Peer peer = peer_from("link.servers.peer", server.take("peer"));
    link.servers.push_back({peer, server.text("endpoint"), server.text("public_key")});
    server.end({"peer", "endpoint", "public_key"});
  }
  object.end({"bind", "public_key", "secret_file", "allowed", "servers"});
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
  const Bytes run = with_name("run", [&] { return from_hex(object.text("run")); });
  if (run.size() != role.run.size()) throw ConfigError("run: 32 hexadecimal digits are expected");
  std::copy(run.begin(), run.end(), role.run.begin());
  role.self = peer_from("self", object.take("self"));
  role.settings =
      with_name("settings", [&] { return settings_from_json(object.take("settings")); });
  const json& threads = object.take("threads");
  if (!threads.is_number_unsigned() || threads.get<std::uint64_t>() > 1024) {
    throw ConfigError("threads: a whole number from 0 to 1024 is expected");
  }
  role.threads = threads.get<std::uint32_t>();
  role.log_level = object.text("log_level");
  role.link = link_from(object.take("link"));
  role.files = files_from(object.take("files"));
  object.end({"run", "self", "settings", "threads", "log_level", "link", "files"});
  return role;
}

bool is_z85(std::uint8_t c) {
  constexpr std::string_view kOthers = ".-:+=^!/*?&<>()[]{}@%$#";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kOthers.find(static_cast<char>(c)) != std::string_view::npos;
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

void write_curve_secret(const std::filesystem::path& path, const wire::CurveKeyPair& keys) {
  write_secret_file(path, keys.secret_key.bytes());
}

wire::ZmqConfig zmq_config(const RoleFile& role) {
  wire::ZmqConfig config;
  config.self = role.self;
  config.run = role.run;
  config.keys.public_key = role.link.public_key;
  config.keys.secret_key = read_secret_file(role.link.secret_file, 2 * kCurveKeyLength);
  const ByteView secret = std::as_const(config.keys.secret_key).bytes();
  if (secret.size() != kCurveKeyLength || !std::all_of(secret.begin(), secret.end(), is_z85)) {
    throw KeyError(role.link.secret_file.string() + ": not a CURVE secret key of " +
                   std::to_string(kCurveKeyLength) + " Z85 characters");
  }
  config.bind = role.link.bind;
  config.allowed = role.link.allowed;
  config.servers = role.link.servers;
  return config;
}

}  // namespace blindsum::settings
