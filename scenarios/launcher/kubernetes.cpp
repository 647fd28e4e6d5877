#include "scenarios/launcher/kubernetes.h"

#include <vector>

#include <nlohmann/json.hpp>
#include <sodium.h>
#include <yaml-cpp/yaml.h>

#include "shared/core/file.h"

namespace blindsum::launcher {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kNamespace = "blindsum";
constexpr const char* kIndexAnnotation =
    "metadata.annotations['batch.kubernetes.io/job-completion-index']";
constexpr int kPartyRetries = 3;  // a party that dies comes back, as the protocol allows

std::string base64(ByteView bytes) {
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminating zero
  return text;
}

void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, item] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, item);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::BeginSeq;
    for (const Json& item : value) emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    out << YAML::DoubleQuoted << value.get<std::string>();
  } else {
    out << value.dump();
  }
}

Json metadata(const std::string& name) {
  return {{"name", name},
          {"namespace", kNamespace},
          {"labels", {{"app.kubernetes.io/part-of", "blindsum"}, {"blindsum/role", name}}}};
}

Json object(const char* version, const char* kind, const std::string& name, const char* body,
            Json content) {
  return {{"apiVersion", version}, {"kind", kind}, {"metadata", metadata(name)}, {body, content}};
}

Json selector(const char* role) { return {{"matchLabels", {{"blindsum/role", role}}}}; }

// port is one port of a NetworkPolicy.
Json port(const char* protocol, int number) { return {{"protocol", protocol}, {"port", number}}; }

// Everybody that calls a service may ask for its address.
Json name_service() { return {{"ports", {port("UDP", 53), port("TCP", 53)}}}; }

Json to(const char* role, int number) {
  return {{"to", {{{"podSelector", selector(role)}}}}, {"ports", {port("TCP", number)}}};
}

Json from(const std::vector<const char*>& roles, int number) {
  Json peers = Json::array();
  for (const char* role : roles) peers.push_back({{"podSelector", selector(role)}});
  return {{"from", peers}, {"ports", {port("TCP", number)}}};
}

Json policy(const char* role, Json ingress, Json egress) {
  return object("networking.k8s.io/v1", "NetworkPolicy", role, "spec",
                {{"podSelector", selector(role)},
                 {"policyTypes", {"Ingress", "Egress"}},
                 {"ingress", std::move(ingress)},
                 {"egress", std::move(egress)}});
}

// What every container has: no way to gain rights, and nothing to write to but its mounts.
Json container(const std::string& name, const std::string& image) {
  return {{"name", name},
          {"image", image},
          {"securityContext",
           {{"allowPrivilegeEscalation", false},
            {"readOnlyRootFilesystem", true},
            {"capabilities", {{"drop", {"ALL"}}}}}}};
}

Json mount(const char* volume, const char* path, const std::string& sub_path = "",
           bool is_read_only = false) {
  Json mount = {{"name", volume}, {"mountPath", path}};
  if (!sub_path.empty()) mount["subPathExpr"] = sub_path;
  if (is_read_only) mount["readOnly"] = true;
  return mount;
}

