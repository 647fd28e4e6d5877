#include "tests/protocol/stage.h"

#include <cstdio>

namespace blindsum::simulation {

void Stage::reach(const wire::Peer& peer, Point point) {
  const std::uint32_t occurrence = reached_[peer].at(static_cast<std::size_t>(point))++;
  for (const Crash& crash : schedule_->crashes) {
    if (crash.peer == peer && crash.point == point && crash.occurrence == occurrence) {
      throw Killed{crash};
    }
  }
}

void Stage::violate(const std::string& what) {
  violations_.push_back(what);
  trace([&] { return "VIOLATION: " + what; });
}

void Stage::print(const std::string& line) const {
  std::printf("%9.3f s  %s\n", static_cast<double>(now()) / 1000, line.c_str());
}

}  // namespace blindsum::simulation
