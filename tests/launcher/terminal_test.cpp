#include "scenarios/launcher/terminal.h"

#include <doctest/doctest.h>

using namespace blindsum::launcher;

TEST_CASE("text is cut by characters, not by bytes, and colours take no column") {
  CHECK(fitted("abcdef", 4) == "abcd");
  CHECK(fitted("abc", 4) == "abc");
  CHECK(fitted("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", 3) ==
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(fitted("\033[1mabc\033[0mdef", 4) == "\033[1mabc\033[0md");
  CHECK(fitted("\033[1mabcdef\033[0m", 2) == "\033[1mab\033[0m");
  CHECK(fitted("x", 0).empty());
  CHECK(fitted("\xff\xff", 1) == "\xff");
}

TEST_CASE("control characters of a name never reach the terminal") {
  CHECK(printable("a\033[2Jb\nc\x7f") == "a?[2Jb?c?");
  CHECK(printable("\xc3\xa4") == "\xc3\xa4");
}

TEST_CASE("durations and bytes are written for people") {
  CHECK(duration_text(0) == "0.0 s");
  CHECK(duration_text(9.94) == "9.9 s");
  CHECK(duration_text(9.96) == "10 s");
  CHECK(duration_text(59.6) == "1 min 0 s");
  CHECK(duration_text(200) == "3 min 20 s");
  CHECK(duration_text(3900) == "1 h 05 min");
  CHECK(bytes_text(999) == "999 B");
  CHECK(bytes_text(39936) == "39.9 kB");
  CHECK(bytes_text(3.14e6) == "3.1 MB");
}

TEST_CASE("what is no terminal has no colours and 80 columns") {
  const Terminal none;
  CHECK(none.paint(Style::kGood, "x") == "x");
  CHECK(none.width() == 80);
  CHECK_FALSE(none.can_rewrite());
}
