// The command line of 'blindsum crypt', which blindsum parses and blindsum-keyholder carries out:
// the launcher handles no secret key.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace blindsum::key_holder {

// CryptCommand is one parsed command. Files are paths, "-" for a standard stream.
struct CryptCommand {
  enum class Verb { kGenpkey, kExtract, kEncrypt, kDecrypt, kAdd, kAddenc, kMultiply };
  Verb verb = Verb::kGenpkey;
  std::string key;              // the key file that is read
  std::string number;           // file of an encrypted number
  std::string other;            // file of a second one
  std::string plaintext;        // a number, or "-"
  std::string output = "-";     // file that is written
  std::string id;               // comment of a new key
  std::size_t keysize = 3072;   // of a new key
  std::int32_t exponent = -32;  // of plain numbers
  bool rounds = false;          // to a multiple of 16^exponent
  bool is_adaptive = false;     // the exponent follows the number, as python-paillier's does
  bool is_exact = false;        // all digits are printed
  bool is_insecure = false;     // keys below 2048 bits are admitted
};

using CryptHandler = std::function<void(const CryptCommand&)>;

// add_crypt_verbs adds the verbs of `crypt` to `app`, which must outlive their parsing. When one is
// parsed, `chosen` is called with it.
void add_crypt_verbs(CLI::App& app, CryptHandler chosen);

}  // namespace blindsum::key_holder
