#include "scenarios/bench/report.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include <dlfcn.h>
#include <fmt/format.h>
#include <gmp.h>
#include <nlohmann/json.hpp>

#include "scenarios/bench/statistics.h"
#include "scenarios/launcher/manifest.h"

namespace blindsum::bench {
namespace {

using nlohmann::json;

std::string textbook_name(const Case& c) {
  const std::string mode = c.operation == "encrypt" ? "full" : c.mode;
  return fmt::format("{}/{}/{}/{}", c.operation, c.key_bits, mode, kTextbook);
}
std::string portable_name(const Case& c) {
  return fmt::format("{}/{}/{}/portable", c.operation, c.key_bits, c.mode);
}
std::string none_name(const Case& c) { return fmt::format("round/{}/none/-", c.key_bits); }

std::string_view name_of(Target::Figure figure) {
  switch (figure) {
    case Target::Figure::kSeconds:
      return "seconds";
    case Target::Figure::kValuesPerSecond:
      return "values_per_s";
    case Target::Figure::kBytesPerValue:
      return "bytes_per_value";
  }
  return "?";
}

std::string significant(double x) {
  if (x >= 1000) return fmt::format("{:.0f}", x);
  return fmt::format("{:.{}f}", x, x >= 100 ? 0 : x >= 10 ? 1 : 2);
}

std::string duration(double seconds) {
  if (seconds >= 1) return significant(seconds) + " s";
  if (seconds >= 1e-2) return significant(seconds * 1e3) + " ms";
  return significant(seconds * 1e6) + " us";
}

std::string rate(double per_second) {
  if (per_second >= 1e6) return significant(per_second / 1e6) + " M";
  if (per_second >= 1e3) return significant(per_second / 1e3) + " k";
  return significant(per_second);
}

std::string bound_of(const Target& target) {
  switch (target.figure) {
    case Target::Figure::kSeconds:
      return "<= " + duration(target.bound);
    case Target::Figure::kValuesPerSecond:
      return ">= " + rate(target.bound) + "/s";
    case Target::Figure::kBytesPerValue:
      return "<= " + significant(target.bound) + " B";
  }
  return "?";
}

std::string remarks_of(const Row& row) {
  std::string remarks;
  const auto add = [&](const std::string& remark) {
    remarks += (remarks.empty() ? "" : ", ") + remark;
  };
  for (const Target& target : row.targets) {
    const bool is_met = target.is_met(row.figure(target.figure).value());
    add(bound_of(target) + (is_met ? " met" : " MISSED"));
  }
  if (row.cost_of_none) add(significant(*row.cost_of_none) + " x none");
  return remarks;
}

json optional_number(const std::optional<double>& number) {
  return number ? json(*number) : json();
}

using Lines = std::vector<std::vector<std::string>>;

// aligned pads the columns: 'l' to the left, 'r' to the right.
std::string aligned(const Lines& lines, std::string_view sides) {
  std::vector<std::size_t> widths(sides.size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string table;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      table += sides[i] == 'l' ? fmt::format("{:<{}}  ", line[i], widths[i])
                               : fmt::format("{:>{}}  ", line[i], widths[i]);
    }
    table.erase(table.find_last_not_of(' ') + 1);
    table += '\n';
  }
  return table;
}

// verdict_of: the control must be seen to leak, or the test proves nothing.
std::string verdict_of(const TimingRow& row) {
  if (row.subject.is_control) {
    return row.comparison.has_leak() ? "seen, as it must be" : "NOT SEEN: too few measurements";
  }
  return row.comparison.has_leak() ? "DEPENDS ON THE SECRET" : "no difference found";
}

}  // namespace

std::optional<double> Row::figure(Target::Figure figure) const {
  switch (figure) {
    case Target::Figure::kSeconds:
      return median_s;
    case Target::Figure::kValuesPerSecond:
      return values_per_s;
    case Target::Figure::kBytesPerValue:
      return bytes_per_value;
  }
  return std::nullopt;
}

std::vector<std::string> references_of(const Case& measured) {
  if (measured.operation == "round") return {portable_name(measured), none_name(measured)};
  return {portable_name(measured), textbook_name(measured)};
}

std::vector<Row> rows_of(const std::vector<Case>& cases, const std::vector<Timing>& timings,
                         std::size_t threads) {
  std::vector<Row> rows;
  std::map<std::string, double> medians;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    const auto& seconds = timings[i].seconds;
    const auto units = static_cast<double>(c.units);
    const double call_s = median(seconds);
    Row row;
    row.measured = c;
    row.targets = targets_of(c, threads);
    row.median_s = call_s / units;
    row.min_s = *std::min_element(seconds.begin(), seconds.end()) / units;
    row.repetitions = seconds.size();
    row.calls = timings[i].calls;
    if (c.values > 0) row.values_per_s = static_cast<double>(c.values) / call_s;
    if (c.bytes > 0) {
      row.bytes_per_value = static_cast<double>(c.bytes) / static_cast<double>(c.values);
    }
    medians[c.name()] = row.median_s;
    rows.push_back(std::move(row));
  }
  for (Row& row : rows) {
    const auto against = [&](const std::string& name) -> std::optional<double> {
      const auto other = medians.find(name);
      if (other == medians.end()) return std::nullopt;
      return other->second / row.median_s;
    };
    row.times_textbook = against(textbook_name(row.measured));
    row.times_portable = against(portable_name(row.measured));
    if (row.measured.operation == "round") {
      if (const auto faster = against(none_name(row.measured))) row.cost_of_none = 1 / *faster;
    }
  }
  return rows;
}

