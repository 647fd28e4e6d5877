// What goes wrong in a simulated run, and when: all of it follows from one seed.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shared/wire/session.h"

namespace blindsum::simulation {

using wire::TimeMs;

// Point is a moment in the work of a process at which it can be killed.
enum class Point : std::uint8_t {
  kHandling,       // before it handles a message or a deadline
  kHandled,        // after
  kSending,        // in the middle, before it says something
  kSealing,        // before it encrypts
  kOpening,        // before it decrypts
  kOpened,         // after
  kAppending,      // before the journal has an entry
  kAppended,       // after
  kCheckpointing,  // before the checkpoint is written
  kCheckpointed,   // after
};
inline constexpr std::size_t kPoints = 10;
[[nodiscard]] std::string_view to_string(Point point);

// Crash kills `peer` when it reaches `point` for the `occurrence`-th time (from 0, over all its
// lives).
struct Crash {
  wire::Peer peer;
  Point point = Point::kHandling;
  std::uint32_t occurrence = 0;
  bool comes_back = true;
  TimeMs down_ms = 0;
  bool loses_sends = false;        // what it said since it began to handle the last message is lost
  std::vector<wire::Peer> others;  // a power cut: they die with it, and come back with it
};

struct Window {
  TimeMs begin = 0, end = 0;
  [[nodiscard]] bool has(TimeMs time) const { return time >= begin && time < end; }
};

// Partition cuts every line between a peer in `side` and one that is not.
struct Partition {
  Window when;
  std::set<wire::Peer> side;
};

// FullQueue makes sends of `peer` fail; SlowReader makes it take `pause_ms` for each message.
struct FullQueue {
  Window when;
  wire::Peer peer;
  double share = 0;  // of its sends
};
struct SlowReader {
  Window when;
  wire::Peer peer;
  TimeMs pause_ms = 0;
};

// ClockJump moves the clock of `peer` forward.
struct ClockJump {
  TimeMs at = 0;
  wire::Peer peer;
  TimeMs by_ms = 0;
};

// LateStart is a process that is not there at the beginning.
struct LateStart {
  wire::Peer peer;
  TimeMs at = 0;
};

// DiskFull makes the `occurrence`-th append, or checkpoint, of the key-holder fail.
struct DiskFull {
  bool is_checkpoint = false;
  std::uint32_t occurrence = 0;
  bool is_kept = false;  // it is on the disk all the same: only the answer was an error
};

// Schedule is one run: its size and its faults.
struct Schedule {
  std::uint64_t seed = 0;
  std::uint32_t parties = 3;
  std::uint32_t rounds = 3;
  bool is_encrypted = false;
  bool has_file_store = false;
  TimeMs latency_ms = 10;  // of a message: 1 to twice as much

  // Shares of the messages.
  double drop = 0, duplicate = 0, delay = 0, reorder = 0, corrupt = 0, replay = 0;
  TimeMs delay_ms = 0;    // at most
  TimeMs reorder_ms = 0;  // at most

  std::vector<Crash> crashes;
  std::vector<Partition> partitions;
  std::vector<FullQueue> full_queues;
  std::vector<SlowReader> slow_readers;
  std::vector<ClockJump> clock_jumps;
  std::vector<LateStart> late_starts;
  std::vector<DiskFull> full_disks;
  // What reaches a process that is down: refused to the sender, lost, or kept until it is back.
  enum class WhileDown : std::uint8_t { kRefused, kLost, kKept } while_down = WhileDown::kLost;
  bool is_newest_checkpoint_lost = false;  // whenever the key-holder starts again

  // What no product may do, to see that it would be noticed: a store that forgets its last round,
  // or servers that are content with too few parties.
  enum class Mistake : std::uint8_t { kNone, kForgetfulStore, kLowQuorum } mistake = Mistake::kNone;

  // without_faults is a run of the same size in which nothing happens.
  [[nodiscard]] Schedule without_faults() const;
  [[nodiscard]] bool is_faultless() const;
  [[nodiscard]] std::string text() const;  // one fault a line
};

// make_schedule draws the schedule of `seed`.
[[nodiscard]] Schedule make_schedule(std::uint64_t seed);

}  // namespace blindsum::simulation
