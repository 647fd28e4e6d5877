// The role file: everything that one process of a run is told at its start. A JSON file that holds
// no secret, only where the role's own secrets lie.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "shared/settings/settings.h"
#include "shared/wire/links.h"

namespace blindsum::settings {

// RoleFile of coordinator, key-holder or party. Paths that a role does not use stay empty.
struct RoleFile {
  wire::RunId run{};
  wire::Peer self;
  Settings settings;
  std::uint32_t threads = 1;
  std::string log_level = "info";

  struct Link {
    std::string bind;                   // coordinator and key-holder: "tcp://127.0.0.1:*"
    std::string public_key;             // own CURVE public key
    std::filesystem::path secret_file;  // own CURVE secret key, 0600
    std::map<std::string, wire::Peer> allowed;
    std::vector<wire::ZmqConfig::Server> servers;
  } link;

  struct Files {
    std::filesystem::path public_key;  // Paillier public key; empty when cipher is none
    std::filesystem::path secret_key;  // key-holder
    std::filesystem::path tables;      // folder of tables that the roles of a machine share
    std::filesystem::path shard;       // party: its KDD CSV
    std::filesystem::path test;        // key-holder: test set
    std::filesystem::path records;     // .jsonl of this role
    std::filesystem::path endpoint;    // written by a role that binds: its endpoint, one line
    std::filesystem::path model;       // key-holder: model.safetensors
    std::filesystem::path log;         // a copy of the lines on standard error; empty: none
  } files;
};

// write_role_file and read_role_file are exact inverses. read_role_file throws ConfigError naming
// the file and the key.
void write_role_file(const std::filesystem::path& path, const RoleFile& role);
[[nodiscard]] RoleFile read_role_file(const std::filesystem::path& path);

// write_curve_secret and zmq_config handle the secret file: zmq_config reads it (KeyError when
// unprotected or malformed) and returns what ZmqLink needs.
void write_curve_secret(const std::filesystem::path& path, const wire::CurveKeyPair& keys);
[[nodiscard]] wire::ZmqConfig zmq_config(const RoleFile& role);

}  // namespace blindsum::settings
