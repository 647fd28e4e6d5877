// Encryption: c = (1 + m·n) · obfuscator mod n².
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>

#include "shared/core/thread_pool.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

// Randomizer is how an obfuscator is made, and under which assumption encryption hides the
// plaintext.
//   kFull   r^n mod n², r a uniform unit: decisional composite residuosity (DCR) alone. Textbook
//   Paillier 1999. kHalf   h_s^r, h_s = h^n mod n², h = −x² mod n, r uniform of |n|/2 bits:
//   Damgård, Jurik, Nielsen 2010, section 4.2.
//           x is hashed from n, so nobody chooses the base.
//   kShort  the same with r of 320 bits at 3072-bit keys, 288 at 2048 and 352 at 4096: adds the
//   short-exponent discrete-log
//           assumption in safe-prime groups (the practice of RFC 7919).
enum class Randomizer { kFull, kHalf, kShort };

[[nodiscard]] std::string_view to_string(Randomizer randomizer);         // "full", "half", "short"
[[nodiscard]] Randomizer randomizer_from_string(std::string_view name);  // Throws ConfigError.
[[nodiscard]] std::string_view assumption_of(
    Randomizer randomizer);  // one sentence for the records of a run

// TableOptions says where the powers of the fixed base are kept, for kHalf and kShort.
//
// With a `directory`, the table is a file there that every process of this user maps read-only: the
// first makes it while the others wait. A damaged or smaller file is made anew; where none can be
// written, and without a directory, the process has a table of its own. Tables of different keys
// need different directories.
struct TableOptions {
  std::filesystem::path directory;
  std::size_t encryptions = 0;  // ahead, for all who use the table: more make it larger; 0: unknown
  std::size_t max_bytes = std::size_t{64} << 20;
};

// TableInfo describes a table: `file` is empty when it is this process's own.
struct TableInfo {
  std::size_t bytes = 0;
  std::size_t windows = 0;
  std::filesystem::path file;
};

// remove_tables deletes the table files in `directory`, as far as it can. Processes that have
// mapped one keep it.
void remove_tables(const std::filesystem::path& directory) noexcept;

// Encryptor encrypts under one public key. Randomness is fresh for every ciphertext, from the
// operating system. Thread-safe once made; `pool` must outlive it and is used by one call at a
// time.
class Encryptor {
 public:
  // Makes or maps the fixed-base table for kHalf and kShort (tens of megabytes, under a second).
  // Throws KeyError when a table file may have been written by others.
  Encryptor(PublicKey key, Randomizer randomizer, ThreadPool& pool, const TableOptions& table = {});
  ~Encryptor();
  Encryptor(Encryptor&&) noexcept;
  Encryptor& operator=(Encryptor&&) noexcept;

  [[nodiscard]] const PublicKey& key() const;
  [[nodiscard]] Randomizer randomizer() const;
  [[nodiscard]] TableInfo table() const;  // of zero bytes for kFull

  // encrypt throws CryptoError when a plaintext is not below n.
  [[nodiscard]] CiphertextVector encrypt(const PlaintextVector& plaintexts) const;

  // rerandomize multiplies every ciphertext by a fresh encryption of zero: same plaintext,
  // unlinkable ciphertext.
  [[nodiscard]] CiphertextVector rerandomize(const CiphertextVector& ciphertexts) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blindsum::crypto
