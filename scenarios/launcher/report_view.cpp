#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/federation.h"
#include "scenarios/launcher/html_report.h"
#include "scenarios/launcher/manifest.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/report/records.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::array kRunNames{"centralized", "local", "federated_float", "federated_integer",
                               "federated_encrypted"};
constexpr std::array kMetrics{"accuracy", "macro_f1", "cost"};
// Phases in the order in which a round goes through them; the time that roles wait for each other
// is not one of them.
constexpr std::array kPhases{"train",   "encode", "encrypt", "prepare", "aggregate",
                             "decrypt", "step",   "store",   "evaluate"};
constexpr std::uint32_t kMaxRounds = 100000;
constexpr std::size_t kMaxNamedParties = 20;

double rounded(double value) { return std::round(value * 1e9) / 1e9; }

json read_json(const fs::path& path) {
  json value = json::parse(read_text_file(path), nullptr, false);
  if (!value.is_object()) throw DataError(path.string() + ": not a JSON object");
  return value;
}

json read_json_if_there(const fs::path& path) {
  return fs::exists(path) ? read_json(path) : json();
}

std::optional<std::uint32_t> party_of(std::string_view role) {
  constexpr std::string_view kPrefix = "party-";
  if (!role.starts_with(kPrefix)) return std::nullopt;
  role.remove_prefix(kPrefix.size());
  std::uint32_t party = 0;
  const auto [end, error] = std::from_chars(role.data(), role.data() + role.size(), party);
  if (error != std::errc() || end != role.data() + role.size()) return std::nullopt;
  return party;
}

// for_each_record gives every round record of a .jsonl file to `take` and every event to
// `take_event`; a torn last line is left out, and so is the line on which a role says how it ended.
template <class Take, class TakeEvent>
void for_each_record(const fs::path& path, Take take, TakeEvent take_event) {
  std::ifstream file(path);
  if (!file) throw DataError(path.string() + ": cannot be read");
  std::size_t number = 0;
  for (std::string line; std::getline(file, line) && !file.eof();) {
    ++number;
    const json object = json::parse(line, nullptr, false);
    try {
      if (!object.is_object()) throw DecodeError("not a JSON object");
      const report::LineKind kind = report::kind_of(object);
      if (kind == report::LineKind::kRound) take(report::round_record_from_json(object));
      if (kind == report::LineKind::kEvent) take_event(report::event_from_json(object));
    } catch (const DecodeError& error) {
      throw DataError(path.string() + ":" + std::to_string(number) + ": " + error.what());
    }
  }
}

// last_line_of returns the role's end state, or null when it wrote none.
json last_line_of(const fs::path& path) {
  constexpr std::streamoff kTail = 1 << 16;
  std::ifstream file(path, std::ios::ate);
  if (!file) return {};
  file.seekg(std::max<std::streamoff>(0, file.tellg() - kTail));
  std::string line;
  std::string last;
  while (std::getline(file, line) && !file.eof()) last = line;
  const json end = json::parse(last, nullptr, false);
  return end.is_object() && end.contains("end") ? end : json();
}

// Quality adds up the evaluations of one round: one, or one per party that trains alone.
struct Quality {
  std::uint32_t count = 0;
  std::array<double, kMetrics.size()> sum{}, low{}, high{};
  std::optional<double> epsilon;  // that all rounds so far have spent

  void add(const report::Evaluation& evaluation) {
    const std::array values{evaluation.accuracy, evaluation.macro_f1, evaluation.cost};
    for (std::size_t m = 0; m < values.size(); ++m) {
      sum[m] += values[m];
      low[m] = count == 0 ? values[m] : std::min(low[m], values[m]);
      high[m] = count == 0 ? values[m] : std::max(high[m], values[m]);
    }
    ++count;
  }
};
using Series = std::map<std::uint32_t, Quality>;

