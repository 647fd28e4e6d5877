// A role file that is accepted means the same after it was written and read again, and its settings
// are the JSON that they came from.
#include "shared/settings/role_file.h"

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  static const fuzz::MemoryFile file;
  file.assign({data, size});
  const auto role =
      fuzz::accepted<ConfigError>([&] { return settings::read_role_file(file.path()); });
  if (!role) return 0;
  const auto json = nlohmann::json::parse(data, data + size);
  fuzz::require(settings::to_json(role->settings) == json.at("settings"),
                "settings were read as others");

  static const test::TempDir folder;
  const auto path = folder.path() / "role.json";
  settings::write_role_file(path, *role);
  const std::string written = read_text_file(path);
  fuzz::require(nlohmann::json::parse(written).size() == json.size(), "keys were added or lost");
  settings::write_role_file(path, settings::read_role_file(path));
  fuzz::require(read_text_file(path) == written, "a role file changes when it is written again");
  return 0;
}
