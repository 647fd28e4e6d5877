// A folder in which a test runs whole federations of real processes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace blindsum::test {

// World is a folder with a key set and a scenario of three parties, two rounds and synthetic data.
struct World {
  TempDir dir;
  std::filesystem::path data = dir.path() / "data";
  std::filesystem::path keys = dir.path() / "keys";
  std::filesystem::path scenario = dir.path() / "small.yaml";

  World();

  [[nodiscard]] std::vector<std::string> arguments(const std::string& out,
                                                   std::vector<std::string> more = {}) const;
  [[nodiscard]] Outcome run(const std::string& out, std::vector<std::string> more = {}) const;
  [[nodiscard]] Outcome resume(const std::string& out, std::vector<std::string> more = {}) const;

  // folder is the result folder that a run made inside `out`; `out` itself while there is none.
  [[nodiscard]] std::filesystem::path folder(const std::string& out) const;
  [[nodiscard]] nlohmann::json summary(const std::string& out) const;

  // rounds_done counts the key-holder's records of a run that may still be going on.
  [[nodiscard]] std::size_t rounds_done(const std::string& out) const;
};

// child_of finds the process of the launcher's role "party-2"; 0 when there is none.
[[nodiscard]] pid_t child_of(const Program& launcher, const std::string& role);

// events_of lists the events of a run, as "event role".
[[nodiscard]] std::vector<std::string> events_of(const nlohmann::json& summary);

}  // namespace blindsum::test
