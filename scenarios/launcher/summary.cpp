#include "scenarios/launcher/summary.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "shared/core/file.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

json quality_of(const report::RoundRecord& record) {
  json quality = to_json(*record.evaluation);
  quality.erase("confusion");
  quality["round"] = record.round;
  return quality;
}

json phases_of(const Records& records) {
  std::map<std::pair<std::uint32_t, std::string>, double> slowest;
  for (const report::RoundRecord& record : records.rounds) {
    for (const auto& [phase, seconds] : record.phase_s) {
      double& most = slowest[{record.round, phase}];
      most = std::max(most, seconds);
    }
  }
  std::map<std::string, double> sums;
  for (const auto& [key, seconds] : slowest) sums[key.second] += seconds;
  return sums;
}

bool is_party(const std::string& role) { return role.starts_with("party-"); }

// traffic_of sums what parties sent ("bytes_out") or received ("bytes_in"): by a party's last line
// where it has one, which counts whole messages, else by its rounds.
std::uint64_t traffic_of(const Records& records, const char* key,
                         std::uint64_t report::RoundRecord::*member) {
  std::map<std::string, std::uint64_t> bytes;
  for (const report::RoundRecord& record : records.rounds) {
    if (is_party(record.role)) bytes[record.role] += record.*member;
  }
  for (const json& end : records.ends) {
    const auto role = end.value("role", "");
    if (is_party(role)) bytes[role] = end.value(key, bytes[role]);
  }
  std::uint64_t sum = 0;
  for (const auto& [role, count] : bytes) sum += count;
  return sum;
}

}  // namespace

Records gather_records(const std::filesystem::path& folder, std::uint32_t parties) {
  Records records;
  for (const wire::Peer& peer : all_peers(parties)) {
    const auto path = records_path(folder, peer);
    if (!std::filesystem::exists(path)) continue;
    for (json& line : report::read_records(path)) {
      if (line.value("end", false)) {
        records.ends.push_back(std::move(line));
      } else {
        records.rounds.push_back(report::round_record_from_json(line));
      }
    }
  }
  // The peers were read in the order in which they are listed: a stable sort keeps it.
  std::stable_sort(records.rounds.begin(), records.rounds.end(),
                   [](const auto& a, const auto& b) { return a.round < b.round; });
  return records;
}

void write_rounds(const std::filesystem::path& path, const Records& records) {
  std::string text;
  for (const report::RoundRecord& record : records.rounds) text += to_json(record).dump() + "\n";
  write_file_atomic(path, text);
}

std::string json_text(const json& object) {
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

json summary_of(const settings::Settings& settings, const Records& records, const Ending& ending,
                const Figures& figures) {
  const report::RoundRecord* last = nullptr;
  const report::RoundRecord* best = nullptr;
  std::uint64_t clipped = 0;
  for (const report::RoundRecord& record : records.rounds) {
    clipped += record.clipped_values;
    if (!record.evaluation) continue;
    last = &record;
    if (best == nullptr || record.evaluation->cost < best->evaluation->cost) best = &record;
  }
  json digest;
  double peak_rss_mib = 0;
  json party_private_mib;
  for (const json& end : records.ends) {
    if (end.contains("model_digest")) digest = end["model_digest"];
    peak_rss_mib = std::max(peak_rss_mib, end.value("peak_rss_mib", 0.0));
    if (end.value("role", "").starts_with("party-") && end.contains("private_mib")) {
      party_private_mib =
          std::max(party_private_mib.is_null() ? 0.0 : party_private_mib.get<double>(),
                   end["private_mib"].get<double>());
    }
  }

  const bool is_encrypted = settings.cipher != "none";
  json summary = {
      {"status", to_string(ending.fault)},
      {"scenario", settings.name},
      {"seed", settings.seed},
      {"parties", settings.parties},
      {"rounds", settings.rounds},
      {"cipher", settings.cipher},
      {"key_bits", is_encrypted ? json(settings.paillier.key_bits) : json()},
      {"randomizer", is_encrypted ? json(settings.paillier.randomizer) : json()},
      {"kernel", figures.kernel.empty() || !is_encrypted ? json() : json(figures.kernel)},
      {"data", figures.data},
      {"final", last == nullptr ? json() : quality_of(*last)},
      {"best", best == nullptr ? json() : quality_of(*best)},
      {"confusion", last == nullptr ? json() : json(last->evaluation->confusion)},
      {"model_digest", digest},
      {"bytes_up", traffic_of(records, "bytes_out", &report::RoundRecord::bytes_out)},
      {"bytes_down", traffic_of(records, "bytes_in", &report::RoundRecord::bytes_in)},
      {"clipped_values", clipped},
      {"wall_s", figures.wall_s},
      {"train_s", figures.train_s},
      {"keygen_s", figures.keygen_s},
      {"data_s", figures.data_s},
      {"phase_s", phases_of(records)},
      {"peak_rss_mib", peak_rss_mib},
      {"party_private_mib", party_private_mib}};
  if (ending.fault != Fault::kNone) summary["reason"] = ending.reason;
  return summary;
}

}  // namespace blindsum::launcher
