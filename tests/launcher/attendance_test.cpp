#include "scenarios/launcher/attendance.h"

#include <string>

#include <doctest/doctest.h>

namespace {

using namespace blindsum;
using launcher::Attendance;

// story returns what Attendance says of these sums, one after another from round 0.
std::string story(std::uint32_t parties, const std::vector<std::vector<std::uint32_t>>& sums) {
  Attendance attendance(parties);
  std::string text;
  for (std::uint32_t round = 0; round < sums.size(); ++round) {
    report::RoundRecord record;
    record.round = round;
    record.contributors = sums[round];
    for (const report::Event& event : attendance.take(record)) {
      CHECK(event.round == round);
      CHECK(event.by == "launcher");
      text += event.event + " " + event.role + " " + std::to_string(round) + "; ";
    }
  }
  return text;
}

TEST_CASE("who is in every sum is not mentioned") {
  CHECK(story(3, {{0, 1, 2}, {0, 1, 2}}).empty());
}

TEST_CASE("a party is absent once, until it returns") {
  CHECK(story(4, {{0, 1, 2, 3}, {0, 2, 3}, {0, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 2, 3}}) ==
        "party_absent party-1 1; party_returned party-1 3; party_absent party-1 5; ");
}

TEST_CASE("who is not in the first sum is absent from the start") {
  CHECK(story(4, {{1, 2, 3}, {0, 1, 2}}) ==
        "party_absent party-0 0; party_returned party-0 1; party_absent party-3 1; ");
}

TEST_CASE("who was not expected is not absent, and not back either") {
  Attendance attendance(3, [](std::uint32_t round) {
    return round % 2 == 0 ? std::vector<std::uint32_t>{0, 1} : std::vector<std::uint32_t>{1, 2};
  });
  report::RoundRecord record;
  record.round = 2;
  record.contributors = {0, 1};
  CHECK(attendance.take(record).empty());
  record.round = 3;
  record.contributors = {1};
  CHECK(attendance.take(record).at(0).role == "party-2");
  record.round = 4;
  record.contributors = {0, 1};
  CHECK(attendance.take(record).empty());
  record.round = 5;
  record.contributors = {1, 2};
  CHECK(attendance.take(record).at(0).event == "party_returned");
}

TEST_CASE("the detail says how long a party was away") {
  Attendance attendance(1);
  report::RoundRecord record;
  record.round = 4;
  CHECK(attendance.take(record).at(0).detail == "party 0 is not in the sum of round 4");
  record.round = 7;
  record.contributors = {0};
  CHECK(attendance.take(record).at(0).detail ==
        "party 0 is in the sum of round 7 again, after 3 without it");
}

}  // namespace
