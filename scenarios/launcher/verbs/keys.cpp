#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "scenarios/launcher/federation.h"
#include "scenarios/launcher/verbs/key_holder_program.h"
#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/error.h"
#include "shared/settings/identity.h"

namespace blindsum::launcher {
namespace {

struct KeysArguments {
  std::string directory, bits = "3072";
};

// make_identity_files writes DIR/identity.secret and DIR/identity.json.
int make_identity_files(const std::filesystem::path& directory, const std::string& role) {
  const wire::Peer peer = [&] {
    try {
      return wire::peer_from_string(role);
    } catch (const DecodeError& error) {
      throw ConfigError("--role: " + std::string(error.what()) +
                        "; use coordinator, keyholder, party-0, party-1, …");
    }
  }();
  std::filesystem::create_directories(directory);
  const auto secret = directory / "identity.secret";
  if (std::filesystem::exists(secret)) {
    throw ConfigError(secret.string() + ": exists; identities are never overwritten");
  }
  settings::write_enrolment(directory / "identity.json", {{peer, make_identity(secret)}});
  std::cout << "identity of " << to_string(peer) << " in " << directory.string()
            << ": hand on identity.json, keep identity.secret\n";
  return 0;
}

// enrol merges the public halves of identities into one file.
int enrol(const std::vector<std::string>& files, const std::string& out) {
  settings::Enrolment all;
  for (const std::string& file : files) {
    for (const auto& [peer, identity] : settings::read_enrolment(file)) {
      if (!all.emplace(peer, identity).second) {
        throw ConfigError(file + ": " + to_string(peer) + " is enrolled already");
      }
    }
  }
  (void)settings::enrolment_from_json(settings::to_json(all));  // no key twice
  settings::write_enrolment(out, all);
  std::cout << all.size() << " roles in " << out << "\n";
  return 0;
}

}  // namespace

void add_keys(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<KeysArguments>();
  auto* verb = app.add_subcommand("keys", "Make a key set or an identity, or check one");
  auto* directory = verb->add_option("DIR", arguments->directory, "Folder of the new key set");
  verb->add_option("--bits", arguments->bits, "Modulus bits; 2048 gives 112-bit security")
      ->check(CLI::IsMember({"2048", "3072", "4096"}))
      ->capture_default_str();
  verb->footer("Example: blindsum keys my-keys --bits 3072; blindsum keys check my-keys");

  const auto checked = std::make_shared<std::string>();
  auto* check = verb->add_subcommand("check", "Check a key set");
  check->add_option("DIR", *checked, "Folder of the key set")->required();
  check->footer("Example: blindsum keys check my-keys");

  const auto owner = std::make_shared<std::string>();
  const auto folder = std::make_shared<std::string>();
  auto* identity = verb->add_subcommand("identity", "Make the identity of a role");
  identity->add_option("DIR", *folder, "Folder of identity.secret and identity.json")->required();
  identity->add_option("--role", *owner, "coordinator, keyholder or party-K")->required();
  identity->footer("Example: blindsum keys identity my-identity --role party-3");
  identity->callback(
      [folder, owner, &job] { job = [=] { return make_identity_files(*folder, *owner); }; });

  const auto files = std::make_shared<std::vector<std::string>>();
  const auto out = std::make_shared<std::string>();
  auto* enrolment = verb->add_subcommand("enrol", "Put the identities of all roles into one file");
  enrolment->add_option("FILES", *files, "identity.json of each role")->required();
  enrolment->add_option("--out", *out, "File for 'blindsum prepare --enrolment'")->required();
  enrolment->footer("Example: blindsum keys enrol */identity.json --out enrolment.json");
  enrolment->callback([files, out, &job] { job = [=] { return enrol(*files, *out); }; });

  check->callback([checked, &job] {
    job = [=]() -> int { become_key_holder({"check", "--keys", *checked}); };
  });
  verb->callback([=, &job] {
    if (*check || *identity || *enrolment) return;
    if (directory->empty()) throw ConfigError("keys: DIR is missing; see 'blindsum keys --help'");
    job = [=]() -> int {
      become_key_holder({"keygen", "--out", arguments->directory, "--bits", arguments->bits});
    };
  });
}

}  // namespace blindsum::launcher
