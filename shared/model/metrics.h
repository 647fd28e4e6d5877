// What a confusion matrix says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "shared/data/schema.h"

namespace blindsum::model {

// Confusion counts rows: counts[actual][predicted], classes in the schema's order.
struct Confusion {
  explicit Confusion(std::size_t classes)
      : counts(classes, std::vector<std::uint64_t>(classes, 0)) {}
  explicit Confusion(std::vector<std::vector<std::uint64_t>> given) : counts(std::move(given)) {}

  std::vector<std::vector<std::uint64_t>> counts;

  // += adds one over the same classes.
  Confusion& operator+=(const Confusion& other);
  friend bool operator==(const Confusion&, const Confusion&) = default;
};

struct Metrics {
  double accuracy = 0;  // correct / rows
  double macro_f1 = 0;  // mean F1 over the classes; 0/0 counts as 0
  double cost = 0;      // mean of Schema::cost
  std::vector<double> recall;
};
// metrics_of takes a matrix over the schema's classes.
[[nodiscard]] Metrics metrics_of(const Confusion& confusion, const data::Schema& schema);

}  // namespace blindsum::model