// series_json thins a series out to every k-th point and the last.
json series_json(const Series& series, std::size_t points) {
  const std::size_t stride = (series.size() + points - 1) / std::max<std::size_t>(points, 1);
  json out = {{"rounds", json::array()}, {"evaluations", series.size()}};
  bool has_range = false;
  for (const auto& [round, quality] : series) has_range = has_range || quality.count > 1;
  for (const char* metric : kMetrics) {
    out[metric] = json::array();
    if (has_range) out["low"][metric] = out["high"][metric] = json::array();
  }
  std::size_t left = series.size();
  for (const auto& [round, quality] : series) {
    if (--left % stride != 0) continue;  // counted from the end: the last point is always there
    out["rounds"].push_back(round);
    if (quality.epsilon) out["epsilon"].push_back(rounded(*quality.epsilon));
    for (std::size_t m = 0; m < kMetrics.size(); ++m) {
      out[kMetrics[m]].push_back(rounded(quality.sum[m] / quality.count));
      if (!has_range) continue;
      out["low"][kMetrics[m]].push_back(rounded(quality.low[m]));
      out["high"][kMetrics[m]].push_back(rounded(quality.high[m]));
    }
  }
  return out;
}

// Extent is sum, least and most of what parties counted in a round.
struct Extent {
  std::uint64_t sum = 0, least = 0, most = 0, count = 0;

  void add(std::uint64_t value) {
    least = count == 0 ? value : std::min(least, value);
    most = std::max(most, value);
    sum += value;
    ++count;
  }
  void add(const Extent& other) {
    if (other.count == 0) return;
    least = count == 0 ? other.least : std::min(least, other.least);
    most = std::max(most, other.most);
    sum += other.sum;
    count += other.count;
  }
  [[nodiscard]] double mean() const {
    return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
  }
};

// Detail is what the records of a federated run say beside the quality.
class Detail {
 public:
  Detail(std::uint32_t parties, std::uint32_t rounds)
      : parties_(parties), rounds_(rounds), totals_(parties), contributed_(parties) {}

  void add(const report::RoundRecord& record) {
    if (record.round > rounds_) {
      throw DecodeError("round " + std::to_string(record.round) + " of " + std::to_string(rounds_));
    }
    if (record.round >= per_round_.size()) per_round_.resize(record.round + 1);
    Round& round = per_round_[record.round];
    for (std::size_t p = 0; p < kPhases.size(); ++p) {
      const auto found = record.phase_s.find(kPhases[p]);
      if (found != record.phase_s.end()) {
        round.slowest[p] = std::max(round.slowest[p], found->second);
      }
    }
    if (const auto party = party_of(record.role)) {
      Total& total = totals_.at(checked(*party));
      total.up += record.bytes_out;
      total.down += record.bytes_in;
      total.clipped += record.clipped_values;
      round.up.add(record.bytes_out);
      round.down.add(record.bytes_in);
      party_.add(record);
    } else if (record.role == "coordinator") {
      coordinator_.add(record);
    } else if (record.role == "keyholder") {
      holder_.add(record);
      round.is_opened = true;
      for (const std::uint32_t contributor : record.contributors) {
        auto& rounds = contributed_.at(checked(contributor));
        rounds.resize(std::max<std::size_t>(rounds.size(), record.round + std::size_t{1}));
        rounds[record.round] = true;
      }
    }
  }

  [[nodiscard]] json to_json(const ReportLimits& limits) const {
    const std::size_t gradient_rounds = per_round_.empty() ? 0 : per_round_.size() - 1;
    const std::size_t group = groups_of(gradient_rounds, limits.columns - 1);
    json columns = json::array();
    for (std::size_t begin = 0; begin < per_round_.size();) {
      const std::size_t end = begin == 0 ? 1 : std::min(begin + group, per_round_.size());
      columns.push_back({begin, end - 1});
      begin = end;
    }
    return {{"rounds_joined", group},
            {"columns", columns},
            {"phases", phases_json(columns)},
            {"up", bytes_json(columns, &Round::up)},
            {"down", bytes_json(columns, &Round::down)},
            {"parties", parties_json(columns, limits)},
            {"roles",
             {{"party", party_.to_json()},
              {"coordinator", coordinator_.to_json()},
              {"keyholder", holder_.to_json()}}}};
  }

 private:
  struct Round {
    std::array<double, kPhases.size()> slowest{};
    Extent up, down;
    bool is_opened = false;
  };
  struct Total {
    std::uint64_t up = 0, down = 0, clipped = 0;
  };
  // Traffic is what all the records of one kind of role count, round 0 apart.
  struct Traffic {
    std::uint64_t records = 0, bytes_in = 0, bytes_out = 0, statistics_in = 0, statistics_out = 0;

