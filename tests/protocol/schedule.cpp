#include "tests/protocol/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <sstream>

#include "shared/core/seeded_random.h"

namespace blindsum::simulation {
namespace {

// A run without faults takes about half a second: that is when faults hurt most.
constexpr TimeMs kBusyMs = 700;

enum class Kind : std::uint8_t {
  kDrop,
  kDuplicate,
  kDelay,
  kReorder,
  kCorrupt,
  kReplay,
  kCrashParty,
  kCrashCoordinator,
  kCrashKeyHolder,
  kPartition,
  kFullQueue,
  kSlowReader,
  kClockJump,
  kLateStart,
  kDiskFull,
  kPowerCut,
};
constexpr std::size_t kKinds = 16;

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : random_(seed, "fault-schedule") {}

  std::uint32_t below(std::uint64_t bound) {
    return static_cast<std::uint32_t>(random_.below(bound));
  }
  bool chance(double share) { return random_.uniform() < share; }
  double between(double low, double high) { return low + (high - low) * random_.uniform(); }
  // spread draws between low and high so that every order of magnitude is as likely.
  TimeMs spread(double low, double high) {
    return static_cast<TimeMs>(low * std::pow(high / low, random_.uniform()));
  }
  void shuffle(std::span<Kind> kinds) { random_.shuffle(kinds); }

 private:
  SeededRandom random_;
};

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : draw_(seed) { made_.seed = seed; }

  Schedule make() {
    made_.parties = 3 + (draw_.chance(0.75) ? draw_.below(5) : draw_.below(14));
    made_.rounds = 3 + draw_.below(4);
    made_.is_encrypted = made_.parties <= 6 && draw_.chance(0.15);
    made_.has_file_store = draw_.chance(0.04);
    if (draw_.chance(0.02)) {  // long enough for several checkpoints
      made_.rounds = 33 + draw_.below(4);
      made_.has_file_store = draw_.chance(0.5);
    }
    made_.latency_ms = draw_.spread(2, 60);
    made_.while_down = static_cast<Schedule::WhileDown>(draw_.below(3));
    made_.is_newest_checkpoint_lost = draw_.chance(0.2);

    const double hardness = draw_.between(0, 1);
    std::size_t kinds = 0;
    if (hardness < 0.05) {
      return made_;
    } else if (hardness < 0.45) {
      strength_ = 0.15;
      kinds = 1 + draw_.below(3);
    } else if (hardness < 0.85) {
      strength_ = 0.4;
      kinds = 2 + draw_.below(4);
    } else {
      strength_ = 1;
      kinds = 3 + draw_.below(6);
    }
    std::array<Kind, kKinds> all{};
    for (std::size_t i = 0; i < kKinds; ++i) all[i] = static_cast<Kind>(i);
    draw_.shuffle(all);
    for (std::size_t i = 0; i < kinds; ++i) add(all[i]);
    return made_;
  }

 private:
  // many draws how often something of a kind happens: once, or a few times when faults are heavy.
  std::uint32_t many() { return 1 + draw_.below(1 + static_cast<std::uint64_t>(3 * strength_)); }

  wire::Peer anybody() {
    const std::uint32_t i = draw_.below(made_.parties + 4);
    if (i >= made_.parties + 2) return wire::kKeyHolderPeer;
    return i >= made_.parties ? wire::kCoordinatorPeer : wire::party_peer(i);
  }

  Window window(double longest_ms) {
    const TimeMs begin = draw_.below(kBusyMs);
    return {begin, begin + draw_.spread(20, longest_ms * (0.2 + strength_))};
  }

