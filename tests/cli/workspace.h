// A folder with a scenario that takes a second: three parties, synthetic data, no encryption.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "shared/core/file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace blindsum::test {

struct Workspace {
  TempDir dir;
  std::filesystem::path scenario = dir.path() / "small.yaml";
  std::filesystem::path out = dir.path() / "out";

  Workspace() {
    write_file_atomic(scenario,
                      "name: small\nparties: 3\nrounds: 20\nmodel: { hidden: [8] }\n"
                      "data: { source: synthetic }\nlocal: { batch_rows: 64 }\ncipher: none\n"
                      "deadlines: { round_s: 10, start_s: 20 }\n");
  }

  [[nodiscard]] std::vector<std::string> run_words(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"run", scenario.string(), "--out", out.string()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  [[nodiscard]] Outcome blindsum(const std::vector<std::string>& words) const {
    return run_program("blindsum", words, dir.path());
  }
  [[nodiscard]] Outcome bash(const std::string& script) const {
    return run_program("/bin/bash", {"-c", script}, dir.path());
  }
  // result is the only result folder in `out`.
  [[nodiscard]] std::filesystem::path result() const {
    return std::filesystem::directory_iterator(out)->path();
  }
};

// program_path is where the program under test is.
[[nodiscard]] inline std::string blindsum_path() {
  return std::string(std::getenv("BLINDSUM_BIN")) + "/blindsum";
}

}  // namespace blindsum::test
