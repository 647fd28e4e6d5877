#include "scenarios/launcher/summary.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/file.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

json quality_of(const report::RoundRecord& record) {
  json quality = to_json(*record.evaluation);
  quality.erase("confusion");
  quality.erase("classes");
  quality["round"] = record.round;
  return quality;
}

bool is_party(const report::RoundRecord& record) { return record.role.starts_with("party-"); }

// rounds_done_of is the last round that whoever steps the model has recorded: the key-holder, or
// the one trainer of a run in this process.
std::uint32_t rounds_done_of(const Records& records) {
  std::uint32_t done = 0;
  for (const report::RoundRecord& record : records.rounds) {
    if (is_party(record) || record.role == to_string(wire::kCoordinatorPeer)) continue;
    done = std::max(done, record.round);
  }
  return done;
}

// updates_sent_of counts the gradient updates of all parties.
std::uint64_t updates_sent_of(const Records& records) {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      records.rounds,
      [](const report::RoundRecord& record) { return is_party(record) && record.round > 0; }));
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

json parts_of(const Records& records) {
  json parts = json::array();
  for (json part : records.parts) {
    part.erase("end");
    part.erase("role");
    parts.push_back(std::move(part));
  }
  return parts;
}

json events_of(const Records& records) {
  json events = json::array();
  for (const report::Event& event : records.events) events.push_back(to_json(event));
  return events;
}

// Life is what one life of a role sent and received: by its last line where it has one, which
// counts whole messages, else by its rounds.
struct Life {
  std::uint64_t bytes_out = 0, bytes_in = 0;
};

// RoleRecords are what all lives of one role have left.
struct RoleRecords {
  std::map<std::uint32_t, report::RoundRecord> rounds;
  std::vector<report::Event> events;
  std::vector<Life> lives;
  json end;  // of the last life; null when it wrote none
};

RoleRecords read_role(const std::filesystem::path& path) {
  RoleRecords role;
  role.lives.emplace_back();
  for (json& line : report::read_records(path)) {
    Life& life = role.lives.back();
    switch (report::kind_of(line)) {
      case report::LineKind::kRound: {
        report::RoundRecord record = report::round_record_from_json(line);
        life.bytes_out += record.bytes_out;
        life.bytes_in += record.bytes_in;
        const auto before = role.rounds.find(record.round);
        const bool is_replay = before != role.rounds.end() && !record.model_digest.empty() &&
                               before->second.model_digest == record.model_digest;
        if (!is_replay) role.rounds.insert_or_assign(record.round, std::move(record));
        break;
      }
      case report::LineKind::kEvent:
        role.events.push_back(report::event_from_json(line));
        if (role.events.back().event != report::kRestarted) break;
        role.lives.emplace_back();
        role.end = {};
        break;
      case report::LineKind::kEnd:
        life = {line.value("bytes_out", life.bytes_out), line.value("bytes_in", life.bytes_in)};
        role.end = std::move(line);
    }
  }
  return role;
}

}  // namespace

std::filesystem::path launcher_records_path(const std::filesystem::path& folder) {
  return folder / "records" / "launcher.jsonl";
}

json part_of(const Ending& ending, const std::string& started, double wall_s, double train_s) {
  return {{"end", true},        {"role", "launcher"}, {"status", to_string(ending.fault)},
          {"started", started}, {"wall_s", wall_s},   {"train_s", train_s}};
}

json model_digest_of(const Records& records) {
  for (const json& end : records.ends) {
    if (end.contains("model_digest")) return end["model_digest"];
  }
  return {};
}

Records gather_records(const std::filesystem::path& folder, std::uint32_t parties) {
  Records records;
  const auto take = [&](const std::filesystem::path& path, bool is_party) {
    if (!std::filesystem::exists(path)) return;
    RoleRecords role = read_role(path);
    for (auto& [round, record] : role.rounds) records.rounds.push_back(std::move(record));
    std::move(role.events.begin(), role.events.end(), std::back_inserter(records.events));
    if (!role.end.is_null()) records.ends.push_back(std::move(role.end));
    for (const Life& life : role.lives) {
      if (!is_party) continue;
      records.bytes_up += life.bytes_out;
      records.bytes_down += life.bytes_in;
    }
  };
  for (const wire::Peer& peer : all_peers(parties)) {
    take(records_path(folder, peer), peer.role == wire::Role::kParty);
  }
  if (const auto path = launcher_records_path(folder); std::filesystem::exists(path)) {
    for (json& line : report::read_records(path)) {
      if (report::kind_of(line) == report::LineKind::kEvent) {
        records.events.push_back(report::event_from_json(line));
      } else {
        records.parts.push_back(std::move(line));
      }
    }
  }
  // The peers were read in the order in which they are listed: a stable sort keeps it.
  std::stable_sort(records.rounds.begin(), records.rounds.end(),
                   [](const auto& a, const auto& b) { return a.round < b.round; });
  std::stable_sort(records.events.begin(), records.events.end(), [](const auto& a, const auto& b) {
    return std::tie(a.round, a.at) < std::tie(b.round, b.at);
  });
  return records;
}

