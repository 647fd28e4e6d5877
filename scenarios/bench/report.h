// The results as a table for people and as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "scenarios/bench/engine.h"
#include "scenarios/bench/measure.h"
#include "scenarios/bench/targets.h"
#include "scenarios/bench/timing_test.h"

namespace blindsum::bench {

// Row is a case, its timing, and what follows from them. Ratios are medians divided: how many times
// faster than the other method the row is; absent without that other row.
struct Row {
  Case measured;
  std::vector<Target> targets;
  double median_s = 0;  // per unit
  double min_s = 0;     // per unit
  std::size_t repetitions = 0;
  std::int64_t calls = 0;  // in each repetition
  std::optional<double> values_per_s;
  std::optional<double> bytes_per_value;
  std::optional<double> times_textbook;
  std::optional<double> times_portable;
  std::optional<double> cost_of_none;  // rounds: time over that of the unencrypted round

  [[nodiscard]] std::optional<double> figure(Target::Figure figure) const;
};

// rows_of makes a row of each case, in order.
[[nodiscard]] std::vector<Row> rows_of(const std::vector<Case>& cases,
                                       const std::vector<Timing>& timings, std::size_t threads);

// references_of returns the names of the rows that the ratios of a case are made with.
[[nodiscard]] std::vector<std::string> references_of(const Case& measured);

// environment_of tells on what was measured: program, compiler, libraries, GMP, machine, load.
[[nodiscard]] nlohmann::json environment_of();

// heading_of says in words what `report` (environment_of and the settings) holds.
[[nodiscard]] std::string heading_of(const nlohmann::json& report);
[[nodiscard]] std::string table_of(const std::vector<Row>& rows);
[[nodiscard]] nlohmann::json json_of(const std::vector<Row>& rows);

// TimingRow is one subject of the timing test and what came of it.
struct TimingRow {
  Subject subject;
  std::size_t key_bits = 0;
  Comparison comparison;
};
[[nodiscard]] std::string table_of(const std::vector<TimingRow>& rows);
[[nodiscard]] nlohmann::json json_of(const std::vector<TimingRow>& rows);

}  // namespace blindsum::bench
