// Reading the records of a role while it writes them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "shared/report/records.h"

namespace blindsum::launcher {

// RecordTail reads a records file as it grows.
class RecordTail {
 public:
  // A tail begins at the beginning of the file, which may not be there yet.
  explicit RecordTail(std::filesystem::path path) : path_(std::move(path)) {}

  // skip passes over what is there.
  void skip() { (void)next(); }

  // next returns the complete round records that were added since the last call.
  [[nodiscard]] std::vector<report::RoundRecord> next();

 private:
  std::filesystem::path path_;
  std::size_t offset_ = 0;
};

}  // namespace blindsum::launcher
