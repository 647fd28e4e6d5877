// The results of a run, drawn from the records of its roles.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "scenarios/launcher/federation.h"
#include "shared/report/records.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

// Records are those of all roles of a run.
struct Records {
  std::vector<report::RoundRecord> rounds;  // by round, then coordinator, key-holder, parties
  std::vector<report::Event> events;        // by round, then as they were written
  std::vector<nlohmann::json> ends;         // last lines of the roles that wrote one
  std::uint64_t bytes_up = 0;               // of all parties and all their lives
  std::uint64_t bytes_down = 0;
  std::vector<nlohmann::json> parts;  // of the run, see part_of
};

// part_of is the last line of the launcher for the part of a run that ends with it: a run that was
// resumed has several. A part that was killed has none.
[[nodiscard]] nlohmann::json part_of(const Ending& ending, const std::string& started,
                                     double wall_s, double train_s);

// model_digest_of is what the key-holder's last line says; null when it has none.
[[nodiscard]] nlohmann::json model_digest_of(const Records& records);

// launcher_records_path is where the launcher writes its own events.
[[nodiscard]] std::filesystem::path launcher_records_path(const std::filesystem::path& folder);

// gather_records reads the records that roles and launcher have left, complete or not. A role that
// was started again may have two of one round: the later one counts, but for the key-holder's of a
// round that it took from its journal, which say less. Its last line is that of its latest life.
[[nodiscard]] Records gather_records(const std::filesystem::path& folder, std::uint32_t parties);

// write_rounds writes the merged records, one a line; the events of a round follow its records.
void write_rounds(const std::filesystem::path& path, const Records& records);

// Figures are what the launcher measured itself, in seconds, and names that it knows.
struct Figures {
  std::string data;    // name of the data source
  std::string kernel;  // arithmetic kernel; empty when unknown
  double wall_s = 0, keygen_s = 0, data_s = 0, train_s = 0;  // when the records have no parts
};

// json_text writes `json` indented, with a line end. Bytes in texts that are not UTF-8, such as
// those of a file name in a message, become U+FFFD.
[[nodiscard]] std::string json_text(const nlohmann::json& json);

// summary_of makes summary.json. "rounds" is what the scenario asks for, "rounds_done" how far the
// model came, "updates_sent" how many gradient updates all parties together sent. "final" is the
// last evaluation, "best" the one with the lowest cost (the earliest of equals), both null
// when nothing was evaluated. phase_s sums over the rounds the time of the slowest role in each
// phase. bytes_up and bytes_down are what all parties together sent and received; of a life that
// was killed, by its rounds. wall_s and train_s are those of all parts that are known. peak_rss_mib
// is the largest process, with what it shares; party_private_mib what the largest party had for
// itself at its end, null when all roles ran in one process.
[[nodiscard]] nlohmann::json summary_of(const settings::Settings& settings, const Records& records,
                                        const Ending& ending, const Figures& figures);

}  // namespace blindsum::launcher
