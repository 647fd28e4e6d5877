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
  const auto threads = settings["threads"].get<std::size_t>();
  return fmt::format(
      "{}, {}, load {:.2f}\n{} {} pinned to {}, {} time, medians of {}; GMP {} ({}), g++ {}\n"
      "{} parties, {} values each, {} bits a value; single operations on {} numbers a call\n",
      machine["cpu"].get<std::string>(), machine["os"].get<std::string>(),
      report["load_average"].get<double>(), threads, threads == 1 ? "thread" : "threads",
      settings["processors"].dump(), settings["clock"].get<std::string>(),
      settings["repetitions"].get<int>(), gmp["version"].get<std::string>(),
      gmp["chooses_code_by_processor"].get<bool>() ? "chooses its code by processor"
                                                   : "one code for all processors",
      report["build"]["compiler"].get<std::string>(), settings["parties"].get<int>(),
      settings["values"].get<int>(), settings["value_bits"].get<int>(),
      settings["batch"].get<int>());
}

std::string table_of(const std::vector<Row>& rows) {
  using Line = std::array<std::string, 10>;
  std::vector<Line> lines{{"operation", "key", "mode", "kernel", "median", "per", "values/s",
                           "B/value", "x textbook", "x portable"}};
  std::vector<std::string> remarks{"target"};
  for (const Row& row : rows) {
    const Case& c = row.measured;
    const auto optional = [](const std::optional<double>& x, const auto& format) {
      return x ? format(*x) : std::string();
    };
    lines.push_back(
        {c.operation, std::to_string(c.key_bits), c.mode, c.kernel, duration(row.median_s), c.unit,
         optional(row.values_per_s, rate), optional(row.bytes_per_value, significant),
         optional(row.times_textbook, significant), optional(row.times_portable, significant)});
    remarks.push_back(remarks_of(row));
  }
  std::array<std::size_t, std::tuple_size_v<Line>> widths{};
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string table;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (std::size_t j = 0; j < lines[i].size(); ++j) {
      const bool is_text = j < 4 || j == 5;
      table += is_text ? fmt::format("{:<{}}  ", lines[i][j], widths[j])
                       : fmt::format("{:>{}}  ", lines[i][j], widths[j]);
    }
    table += remarks[i];
    table.erase(table.find_last_not_of(' ') + 1);
    table += '\n';
  }
  return table;
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

}  // namespace blindsum::bench
