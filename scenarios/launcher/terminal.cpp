#include "scenarios/launcher/terminal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

namespace blindsum::launcher {
namespace {

constexpr std::string_view kReset = "\033[0m";

std::string_view code_of(Style style) {
  switch (style) {
    case Style::kBold:
      return "\033[1m";
    case Style::kDim:
      return "\033[2m";
    case Style::kGood:
      return "\033[32m";
    case Style::kWarning:
      return "\033[33m";
    case Style::kBad:
      return "\033[31m";
  }
  return "";
}

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Terminal::Terminal(int descriptor)
    : descriptor_(descriptor),
      can_rewrite_(isatty(descriptor) == 1 && variable("TERM") != "dumb"),
      has_colours_(can_rewrite_ && variable("NO_COLOR").empty()) {}

std::size_t Terminal::width() const {
  struct winsize size = {};
  if (ioctl(descriptor_, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string Terminal::paint(Style style, std::string_view text) const {
  if (!has_colours_) return std::string(text);
  return std::string(code_of(style)) + std::string(text) + std::string(kReset);
}

std::string fitted(std::string_view text, std::size_t columns) {
  std::string cut;
  bool is_coloured = false;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t size = 1;
    if (text[i] == '\033') {
      const std::size_t end = text.find('m', i);
      size = (end == std::string_view::npos ? text.size() : end + 1) - i;
      is_coloured = text.substr(i, size) != kReset;
    } else {
      if (used == columns) break;
      while (i + size < text.size() && (text[i + size] & 0xC0) == 0x80) ++size;
      ++used;
    }
    cut += text.substr(i, size);
    i += size;
  }
  return is_coloured ? cut + std::string(kReset) : cut;
}

std::string printable(std::string_view text) {
  std::string clean(text);
  std::replace_if(
      clean.begin(), clean.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return clean;
}

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

std::string duration_text(double seconds) {
  if (seconds < 9.95) return fixed(seconds, 1) + " s";
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  const long long minutes = whole / 60;
  return std::to_string(minutes / 60) + " h " + (minutes % 60 < 10 ? "0" : "") +
         std::to_string(minutes % 60) + " min";
}

}  // namespace blindsum::launcher
