#include "party/key_holder/crypt_options.h"

#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

namespace blindsum::key_holder {
namespace {

using Verb = CryptCommand::Verb;

class Verbs {
 public:
  Verbs(CLI::App& app, CryptHandler chosen) : app_(app), chosen_(std::move(chosen)) {}

  // begin starts a verb; the functions below add to it.
  Verbs& begin(Verb verb, const char* name, const char* description, const char* example) {
    command_ = std::make_shared<CryptCommand>();
    command_->verb = verb;
    verb_ = app_.add_subcommand(name, description);
    verb_->footer(std::string("Example: blindsum crypt ") + example);
    verb_->callback([command = command_, chosen = chosen_] { chosen(*command); });
    verb_->add_flag("--insecure", command_->is_insecure, "Admit keys of fewer than 2048 bits");
    return *this;
  }
  Verbs& file(const char* name, std::string CryptCommand::*member, const char* description) {
    verb_->add_option(name, (*command_).*member, description)->required();
    return *this;
  }
  Verbs& output() {
    verb_->add_option("--output", command_->output, "File to write")->capture_default_str();
    return *this;
  }
  Verbs& plaintext() {
    return file("PLAINTEXT", &CryptCommand::plaintext,
                "A number; - reads it from standard input, where no other user sees it");
  }
  Verbs& encoding() {
    verb_
        ->add_option("--exponent", command_->exponent,
                     "Of base 16, for every plain number: numbers are multiples of 16^this")
        ->capture_default_str();
    auto* rounds =
        verb_->add_flag("--round", command_->rounds, "Round numbers that are no such multiples");
    verb_
        ->add_flag("--adaptive", command_->is_adaptive,
                   "python-paillier's way: an exponent that follows the number and shows how large "
                   "it is; --exponent is the highest")
        ->excludes(rounds);
    return *this;
  }

  [[nodiscard]] CLI::App& verb() { return *verb_; }
  [[nodiscard]] CryptCommand& command() { return *command_; }

 private:
  CLI::App& app_;
  CryptHandler chosen_;
  std::shared_ptr<CryptCommand> command_;
  CLI::App* verb_ = nullptr;
};

}  // namespace

void add_crypt_verbs(CLI::App& app, CryptHandler chosen) {
  constexpr const char* kPublic = "Public key, JSON; - is standard input";
  constexpr const char* kEncrypted = "Encrypted number, JSON; - is standard input";
  app.require_subcommand(1);
  Verbs verbs(app, std::move(chosen));

  verbs.begin(Verb::kGenpkey, "genpkey", "Make a private key", "genpkey private.json")
      .file("OUTPUT", &CryptCommand::output, "File of the new key; - is standard output");
  verbs.verb()
      .add_option("--keysize", verbs.command().keysize, "Modulus bits: 2048, 3072 or 4096")
      ->capture_default_str();
  verbs.verb().add_option("--id", verbs.command().id, "Comment in the key");

  verbs
      .begin(Verb::kExtract, "extract", "Take the public key out of a private key",
             "extract private.json public.json")
      .file("PRIVATE", &CryptCommand::key, "Private key, JSON; - is standard input")
      .file("OUTPUT", &CryptCommand::output, "File of the public key; - is standard output");

  verbs
      .begin(Verb::kEncrypt, "encrypt", "Encrypt a number",
             "encrypt public.json 3.14 --output a.json")
      .file("PUBLIC", &CryptCommand::key, kPublic)
      .plaintext()
      .encoding()
      .output();

  verbs.begin(Verb::kDecrypt, "decrypt", "Decrypt a number", "decrypt private.json a.json")
      .file("PRIVATE", &CryptCommand::key, "Private key, JSON; - is standard input")
      .file("ENCRYPTED", &CryptCommand::number, kEncrypted)
      .output();
  verbs.verb().add_flag("--exact", verbs.command().is_exact,
                        "Print all digits, not the nearest double");

  verbs
      .begin(Verb::kAdd, "add", "Add a plain number to an encrypted one",
             "add public.json a.json -- -2.5")
      .file("PUBLIC", &CryptCommand::key, kPublic)
      .file("ENCRYPTED", &CryptCommand::number, kEncrypted)
      .plaintext()
      .encoding()
      .output();

  verbs
      .begin(Verb::kAddenc, "addenc", "Add two encrypted numbers",
             "addenc public.json a.json b.json")
      .file("PUBLIC", &CryptCommand::key, kPublic)
      .file("ENCRYPTED_A", &CryptCommand::number, kEncrypted)
      .file("ENCRYPTED_B", &CryptCommand::other, kEncrypted)
      .output();

  verbs
      .begin(Verb::kMultiply, "multiply", "Multiply an encrypted number by a plain one",
             "multiply public.json a.json 10")
      .file("PUBLIC", &CryptCommand::key, kPublic)
      .file("ENCRYPTED", &CryptCommand::number, kEncrypted)
      .plaintext()
      .encoding()
      .output();
}

}  // namespace blindsum::key_holder