  void add_crash(const wire::Peer& peer) {
    Crash crash;
    crash.peer = peer;
    const std::uint32_t n = made_.parties;
    const std::uint32_t turns = made_.rounds + 1;
    constexpr std::array kAnywhere{Point::kHandling, Point::kHandled, Point::kSending};
    constexpr std::array kKeyHolder{Point::kHandling,      Point::kHandled,     Point::kSending,
                                    Point::kOpening,       Point::kOpened,      Point::kAppending,
                                    Point::kAppended,      Point::kAppending,   Point::kAppended,
                                    Point::kCheckpointing, Point::kCheckpointed};
    if (peer.role == wire::Role::kKeyHolder) {
      crash.point = kKeyHolder[draw_.below(kKeyHolder.size())];
    } else if (peer.role == wire::Role::kParty && draw_.chance(0.3)) {
      crash.point = Point::kSealing;
    } else {
      crash.point = kAnywhere[draw_.below(kAnywhere.size())];
    }
    std::uint32_t range = turns;
    switch (crash.point) {
      case Point::kHandling:
      case Point::kHandled:
        range = peer.role == wire::Role::kParty ? 2 * turns : (n + 1) * turns;
        break;
      case Point::kSending:
        range = peer.role == wire::Role::kParty ? turns + 2 : (n + 1) * turns;
        break;
      case Point::kCheckpointing:
      case Point::kCheckpointed:
        range = 2 + made_.rounds / 16;
        break;
      default:
        break;
    }
    crash.occurrence = draw_.below(range);
    crash.comes_back = draw_.chance(1 - 0.35 * strength_);
    crash.down_ms = draw_.spread(5, 1000 + 12000 * strength_);
    crash.loses_sends = draw_.chance(0.4);
    made_.crashes.push_back(crash);
  }

  void add(Kind kind) {
    switch (kind) {
      case Kind::kDrop:
        made_.drop = draw_.between(0.01, 0.6 * strength_);
        break;
      case Kind::kDuplicate:
        made_.duplicate = draw_.between(0.05, 0.9 * strength_);
        break;
      case Kind::kDelay:
        made_.delay = draw_.between(0.01, 0.5 * strength_);
        made_.delay_ms = draw_.spread(300, 3000 + 12000 * strength_);
        break;
      case Kind::kReorder:
        made_.reorder = draw_.between(0.1, 1);
        made_.reorder_ms = draw_.spread(20, 1500);
        break;
      case Kind::kCorrupt:
        made_.corrupt = draw_.between(0.005, 0.2 * strength_);
        break;
      case Kind::kReplay:
        made_.replay = draw_.between(0.02, 0.6 * strength_);
        break;
      case Kind::kCrashParty:
        for (std::uint32_t i = many() + draw_.below(1 + made_.parties / 3); i > 0; --i) {
          add_crash(wire::party_peer(draw_.below(made_.parties)));
        }
        break;
      case Kind::kCrashCoordinator:
        for (std::uint32_t i = many(); i > 0; --i) add_crash(wire::kCoordinatorPeer);
        break;
      case Kind::kCrashKeyHolder:
        for (std::uint32_t i = many(); i > 0; --i) add_crash(wire::kKeyHolderPeer);
        break;
      case Kind::kPartition:
        for (std::uint32_t i = many(); i > 0; --i) {
          Partition partition{window(9000), {}};
          for (std::uint32_t k = 1 + draw_.below(1 + made_.parties / 2); k > 0; --k) {
            partition.side.insert(anybody());
          }
          made_.partitions.push_back(std::move(partition));
        }
        break;
      case Kind::kFullQueue:
        for (std::uint32_t i = many(); i > 0; --i) {
          made_.full_queues.push_back({window(9000), anybody(), draw_.between(0.2, 1)});
        }
        break;
      case Kind::kSlowReader:
        for (std::uint32_t i = many(); i > 0; --i) {
          made_.slow_readers.push_back(
              {window(20000), anybody(), draw_.spread(30, 300 + 3000 * strength_)});
        }
        break;
      case Kind::kClockJump:
        for (std::uint32_t i = many(); i > 0; --i) {
          made_.clock_jumps.push_back(
              {draw_.below(kBusyMs), anybody(), draw_.spread(300, 3000 + 60000 * strength_)});
        }
        break;
      case Kind::kLateStart:
        for (std::uint32_t i = many() + draw_.below(1 + made_.parties / 3); i > 0; --i) {
          made_.late_starts.push_back({anybody(), draw_.spread(50, 2000 + 25000 * strength_)});
        }
        break;
      case Kind::kPowerCut:
        for (std::uint32_t i = many(); i > 0; --i) {
          add_crash(wire::kKeyHolderPeer);
          Crash& crash = made_.crashes.back();
          crash.comes_back = true;
          if (draw_.chance(0.8)) crash.others.push_back(wire::kCoordinatorPeer);
          for (std::uint32_t party = 0; party < made_.parties; ++party) {
            if (draw_.chance(0.2)) crash.others.push_back(wire::party_peer(party));
          }
        }
        break;
      case Kind::kDiskFull:
        made_.full_disks.push_back(
            {draw_.chance(0.4), draw_.below(made_.rounds + 1), draw_.chance(0.3)});
        if (made_.full_disks.back().is_checkpoint) made_.full_disks.back().occurrence %= 4;
        break;
    }
  }