void write_rounds(const std::filesystem::path& path, const Records& records) {
  std::string text;
  auto event = records.events.begin();
  const auto add_events_before = [&](std::uint64_t round) {
    for (; event != records.events.end() && event->round < round; ++event) {
      text += to_json(*event).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    }
  };
  for (const report::RoundRecord& record : records.rounds) {
    add_events_before(record.round);
    text += to_json(record).dump() + "\n";
  }
  add_events_before(std::numeric_limits<std::uint64_t>::max());
  write_file_atomic(path, text);
}

std::string json_text(const json& object) {
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

namespace {

// zero_day_of says what the attack that the training rows lack was taken for. Class 0 is normal.
json zero_day_of(const settings::Settings& settings, const std::vector<std::uint64_t>& taken) {
  const std::uint64_t rows = std::accumulate(taken.begin(), taken.end(), std::uint64_t{0});
  const std::size_t own = role::schema_of(settings).class_of(settings.data.zero_day.attack);
  return {{"attack", settings.data.zero_day.attack},
          {"known_to", settings.data.zero_day.known_to},
          {"test_rows", rows},
          {"taken_for_an_attack", rows - taken[0]},
          {"taken_for_its_class", taken[own]}};
}

}  // namespace

json summary_of(const settings::Settings& settings, const Records& records, const Ending& ending,
                const Figures& figures) {
  const report::RoundRecord* last = nullptr;
  const report::RoundRecord* best = nullptr;
  std::uint64_t clipped = 0;
  std::vector<std::uint64_t> clipped_by_layer;
  std::uint64_t clipped_rows = 0;
  double epsilon = 0;
  for (const report::RoundRecord& record : records.rounds) {
    clipped += record.clipped_values;
    clipped_by_layer.resize(std::max(clipped_by_layer.size(), record.clipped_by_layer.size()), 0);
    for (std::size_t layer = 0; layer < record.clipped_by_layer.size(); ++layer) {
      clipped_by_layer[layer] += record.clipped_by_layer[layer];
    }
    clipped_rows += record.clipped_rows;
    epsilon = std::max(epsilon, record.epsilon.value_or(0));
    if (!record.evaluation) continue;
    last = &record;
    if (best == nullptr || record.evaluation->cost < best->evaluation->cost) best = &record;
  }
  double wall_s = records.parts.empty() ? figures.wall_s : 0;
  double train_s = records.parts.empty() ? figures.train_s : 0;
  for (const json& part : records.parts) {
    wall_s += part.value("wall_s", 0.0);
    train_s += part.value("train_s", 0.0);
  }
  double peak_rss_mib = 0;
  json party_private_mib;
  for (const json& end : records.ends) {
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
      {"rounds_done", rounds_done_of(records)},
      {"updates_sent", updates_sent_of(records)},
      {"cipher", settings.cipher},
      {"key_bits", is_encrypted ? json(settings.paillier.key_bits) : json()},
      {"randomizer", is_encrypted ? json(settings.paillier.randomizer) : json()},
      {"kernel", figures.kernel.empty() || !is_encrypted ? json() : json(figures.kernel)},
      {"data", figures.data},
      {"final", last == nullptr ? json() : quality_of(*last)},
      {"best", best == nullptr ? json() : quality_of(*best)},
      {"classes", role::schema_of(settings).class_names()},
      {"confusion", last == nullptr ? json() : json(last->evaluation->confusion)},
      {"model_digest", model_digest_of(records)},
      {"bytes_up", records.bytes_up},
      {"bytes_down", records.bytes_down},
      {"clipped_values", clipped},
      {"clipped_by_layer", clipped_by_layer},
      {"wall_s", wall_s},
      {"train_s", train_s},
      {"keygen_s", figures.keygen_s},
      {"data_s", figures.data_s},
      {"phase_s", phases_of(records)},
      {"peak_rss_mib", peak_rss_mib},
      {"party_private_mib", party_private_mib},
      {"parts", parts_of(records)},
      {"events", events_of(records)}};
  if (settings.privacy.noise > 0) {
    summary["privacy"] = {{"noise", settings.privacy.noise},
                          {"clip", settings.privacy.clip},
                          {"delta", settings.privacy.delta},
                          {"epsilon", epsilon},
                          {"clipped_rows", clipped_rows}};
  }
  if (last != nullptr && last->evaluation->zero_day) {
    summary["zero_day"] = zero_day_of(settings, *last->evaluation->zero_day);
  }
  if (ending.fault != Fault::kNone) summary["reason"] = ending.reason;
  return summary;
}

}  // namespace blindsum::launcher
