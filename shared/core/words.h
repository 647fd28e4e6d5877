// The words of an enumeration: what files and command lines call its values.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "shared/core/error.h"

namespace blindsum {

// Words names the values 0, 1, … of `Enum`, in order. `what` is what such a value is, for messages.
template <class Enum, std::size_t N>
class Words {
 public:
  constexpr Words(std::string_view what, const std::array<std::string_view, N>& words)
      : what_(what), words_(words) {}

  [[nodiscard]] std::string_view word(Enum value) const {
    return words_.at(static_cast<std::size_t>(value));
  }

  // value throws ConfigError with the known words for any other.
  [[nodiscard]] Enum value(std::string_view word) const {
    std::string known;
    for (std::size_t i = 0; i < N; ++i) {
      if (words_[i] == word) return static_cast<Enum>(i);
      known.append(i == 0 ? "" : ", ").append(words_[i]);
    }
    throw ConfigError("unknown " + std::string(what_) + " '" + std::string(word) +
                      "' (known: " + known + ")");
  }

 private:
  std::string_view what_;
  std::array<std::string_view, N> words_;
};

}  // namespace blindsum
