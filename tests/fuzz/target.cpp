#include "tests/fuzz/target.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/core/hash.h"

namespace blindsum::fuzz {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

MemoryFile::MemoryFile()
    : file_(memfd_create("fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(file_)) {
  if (file_ < 0 || fchmod(file_, 0600) != 0) {
    throw std::system_error(errno, std::generic_category(), "memfd_create");
  }
}

MemoryFile::~MemoryFile() { close(file_); }

void MemoryFile::assign(ByteView content) const {
  if (ftruncate(file_, 0) != 0 ||
      pwrite(file_, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) {
    throw std::system_error(errno, std::generic_category(), "memory file");
  }
}

std::size_t mutate_sealed(std::size_t magic_bytes, std::uint8_t* data, std::size_t size,
                          std::size_t max_size, unsigned seed) {
  const std::size_t overhead = magic_bytes + 4 + sizeof(Digest);
  if (seed % 4 == 0 || size < overhead || max_size < overhead) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const std::size_t begin = magic_bytes + 4;
  const std::size_t length = LLVMFuzzerMutate(data + begin, size - overhead, max_size - overhead);
  Bytes prefix;
  append_le32(prefix, static_cast<std::uint32_t>(length));
  std::copy(prefix.begin(), prefix.end(), data + magic_bytes);
  const Digest check = sha256(ByteView(data, begin + length));
  std::copy(check.begin(), check.end(), data + begin + length);
  return overhead + length;
}

}  // namespace blindsum::fuzz
