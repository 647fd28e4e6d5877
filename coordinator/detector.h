// The model of private detection, in whole numbers: what the compute service holds in the clear and
// evaluates on ciphertexts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "shared/role/detection.h"

namespace blindsum::coordinator {

// Detector scores a record x of 122 whole numbers (role::DetectionInputs). Linear (hidden = 0):
//   z = first·x + first_bias, one row an output.
// With a hidden layer, whose activation is the square:
//   a = first·x + first_bias,   z_k = Σ_j second_kj·a_j² + second_bias_k.
// Matrices are row by row. All of it is integer arithmetic without overflow: check sees to that.
struct Detector {
  std::size_t hidden = 0;
  std::vector<std::int64_t> first, first_bias, second, second_bias;

  [[nodiscard]] std::array<std::int64_t, role::DetectionInputs::kOutputs> scores(
      std::span<const std::uint8_t> inputs) const;

  // check throws ConfigError when sizes do not match or a value could leave its slot, whatever the
  // record: |z| of a linear detector, or |a| and |z|.
  void check() const;
};

// write_detector and read_detector: JSON, 0600. read_detector throws ConfigError that names the
// file.
void write_detector(const std::filesystem::path& path, const Detector& detector);
[[nodiscard]] Detector read_detector(const std::filesystem::path& path);

}  // namespace blindsum::coordinator
