// The same training five ways, with the same seeds: on one pile of all rows, each party alone,
// federated in floating point, in integers, and encrypted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/run.h"

namespace blindsum::launcher {

// compare runs the five for each of `seeds` seeds, from the scenario's on, and writes compare.json
// into options.folder, beside one folder a run (of later seeds in seed-<s>). It ends with the first
// run that did not end well, or kIntegrity when an encrypted run and its integer run end in
// different models. The summary is compare.json (format: scenarios/README.md); it is written
// whatever happened, with "status" and "reason". Faults, sampling.extra and stop.* are kUsage: with
// them runs differ in their rounds or parties.
// With kBaselines only the two are trained that need no federation: centralized, and each alone.
enum class Scope : std::uint8_t { kAll, kBaselines };
[[nodiscard]] RunResult compare(const RunOptions& options, Progress& progress,
                                std::uint32_t seeds = 1, Scope scope = Scope::kAll);

// comparison_table formats compare.json for people: one row a run, and who gains what.
[[nodiscard]] std::string comparison_table(const nlohmann::json& comparison);

// first_difference returns the first round after which the key-holder's models of two runs differ,
// by the digests in their rounds.jsonl; a round that one of them lacks differs. Nothing when all
// are equal.
[[nodiscard]] std::optional<std::uint32_t> first_difference(const std::filesystem::path& run,
                                                            const std::filesystem::path& other);

// Spread is mean and sample standard deviation (divided by n − 1; 0 for one value).
struct Spread {
  double mean = 0, deviation = 0;
};
[[nodiscard]] Spread spread_of(const std::vector<double>& values);

// PairedDifference is what the differences of two runs, seed by seed, come to: their mean and its
// standard error, how many are positive, and p, the exact two-sided level of the sign-flip test
// (Fisher 1935, section 21): the share of the 2^n ways to turn signs whose sum is as far from 0.
// It cannot be below 2^(1 − n): .25 for three seeds. None for more than 20.
struct PairedDifference {
  double mean = 0, standard_error = 0;
  std::uint32_t higher = 0;
  std::optional<double> p;
};
// paired_difference takes at least one difference.
[[nodiscard]] PairedDifference paired_difference(const std::vector<double>& differences);

}  // namespace blindsum::launcher
