// Who was in which sum.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/report/records.h"

namespace blindsum::launcher {

// Attendance follows the key-holder's records, by round, and says who stays away and who is back.
class Attendance {
 public:
  explicit Attendance(std::uint32_t parties) : absent_since_(parties, kPresent) {}

  // take returns an event `party_absent` for each party that was in the sum before this one and is
  // not in it, and `party_returned` for each that is in it again.
  [[nodiscard]] std::vector<report::Event> take(const report::RoundRecord& record);

 private:
  static constexpr std::int64_t kPresent = -1;
  std::vector<std::int64_t> absent_since_;  // round, by party
};

}  // namespace blindsum::launcher
