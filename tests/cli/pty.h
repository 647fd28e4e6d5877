// Programs on a terminal of their own.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace blindsum::test {

// Screen is everything that a program wrote to its terminal, and how it ended.
struct Screen {
  int exit_code = -1;
  std::string output;

  // lines splits the output where the cursor went to a new line; drawings splits one line where it
  // was written again. Colours stay.
  [[nodiscard]] std::vector<std::string> lines() const;
  [[nodiscard]] static std::vector<std::string> drawings(const std::string& line);
};

// plain takes the colours out of `text`.
[[nodiscard]] std::string plain(const std::string& text);

// run_on_terminal runs `command` (found in PATH, or a path) on a terminal of `columns` columns,
// with `environment` added to its own, and waits until it ends.
[[nodiscard]] Screen run_on_terminal(const std::vector<std::string>& command, unsigned columns,
                                     const std::map<std::string, std::string>& environment = {});

}  // namespace blindsum::test
