#include "shared/core/file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/core/error.h"

namespace blindsum {
namespace {

std::string reason() { return std::strerror(errno); }

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// read_all appends the content of the open file to `out`, which must have the method resize and
// data.
template <class Buffer>
void read_all(int fd, const std::filesystem::path& path, std::size_t size, Buffer& out) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, out.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      throw Error(path.string() + ": cannot be read: " + (got < 0 ? reason() : "it shrank"));
    done += static_cast<std::size_t>(got);
  }
}

std::size_t checked_size(const struct stat& status, const std::filesystem::path& path,
                         std::size_t max_bytes) {
  if (!S_ISREG(status.st_mode)) throw Error(path.string() + ": not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > max_bytes) {
    throw Error(path.string() + ": " + std::to_string(size) + " bytes, at most " +
                std::to_string(max_bytes) + " expected");
  }
  return size;
}

template <class Buffer>
Buffer read_whole(const std::filesystem::path& path, std::size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw Error(path.string() + ": cannot be opened: " + reason());
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) throw Error(path.string() + ": " + reason());
  Buffer buffer;
  buffer.resize(checked_size(status, path, max_bytes));
  read_all(file.get(), path, buffer.size(), buffer);
  return buffer;
}

}  // namespace

Bytes read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  return read_whole<Bytes>(path, max_bytes);
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

void write_file_atomic(const std::filesystem::path& path, ByteView content, unsigned mode) {
  const std::filesystem::path temporary = path.string() + ".tmp." + std::to_string(::getpid());
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  {
    // Nobody else's file, link or mode: what lies there goes, and the new file is made exclusively.
    ::unlink(temporary.c_str());
    const FileDescriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) throw Error(path.string() + ": cannot be written: " + reason());
    std::size_t done = 0;
    while (done < content.size()) {
      const ssize_t put = ::write(file.get(), content.data() + done, content.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        const std::string why = reason();
        ::unlink(temporary.c_str());
        throw Error(path.string() + ": cannot be written: " + why);
      }
      done += static_cast<std::size_t>(put);
    }
    if (::fsync(file.get()) != 0) {
      const std::string why = reason();
      ::unlink(temporary.c_str());
      throw Error(path.string() + ": cannot be synchronised: " + why);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const std::string why = reason();
    ::unlink(temporary.c_str());
    throw Error(path.string() + ": cannot be renamed into place: " + why);
  }
  const FileDescriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot synchronise a directory and say so.
  if (folder.get() < 0 || (::fsync(folder.get()) != 0 && errno != EINVAL && errno != ENOTSUP)) {
    throw Error(directory.string() + ": cannot be synchronised: " + reason());
  }
}

void write_file_atomic(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  write_file_atomic(path, as_bytes(content), mode);
}

void open_standard_streams() {
  for (int next = 0; next <= STDERR_FILENO;) {
    next = ::open("/dev/null", O_RDWR);  // the lowest number that is free
    if (next < 0) throw Error("/dev/null: cannot be opened: " + reason());
    if (next > STDERR_FILENO) ::close(next);
  }
}

void write_secret_file(const std::filesystem::path& path, ByteView content) {
  write_file_atomic(path, content, 0600);
}

SecretBytes read_secret_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) throw KeyError(path.string() + ": cannot be opened: " + reason());
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) throw KeyError(path.string() + ": " + reason());
  if ((status.st_mode & 077) != 0) {
    throw KeyError(path.string() +
                   ": others than its owner may use this secret; run 'chmod 600' on it");
  }
  SecretBytes buffer(checked_size(status, path, max_bytes));
  auto view = buffer.bytes();
  read_all(file.get(), path, buffer.size(), view);
  return buffer;
}

}  // namespace blindsum
