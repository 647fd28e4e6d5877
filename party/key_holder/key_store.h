// Key sets on disk: DIR/public.key, and DIR/secret.key with mode 0600.
#pragma once

#include <filesystem>
#include <vector>

#include "shared/crypto/secret/key_generator.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum::key_holder {

[[nodiscard]] std::filesystem::path public_key_path(const std::filesystem::path& directory);
[[nodiscard]] std::filesystem::path secret_key_path(const std::filesystem::path& directory);

// NewKeySet reserves a folder for one new key set, as long as it lives: two processes that make
// keys in one folder can never mix their files. It makes the folder and removes what an interrupted
// writer has left there.
class NewKeySet {
 public:
  // Throws KeyError when the folder cannot be written to, another process makes keys in it, or one
  // of the two files exists: keys are never overwritten.
  explicit NewKeySet(std::filesystem::path directory);
  ~NewKeySet();
  NewKeySet(const NewKeySet&) = delete;
  NewKeySet& operator=(const NewKeySet&) = delete;

  // save writes both files, each complete or not at all; the public key, which makes the set whole,
  // comes last.
  void save(const crypto::SecretKey& key) const;

 private:
  std::filesystem::path directory_;
  int lock_ = -1;
};

// save_key_set makes a NewKeySet and saves `key` in it.
void save_key_set(const std::filesystem::path& directory, const crypto::SecretKey& key);

// leftovers lists the temporary files of an interrupted writer; they may hold parts of a secret
// key.
[[nodiscard]] std::vector<std::filesystem::path> leftovers(const std::filesystem::path& directory);

// load_secret_key reads and validates the secret key and checks that the public key beside it
// belongs to it. Throws KeyError.
[[nodiscard]] crypto::SecretKey load_secret_key(
    const std::filesystem::path& secret_key_file, const std::filesystem::path& public_key_file,
    crypto::KeyPolicy policy = crypto::KeyPolicy::kSecure);

}  // namespace blindsum::key_holder
