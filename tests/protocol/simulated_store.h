// The key-holder's store in a simulated run: killed in the middle of it, or full.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "party/key_holder/state_store.h"
#include "tests/protocol/oracle.h"
#include "tests/protocol/stage.h"

namespace blindsum::simulation {

// Disk is what outlives the key-holder's process: in memory, or the files of a real store.
class Disk {
 public:
  // `folder`, when not empty, holds a real store.
  Disk(Stage& stage, Oracle& oracle, std::filesystem::path folder, const wire::RunId& run)
      : stage_(&stage), oracle_(&oracle), folder_(std::move(folder)), run_(run) {}

  // open gives the store to the next life of the key-holder.
  [[nodiscard]] std::unique_ptr<key_holder::StateStore> open();

 private:
  class Memory;
  class Faulty;

  struct Checkpoint {
    std::uint32_t round = 0;
    Bytes content;
  };

  Stage* stage_;
  Oracle* oracle_;
  std::filesystem::path folder_;
  wire::RunId run_;
  std::vector<key_holder::Recovered::Entry> journal_;
  std::optional<Checkpoint> newer_, older_;
  std::uint32_t appends_ = 0, checkpoints_ = 0;  // tried, over all lives
};

}  // namespace blindsum::simulation