Json job_of(const ContainerPlan& plan, const std::string& role, Json pod) {
  pod["restartPolicy"] = "Never";
  pod["automountServiceAccountToken"] = false;
  pod["enableServiceLinks"] = false;
  pod["securityContext"] = {{"runAsNonRoot", true},
                            {"runAsUser", plan.user.uid},
                            {"runAsGroup", plan.user.gid},
                            {"fsGroup", plan.user.gid},
                            {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  const Json labels = {{"app.kubernetes.io/part-of", "blindsum"}, {"blindsum/role", role}};
  Json spec = {{"suspend", true},  // until the data are in the claim
               {"backoffLimit", 0},
               {"template", {{"metadata", {{"labels", labels}}}, {"spec", std::move(pod)}}}};
  if (role == "party") {
    spec.erase("backoffLimit");
    spec["completionMode"] = "Indexed";
    spec["completions"] = plan.settings.parties;
    spec["parallelism"] = plan.settings.parties;
    spec["backoffLimitPerIndex"] = kPartyRetries;
    spec["maxFailedIndexes"] = plan.settings.parties;
  }
  return object("batch/v1", "Job", role, "spec", std::move(spec));
}

Json claim_volume() {
  return {{"name", "files"}, {"persistentVolumeClaim", {{"claimName", "files"}}}};
}

// role_job runs the coordinator, the key-holder or, as "party", all parties. A volume of Secrets
// can be readable by group or by root, never by another owner alone, as the roles insist: a first
// container copies the files into memory.
Json role_job(const ContainerPlan& plan, const wire::Peer& peer) {
  const bool is_party = peer.role == wire::Role::kParty;
  const std::string role = is_party ? "party" : to_string(peer);
  const std::string folder = is_party ? "roles/party-$(PARTY)" : "roles/" + role;
  Json sources = Json::array();
  for (const wire::Peer& each : all_peers(plan.settings.parties)) {
    if (each.role != peer.role) continue;
    Json items = Json::array();
    for (const std::string& name : secrets_of(plan.settings, each)) {
      items.push_back({{"key", name}, {"path", to_string(each) + "/" + name}});
    }
    sources.push_back({{"secret", {{"name", to_string(each)}, {"items", items}}}});
  }
  Json copy = container("secrets", plan.images + "blindsum");
  copy["command"] = {"/usr/bin/dash", "-c", "install -m 0400 /given/* /run/secrets/"};
  copy["volumeMounts"] = {mount("given", "/given", is_party ? "party-$(PARTY)" : role, true),
                          mount("secrets", "/run/secrets")};
  Json main = container(role, plan.images + "blindsum-" + role);
  main["args"] = {"/run/secrets/role.json"};
  main["env"] = Json::array({{{"name", "RES_OPTIONS"}, {"value", kResolverOptions}}});
  main["volumeMounts"] = {mount("secrets", "/run/secrets", "", true),
                          mount("files", "/out", folder + "/out")};
  if (peer != wire::kCoordinatorPeer) {
    main["volumeMounts"].push_back(mount("files", "/data", folder + "/data", true));
  }
  main["readinessProbe"] = {
      {"exec",
       {{"command", {"/usr/bin/" + program_name(peer), "--health", "/run/secrets/role.json"}}}},
      {"periodSeconds", 5}};
  if (is_party) {
    const Json index = {{"name", "PARTY"},
                        {"valueFrom", {{"fieldRef", {{"fieldPath", kIndexAnnotation}}}}}};
    copy["env"] = Json::array({index});
    main["env"].push_back(index);
  } else {
    main["ports"] = Json::array(
        {{{"containerPort", peer == wire::kCoordinatorPeer ? kCoordinatorPort : kKeyHolderPort}}});
  }
  return job_of(
      plan, role,
      {{"initContainers", Json::array({copy})},
       {"containers", Json::array({main})},
       {"volumes",
        Json::array({{{"name", "given"},
                      {"projected", {{"defaultMode", 0440}, {"sources", std::move(sources)}}}},
                     {{"name", "secrets"}, {"emptyDir", {{"medium", "Memory"}}}},
                     claim_volume()})}});
}

Json supervisor_job(const ContainerPlan& plan) {
  Json main = container("supervisor", plan.images + "blindsum");
  main["args"] = {"supervise", "--roles", "/roles", "--out", "/results"};
  main["volumeMounts"] = {mount("files", "/results", "results"),
                          mount("files", "/roles/run", "roles/run", true)};
  for (const wire::Peer& peer : all_peers(plan.settings.parties)) {
    const std::string out = to_string(peer) + "/out";
    main["volumeMounts"].push_back(mount("files", ("/roles/" + out).c_str(), "roles/" + out, true));
  }
  return job_of(plan, "supervisor",
                {{"containers", Json::array({main})}, {"volumes", Json::array({claim_volume()})}});
}

Json service(const char* role, int number) {
  // Without an address of its own: the name leads to the pod, ready or not, and callers try again.
  return object("v1", "Service", role, "spec",
                {{"clusterIP", "None"},
                 {"publishNotReadyAddresses", true},
                 {"selector", {{"blindsum/role", role}}},
                 {"ports", {{{"port", number}}}}});
}

}  // namespace

std::string kubernetes_manifests(const ContainerPlan& plan, const std::filesystem::path& roles) {
  std::vector<Json> objects;
  objects.push_back({{"apiVersion", "v1"},
                     {"kind", "Namespace"},
                     {"metadata",
                      {{"name", kNamespace},
                       {"labels", {{"pod-security.kubernetes.io/enforce", "restricted"}}}}}});
  for (const wire::Peer& peer : all_peers(plan.settings.parties)) {
    Json data = Json::object();
    for (const std::string& name : secrets_of(plan.settings, peer)) {
      data[name] = base64(read_file(role_folder(roles, peer) / name));
    }
    Json secret = object("v1", "Secret", to_string(peer), "data", std::move(data));
    secret["immutable"] = true;
    objects.push_back(std::move(secret));
  }
  objects.push_back(object(
      "v1", "PersistentVolumeClaim", "files", "spec",
      {{"accessModes", {"ReadWriteMany"}}, {"resources", {{"requests", {{"storage", "2Gi"}}}}}}));
  objects.push_back(service("coordinator", kCoordinatorPort));
  objects.push_back(service("keyholder", kKeyHolderPort));
  objects.push_back(policy(
      "coordinator", Json::array({from({"party", "keyholder"}, kCoordinatorPort)}), Json::array()));
  objects.push_back(policy("keyholder", Json::array({from({"party"}, kKeyHolderPort)}),
                           Json::array({to("coordinator", kCoordinatorPort), name_service()})));
  objects.push_back(policy("party", Json::array(),
                           Json::array({to("coordinator", kCoordinatorPort),
                                        to("keyholder", kKeyHolderPort), name_service()})));
  objects.push_back(policy("supervisor", Json::array(), Json::array()));
  objects.push_back(supervisor_job(plan));
  objects.push_back(role_job(plan, wire::kCoordinatorPeer));
  objects.push_back(role_job(plan, wire::kKeyHolderPeer));
  objects.push_back(role_job(plan, wire::party_peer(0)));

  std::string text = "# " + plan.settings.name + ", " + std::to_string(plan.settings.parties) +
                     " parties; written by: " + plan.command +
                     "\n# It holds the secret keys of every role. How to run it: "
                     "scenarios/docker/README.md\n";
  for (const Json& each : objects) {
    YAML::Emitter out;
    emit(out, each);
    text += std::string("---\n") + out.c_str() + "\n";
  }
  return text;
}

}  // namespace blindsum::launcher
