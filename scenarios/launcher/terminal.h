// What standard output can do: colours, lines that are written again, and how wide it is.
#pragma once

#include <string>
#include <string_view>

namespace blindsum::launcher {

enum class Style { kBold, kDim, kGood, kWarning, kBad };

// Terminal describes an open file, standard output as a rule. On a file, a pipe or TERM=dumb it
// neither rewrites lines nor uses colours; a variable NO_COLOR that is not empty takes the colours
// away (no-color.org).
class Terminal {
 public:
  explicit Terminal(int descriptor);
  // The same without looking at a file: no colours, no rewriting.
  Terminal() = default;

  [[nodiscard]] bool can_rewrite() const { return can_rewrite_; }
  [[nodiscard]] bool has_colours() const { return has_colours_; }

  // width is the number of columns now, asked anew each time: windows are resized. 80 when unknown.
  [[nodiscard]] std::size_t width() const;

  // paint returns `text` in `style`, or unchanged without colours.
  [[nodiscard]] std::string paint(Style style, std::string_view text) const;

 private:
  int descriptor_ = -1;
  bool can_rewrite_ = false;
  bool has_colours_ = false;
};

// fitted cuts UTF-8 `text` to at most `columns` characters. Colours take no column, and end where
// the text is cut.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t columns);

// printable replaces control characters, which could move the cursor, by '?'.
[[nodiscard]] std::string printable(std::string_view text);

// Numbers for people. fixed writes `number` with `digits` after the point; bytes_text "3.1 MB";
// duration_text "0.4 s", "41 s", "3 min 20 s", "1 h 05 min".
[[nodiscard]] std::string fixed(double number, int digits);
[[nodiscard]] std::string bytes_text(double bytes);
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace blindsum::launcher
