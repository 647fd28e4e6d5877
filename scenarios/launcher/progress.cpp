#include "scenarios/launcher/progress.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

namespace blindsum::launcher {
namespace {

constexpr std::uint32_t kPlainLines = 10;

std::size_t terminal_width() {
  struct winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string fixed(double number, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, number);
  return text.data();
}

std::string bytes_text(double bytes) {
  if (bytes < 1e3) return fixed(bytes, 0) + " B";
  if (bytes < 1e6) return fixed(bytes / 1e3, 1) + " kB";
  if (bytes < 1e9) return fixed(bytes / 1e6, 1) + " MB";
  return fixed(bytes / 1e9, 2) + " GB";
}

Progress::Progress(Verbosity verbosity)
    : verbosity_(verbosity), is_terminal_(isatty(STDOUT_FILENO) == 1) {}

void Progress::say(const std::string& text) {
  if (verbosity_ != Verbosity::kNormal) return;
  end();
  std::cout << text << std::endl;
}

void Progress::warn(const std::string& text) {
  end();
  std::cerr << text << std::endl;
}

void Progress::begin(std::uint32_t rounds) {
  rounds_ = rounds;
  evaluation_.reset();
  watch_.restart();
}

void Progress::round(const Round& round) {
  if (round.evaluation) evaluation_ = round.evaluation;
  if (verbosity_ != Verbosity::kNormal) return;
  if (is_terminal_) {
    std::string line = line_of(round);
    line.resize(std::min(line.size(), terminal_width() - 1));
    std::cout << "\r\033[K" << line << std::flush;
    is_line_open_ = true;
  } else if (round.round == rounds_ ||
             round.round % std::max(1U, (rounds_ + kPlainLines - 1) / kPlainLines) == 0) {
    std::cout << line_of(round) << std::endl;
  }
}

void Progress::end() {
  if (is_line_open_) std::cout << std::endl;
  is_line_open_ = false;
}

std::string Progress::line_of(const Round& round) const {
  std::string line = "round " + std::to_string(round.round) + "/" + std::to_string(rounds_);
  if (evaluation_) {
    line += "  accuracy " + fixed(100 * evaluation_->accuracy, 2) + " %  macro-F1 " +
            fixed(evaluation_->macro_f1, 3) + "  cost " + fixed(evaluation_->cost, 4);
  }
  const double elapsed = watch_.seconds();
  const double left = elapsed / std::max(1U, round.round) * (rounds_ - round.round);
  line +=
      round.round < rounds_ ? "  ETA " + fixed(left, 0) + " s" : "  in " + fixed(elapsed, 1) + " s";
  if (round.bytes_up > 0) line += "  " + bytes_text(static_cast<double>(round.bytes_up)) + " up";
  for (const char* phase : {"train", "encrypt", "aggregate", "decrypt", "evaluate"}) {
    const auto found = round.phase_s.find(phase);
    if (found != round.phase_s.end()) {
      line += std::string("  ") + phase + " " + fixed(1000 * found->second, 0) + " ms";
    }
  }
  return line;
}

}  // namespace blindsum::launcher
