#include "party/key_holder/key_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
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

NewKeySet::NewKeySet(std::filesystem::path directory) : directory_(std::move(directory)) {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  lock_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (error || lock_ < 0 || ::access(directory_.c_str(), W_OK) != 0) {
    if (lock_ >= 0) ::close(lock_);
    throw KeyError(directory_.string() + ": no keys can be written here");
  }
  try {
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      throw KeyError(directory_.string() + ": another process makes keys here at this moment");
    }
    for (const auto& path : {public_key_path(directory_), secret_key_path(directory_)}) {
      if (std::filesystem::exists(path)) {
        throw KeyError(path.string() + ": exists already; keys are never overwritten");
      }
    }
    for (const auto& path : leftovers(directory_)) std::filesystem::remove(path);
  } catch (...) {
    ::close(lock_);
    throw;
  }
}

NewKeySet::~NewKeySet() { ::close(lock_); }

void NewKeySet::save(const crypto::SecretKey& key) const {
  const SecretBytes secret = key.serialize();
  write_secret_file(secret_key_path(directory_), secret.bytes());
  write_file_atomic(public_key_path(directory_), key.public_key().serialize());
}

void save_key_set(const std::filesystem::path& directory, const crypto::SecretKey& key) {
  NewKeySet(directory).save(key);
}

std::vector<std::filesystem::path> leftovers(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("secret.key.tmp.") || name.starts_with("public.key.tmp.")) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

crypto::SecretKey load_secret_key(const std::filesystem::path& secret_key_file,
                                  const std::filesystem::path& public_key_file,
                                  crypto::KeyPolicy policy) {
  crypto::SecretKey key = with_path(secret_key_file, [&] {
    return crypto::SecretKey::parse(read_secret_file(secret_key_file).bytes(), policy);
  });
  const auto public_key = with_path(public_key_file, [&] {
    constexpr std::size_t kMaxFileBytes = 65536;
    return crypto::PublicKey::parse(read_file(public_key_file, kMaxFileBytes), policy);
  });
  if (!(public_key == key.public_key())) {
    throw KeyError(public_key_file.string() + ": not the public key of " +
                   secret_key_file.string());
  }
  return key;
}

}  // namespace blindsum::key_holder
