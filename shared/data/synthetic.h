// A small built-in KDD-like data set, for machines without the real files. It is synthetic and
// labelled so everywhere.
#pragma once

#include <cstdint>
#include <filesystem>

namespace blindsum::data {

struct SyntheticSizes {
  std::size_t train_rows = 40'000;
  std::size_t test_rows = 20'000;
};

// write_synthetic writes kddcup.data_10_percent and corrected (plain CSV, KDD schema and label
// names) into `directory`, deterministic in `seed`. The test set has some attack types that the
// training set lacks, like the real one.
void write_synthetic(const std::filesystem::path& directory, std::uint64_t seed,
                     const SyntheticSizes& sizes = {});

}  // namespace blindsum::data
