#include "party/key_holder/key_store.h"

#include <string>

#include <unistd.h>

#include "shared/core/error.h"
#include "shared/core/file.h"

namespace blindsum::key_holder {
namespace {

// with_path runs `parse` and names the file in whatever it throws.
template <class Parse>
auto with_path(const std::filesystem::path& path, Parse parse) {
  try {
    return parse();
  } catch (const Error& error) {
    const std::string what = error.what();
    throw KeyError(what.starts_with(path.string()) ? what : path.string() + ": " + what);
  }
}

}  // namespace

std::filesystem::path public_key_path(const std::filesystem::path& directory) {
  return directory / "public.key";
}

std::filesystem::path secret_key_path(const std::filesystem::path& directory) {
  return directory / "secret.key";
}

void require_no_key_set(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error || ::access(directory.c_str(), W_OK) != 0) {
    throw KeyError(directory.string() + ": no keys can be written here");
  }
  for (const auto& path : {public_key_path(directory), secret_key_path(directory)}) {
    if (std::filesystem::exists(path)) {
      throw KeyError(path.string() + ": exists already; keys are never overwritten");
    }
  }
}

void save_key_set(const std::filesystem::path& directory, const crypto::SecretKey& key) {
  require_no_key_set(directory);
  const SecretBytes secret = key.serialize();
  write_secret_file(secret_key_path(directory), secret.bytes());
  write_file_atomic(public_key_path(directory), key.public_key().serialize());
}

crypto::SecretKey load_secret_key(const std::filesystem::path& secret_key_file,
                                  const std::filesystem::path& public_key_file) {
  crypto::SecretKey key = with_path(secret_key_file, [&] {
    return crypto::SecretKey::parse(read_secret_file(secret_key_file).bytes());
  });
  const auto public_key = with_path(public_key_file, [&] {
    constexpr std::size_t kMaxFileBytes = 65536;
    return crypto::PublicKey::parse(read_file(public_key_file, kMaxFileBytes));
  });
  if (!(public_key == key.public_key())) {
    throw KeyError(public_key_file.string() + ": not the public key of " +
                   secret_key_file.string());
  }
  return key;
}

}  // namespace blindsum::key_holder
