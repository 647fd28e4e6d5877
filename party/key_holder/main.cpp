// blindsum-keyholder [--wait SECONDS] ROLE_FILE     runs the key-holder of one federation
// blindsum-keyholder keygen --out DIR [--bits B]    makes a key set
// blindsum-keyholder check --keys DIR               checks a key set
// blindsum-keyholder crypt VERB …                   encrypted numbers: see 'blindsum crypt --help'
#include <iostream>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "party/key_holder/crypt.h"
#include "party/key_holder/key_store.h"
#include "party/key_holder/make.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"
#include "shared/core/log.h"
#include "shared/role/run_role.h"

namespace {

using namespace blindsum;

int keygen(const std::string& directory, std::size_t bits, bool insecure) {
  const key_holder::NewKeySet key_set(directory);  // before the long search for primes
  ThreadPool pool(0);
  const crypto::SecretKey key = crypto::generate_key(
      bits, pool, insecure ? crypto::KeyPolicy::kInsecureTesting : crypto::KeyPolicy::kSecure,
      [](int primes, std::uint64_t tested) {
        std::cout << "primes=" << primes << " of 2, candidates=" << tested << std::endl;
        return true;
      });
  key_set.save(key);
  std::cout << "key " << digest_text(key.public_key().id()) << " of " << bits << " bits in "
            << directory << std::endl;
  return 0;
}

int check(const std::string& directory) {
  const crypto::SecretKey key = key_holder::load_secret_key(key_holder::secret_key_path(directory),
                                                            key_holder::public_key_path(directory));
  std::cout << "key " << digest_text(key.public_key().id()) << " of "
            << key.public_key().modulus_bits() << " bits in " << directory << ": good\n";
  for (const auto& path : key_holder::leftovers(directory)) {
    std::cerr << "WARNING: " << path.string()
              << ": left behind by an interrupted writer, and may hold a secret; delete it\n";
  }
  return 0;
}

int run(int argc, char** argv) {
  return role::run_role(
      wire::Role::kKeyHolder, argc, argv,
      [](const settings::RoleFile& file, ThreadPool& pool, report::RecordWriter& records) {
        return key_holder::make_program(file, pool, records);
      },
      "blindsum-keyholder keygen --out DIR [--bits B]   makes a key set\n"
      "blindsum-keyholder check --keys DIR              checks a key set\n"
      "blindsum-keyholder crypt VERB …                  encrypted numbers, JSON");
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb != "keygen" && verb != "check" && verb != "crypt") return run(argc, argv);
  CLI::App app{"Makes and checks key sets, and encrypts and decrypts numbers."};
  std::string directory;
  std::size_t bits = 3072;
  auto* make = app.add_subcommand("keygen", "Make a key set");
  make->add_option("--out", directory, "Directory of the new key set")->required();
  make->add_option("--bits", bits, "Modulus bits")->check(CLI::IsMember({256, 2048, 3072, 4096}));
  bool insecure = false;
  make->add_flag("--insecure", insecure, "Admit 256 bits, which anybody can break, for the replay");
  auto* test = app.add_subcommand("check", "Check a key set");
  test->add_option("--keys", directory, "Directory of the key set")->required();
  auto* crypt = app.add_subcommand("crypt", "Encrypted numbers in python-paillier's JSON");
  key_holder::CryptCommand command;
  key_holder::add_crypt_verbs(*crypt,
                              [&](const key_holder::CryptCommand& chosen) { command = chosen; });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(Fault::kUsage);
  }
  try {
    role::forbid_core_files();
    const int code = *crypt  ? key_holder::run_crypt(command)
                     : *make ? keygen(directory, bits, insecure)
                             : check(directory);
    if (!std::cout.flush()) throw ConfigError("standard output cannot be written");
    return code;
  } catch (const std::exception& error) {
    std::cerr << "blindsum-keyholder: " << error.what() << "\n";
    return exit_code(fault_of(error));
  }
}
