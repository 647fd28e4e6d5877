// Files: whole-file reads with limits, and writes that are either complete or absent.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "shared/core/bytes.h"
#include "shared/core/random.h"

namespace blindsum {

// read_file returns the whole file. Throws Error when it is missing, unreadable or larger than
// `max_bytes`.
[[nodiscard]] Bytes read_file(const std::filesystem::path& path,
                              std::size_t max_bytes = std::size_t{1} << 30);
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path,
                                         std::size_t max_bytes = std::size_t{64} << 20);

// write_file_atomic writes a temporary file beside `path`, fsyncs it, renames it over `path` and
// fsyncs the directory: after a crash the file has its old content or its new one. `mode` is the
// permission of a new file.
void write_file_atomic(const std::filesystem::path& path, ByteView content, unsigned mode = 0644);
void write_file_atomic(const std::filesystem::path& path, std::string_view content,
                       unsigned mode = 0644);

// open_standard_streams opens /dev/null for each of the descriptors 0, 1 and 2 that is closed: else
// the next file to be opened would get its number, and with it what the program prints.
void open_standard_streams();

// write_secret_file is write_file_atomic with mode 0600. read_secret_file throws KeyError when
// group or others may read or write the file.
void write_secret_file(const std::filesystem::path& path, ByteView content);
[[nodiscard]] SecretBytes read_secret_file(const std::filesystem::path& path,
                                           std::size_t max_bytes = std::size_t{1} << 20);

}  // namespace blindsum
