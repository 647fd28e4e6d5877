#include "scenarios/launcher/attendance.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "scenarios/launcher/federation.h"

namespace blindsum::launcher {

std::vector<report::Event> Attendance::take(const report::RoundRecord& record) {
  std::vector<report::Event> events;
  std::optional<std::vector<std::uint32_t>> expected;
  if (expected_in_) expected = expected_in_(record.round);
  for (std::uint32_t party = 0; party < absent_since_.size(); ++party) {
    const bool is_there =
        std::binary_search(record.contributors.begin(), record.contributors.end(), party);
    if (!is_there && expected && !std::ranges::binary_search(*expected, party)) continue;
    std::int64_t& since = absent_since_[party];
    if (is_there == (since == kPresent)) continue;
    const wire::Peer peer = wire::party_peer(party);
    std::string detail = peer_name(peer);
    if (is_there) {
      detail += " is in the sum of round " + std::to_string(record.round) + " again, after " +
                std::to_string(record.round - since) + " without it";
    } else {
      detail += " is not in the sum of round " + std::to_string(record.round);
    }
    since = is_there ? kPresent : std::int64_t{record.round};
    events.push_back(report::event_now(is_there ? "party_returned" : "party_absent", record.round,
                                       to_string(peer), "launcher", std::move(detail)));
  }
  return events;
}

}  // namespace blindsum::launcher
