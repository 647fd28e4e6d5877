#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "scenarios/launcher/run.h"
#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/error.h"

namespace blindsum::launcher {
namespace {

struct KeysArguments {
  std::string directory, bits = "3072";
};

// become_key_holder replaces this program by blindsum-keyholder: the launcher itself handles no
// secret key.
[[noreturn]] void become_key_holder(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), (programs_directory() / "blindsum-keyholder").string());
  std::vector<char*> raw;
  raw.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  execv(raw[0], raw.data());
  throw Error(arguments[0] + ": cannot be started: " + std::strerror(errno));
}

}  // namespace

void add_keys(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<KeysArguments>();
  auto* verb = app.add_subcommand("keys", "Make a key set, or check one");
  auto* directory = verb->add_option("DIR", arguments->directory, "Folder of the new key set");
  verb->add_option("--bits", arguments->bits, "Modulus bits; 2048 gives 112-bit security")
      ->check(CLI::IsMember({"2048", "3072", "4096"}))
      ->capture_default_str();
  verb->footer("Example: blindsum keys my-keys --bits 3072; blindsum keys check my-keys");

  const auto checked = std::make_shared<std::string>();
  auto* check = verb->add_subcommand("check", "Check a key set");
  check->add_option("DIR", *checked, "Folder of the key set")->required();
  check->footer("Example: blindsum keys check my-keys");

  check->callback([checked, &job] {
    job = [=]() -> int { become_key_holder({"check", "--keys", *checked}); };
  });
  verb->callback([=, &job] {
    if (*check) return;
    if (directory->empty()) throw ConfigError("keys: DIR is missing; see 'blindsum keys --help'");
    job = [=]() -> int {
      become_key_holder({"keygen", "--out", arguments->directory, "--bits", arguments->bits});
    };
  });
}

}  // namespace blindsum::launcher
