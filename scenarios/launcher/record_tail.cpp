#include "scenarios/launcher/record_tail.h"

#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

namespace blindsum::launcher {

std::vector<report::RoundRecord> RecordTail::next() {
  std::vector<report::RoundRecord> records;
  std::ifstream file(path_);
  if (!file.seekg(static_cast<std::streamoff>(offset_))) return records;
  for (std::string line; std::getline(file, line) && !file.eof();) {
    offset_ += line.size() + 1;
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (object.is_object() && report::kind_of(object) == report::LineKind::kRound) {
      records.push_back(report::round_record_from_json(object));
    }
  }
  return records;
}

}  // namespace blindsum::launcher
