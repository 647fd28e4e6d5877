// Who was in which sum.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "shared/report/records.h"

namespace blindsum::launcher {

// Attendance follows the key-holder's records, by round, and says who stays away and who is back.
class Attendance {
 public:
  // ExpectedIn lists, ascending, the parties that a round counts on.
  using ExpectedIn = std::function<std::vector<std::uint32_t>(std::uint32_t round)>;

  // Without `expected_in` every round counts on all.
  explicit Attendance(std::uint32_t parties, ExpectedIn expected_in = {})
      : expected_in_(std::move(expected_in)), absent_since_(parties, kPresent) {}

  // take returns an event `party_absent` for each party that should be in the sum, was in the last
  // that it should be in, and is not in this, and `party_returned` for each that is in one again.
  [[nodiscard]] std::vector<report::Event> take(const report::RoundRecord& record);

 private:
  static constexpr std::int64_t kPresent = -1;
  ExpectedIn expected_in_;
  std::vector<std::int64_t> absent_since_;  // round, by party
};

}  // namespace blindsum::launcher
