// Looks for known bytes anywhere in a text of any size.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "shared/core/bytes.h"

namespace blindsum::launcher {

// NeedleSearch cuts what it is given into windows of 16 bytes and finds these at any place of a
// text: whoever copies 31 bytes or more of a needle is found. A window of fewer than six different
// bytes says nothing and is left out. Cost: about a nanosecond a byte of text. What it holds may be
// secret and is wiped.
class NeedleSearch {
 public:
  static constexpr std::size_t kWindow = 16;
  using Window = std::array<std::uint8_t, kWindow>;

  NeedleSearch() = default;
  ~NeedleSearch();
  NeedleSearch(const NeedleSearch&) = delete;
  NeedleSearch& operator=(const NeedleSearch&) = delete;

  // add takes the windows of `needle` that begin at multiples of 16, and its last one. Needles of
  // one `kind` (from 0) are counted together.
  void add(std::size_t kind, ByteView needle);

  // windows returns how many windows of `kind` there are; sample one of them, for planting.
  [[nodiscard]] std::size_t windows(std::size_t kind) const;
  [[nodiscard]] Bytes sample(std::size_t kind) const;

  // count returns, by kind, at how many places of `text` one of its windows lies.
  [[nodiscard]] std::vector<std::uint64_t> count(ByteView text);

 private:
  struct Entry {
    Window window;
    std::uint32_t kind;
  };
  void index();
  void grow();

  std::vector<Entry> entries_;  // sorted by window once indexed
  std::vector<std::uint64_t> filter_;
  std::size_t kinds_ = 0;
  bool is_indexed_ = false;
};

}  // namespace blindsum::launcher
