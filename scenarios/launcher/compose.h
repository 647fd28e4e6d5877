// Files that start a federation in containers: docker-compose, a docker stack, Kubernetes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "scenarios/launcher/deployment.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

// ContainerUser owns the files that a container reads and writes.
struct ContainerUser {
  std::uint32_t uid = 10001, gid = 10001;  // of the images
};

// ContainerPlan says what the containers of a run are made from.
struct ContainerPlan {
  settings::Settings settings;
  std::string command;  // that wrote the file, for its first line
  std::string images;   // before each image's name: "registry.example/team/"
  ContainerUser user;
};

// kResolverOptions is what RES_OPTIONS is for every role (resolv.conf(5)).
inline constexpr const char* kResolverOptions = "timeout:1 attempts:1";

// view_of_volumes is where a role finds its folder when it is one volume; view_of_secrets when
// secrets, data and results come apart.
[[nodiscard]] RoleView view_of_volumes();
[[nodiscard]] RoleView view_of_secrets();

// compose_with_volumes writes a docker-compose file whose supervisor makes keys and shards when it
// starts, into one volume per role. `scenario` is mounted as it is, and read with `overrides`
// (options of 'blindsum prepare'); `context` is the root of the sources, from which the images are
// built. Both paths are as seen from the file's folder.
[[nodiscard]] std::string compose_with_volumes(const ContainerPlan& plan,
                                               const std::string& scenario,
                                               const std::string& context,
                                               std::span<const std::string> overrides);

// compose_with_secrets writes a docker-compose and docker stack file for role folders that were
// made before, in the folder "roles" beside the file: what is secret comes as a secret.
[[nodiscard]] std::string compose_with_secrets(const ContainerPlan& plan);

// secrets_of lists the files of a role's folder that are given to it as secrets.
[[nodiscard]] std::vector<std::string> secrets_of(const settings::Settings& settings,
                                                  const wire::Peer& peer);

// container_user is who the containers of prepared role folders run as: this process's user, or,
// when that is root, the user of the images. give_to makes him the owner of the folder and all in
// it.
[[nodiscard]] ContainerUser container_user();
void give_to(const ContainerUser& user, const std::filesystem::path& folder);

}  // namespace blindsum::launcher