  Draw draw_;
  Schedule made_;
  double strength_ = 0;
};

std::string text_of(const Window& window) {
  return std::to_string(window.begin) + " to " + std::to_string(window.end) + " ms";
}

}  // namespace

std::string_view to_string(Point point) {
  constexpr std::array<std::string_view, kPoints> kNames{
      "before handling", "after handling", "sending",      "sealing",           "before opening",
      "after opening",   "before append",  "after append", "before checkpoint", "after checkpoint"};
  return kNames.at(static_cast<std::size_t>(point));
}

Schedule Schedule::without_faults() const {
  Schedule calm;
  calm.seed = seed;
  calm.parties = parties;
  calm.rounds = rounds;
  calm.is_encrypted = is_encrypted;
  calm.has_file_store = has_file_store;
  calm.latency_ms = latency_ms;
  calm.is_newest_checkpoint_lost = is_newest_checkpoint_lost;
  calm.mistake = mistake;
  return calm;
}

bool Schedule::is_faultless() const {
  return drop + duplicate + delay + reorder + corrupt + replay == 0 && crashes.empty() &&
         partitions.empty() && full_queues.empty() && slow_readers.empty() && clock_jumps.empty() &&
         late_starts.empty() && full_disks.empty();
}

std::string Schedule::text() const {
  std::ostringstream out;
  out << "seed " << seed << ": " << parties << " parties, " << rounds << " rounds, "
      << (is_encrypted ? "Paillier" : "no cipher") << ", store in "
      << (has_file_store ? "files" : "memory") << ", latency up to " << 2 * latency_ms << " ms\n";
  const auto share = [&](const char* what, double value) {
    if (value > 0) out << "  " << what << ' ' << value << " of the messages\n";
  };
  share("drop", drop);
  share("duplicate", duplicate);
  share("delay", delay);
  if (delay > 0) out << "    by at most " << delay_ms << " ms\n";
  share("reorder", reorder);
  if (reorder > 0) out << "    within " << reorder_ms << " ms\n";
  share("corrupt", corrupt);
  share("replay", replay);
  for (const Crash& crash : crashes) {
    out << "  kill " << to_string(crash.peer) << ' ' << to_string(crash.point) << " number "
        << crash.occurrence << (crash.loses_sends ? ", its last words lost" : "");
    for (const wire::Peer& peer : crash.others) out << ", " << to_string(peer) << " with it";
    if (crash.comes_back) {
      out << ", back after " << crash.down_ms << " ms\n";
    } else {
      out << ", for good\n";
    }
  }
  for (const Partition& partition : partitions) {
    out << "  cut off from " << text_of(partition.when) << ':';
    for (const wire::Peer& peer : partition.side) out << ' ' << to_string(peer);
    out << '\n';
  }
  for (const FullQueue& full : full_queues) {
    out << "  full queues of " << to_string(full.peer) << " from " << text_of(full.when) << ", "
        << full.share << " of its sends\n";
  }
  for (const SlowReader& slow : slow_readers) {
    out << "  " << to_string(slow.peer) << " reads slowly from " << text_of(slow.when) << ", "
        << slow.pause_ms << " ms a message\n";
  }
  for (const ClockJump& jump : clock_jumps) {
    out << "  the clock of " << to_string(jump.peer) << " jumps by " << jump.by_ms << " ms at "
        << jump.at << " ms\n";
  }
  for (const LateStart& late : late_starts) {
    out << "  " << to_string(late.peer) << " starts at " << late.at << " ms\n";
  }
  for (const DiskFull& full : full_disks) {
    out << "  disk full at " << (full.is_checkpoint ? "checkpoint" : "append") << " number "
        << full.occurrence << (full.is_kept ? ", kept all the same\n" : "\n");
  }
  return out.str();
}

Schedule make_schedule(std::uint64_t seed) { return Maker(seed).make(); }

}  // namespace blindsum::simulation
