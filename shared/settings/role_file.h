// The role file: everything that one process of a run is told at its start. A JSON file that holds
// no secret, only where the role's own secrets lie.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "shared/settings/identity.h"
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

  Enrolment enrolment;  // of the coordinator and the key-holder: everybody; of a party: it and them

  struct Link {
    std::string bind;                           // coordinator and key-holder: "tcp://127.0.0.1:*"
    std::map<wire::Peer, std::string> servers;  // whom it calls, and their endpoints
  } link;

  struct Files {
    std::filesystem::path identity;    // own secrets, 0600: see identity.h
    std::filesystem::path public_key;  // Paillier public key; empty when cipher is none
    std::filesystem::path secret_key;  // key-holder
    std::filesystem::path tables;      // folder of tables that the roles of a machine share
    std::filesystem::path shard;       // party: its KDD CSV
    std::filesystem::path test;        // key-holder: test set
    // What survives a crash: of the key-holder a folder, of a party under SCAFFOLD a file; empty:
    // nothing.
    std::filesystem::path state;
    std::filesystem::path records;   // .jsonl of this role
    std::filesystem::path endpoint;  // written by a role that binds: its endpoint, one line
    std::filesystem::path model;     // key-holder: model.safetensors
    std::filesystem::path traffic;   // coordinator: what it receives and sends; empty: not kept
    std::filesystem::path log;       // a copy of the lines on standard error; empty: none
  } files;
};

// write_role_file and read_role_file are exact inverses. read_role_file throws ConfigError naming
// the file and the key.
void write_role_file(const std::filesystem::path& path, const RoleFile& role);
[[nodiscard]] RoleFile read_role_file(const std::filesystem::path& path);

// enrolment_for returns the part of everybody's enrolment that `peer` is told.
[[nodiscard]] Enrolment enrolment_for(const wire::Peer& peer, const Enrolment& everybody);

// enrolled returns what `role` knows of `peer`. Throws ConfigError when that is nothing.
[[nodiscard]] const PublicIdentity& enrolled(const RoleFile& role, const wire::Peer& peer);

// load_identity reads the role's own identity. Throws KeyError when it cannot be read or is not the
// one that is enrolled.
[[nodiscard]] Identity load_identity(const RoleFile& role);

// zmq_config returns what ZmqLink needs: those may connect that are enrolled and call this role.
// Throws ConfigError when a server is not enrolled.
[[nodiscard]] wire::ZmqConfig zmq_config(const RoleFile& role, wire::CurveKeyPair keys);

}  // namespace blindsum::settings