    void add(const report::RoundRecord& record) {
      ++records;
      bytes_in += record.bytes_in;
      bytes_out += record.bytes_out;
      if (record.round == 0) {
        statistics_in += record.bytes_in;
        statistics_out += record.bytes_out;
      }
    }
    [[nodiscard]] json to_json() const {
      return {{"records", records},
              {"bytes_in", bytes_in},
              {"bytes_out", bytes_out},
              {"statistics_in", statistics_in},
              {"statistics_out", statistics_out}};
    }
  };

  static std::size_t groups_of(std::size_t count, std::size_t limit) {
    return std::max<std::size_t>(1, (count + limit - 1) / std::max<std::size_t>(limit, 1));
  }

  [[nodiscard]] std::uint32_t checked(std::uint32_t party) const {
    if (party >= parties_) {
      throw DecodeError("party " + std::to_string(party) + " of " + std::to_string(parties_));
    }
    return party;
  }

  // phases_json holds, for every phase that took time, the mean seconds a round in each column.
  [[nodiscard]] json phases_json(const json& columns) const {
    json phases = json::array();
    for (std::size_t p = 0; p < kPhases.size(); ++p) {
      json seconds = json::array();
      double total = 0;
      for (const json& column : columns) {
        const auto first = column[0].get<std::size_t>();
        const auto last = column[1].get<std::size_t>();
        double sum = 0;
        for (std::size_t r = first; r <= last; ++r) sum += per_round_[r].slowest[p];
        total += sum;
        seconds.push_back(rounded(sum / static_cast<double>(last - first + 1)));
      }
      if (total > 0) {
        phases.push_back({{"phase", kPhases[p]}, {"seconds", seconds}, {"total", rounded(total)}});
      }
    }
    return phases;
  }

  [[nodiscard]] json bytes_json(const json& columns, Extent Round::*member) const {
    json mean = json::array();
    json least = json::array();
    json most = json::array();
    for (const json& column : columns) {
      Extent extent;
      for (auto r = column[0].get<std::size_t>(); r <= column[1].get<std::size_t>(); ++r) {
        extent.add(per_round_[r].*member);
      }
      mean.push_back(std::round(extent.mean()));
      least.push_back(extent.least);
      most.push_back(extent.most);
    }
    return {{"mean", mean}, {"least", least}, {"most", most}};
  }

  // parties_json has one row a party, or a group of them: means per party of the group, and for
  // each column the percentage of its opened sums that the party is in (null: none was opened).
  [[nodiscard]] json parties_json(const json& columns, const ReportLimits& limits) const {
    const std::size_t group = groups_of(parties_, limits.rows);
    json rows = json::array();
    for (std::size_t begin = 0; begin < parties_; begin += group) {
      const std::size_t end = std::min<std::size_t>(begin + group, parties_);
      const auto size = static_cast<double>(end - begin);
      Total total;
      std::uint64_t rounds = 0;
      json shares = json::array();
      for (const json& column : columns) {
        std::uint64_t hits = 0;
        std::uint64_t opened = 0;
        for (auto r = column[0].get<std::size_t>(); r <= column[1].get<std::size_t>(); ++r) {
          if (!per_round_[r].is_opened) continue;
          ++opened;
          for (std::size_t k = begin; k < end; ++k) {
            hits += r < contributed_[k].size() && contributed_[k][r] ? 1U : 0U;
          }
        }
        rounds += hits;
        shares.push_back(opened == 0 ? json()
                                     : json(std::round(100.0 * static_cast<double>(hits) /
                                                       (static_cast<double>(opened) * size))));
      }
      for (std::size_t k = begin; k < end; ++k) {
        total.up += totals_[k].up;
        total.down += totals_[k].down;
        total.clipped += totals_[k].clipped;
      }
      rows.push_back({{"first", begin},
                      {"last", end - 1},
                      {"up", std::round(static_cast<double>(total.up) / size)},
                      {"down", std::round(static_cast<double>(total.down) / size)},
                      {"clipped", rounded(static_cast<double>(total.clipped) / size)},
                      {"rounds", rounded(static_cast<double>(rounds) / size)},
                      {"shares", shares}});
    }
    const auto opened = std::count_if(per_round_.begin(), per_round_.end(),
                                      [](const Round& round) { return round.is_opened; });
    return {{"joined", group}, {"opened", opened}, {"rows", rows}};
  }

