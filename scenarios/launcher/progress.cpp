#include "scenarios/launcher/progress.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <utility>

#include <unistd.h>

namespace blindsum::launcher {
namespace {

constexpr std::uint32_t kPlainLines = 10;
constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::size_t kNameWidth = 8;
constexpr std::size_t kBarWidth = 12;

std::string padded(std::string text) {
  text.resize(std::max(text.size(), kNameWidth), ' ');
  return text;
}

std::string bar(std::uint32_t done, std::uint32_t all) {
  const std::size_t filled = kBarWidth * done / all;
  return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "]";
}

}  // namespace

Progress::Progress(Verbosity verbosity) : verbosity_(verbosity) {
  if (verbosity_ != Verbosity::kNormal) return;
  terminal_ = Terminal(STDOUT_FILENO);
  if (!terminal_.can_rewrite()) return;
  ticker_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kRedraw, [this] { return is_over_; })) draw();
  });
}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_.notify_all();
  if (ticker_.joinable()) ticker_.join();
}

void Progress::say(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (verbosity_ == Verbosity::kNormal) print(text);
}

void Progress::warn(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (is_line_open_) std::cout << "\r\033[K" << std::flush;
  is_line_open_ = false;
  std::cerr << text << std::endl;
}

void Progress::begin_phase(const std::string& name, const std::string& doing) {
  const std::lock_guard lock(mutex_);
  leave();
  phase_ = name;
  doing_ = doing;
  rounds_ = 0;
  watch_.restart();
  draw();
}

void Progress::update_phase(const std::string& doing) {
  const std::lock_guard lock(mutex_);
  doing_ = doing;  // the thread that redraws shows it
}

void Progress::end_phase(const std::string& result, std::optional<double> seconds) {
  const std::lock_guard lock(mutex_);
  if (phase_.empty()) return;
  const std::string line =
      padded(std::exchange(phase_, "")) + result + ", " +
      terminal_.paint(Style::kDim, duration_text(seconds ? *seconds : watch_.seconds()));
  if (verbosity_ == Verbosity::kNormal) print(line);
}

void Progress::begin(std::uint32_t rounds, std::uint32_t first) {
  const std::lock_guard lock(mutex_);
  leave();
  phase_ = "train";
  rounds_ = rounds;
  first_ = first;
  round_ = {};
  round_.round = first;
  round_at_s_ = 0;
  evaluation_.reset();
  watch_.restart();
  draw();
}

void Progress::round(const Round& round) {
  const std::lock_guard lock(mutex_);
  round_ = round;
  round_at_s_ = watch_.seconds();
  if (round.evaluation) evaluation_ = round.evaluation;
  if (verbosity_ != Verbosity::kNormal) return;
  if (terminal_.can_rewrite()) {
    draw();
  } else if (round.round == rounds_ ||
             round.round % std::max(1U, (rounds_ + kPlainLines - 1) / kPlainLines) == 0) {
    print(round_line());
  }
}

void Progress::end() {
  const std::lock_guard lock(mutex_);
  leave();
}

void Progress::draw() {
  if (!terminal_.can_rewrite() || phase_.empty()) return;
  const std::string line = rounds_ > 0 ? round_line() : phase_line();
  // The last column stays free: some terminals wrap as soon as it is written.
  const std::size_t width = terminal_.width();
  std::cout << "\r\033[K" << fitted(line, width > 1 ? width - 1 : 1) << std::flush;
  is_line_open_ = true;
}

void Progress::leave() {
  if (is_line_open_) {
    draw();
    std::cout << std::endl;
  }
  is_line_open_ = false;
  phase_.clear();
  rounds_ = 0;
}

void Progress::print(const std::string& line) {
  if (is_line_open_) std::cout << "\r\033[K";
  is_line_open_ = false;
  std::cout << line << std::endl;
}

std::string Progress::phase_line() const {
  return terminal_.paint(Style::kBold, padded(phase_)) + printable(doing_) + "  " +
         terminal_.paint(Style::kDim, duration_text(watch_.seconds()));
}

std::string Progress::round_line() const {
  const std::uint32_t round = round_.round;
  std::string line;
  if (terminal_.can_rewrite()) {
    line = terminal_.paint(Style::kBold, padded("train")) + bar(std::min(round, rounds_), rounds_) +
           " ";
  }
  line += "round " + std::to_string(round) + "/" + std::to_string(rounds_);
  if (evaluation_) {
    line += "  accuracy " +
            terminal_.paint(Style::kBold, fixed(100 * evaluation_->accuracy, 2) + " %") +
            "  macro-F1 " + fixed(evaluation_->macro_f1, 3) + "  cost " +
            fixed(evaluation_->cost, 4);
  }
  if (round >= rounds_) {
    line += "  in " + duration_text(round_at_s_);
  } else if (round > first_) {
    const double left = round_at_s_ / (round - first_) * (rounds_ - round);
    line += "  ETA " + duration_text(std::max(0.0, left - (watch_.seconds() - round_at_s_)));
  }
  std::string details;
  if (round_.bytes_up > 0) {
    details += "  " + bytes_text(static_cast<double>(round_.bytes_up)) + " up";
  }
  for (const char* phase : {"train", "encrypt", "prepare", "aggregate", "decrypt", "evaluate"}) {
    const auto found = round_.phase_s.find(phase);
    if (found != round_.phase_s.end()) {
      details += std::string("  ") + phase + " " + fixed(1000 * found->second, 0) + " ms";
    }
  }
  return line + (details.empty() ? "" : terminal_.paint(Style::kDim, details));
}

}  // namespace blindsum::launcher