json environment_of() {
  std::array<double, 3> load{};
  if (getloadavg(load.data(), static_cast<int>(load.size())) < 1) load[0] = -1;
  json build = launcher::build_of();
  // A GMP that picks its code by processor ("fat") has this table.
  const bool is_fat = dlsym(RTLD_DEFAULT, "__gmpn_cpuvec") != nullptr;
  return {{"build", build},
          {"gmp", {{"version", gmp_version}, {"chooses_code_by_processor", is_fat}}},
          {"machine", launcher::machine_of()},
          {"load_average", load[0]}};
}

std::string heading_of(const json& report) {
  const json& machine = report["machine"];
  const json& settings = report["settings"];
  const json& gmp = report["gmp"];
  const auto processors = settings["processors"].get<std::vector<int>>();
  const std::string pinned = fmt::format(
      "{} on {} {}",
      processors.size() == 1 ? "1 thread" : fmt::format("{} threads", processors.size()),
      processors.size() == 1 ? "processor" : "processors", fmt::join(processors, ", "));
  return fmt::format("{}, {}, load {:.2f}, {}\nGMP {} ({}), g++ {}\n",
                     machine["cpu"].get<std::string>(), machine["os"].get<std::string>(),
                     report["load_average"].get<double>(), pinned,
                     gmp["version"].get<std::string>(),
                     gmp["chooses_code_by_processor"].get<bool>() ? "chooses its code by processor"
                                                                  : "one code for all processors",
                     report["build"]["compiler"].get<std::string>());
}

std::string table_of(const std::vector<Row>& rows) {
  Lines lines{{"operation", "key", "mode", "kernel", "median", "per", "values/s", "B/value",
               "x textbook", "x portable", "target"}};
  const auto optional = [](const std::optional<double>& x, const auto& format) {
    return x ? format(*x) : std::string();
  };
  for (const Row& row : rows) {
    const Case& c = row.measured;
    lines.push_back({c.operation, std::to_string(c.key_bits), c.mode, c.kernel,
                     duration(row.median_s), c.unit, optional(row.values_per_s, rate),
                     optional(row.bytes_per_value, significant),
                     optional(row.times_textbook, significant),
                     optional(row.times_portable, significant), remarks_of(row)});
  }
  return aligned(lines, "llllrlrrrrl");
}

json json_of(const std::vector<Row>& rows) {
  json result = json::array();
  for (const Row& row : rows) {
    const Case& c = row.measured;
    json targets = json::array();
    for (const Target& target : row.targets) {
      targets.push_back({{"figure", name_of(target.figure)},
                         {"bound", target.bound},
                         {"is_met", target.is_met(row.figure(target.figure).value())}});
    }
    result.push_back({{"name", c.name()},
                      {"operation", c.operation},
                      {"key_bits", c.key_bits},
                      {"mode", c.mode},
                      {"kernel", c.kernel},
                      {"unit", c.unit},
                      {"units_per_call", c.units},
                      {"median_s", row.median_s},
                      {"min_s", row.min_s},
                      {"repetitions", row.repetitions},
                      {"calls_per_repetition", row.calls},
                      {"values_per_s", optional_number(row.values_per_s)},
                      {"bytes_per_value", optional_number(row.bytes_per_value)},
                      {"times_textbook", optional_number(row.times_textbook)},
                      {"times_portable", optional_number(row.times_portable)},
                      {"cost_of_none", optional_number(row.cost_of_none)},
                      {"targets", targets}});
  }
  return result;
}

std::string table_of(const std::vector<TimingRow>& rows) {
  Lines lines{{"computation", "key", "kernel", "class A", "class B", "measured", "t", "largest t",
               "below", "verdict"}};
  for (const TimingRow& row : rows) {
    const Subject& subject = row.subject;
    const Comparison& found = row.comparison;
    lines.push_back({subject.computation, std::to_string(row.key_bits), subject.kernel,
                     subject.class_a, subject.class_b, std::to_string(found.measurements),
                     fmt::format("{:.2f}", found.t), fmt::format("{:.2f}", found.worst_t),
                     fmt::format("{:.0f} %", 100 * found.worst_percentile), verdict_of(row)});
  }
  return aligned(lines, "lllllrrrrl");
}

json json_of(const std::vector<TimingRow>& rows) {
  json result = json::array();
  for (const TimingRow& row : rows) {
    result.push_back({{"computation", row.subject.computation},
                      {"key_bits", row.key_bits},
                      {"kernel", row.subject.kernel},
                      {"class_a", row.subject.class_a},
                      {"class_b", row.subject.class_b},
                      {"is_control", row.subject.is_control},
                      {"measurements", row.comparison.measurements},
                      {"t", row.comparison.t},
                      {"worst_t", row.comparison.worst_t},
                      {"worst_percentile", row.comparison.worst_percentile},
                      {"threshold", kLeakThreshold},
                      {"has_leak", row.comparison.has_leak()}});
  }
  return result;
}

}  // namespace blindsum::bench
