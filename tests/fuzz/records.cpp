// A record that is accepted says what its line says, and is the same when it is read again.
#include "shared/report/records.h"

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  static const fuzz::MemoryFile file;
  file.assign({data, size});
  const auto lines = fuzz::accepted<DecodeError>([&] { return report::read_records(file.path()); });
  if (!lines) return 0;
  for (const nlohmann::json& line : *lines) {
    const auto record =
        fuzz::accepted<DecodeError>([&] { return report::round_record_from_json(line); });
    if (!record) continue;
    const nlohmann::json written = report::to_json(*record);
    for (const auto& [key, value] : written.items()) {
      if (key != "evaluation") fuzz::require(line.at(key) == value, key + " was read as another");
    }
    fuzz::require(report::to_json(report::round_record_from_json(written)) == written,
                  "a record changes when it is written and read again");
  }
  return 0;
}
