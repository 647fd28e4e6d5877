// What a user sees while a run is going on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "shared/report/records.h"

namespace blindsum::launcher {

// Verbosity: kNormal shows progress on standard output and warnings on standard error; kQuiet the
// warnings alone.
enum class Verbosity { kNormal, kQuiet };

// Progress writes one line that is rewritten on a terminal, and about ten plain lines a run when
// piped.
class Progress {
 public:
  explicit Progress(Verbosity verbosity);

  void say(const std::string& text);
  void warn(const std::string& text);

  // begin announces the first gradient round; round is told of every later one.
  void begin(std::uint32_t rounds);
  struct Round {
    std::uint32_t round = 0;
    std::optional<report::Evaluation> evaluation;
    std::map<std::string, double> phase_s;
    std::uint64_t bytes_up = 0;  // of all parties in this round
  };
  void round(const Round& round);

  // end closes the line that is being rewritten.
  void end();

 private:
  [[nodiscard]] std::string line_of(const Round& round) const;

  Verbosity verbosity_;
  bool is_terminal_;
  bool is_line_open_ = false;
  std::uint32_t rounds_ = 0;
  report::Stopwatch watch_;
  std::optional<report::Evaluation> evaluation_;  // the latest
};

// fixed writes `number` with `digits` after the point.
[[nodiscard]] std::string fixed(double number, int digits);

// bytes_text writes a count of bytes with a unit: "3.1 MB".
[[nodiscard]] std::string bytes_text(double bytes);

}  // namespace blindsum::launcher
