// Hand-written KDD rows for tests of data and model.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "shared/core/file.h"
#include "shared/data/kdd.h"
#include "tests/support/temp_dir.h"

namespace blindsum::test {

inline const std::string kNormalRow =
    "0,tcp,http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,0.00,0.00,"
    "9,9,1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00,normal.\n";
inline const std::string kSmurfRow =
    "0,icmp,ecr_i,SF,1032,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,511,511,0.00,0.00,0.00,0.00,1.00,0.00,"
    "0.00,255,255,1.00,0.00,1.00,0.00,0.00,0.00,0.00,0.00,smurf.\n";
inline const std::string kRootkitRow =
    "61,udp,other,S0,294,3929,1,2,3,4,5,0,6,1,2,7,8,9,10,11,1,1,12,13,0.01,0.02,0.03,0.04,0.05,0."
    "06,"
    "0.07,14,15,0.08,0.09,0.10,0.11,0.12,0.13,0.14,0.15,rootkit.\n";

// replaced returns `row` with field `column` (from 0) set to `value`.
inline std::string replaced(std::string row, std::size_t column, std::string_view value) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < column; ++i) begin = row.find(',', begin) + 1;
  return row.replace(begin, row.find_first_of(",\n", begin) - begin, value);
}

inline data::RecordTable parse(std::string_view text) {
  const TempDir folder;
  write_file_atomic(folder.path() / "rows", text);
  return data::read_kdd(folder.path() / "rows");
}

}  // namespace blindsum::test
