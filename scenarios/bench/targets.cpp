#include "scenarios/bench/targets.h"

namespace blindsum::bench {
namespace {

struct Entry {
  std::string_view operation;
  std::size_t key_bits;
  std::string_view mode;
  std::size_t threads;
  Target target;
};

constexpr double kMicro = 1e-6;
constexpr double kPortableFactor = 10;

using enum Target::Figure;

constexpr Entry kTargets[] = {
    {"encrypt", 2048, "half", 1, {kSeconds, 30 * kMicro}},
    {"encrypt", 3072, "half", 1, {kSeconds, 95 * kMicro}},
    {"encrypt", 2048, "short", 1, {kSeconds, 9 * kMicro}},
    {"encrypt", 3072, "short", 1, {kSeconds, 22 * kMicro}},
    {"encrypt", 2048, "half", 1, {kValuesPerSecond, 2.5e6}},
    {"encrypt", 3072, "half", 1, {kValuesPerSecond, 1.1e6}},
    {"encrypt", 2048, "short", 1, {kValuesPerSecond, 8e6}},
    {"encrypt", 3072, "short", 1, {kValuesPerSecond, 5e6}},
    {"decrypt", 2048, "-", 1, {kSeconds, 160 * kMicro}},
    {"decrypt", 3072, "-", 1, {kSeconds, 500 * kMicro}},
    {"aggregate", 2048, "-", 1, {kSeconds, 0.40 * kMicro}},
    {"aggregate", 3072, "-", 1, {kSeconds, 0.85 * kMicro}},
    {"keygen", 3072, "-", 2, {kSeconds, 3.0}},
};
constexpr Target kBytes{kBytesPerValue, 8.5};

}  // namespace

std::vector<Target> targets_of(const Case& measured, std::size_t threads) {
  std::vector<Target> targets;
  const bool is_portable = measured.kernel == "portable";
  if (measured.kernel == kTextbook) return targets;
  for (const Entry& entry : kTargets) {
    if (entry.operation != measured.operation || entry.key_bits != measured.key_bits ||
        entry.mode != measured.mode || entry.threads != threads) {
      continue;
    }
    Target target = entry.target;
    if (is_portable) {
      target.bound *= target.figure == kSeconds ? kPortableFactor : 1 / kPortableFactor;
    }
    targets.push_back(target);
  }
  if (measured.operation == "encrypt") targets.push_back(kBytes);
  return targets;
}

}  // namespace blindsum::bench
