#include "scenarios/launcher/summary.h"

#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "scenarios/launcher/compare.h"
#include "scenarios/launcher/manifest.h"
#include "scenarios/launcher/result_text.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using nlohmann::json;

report::RoundRecord record_of(std::uint32_t round, const std::string& role) {
  report::RoundRecord record;
  record.round = round;
  record.role = role;
  return record;
}

// write_example leaves the records of a run of two rounds with three parties. Party 2 was killed in
// round 1: no last line, and its record of round 1 is torn.
void write_example(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "records");
  report::RecordWriter coordinator(records_path(folder, wire::kCoordinatorPeer));
  report::RecordWriter holder(records_path(folder, wire::kKeyHolderPeer));
  for (std::uint32_t round = 0; round <= 2; ++round) {
    coordinator.add(record_of(round, "coordinator"));
    report::RoundRecord record = record_of(round, "keyholder");
    record.phase_s = {{"wait", 1.0}};
    if (round > 0) {
      report::Evaluation evaluation;
      evaluation.accuracy = 0.5 + 0.1 * round;
      evaluation.cost = round == 1 ? 0.2 : 0.3;
      evaluation.classes = {"normal", "dos", "probe", "r2l", "u2r"};
      evaluation.recall.resize(5);
      evaluation.confusion.assign(5, std::vector<std::uint64_t>(5, 0));
      evaluation.confusion[0][0] = round;
      record.evaluation = evaluation;
    }
    holder.add(record);
  }
  coordinator.end({{"end", true}, {"role", "coordinator"}, {"peak_rss_mib", 50.0}});
  holder.end({{"end", true},
              {"role", "keyholder"},
              {"peak_rss_mib", 70.0},
              {"model_digest", "sha256:12"},
              {"bytes_out", 999}});
  for (std::uint32_t party = 0; party < 3; ++party) {
    const auto path = records_path(folder, wire::party_peer(party));
    report::RecordWriter writer(path);
    report::RoundRecord record = record_of(0, "party-" + std::to_string(party));
    record.phase_s = {{"encrypt", 0.25 * (party + 1)}};
    record.bytes_out = 100;
    record.bytes_in = 10;
    record.clipped_values = party;
    writer.add(record);
    if (party == 2) {
      write_file_atomic(path, read_text_file(path) + "{\"round\": 1, \"ro");
      continue;
    }
    record.round = 1;
    record.phase_s["encrypt"] = 2;
    writer.add(record);
    writer.end({{"end", true},
                {"role", record.role},
                {"bytes_out", 250},
                {"bytes_in", 25},
                {"private_mib", 20.0 + party}});
  }
}

}  // namespace

TEST_CASE("records are merged by round, then coordinator, key-holder and parties by number") {
  const test::TempDir folder;
  write_example(folder.path());
  const Records records = gather_records(folder.path(), 3);
  std::string order;
  for (const auto& record : records.rounds)
    order += std::to_string(record.round) + record.role + " ";
  CHECK(order ==
        "0coordinator 0keyholder 0party-0 0party-1 0party-2 1coordinator 1keyholder 1party-0 "
        "1party-1 2coordinator 2keyholder ");
  CHECK(records.ends.size() == 4);
  write_rounds(folder.path() / "rounds.jsonl", records);
  CHECK(report::read_records(folder.path() / "rounds.jsonl").size() == records.rounds.size());
}

TEST_CASE("of a role with several lives the later record of a round counts, and all its bytes") {
  const test::TempDir folder;
  write_example(folder.path());
  const auto path = records_path(folder.path(), wire::party_peer(2));
  {
    report::RecordWriter writer(path);
    REQUIRE(writer.last_round() == 0);
    writer.note(report::event_now(report::kRestarted, 0, "party-2", "party-2", ""));
    report::RoundRecord record = record_of(0, "party-2");
    record.bytes_out = 40;
    record.clipped_values = 9;
    writer.add(record);
    writer.end({{"end", true}, {"role", "party-2"}, {"bytes_out", 70}, {"bytes_in", 7}});
  }
  report::RecordWriter(launcher_records_path(folder.path()))
      .note(report::event_now("party_lost", 0, "party-2", "launcher", ""));
  const Records records = gather_records(folder.path(), 3);
  CHECK(records.bytes_up == 250 + 250 + 100 + 70);
  CHECK(records.bytes_down == 25 + 25 + 10 + 7);
  CHECK(records.ends.size() == 5);
  CHECK(records.rounds.size() == 11);
  REQUIRE(records.events.size() == 2);
  CHECK(records.events[0].event == "role_restarted");
  const auto again = std::find_if(records.rounds.begin(), records.rounds.end(),
                                  [](const auto& record) { return record.role == "party-2"; });
  REQUIRE(again != records.rounds.end());
  CHECK(again->clipped_values == 9);

  write_rounds(folder.path() / "rounds.jsonl", records);
  const auto lines = report::read_records(folder.path() / "rounds.jsonl");
  REQUIRE(lines.size() == 13);
  CHECK(lines[5].at("event") == "role_restarted");  // after the records of its round
  CHECK(lines[6].at("event") == "party_lost");
  CHECK(lines[7].at("round") == 1);
}

