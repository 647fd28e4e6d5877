// What the fuzz targets share. A target is one file that defines LLVMFuzzerTestOneInput, and
// perhaps LLVMFuzzerCustomMutator; it is linked with libFuzzer, or with replay_main.cpp.
#pragma once

#include <concepts>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>

#include "shared/core/bytes.h"

extern "C" {
// What libFuzzer calls, and what it offers to custom mutators.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed);
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
}

namespace blindsum::fuzz {

// require throws when `holds` is false: no target catches that, so it counts as a crash.
void require(bool holds, const std::string& what);

// accepted returns what `read` returns, or nothing when it throws a Refusal. Every other exception
// passes through: it counts as a crash.
template <class Refusal, std::invocable Read>
std::optional<std::invoke_result_t<Read>> accepted(Read&& read) {
  try {
    return read();
  } catch (const Refusal&) {
    return std::nullopt;
  }
}

// MemoryFile is a file without a disk, for readers that take a path; only its owner may read it.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void assign(ByteView content) const;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  int file_;
  std::filesystem::path path_;
};

// mutate_sealed changes a key file (a magic line, a length, bytes, a hash over all of it), and
// mostly makes length and hash right again: else nothing would get beyond them.
[[nodiscard]] std::size_t mutate_sealed(std::size_t magic_bytes, std::uint8_t* data,
                                        std::size_t size, std::size_t max_size, unsigned seed);

}  // namespace blindsum::fuzz
