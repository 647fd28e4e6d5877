// What a user sees while a run is going on.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "scenarios/launcher/terminal.h"
#include "shared/report/records.h"

namespace blindsum::launcher {

// Verbosity: kNormal shows progress on standard output and warnings on standard error; kQuiet the
// warnings alone.
enum class Verbosity { kNormal, kQuiet };

// Progress shows a run as phases. On a terminal the phase that is going on has one line, which is
// rewritten several times a second by a thread of its own and cut to the terminal's width; what
// stays is one line a phase. Elsewhere it writes a plain line at the end of each phase, and about
// ten for the rounds. Call it from one thread.
class Progress {
 public:
  explicit Progress(Verbosity verbosity);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void say(const std::string& text);
  void warn(const std::string& text);

  // begin_phase shows that `name` ("keys") is going on: `doing` says what that is,
  // and update_phase says it anew. end_phase closes
  // it with what came out of it; `seconds` is what it took when that is not the time since
  // begin_phase.
  void begin_phase(const std::string& name, const std::string& doing);
  void update_phase(const std::string& doing);
  void end_phase(const std::string& result, std::optional<double> seconds = {});

  // begin announces the first gradient round, or `first` when those before it were done in an
  // earlier part of the run; round is told of every later one.
  void begin(std::uint32_t rounds, std::uint32_t first = 0);
  struct Round {
    std::uint32_t round = 0;
    std::optional<report::Evaluation> evaluation;
    std::map<std::string, double> phase_s;
    std::uint64_t bytes_up = 0;  // of all parties in this round
  };
  void round(const Round& round);

  // end closes the line that is being rewritten, whatever state it is in.
  void end();

  [[nodiscard]] const Terminal& terminal() const { return terminal_; }

 private:
  [[nodiscard]] std::string phase_line() const;
  [[nodiscard]] std::string round_line() const;
  void draw();   // the live line
  void leave();  // ends the live line and keeps it
  void print(const std::string& line);

  Verbosity verbosity_;
  Terminal terminal_;

  std::mutex mutex_;  // guards all that follows
  std::condition_variable wake_;
  bool is_over_ = false;
  bool is_line_open_ = false;
  std::string phase_, doing_;  // empty: none is going on
  report::Stopwatch watch_;    // since the phase began
  std::uint32_t rounds_ = 0;   // of the training; 0: no training is going on
  std::uint32_t first_ = 0;    // round that was done when this part of it began
  Round round_;                // the latest
  double round_at_s_ = 0;
  std::optional<report::Evaluation> evaluation_;  // the latest
  std::thread ticker_;
};

}  // namespace blindsum::launcher
