// What a confusion matrix says.
#pragma once

#include <array>
#include <cstdint>

#include "shared/data/kdd.h"

namespace blindsum::model {

// Confusion counts rows: counts[actual][predicted], order normal, dos, probe, r2l, u2r.
struct Confusion {
  std::array<std::array<std::uint64_t, data::kClasses>, data::kClasses> counts{};
  friend bool operator==(const Confusion&, const Confusion&) = default;
};

struct Metrics {
  double accuracy = 0;  // correct / rows
  double macro_f1 = 0;  // mean F1 over the five classes; 0/0 counts as 0
  double cost = 0;      // mean cost by the contest's matrix (Elkan 2000)
  std::array<double, data::kClasses> recall{};
};
[[nodiscard]] Metrics metrics_of(const Confusion& confusion);

// contest_cost is what a record of class `actual` costs that is taken for `predicted`: 0 to 4.
[[nodiscard]] std::uint64_t contest_cost(std::size_t actual, std::size_t predicted);

}  // namespace blindsum::model
