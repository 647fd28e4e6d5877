#include "scenarios/launcher/compose.h"

#include <cerrno>
#include <cstring>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace blindsum::launcher {
namespace {

using std::filesystem::path;

// How long a role waits for its role file: a new key set may take ten minutes.
constexpr const char* kWaitS = "900";

std::string image_of(const ContainerPlan& plan, const std::string& name) {
  return plan.images + (name == "supervisor" ? "blindsum" : "blindsum-" + name);
}

// target_of is the role's target in the Dockerfile, and the end of its image's name.
std::string target_of(const wire::Peer& peer) {
  return peer.role == wire::Role::kParty ? "party" : to_string(peer);
}

std::string networks_of(const wire::Peer& peer) {
  if (peer.role == wire::Role::kParty) return "[updates, weights]";
  return peer == wire::kCoordinatorPeer ? "[updates, sums]" : "[weights, sums]";
}

std::string header_of(const ContainerPlan& plan) {
  return "# " + plan.settings.name + ", " + std::to_string(plan.settings.parties) +
         " parties; written by: " + plan.command +
         "\n"
         "# What each container may reach, and how to run this: scenarios/docker/README.md\n"
         "version: \"3.8\"\n\n";
}

std::string quoted_user(const ContainerUser& user) {
  return "\"" + std::to_string(user.uid) + ":" + std::to_string(user.gid) + "\"";
}

// What every container has: no way to gain rights, and nothing to write to but its mounts.
std::string hardening(const std::string& indent) {
  return indent + "read_only: true\n" +  //
         indent + "cap_drop: [ALL]\n" +  //
         indent + "security_opt: [\"no-new-privileges:true\"]\n" + indent +
         "tmpfs: [\"/tmp:size=16m,mode=1777\"]\n";
}

// A role that ends must not be held up by its resolver, which looks for a peer that is gone: ZeroMQ
// resolves names in the thread that sends.
std::string resolver() {
  return "  environment: { RES_OPTIONS: \"" + std::string(kResolverOptions) + "\" }\n";
}

std::string health_of(const wire::Peer& peer, const RoleView& view) {
  return "    healthcheck:\n"
         "      test: [CMD, /usr/bin/" +
         program_name(peer) + ", --health, " + (view.secrets / "role.json").string() +
         "]\n"
         "      interval: 5s\n"
         "      retries: 30\n"  // a role that waits for one that came back is not ill
         "      start_period: 15m\n";
}

// Every connection stays between two kinds of roles: nobody reaches anybody else, or the outside.
constexpr const char* kNetworks =
    "\nnetworks:\n"
    "  updates: { internal: true }  # parties to coordinator\n"
    "  weights: { internal: true }  # parties to key-holder\n"
    "  sums: { internal: true }     # key-holder to coordinator\n";

}  // namespace

RoleView view_of_volumes() { return {"/role", "/role/data", "/role/out"}; }
RoleView view_of_secrets() { return {"/run/secrets", "/data", "/out"}; }

std::string compose_with_volumes(const ContainerPlan& plan, const std::string& scenario,
                                 const std::string& context,
                                 std::span<const std::string> overrides) {
  const std::vector<wire::Peer> peers = all_peers(plan.settings.parties);
  const auto build = [&](const std::string& target) {
    return "    build: { context: \"" + context +
           "\", dockerfile: scenarios/docker/Dockerfile, target: " + target + " }\n";
  };
  std::string arguments;
  for (const std::string& override : overrides) {
    arguments += ", " + nlohmann::json(override).dump();  // a JSON string is a YAML string
  }
  std::string text = header_of(plan);
  text += "x-role: &role\n  user: " + quoted_user(plan.user) + "\n" + hardening("  ") + resolver() +
          "  command: [--wait, \"" + kWaitS +
          "\", /role/role.json]\n"
          "  depends_on: [supervisor]\n"
          "\nservices:\n"
          "  # Makes keys and shards, gives each role its own, follows the run, and ends with its "
          "exit code.\n"
          "  # It starts as root for nothing but to become two others: see supervise.\n"
          "  supervisor:\n"
          "    image: " +
          image_of(plan, "supervisor") + "\n" + build("supervisor") + "    user: \"0:0\"\n" +
          hardening("    ") +
          "    cap_add: [SETUID, SETGID]\n"
          "    network_mode: none\n"
          "    entrypoint: [/usr/bin/supervise, /scenario.yaml" +
          arguments +
          "]\n"
          "    environment: { BLINDSUM_DATA: \"${BLINDSUM_DATA:-}\" }\n"
          "    volumes:\n"
          "      - \"" +
          scenario +
          ":/scenario.yaml:ro\"\n"
          "      - \"${BLINDSUM_DATA:-./data}:${BLINDSUM_DATA:-/data}:ro\"\n"
          "      - \"${BLINDSUM_RESULTS:-./results}:/results\"\n"
          "      - run:/roles/run\n";
  for (const wire::Peer& peer : peers) {
    text += "      - " + to_string(peer) + ":/roles/" + to_string(peer) + "\n";
  }
  for (const wire::Peer& peer : peers) {
    const std::string name = to_string(peer);
    const std::string target = target_of(peer);
    text += "  " + name + ":\n    <<: *role\n    image: " + image_of(plan, target) + "\n";
    // One build serves all parties.
    if (peer.role != wire::Role::kParty || peer.id == 0) text += build(target);
    text += health_of(peer, view_of_volumes());
    text += "    networks: " + networks_of(peer) + "\n    volumes: [\"" + name + ":/role\"]\n";
  }
  text += kNetworks;
  text += "\nvolumes:\n  run: {}\n";
  for (const wire::Peer& peer : peers) text += "  " + to_string(peer) + ": {}\n";
  return text;
}

