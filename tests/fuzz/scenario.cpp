// A scenario that is accepted means the same after it was written and read again.
#include "scenarios/launcher/scenario.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read =
      fuzz::accepted<ConfigError>([&] { return launcher::parse_scenario(text, "input.yaml"); });
  if (read) {
    const auto again = launcher::parse_scenario(launcher::to_yaml(*read), "written.yaml");
    fuzz::require(settings::to_json(again) == settings::to_json(*read),
                  "a scenario changes when it is written and read again");
  }
  return 0;
}
