#include "scenarios/launcher/needle_search.h"

#include <algorithm>
#include <bitset>
#include <cstring>

#include "shared/core/random.h"

namespace blindsum::launcher {
namespace {

constexpr unsigned kFilterBits = 22;
constexpr std::size_t kMinDifferentBytes = 6;

// filter_bit maps the first half of a window to a bit of the filter.
std::size_t filter_bit(const std::uint8_t* window) {
  std::uint64_t head = 0;
  std::memcpy(&head, window, sizeof head);
  return (head * 0x9e3779b97f4a7c15U) >> (64 - kFilterBits);
}

bool says_something(ByteView window) {
  std::bitset<256> seen;
  for (const std::uint8_t byte : window) seen.set(byte);
  return seen.count() >= kMinDifferentBytes;
}

}  // namespace

NeedleSearch::~NeedleSearch() { wipe(entries_.data(), entries_.size() * sizeof(Entry)); }

// grow makes room without leaving a copy behind.
void NeedleSearch::grow() {
  if (entries_.size() < entries_.capacity()) return;
  std::vector<Entry> larger;
  larger.reserve(std::max<std::size_t>(1024, 2 * entries_.size()));
  larger.assign(entries_.begin(), entries_.end());
  wipe(entries_.data(), entries_.size() * sizeof(Entry));
  entries_.swap(larger);
}

void NeedleSearch::add(std::size_t kind, ByteView needle) {
  kinds_ = std::max(kinds_, kind + 1);
  is_indexed_ = false;
  const auto take = [&](std::size_t at) {
    const ByteView window = needle.subspan(at, kWindow);
    if (!says_something(window)) return;
    grow();
    Entry& entry = entries_.emplace_back();
    std::copy(window.begin(), window.end(), entry.window.begin());
    entry.kind = static_cast<std::uint32_t>(kind);
  };
  if (needle.size() < kWindow) return;
  std::size_t at = 0;
  for (; at + kWindow <= needle.size(); at += kWindow) take(at);
  if (at != needle.size()) take(needle.size() - kWindow);
}

std::size_t NeedleSearch::windows(std::size_t kind) const {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.kind == kind; }));
}

Bytes NeedleSearch::sample(std::size_t kind) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.kind == kind; });
  return found == entries_.end() ? Bytes{} : Bytes(found->window.begin(), found->window.end());
}

void NeedleSearch::index() {
  if (is_indexed_) return;
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.window < b.window; });
  filter_.assign((std::size_t{1} << kFilterBits) / 64, 0);
  for (const Entry& entry : entries_) {
    const std::size_t bit = filter_bit(entry.window.data());
    filter_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  is_indexed_ = true;
}

std::vector<std::uint64_t> NeedleSearch::count(ByteView text) {
  index();
  std::vector<std::uint64_t> counts(kinds_, 0);
  for (std::size_t at = 0; at + kWindow <= text.size(); ++at) {
    const std::uint8_t* const window = text.data() + at;
    const std::size_t bit = filter_bit(window);
    if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) continue;
    const auto is_before = [](const Entry& entry, const std::uint8_t* bytes) {
      return std::memcmp(entry.window.data(), bytes, kWindow) < 0;
    };
    auto entry = std::lower_bound(entries_.begin(), entries_.end(), window, is_before);
    for (; entry != entries_.end() && std::memcmp(entry->window.data(), window, kWindow) == 0;
         ++entry) {
      ++counts[entry->kind];
    }
  }
  return counts;
}

}  // namespace blindsum::launcher