std::string compose_with_secrets(const ContainerPlan& plan) {
  const std::vector<wire::Peer> peers = all_peers(plan.settings.parties);
  const std::string uid = std::to_string(plan.user.uid);
  const std::string gid = std::to_string(plan.user.gid);
  std::string text = header_of(plan);
  text += "x-role: &role\n  user: " + quoted_user(plan.user) + "\n" + hardening("  ") + resolver() +
          "  command: [/run/secrets/role.json]\n"
          "\n"
          "# For docker stack; docker-compose leaves it out. A role runs once, and is called at "
          "its own address.\n"
          "x-once: &once { endpoint_mode: dnsrr, restart_policy: { condition: none } }\n"
          "\nservices:\n"
          "  # Follows the run, collects the results, and ends with the run's exit code.\n"
          "  supervisor:\n"
          "    image: " +
          image_of(plan, "supervisor") + "\n    user: " + quoted_user(plan.user) + "\n" +
          hardening("    ") +
          "    command: [supervise, --roles, /roles, --out, /results]\n"
          "    networks: [alone]\n"
          "    volumes:\n"
          "      - \"./results:/results\"\n"
          "      - \"./roles/run:/roles/run:ro\"\n";
  for (const wire::Peer& peer : peers) {
    const std::string out = to_string(peer) + "/out";
    text += "      - \"./roles/" + out + ":/roles/" + out + ":ro\"\n";
  }
  text += "    deploy: *once\n";
  for (const wire::Peer& peer : peers) {
    const std::string name = to_string(peer);
    text += "  " + name + ":\n    <<: *role\n    image: " + image_of(plan, target_of(peer)) + "\n" +
            health_of(peer, view_of_secrets()) + "    networks: " + networks_of(peer) +
            "\n"
            "    volumes:\n";
    if (peer != wire::kCoordinatorPeer) {
      text += "      - \"./roles/" + name + "/data:/data:ro\"\n";
    }
    text += "      - \"./roles/" + name + "/out:/out\"\n    secrets:\n";
    for (const std::string& secret : secrets_of(plan.settings, peer)) {
      text += "      - { source: " + name + "." + secret + ", target: " + secret + ", uid: \"" +
              uid + "\", gid: \"" + gid + "\", mode: 0400 }\n";
    }
    text += "    deploy: *once\n";
  }
  text += kNetworks;
  text += "  alone: { internal: true }    # the supervisor talks to nobody\n\nsecrets:\n";
  for (const wire::Peer& peer : peers) {
    const std::string name = to_string(peer);
    for (const std::string& secret : secrets_of(plan.settings, peer)) {
      text += "  " + name + "." + secret + ": { file: \"./roles/" + name + "/" + secret + "\" }\n";
    }
  }
  return text;
}

std::vector<std::string> secrets_of(const settings::Settings& settings, const wire::Peer& peer) {
  std::vector<std::string> names{"role.json", "identity.secret"};
  if (settings.cipher == "none") return names;
  names.emplace_back("public.key");
  if (peer == wire::kKeyHolderPeer) names.emplace_back("secret.key");
  return names;
}

ContainerUser container_user() {
  if (geteuid() == 0) return {};
  return {geteuid(), getegid()};
}

void give_to(const ContainerUser& user, const path& folder) {
  if (geteuid() != 0) return;
  const auto give = [&](const path& file) {
    if (lchown(file.c_str(), user.uid, user.gid) != 0) {
      throw Error(file.string() + ": cannot be given to user " + std::to_string(user.uid) + ": " +
                  std::strerror(errno));
    }
  };
  give(folder);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    give(entry.path());
  }
}

}  // namespace blindsum::launcher
