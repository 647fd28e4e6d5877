// Roles that the launcher does not start: they run in containers or on other machines, from role
// folders that are made for them beforehand.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>

#include "scenarios/launcher/federation.h"

namespace blindsum::launcher {

// Port numbers on which the two listening roles are called, by their host names "coordinator" and
// "keyholder".
inline constexpr int kCoordinatorPort = 7300;
inline constexpr int kKeyHolderPort = 7301;

// RoleView says where a role finds its things on its own file system.
struct RoleView {
  std::filesystem::path secrets;  // role.json, identity.secret, public.key; secret.key (key-holder)
  std::filesystem::path data;     // shard.csv (party), test.csv (key-holder)
  std::filesystem::path out;      // records.jsonl, role.log; model.safetensors (key-holder)
};

// The role folder of `peer` in `roles` is roles/<peer>: the files of RoleView::secrets, and the
// subfolders data and out. roles/run holds what the run's supervisor needs, and no secret.
[[nodiscard]] std::filesystem::path role_folder(const std::filesystem::path& roles,
                                                const wire::Peer& peer);
[[nodiscard]] std::filesystem::path run_folder(const std::filesystem::path& roles);

// program_name is what runs this role: "blindsum-party".
[[nodiscard]] std::string program_name(const wire::Peer& peer);

// make_role_folders makes the folders of all roles, or empties them when they are there: role files
// first, so that no role starts with an old one. The role folders let nobody but their owner list
// them or read secrets and data; out is for everybody to read.
// Throws ConfigError when one cannot be made or emptied.
void make_role_folders(const std::filesystem::path& roles, std::uint32_t parties);

// shard_file and test_file are where the data of a role goes.
[[nodiscard]] std::filesystem::path shard_file(const std::filesystem::path& roles,
                                               std::uint32_t party);
[[nodiscard]] std::filesystem::path test_file(const std::filesystem::path& roles);

// write_role_folders makes fresh identities and writes into each role's folder its identity, the
// public key and, last, its role file. With an `enrolment` it makes none: each role's owner has its
// identity and puts it there. The key set must be in the key-holder's folder already, the data in
// their places. Of `plan` it uses settings and run. Throws ConfigError when the enrolment is not
// that of exactly the roles of the scenario.
void write_role_folders(const FederationPlan& plan, const RoleView& view,
                        const std::filesystem::path& roles, settings::Enrolment enrolment = {});

// follow is a federation whose roles run elsewhere: it copies what they write, as they write it, to
// the places in plan.folder where start_processes would have it, and takes its ending from the
// key-holder. A party that dies does not end the run: the quorum decides. When `stop` becomes true
// the key-holder has a few seconds to say how it ended; else the run is interrupted.
[[nodiscard]] std::unique_ptr<Federation> follow(const FederationPlan& plan,
                                                 const std::filesystem::path& roles,
                                                 const std::atomic<bool>& stop);

}  // namespace blindsum::launcher
