#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "party/key_holder/crypt_options.h"
#include "scenarios/launcher/verbs/key_holder_program.h"
#include "scenarios/launcher/verbs/verbs.h"

namespace blindsum::launcher {

void add_crypt(CLI::App& app, Job& job, std::vector<std::string> arguments) {
  auto* verb = app.add_subcommand("crypt", "Encrypt numbers and compute with them: JSON files");
  verb->footer(
      "Example: blindsum crypt genpkey private.json && blindsum crypt extract private.json "
      "public.json\n"
      "Keys and numbers are in the form of python-paillier's command line (pheutil).");
  key_holder::add_crypt_verbs(
      *verb, [&job, arguments = std::move(arguments)](const key_holder::CryptCommand&) {
        job = [arguments]() -> int { become_key_holder(arguments); };
      });
}

}  // namespace blindsum::launcher
