// A party's memory under SCAFFOLD: where its own gradients point.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "shared/wire/messages.h"

namespace blindsum::party {

// ControlVariate is c_i of Karimireddy et al. 2020, algorithm 1. What a round's work makes of it
// counts once that round is over, unless the update was refused: a round that is begun again, by
// this process or the next, starts from the same values. Kept in a file from one process to the
// next (not fsynced: it outlives a crash of the process, not of the machine). Not thread-safe.
class ControlVariate {
 public:
  // Starts from `file`, when it is there, else from zeros; with an empty path nothing is kept.
  // Throws StorageError when the file is damaged or of another run, party or size.
  ControlVariate(const wire::RunId& run, std::uint32_t party, std::size_t parameters,
                 std::filesystem::path file);

  // at_round returns c_i for the work of `round`.
  [[nodiscard]] const std::vector<float>& at_round(std::uint32_t round);

  // propose sets what c_i is after `round`, the last that at_round was called for. Throws
  // StorageError when the file cannot be written.
  void propose(std::uint32_t round, std::vector<float> values);

  // refuse forgets the proposal of `round`.
  void refuse(std::uint32_t round);

 private:
  void load();
  void save() const;

  wire::RunId run_;
  std::uint32_t party_;
  std::filesystem::path file_;
  std::vector<float> values_;
  std::uint32_t proposed_round_ = 0;  // 0: no proposal
  std::vector<float> proposed_;
};

}  // namespace blindsum::party
