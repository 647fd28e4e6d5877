// Key sets on disk: DIR/public.key, and DIR/secret.key with mode 0600.
#pragma once

#include <filesystem>

#include "shared/crypto/secret/key_generator.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum::key_holder {

[[nodiscard]] std::filesystem::path public_key_path(const std::filesystem::path& directory);
[[nodiscard]] std::filesystem::path secret_key_path(const std::filesystem::path& directory);

// save_key_set writes both files, each complete or not at all. Throws KeyError when one exists
// already: keys are never overwritten.
void save_key_set(const std::filesystem::path& directory, const crypto::SecretKey& key);

// require_no_key_set makes the folder, and throws KeyError when it cannot be written to or one of
// the two files exists: before the long search for
// primes.
void require_no_key_set(const std::filesystem::path& directory);

// load_secret_key reads and validates the secret key and checks that the public key beside it
// belongs to it. Throws KeyError.
[[nodiscard]] crypto::SecretKey load_secret_key(const std::filesystem::path& secret_key_file,
                                                const std::filesystem::path& public_key_file);

}  // namespace blindsum::key_holder