  std::uint32_t parties_;
  std::uint32_t rounds_;
  std::vector<Round> per_round_;
  std::vector<Total> totals_;
  std::vector<std::vector<bool>> contributed_;  // [party][round]
  Traffic party_, coordinator_, holder_;
};

// record_files lists where the round records of a run are.
std::vector<fs::path> record_files(const fs::path& folder) {
  if (fs::exists(folder / "rounds.jsonl")) return {folder / "rounds.jsonl"};
  std::vector<fs::path> files;
  if (!fs::is_directory(folder / "records")) return files;
  for (const auto& entry : fs::directory_iterator(folder / "records")) {
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  }
  return files;
}

// roles_json says how each role ended; of the parties, only those that did not end well are named.
json roles_json(const fs::path& folder, std::uint32_t parties) {
  if (!fs::is_directory(folder / "records")) return {};
  const auto ending_of = [&](const wire::Peer& peer) {
    const fs::path path = records_path(folder, peer);
    json end = last_line_of(path);
    if (end.is_null()) {
      end = {{"status", fs::exists(path) ? "no last record" : "no records"}};
    }
    end["name"] = peer_name(peer);
    return end;
  };
  json roles = {{"named", json::array()}, {"done", 0}, {"not_done", 0}, {"rejected", 0}};
  for (const wire::Peer& peer : all_peers(parties)) {
    json end = ending_of(peer);
    const bool is_done = end.value("status", "") == "done";
    if (!peer_name(peer).starts_with("party")) {
      roles["named"].push_back(std::move(end));
      continue;
    }
    roles["rejected"] = roles["rejected"].get<std::uint64_t>() + end.value("rejected", 0U);
    const char* key = is_done ? "done" : "not_done";
    const auto count = roles[key].get<std::uint32_t>() + 1;
    roles[key] = count;
    if (!is_done && count <= kMaxNamedParties) roles["named"].push_back(std::move(end));
  }
  return roles;
}

// events_json has the events in the order of their rounds, the last of too many left out.
json events_json(std::vector<report::Event> events, const ReportLimits& limits) {
  std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) {
    return std::tie(a.round, a.at) < std::tie(b.round, b.at);
  });
  json shown = json::array();
  for (const report::Event& event : events) {
    if (shown.size() == limits.events) break;
    shown.push_back(to_json(event));
  }
  return {{"count", events.size()}, {"shown", std::move(shown)}};
}

struct RunView {
  json run;     // summary, series
  json detail;  // of a federated run, else null
};

// run_view reads one result folder. `summary` may be null: the run did not come to write one.
RunView run_view(const fs::path& folder, std::string name, json summary,
                 const std::optional<settings::Settings>& settings, const ReportLimits& limits) {
  const std::uint32_t parties = settings ? settings->parties : 0;
  const std::uint32_t rounds = settings ? settings->rounds : kMaxRounds;
  Series series;
  Detail detail(parties, rounds);
  std::vector<report::Event> events;
  for (const fs::path& file : record_files(folder)) {
    for_each_record(
        file,
        [&](const report::RoundRecord& record) {
          if (record.evaluation) {
            series[record.round].add(*record.evaluation);
            series[record.round].epsilon = record.epsilon;
          }
          if (parties > 0) detail.add(record);
        },
        [&](report::Event event) { events.push_back(std::move(event)); });
  }
  if (summary.is_null()) {
    summary = {{"status", "unfinished"},
               {"reason", "there is no summary.json: the run has not ended, or was killed"}};
  }
  summary.erase("events");
  RunView view;
  view.run = {{"name", std::move(name)},
              {"summary", std::move(summary)},
              {"series", series_json(series, limits.points)}};
  if (parties > 0) {
    view.detail = detail.to_json(limits);
    view.detail["run"] = view.run["name"];
    view.detail["parameters"] = role::shape_of(*settings).parameters();
    view.detail["events"] = events_json(std::move(events), limits);
    view.detail["endings"] = roles_json(folder, parties);
  }
  return view;
}

