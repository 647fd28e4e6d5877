// Manifests that start a federation on a Kubernetes cluster (1.29 or later).
#pragma once

#include <filesystem>
#include <string>

#include "scenarios/launcher/compose.h"

namespace blindsum::launcher {

// kubernetes_manifests returns one YAML document per object, for the role folders in `roles`, whose
// secrets it contains: namespace, Secrets, Services, NetworkPolicies that let each role reach only
// whom it calls, a volume claim for data and results, Jobs for supervisor, coordinator and
// key-holder, and an Indexed Job for the parties; the Jobs are suspended until the claim holds the
// data. A party's container is shown its own secrets and
// its own data alone; the node that it runs on gets those of all parties.
[[nodiscard]] std::string kubernetes_manifests(const ContainerPlan& plan,
                                               const std::filesystem::path& roles);

}  // namespace blindsum::launcher
