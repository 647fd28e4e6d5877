#include "party/key_holder/crypt.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/crypto/encrypted_number.h"
#include "shared/crypto/number_json.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/key_generator.h"
#include "shared/crypto/secret/secret_key_json.h"

namespace blindsum::key_holder {
namespace {

using crypto::EncodedNumber;
using crypto::EncryptedNumber;
using crypto::PlainNumber;
using crypto::PublicKey;
using Verb = CryptCommand::Verb;

std::string name_of(const std::string& path) { return path == "-" ? "standard input" : path; }

// read_standard_input reads to the end, at most one byte more than kMaxJsonBytes.
SecretBytes read_standard_input() {
  SecretBytes buffer(crypto::kMaxJsonBytes + 1);
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.bytes().data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw ConfigError("standard input cannot be read");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return SecretBytes(buffer.bytes().first(size));
}

std::string read_text(const std::string& path) {
  if (path == "-") {
    const SecretBytes input = read_standard_input();
    return {input.bytes().begin(), input.bytes().end()};
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(crypto::kMaxJsonBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) throw ConfigError(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

void write_output(const std::string& path, std::string_view text, bool is_secret) {
  if (path == "-") {
    std::cout << text << std::flush;
    return;
  }
  // A device or a pipe is not to be replaced by a file.
  const auto status = std::filesystem::status(path);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw ConfigError(path + ": not a regular file; - is standard output");
  }
  try {
    write_file_atomic(path, text, is_secret ? 0600 : 0644);
  } catch (const Error& error) {
    throw ConfigError(error.what());
  }
}

template <class Read>
auto with_path(const std::string& path, Read read) {
  try {
    return read();
  } catch (const KeyError& error) {
    throw KeyError(name_of(path) + ": " + error.what());
  } catch (const DecodeError& error) {
    throw DataError(name_of(path) + ": not an encrypted number: " + error.what());
  }
}

// admitted returns parse(policy), and says so when --insecure is all that a key lacks.
template <class Parse>
auto admitted(bool is_insecure, Parse parse) {
  using crypto::KeyPolicy;
  if (is_insecure) return parse(KeyPolicy::kInsecureInteroperable);
  try {
    return parse(KeyPolicy::kInteroperable);
  } catch (const KeyError& error) {
    try {
      (void)parse(KeyPolicy::kInsecureInteroperable);
    } catch (const KeyError&) {
      throw error;
    }
    throw KeyError(std::string(error.what()) + "; --insecure admits this key");
  }
}

// Crypt carries out one command.
class Crypt {
 public:
  explicit Crypt(const CryptCommand& command) : command_(command) {
    const auto streams = std::array{command.key, command.number, command.other, command.plaintext};
    if (std::ranges::count(streams, "-") > 1) {
      throw ConfigError("only one of the inputs can be standard input");
    }
  }

  void run() {
    switch (command_.verb) {
      case Verb::kGenpkey:
        return genpkey();
      case Verb::kExtract:
        return extract();
      case Verb::kEncrypt: {
        const PublicKey key = public_key();
        const PlainNumber number = plaintext();
        return write(
            EncryptedNumber::encrypt(encode(key, number, command_.exponent), encryptor(key)));
      }
      case Verb::kDecrypt:
        return decrypt();
      case Verb::kAdd: {
        const EncryptedNumber a = encrypted(public_key(), command_.number);
        const PlainNumber number = plaintext();
        const std::int32_t exponent = std::min(a.exponent(), command_.exponent);
        return compute([&] { return a + encode(a.key(), number, exponent); });
      }
      case Verb::kAddenc: {
        const EncryptedNumber a = encrypted(public_key(), command_.number);
        const EncryptedNumber b = encrypted(a.key(), command_.other);
        return compute([&] { return a + b; });
      }
      case Verb::kMultiply: {
        const EncryptedNumber a = encrypted(public_key(), command_.number);
        const PlainNumber number = plaintext();
        return compute([&] { return a * encode_factor(a.key(), number); });
      }
    }
  }

 private:
  void genpkey() {
    if (command_.output != "-" && std::filesystem::exists(command_.output)) {
      throw KeyError(command_.output + ": exists already; keys are never overwritten");
    }
    const std::size_t bits = command_.keysize;
    const bool is_secure = bits == 2048 || bits == 3072 || bits == 4096;
    if (!is_secure && !command_.is_insecure) {
      throw ConfigError("--keysize " + std::to_string(bits) +
                        ": 2048, 3072 or 4096; others are made with --insecure");
    }
    if (bits < 128 || bits > 8192 || bits % 2 != 0) {
      throw ConfigError("--keysize " + std::to_string(bits) + ": an even number from 128 to 8192");
    }
    const auto policy =
        is_secure ? crypto::KeyPolicy::kSecure : crypto::KeyPolicy::kInsecureTesting;
    const crypto::SecretKey key = crypto::generate_key(bits, pool_, policy);
    const SecretBytes text = crypto::secret_key_to_json(key, kid("private"), kid("public"));
    write_output(command_.output, {reinterpret_cast<const char*>(text.bytes().data()), text.size()},
                 true);
    std::cerr << "private key of " << bits << " bits written"
              << (is_secure ? "\n" : "; INSECURE: for experiments alone\n");
  }

  // kid returns the comment of a new key.
  [[nodiscard]] std::string kid(const std::string& half) const {
    if (!command_.id.empty()) return command_.id;
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::array<char, 32> date{};
    std::tm parts{};
    (void)std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &parts));
    return "Paillier " + half + " key generated by blindsum on " + date.data();
  }

  void extract() {
    const crypto::PrivateKeyFile file = private_key();
    // Over the private key, or another one, the public half would be a loss.
    std::error_code error;
    if (command_.key != "-" && std::filesystem::equivalent(command_.key, command_.output, error)) {
      throw ConfigError(command_.output + ": would overwrite the private key");
    }
    write_output(command_.output,
                 crypto::public_key_to_json(file.key.public_key(), file.public_kid), false);
  }

  void decrypt() {
    const crypto::PrivateKeyFile file = private_key();
    const EncryptedNumber number = encrypted(file.key.public_key(), command_.number);
    const EncodedNumber result = crypto::Decryptor(file.key, pool_).decrypt(number);
    std::string text;
    if (command_.is_exact || result.is_whole()) {
      text = result.to_decimal();
    } else {
      std::array<char, 32> digits{};
      text.assign(
          digits.data(),
          std::to_chars(digits.data(), digits.data() + digits.size(), result.to_double()).ptr);
    }
    write_output(command_.output, text + "\n", true);
  }

  [[nodiscard]] crypto::PrivateKeyFile private_key() const {
    const std::string& path = command_.key;
    crypto::PrivateKeyFile file = with_path(path, [&] {
      const SecretBytes text = path == "-" ? read_standard_input() : read_secret(path);
      return admitted(command_.is_insecure, [&](crypto::KeyPolicy policy) {
        return crypto::secret_key_from_json(text.bytes(), policy);
      });
    });
    if (!file.key.has_safe_primes()) {
      std::cerr << "note: " << name_of(path)
                << ": its primes are not safe primes, so it is weaker than keys made here (see "
                   "shared/crypto/secret/README.md) and cannot serve a federation\n";
    }
    return file;
  }

  // read_secret keeps read_secret_file's own naming of the path from being doubled.
  [[nodiscard]] static SecretBytes read_secret(const std::string& path) {
    try {
      return read_secret_file(path, crypto::kMaxJsonBytes);
    } catch (const Error& error) {
      const std::string what = error.what();
      const std::string prefix = path + ": ";
      throw KeyError(what.starts_with(prefix) ? what.substr(prefix.size()) : what);
    }
  }

  [[nodiscard]] PublicKey public_key() const {
    return with_path(command_.key, [&] {
      const std::string text = read_text(command_.key);
      return admitted(command_.is_insecure, [&](crypto::KeyPolicy policy) {
        return crypto::public_key_from_json(text, policy);
      });
    });
  }

  [[nodiscard]] static EncryptedNumber encrypted(const PublicKey& key, const std::string& path) {
    return with_path(path,
                     [&] { return crypto::encrypted_number_from_json(key, read_text(path)); });
  }

  [[nodiscard]] PlainNumber plaintext() const {
    std::string text = command_.plaintext;
    if (text == "-") {
      text = read_text("-");
      text.erase(text.find_last_not_of(" \t\r\n") + 1);
    }
    try {
      return PlainNumber::parse(text);
    } catch (const CryptoError& error) {
      throw ConfigError(std::string("PLAINTEXT: ") + error.what());
    }
  }

  // encode encodes at `exponent`, or adaptively, at most there.
  [[nodiscard]] EncodedNumber encode(const PublicKey& key, const PlainNumber& number,
                                     std::int32_t exponent) const {
    return encoded([&] {
      if (command_.is_adaptive) {
        return EncodedNumber::encode(key, number, crypto::EncodingOptions{{}, exponent});
      }
      return EncodedNumber::encode(
          key, number,
          crypto::FixedExponent{exponent, command_.rounds
                                              ? crypto::FixedExponent::Inexact::kRound
                                              : crypto::FixedExponent::Inexact::kRefuse});
    });
  }
  // encode_factor is encode, but an adaptive factor keeps its own exponent: a higher one wastes
  // less of the key's range.
  [[nodiscard]] EncodedNumber encode_factor(const PublicKey& key, const PlainNumber& number) const {
    if (!command_.is_adaptive) return encode(key, number, command_.exponent);
    return encoded([&] { return EncodedNumber::encode(key, number); });
  }

  template <class Encode>
  [[nodiscard]] static EncodedNumber encoded(Encode encode) {
    try {
      return encode();
    } catch (const CryptoError& error) {
      throw ConfigError(std::string("PLAINTEXT: ") + error.what() +
                        " (--exponent, --round; 'blindsum crypt encrypt --help')");
    }
  }

  // compute writes a result of `operation` at --exponent or below.
  template <class Operation>
  void compute(Operation operation) {
    try {
      const EncryptedNumber result = operation();
      return write(result.decrease_exponent_to(std::min(result.exponent(), command_.exponent)));
    } catch (const KeyError&) {
      throw;
    } catch (const CryptoError& error) {
      throw DataError(error.what());  // exponents from a file that do not go together
    }
  }

  void write(EncryptedNumber number) {
    const crypto::Encryptor own = encryptor(number.key());
    write_output(command_.output, crypto::to_json(number, own), false);
  }

  // encryptor makes r^n: nothing says that a foreign key has safe primes.
  [[nodiscard]] crypto::Encryptor encryptor(const PublicKey& key) {
    return {key, crypto::Randomizer::kFull, pool_};
  }

  const CryptCommand& command_;
  ThreadPool pool_{0};
};

}  // namespace

int run_crypt(const CryptCommand& command) {
  Crypt(command).run();
  return 0;
}

}  // namespace blindsum::key_holder