TEST_CASE("what a key-holder took from its journal does not replace what it did") {
  const test::TempDir folder;
  std::filesystem::create_directories(folder.path() / "records");
  report::RecordWriter writer(records_path(folder.path(), wire::kKeyHolderPeer));
  report::RoundRecord record = record_of(3, "keyholder");
  record.model_digest = "sha256:1";
  record.bytes_out = 77;
  writer.add(record);
  record.bytes_out = 0;
  writer.add(record);
  CHECK(gather_records(folder.path(), 3).rounds.at(0).bytes_out == 77);
  record.model_digest = "sha256:2";
  writer.add(record);
  CHECK(gather_records(folder.path(), 3).rounds.at(0).bytes_out == 0);
}

TEST_CASE("the summary adds up what the roles recorded") {
  const test::TempDir folder;
  write_example(folder.path());
  settings::Settings settings;
  settings.name = "example";
  settings.parties = 3;
  settings.rounds = 2;
  const json summary = summary_of(settings, gather_records(folder.path(), 3), {},
                                  {"synthetic", "portable", 10, 1, 2, 6});
  CHECK(summary["status"] == "done");
  CHECK_FALSE(summary.contains("reason"));
  CHECK(summary["scenario"] == "example");
  CHECK(summary["data"] == "synthetic");
  CHECK(summary["kernel"] == "portable");
  CHECK(summary["key_bits"] == 3072);
  CHECK(summary["final"]["round"] == 2);
  CHECK(summary["final"]["accuracy"] == 0.5 + 0.1 * 2);
  CHECK(summary["best"]["round"] == 1);
  CHECK(summary["final"]["recall"].size() == 5);
  CHECK(summary["confusion"][0][0] == 2);
  CHECK(summary["model_digest"] == "sha256:12");
  CHECK(summary["bytes_up"] == 250 + 250 + 100);
  CHECK(summary["bytes_down"] == 25 + 25 + 10);
  CHECK(summary["clipped_values"] == 0 + 2 * 1 + 2);
  CHECK(summary["phase_s"]["encrypt"] == 0.75 + 2);  // the slowest of each round
  CHECK(summary["phase_s"]["wait"] == 3);
  CHECK(summary["peak_rss_mib"] == 70);
  CHECK(summary["party_private_mib"] == 21);
  CHECK(summary["wall_s"] == 10);
  CHECK(summary["train_s"] == 6);
}

TEST_CASE("rounds that were done and updates that were sent are counted, not planned") {
  const test::TempDir folder;
  write_example(folder.path());
  settings::Settings settings;
  settings.name = "example";
  settings.parties = 3;
  settings.rounds = 60;
  settings.cipher = "none";
  settings.model.hidden = {1};  // 122 + 1 + 2 · 5 numbers
  Records records = gather_records(folder.path(), 3);
  const json summary = summary_of(settings, records, {}, {"synthetic", "", 10, 1, 2, 6});
  CHECK(summary["rounds"] == 60);
  CHECK(summary["rounds_done"] == 2);
  CHECK(summary["updates_sent"] == 2);  // of parties 0 and 1 in round 1; round 0 is none

  // 600 bytes of three parties; 2 updates of 133 numbers in float32 are 355 bytes a party.
  const std::string text = result_text(settings, summary, "folder", Terminal{});
  for (const char* part : {"3 parties, 2 of 60 rounds (stopped early), ", "encrypt 1375.0 ms",
                           "a party sent 200 B, 0.6 times float32 (355 B)"}) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, part, "\n", text);
  }
  settings.rounds = 2;
  CHECK(result_text(settings, summary, "folder", Terminal{}).find("3 parties, 2 rounds, ") !=
        std::string::npos);

  // A round that the key-holder did not end is not done, whoever was there.
  records.rounds.push_back(record_of(3, "coordinator"));
  records.rounds.push_back(record_of(3, "party-1"));
  CHECK(summary_of(settings, records, {}, {})["rounds_done"] == 2);
  CHECK(summary_of(settings, records, {}, {})["updates_sent"] == 3);
  CHECK(summary_of(settings, {}, {}, {})["rounds_done"] == 0);
}

TEST_CASE("a run without encryption names neither key nor kernel") {
  settings::Settings settings;
  settings.cipher = "none";
  const json summary = summary_of(settings, {}, {}, {"kdd99", "portable", 0, 0, 0, 0});
  for (const char* key : {"key_bits", "randomizer", "kernel", "final", "best", "confusion",
                          "model_digest", "party_private_mib"}) {
    INFO(key);
    CHECK(summary.at(key).is_null());
  }
}

TEST_CASE("a run that failed says why") {
  const json summary = summary_of({}, {}, {Fault::kQuorumLost, "coordinator exited with 6"}, {});
  CHECK(summary["status"] == "quorum_lost");
  CHECK(summary["reason"] == "coordinator exited with 6");
}

TEST_CASE("result folders never collide") {
  const test::TempDir folder;
  const auto first = make_result_folder(folder.path() / "runs", "x");
  const auto second = make_result_folder(folder.path() / "runs", "x");
  CHECK(first != second);
  CHECK(std::filesystem::is_directory(first));
  CHECK(std::filesystem::is_directory(second));
  CHECK(first.filename().string().size() == std::string("x-20260131T120000Z").size());
}

TEST_CASE("a result folder that cannot be made is a ConfigError") {
  CHECK_THROWS_AS((void)make_result_folder("/dev/null/runs", "x"), ConfigError);
}

TEST_CASE("the manifest knows the machine and the libraries") {
  CHECK(machine_of()["processors"].get<unsigned>() > 0);
  CHECK_FALSE(build_of()["libraries"].empty());
  CHECK(utc_now().size() == 20);
}