void add_scenario(json& view, const fs::path& folder, const settings::Settings& settings) {
  view["settings"] = to_json(settings);
  view["classes"] = role::schema_of(settings).class_names();
  view["quorum"] = settings::gradient_quorum_of(settings);
  view["scenario"] = read_text_file(folder / "scenario.yaml");
  view["manifest"] = read_json_if_there(folder / "manifest.json");
}

std::optional<settings::Settings> settings_in(const fs::path& folder) {
  if (!fs::exists(folder / "scenario.yaml")) return std::nullopt;
  return load_scenario(folder / "scenario.yaml");
}

json view_of_run(const fs::path& folder, const ReportLimits& limits) {
  const auto settings = settings_in(folder);
  json summary = read_json_if_there(folder / "summary.json");
  if (!settings || (summary.is_null() && record_files(folder).empty() &&
                    !fs::exists(folder / "manifest.json"))) {
    throw DataError(folder.string() +
                    ": no records of a run: " + (settings ? "" : "scenario.yaml, ") +
                    "summary.json, rounds.jsonl and records/ are missing (and compare.json, of a "
                    "comparison); name a folder that 'blindsum run' or 'blindsum compare' made");
  }
  const char* name = settings->cipher == "none" ? "federated_integer" : "federated_encrypted";
  RunView run = run_view(folder, name, std::move(summary), settings, limits);
  json view = {{"kind", "run"},
               {"title", settings->name},
               {"runs", json::array({run.run})},
               {"detail", run.detail}};
  add_scenario(view, folder, *settings);
  return view;
}

// most_gained keeps the parties whose mean recall rose most.
json most_gained(json gains, std::size_t limit) {
  const std::size_t total = gains.size();
  const auto mean_gain = [](const json& row) {
    double gain = 0;
    for (const json& recall : row.at("federated")) gain += recall.get<double>();
    for (const json& recall : row.at("alone")) gain -= recall.get<double>();
    return gain;
  };
  if (total > limit) {
    std::vector<json> rows(gains.begin(), gains.end());
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const json& a, const json& b) { return mean_gain(a) > mean_gain(b); });
    rows.resize(limit);
    gains = rows;
  }
  return {{"parties", total}, {"rows", std::move(gains)}};
}

json view_of_comparison(const fs::path& folder, const ReportLimits& limits) {
  const json comparison = read_json(folder / "compare.json");
  json view = {{"kind", "compare"}, {"title", folder.filename().string()}, {"runs", json::array()}};
  for (const char* name : kRunNames) {
    if (!comparison.contains(name)) continue;
    json summary = comparison[name];
    summary.erase("per_party");
    const auto settings = settings_in(folder / name);
    RunView run = run_view(folder / name, name, std::move(summary), settings, limits);
    view["runs"].push_back(std::move(run.run));
    if (!settings) continue;
    // The later run is the better protected one: its details are shown.
    view["detail"] = std::move(run.detail);
    view["title"] = settings->name;
    add_scenario(view, folder / name, *settings);
  }
  for (const char* key : {"identical", "first_difference", "sanity", "seeds", "by_seed", "mean",
                          "deviation", "paired", "minimum_cost", "quantisation"}) {
    if (comparison.contains(key)) view[key] = comparison[key];
  }
  if (comparison.contains("gains")) {
    view["gains"] = most_gained(comparison["gains"], limits.gains);
  }
  return view;
}

}  // namespace

json report_view(const fs::path& folder, const ReportLimits& limits) {
  if (!fs::is_directory(folder)) {
    throw ConfigError(folder.string() + ": no such folder; name one that 'blindsum run' or " +
                      "'blindsum compare' made");
  }
  const fs::path named = fs::canonical(folder);  // "." has a name, too
  try {
    json view = fs::exists(named / "compare.json") ? view_of_comparison(named, limits)
                                                   : view_of_run(named, limits);
    view["folder"] = named.filename().string();
    view["written"] = utc_now();
    view["version"] = BLINDSUM_VERSION;
    return view;
  } catch (const json::exception& error) {
    throw DataError(folder.string() +
                    ": its records do not have the form they must have: " + error.what());
  }
}

}  // namespace blindsum::launcher
