// report.html: what its view gathers from records, and that nothing in it can become markup.
#include "scenarios/launcher/html_report.h"

#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "scenarios/launcher/scenario.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/report/records.h"
#include "tests/support/temp_dir.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

// write_run leaves the records of a run of `rounds` rounds in which party 1 missed every third sum.
void write_run(const std::filesystem::path& folder, std::uint32_t parties, std::uint32_t rounds) {
  settings::Settings settings;
  settings.name = "example";
  settings.parties = parties;
  settings.rounds = rounds;
  write_file_atomic(folder / "scenario.yaml", to_yaml(settings));
  std::string lines;
  for (std::uint32_t r = 0; r <= rounds; ++r) {
    report::RoundRecord holder;
    holder.round = r;
    holder.role = "keyholder";
    holder.phase_s = {{"decrypt", 0.5}, {"wait", 9}};
    for (std::uint32_t p = 0; p < parties; ++p) {
      if (p != 1 || r % 3 != 0) holder.contributors.push_back(p);
    }
    if (r > 0) {
      holder.evaluation.emplace();
      holder.evaluation->classes = {"normal", "dos"};
      holder.evaluation->recall = {1, 0};
      holder.evaluation->confusion = {{1, 0}, {1, 0}};
      holder.evaluation->accuracy = static_cast<double>(r) / rounds;
    }
    lines += to_json(holder).dump() + "\n";
    for (std::uint32_t p = 0; p < parties; ++p) {
      report::RoundRecord party;
      party.round = r;
      party.role = "party-" + std::to_string(p);
      party.phase_s = {{"encrypt", 0.25 * (p + 1)}};
      party.bytes_out = 100 + p;
      party.clipped_values = p;
      lines += to_json(party).dump() + "\n";
    }
  }
  write_file_atomic(folder / "rounds.jsonl", lines);
  write_file_atomic(folder / "summary.json", std::string_view("{\"status\": \"done\"}\n"));
}

TEST_CASE("the view has the events by round, as many as the page may show, and once") {
  const test::TempDir folder;
  write_run(folder.path(), 4, 6);
  std::string lines = read_text_file(folder.path() / "rounds.jsonl");
  for (const std::uint32_t round : {5, 2, 2}) {
    const auto event = report::event_now("party_lost", round, "party-1", "launcher", "<b>gone</b>");
    lines += to_json(event).dump() + "\n";
  }
  write_file_atomic(folder.path() / "rounds.jsonl", lines);
  write_file_atomic(folder.path() / "summary.json",
                    std::string_view("{\"status\": \"done\", \"events\": [1, 2, 3]}\n"));
  const json view = report_view(folder.path());
  const json& events = view["detail"]["events"];
  CHECK(events["count"] == 3);
  REQUIRE(events["shown"].size() == 3);
  CHECK(events["shown"][0]["round"] == 2);
  CHECK(events["shown"][2]["round"] == 5);
  CHECK(events["shown"][2]["detail"] == "<b>gone</b>");
  CHECK_FALSE(view["runs"][0]["summary"].contains("events"));
  CHECK(view["detail"]["columns"].size() == 7);

  ReportLimits limits;
  limits.events = 2;
  const json cut = report_view(folder.path(), limits);
  CHECK(cut["detail"]["events"]["count"] == 3);
  CHECK(cut["detail"]["events"]["shown"].size() == 2);
}

TEST_CASE("the view draws every round of a short run") {
  const test::TempDir folder;
  write_run(folder.path(), 4, 6);
  const json view = report_view(folder.path());
  CHECK(view["kind"] == "run");
  CHECK(view["title"] == "example");
  CHECK(view["quorum"] == 3);
  const json& series = view["runs"][0]["series"];
  CHECK(series["rounds"] == json({1, 2, 3, 4, 5, 6}));
  CHECK(series["evaluations"] == 6);
  const json& detail = view["detail"];
  CHECK(detail["columns"].size() == 7);
  CHECK(detail["rounds_joined"] == 1);
  CHECK(detail["phases"] == json({{{"phase", "encrypt"},
                                   {"seconds", {1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0}},
                                   {"total", 7.0}},
                                  {{"phase", "decrypt"},
                                   {"seconds", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}},
                                   {"total", 3.5}}}));
  CHECK(detail["up"]["least"][3] == 100);
  CHECK(detail["up"]["most"][3] == 103);
  const json& rows = detail["parties"]["rows"];
  REQUIRE(rows.size() == 4);
  CHECK(rows[0]["shares"] == json({100, 100, 100, 100, 100, 100, 100}));
  CHECK(rows[1]["shares"] == json({0, 100, 100, 0, 100, 100, 0}));
  CHECK(rows[1]["rounds"] == 4);
  CHECK(rows[3]["clipped"] == 3 * 7);
}

TEST_CASE("a long run of many parties is joined within the limits, and the view says so") {
  const test::TempDir folder;
  write_run(folder.path(), 30, 100);
  ReportLimits limits;
  limits.columns = 11;
  limits.rows = 8;
  limits.points = 7;
  const json view = report_view(folder.path(), limits);
  const json& series = view["runs"][0]["series"];
  CHECK(series["rounds"].size() <= 7);
  CHECK(series["rounds"].back() == 100);
  CHECK(series["evaluations"] == 100);
  const json& detail = view["detail"];
  CHECK(detail["rounds_joined"] == 10);
  CHECK(detail["columns"].size() == 11);
  CHECK(detail["columns"][0] == json({0, 0}));
  CHECK(detail["columns"][10] == json({91, 100}));
  CHECK(detail["parties"]["joined"] == 4);
  CHECK(detail["parties"]["rows"].size() == 8);
  CHECK(detail["parties"]["rows"][7]["last"] == 29);
  CHECK(detail["parties"]["rows"][1]["shares"][1] == 100);
  CHECK(detail["parties"]["rows"][0]["shares"][1] == 93);  // party 1 of 0–3 missed 3 of 10
}

TEST_CASE("a run without an end is shown as far as its records go") {
  const test::TempDir folder;
  write_run(folder.path(), 3, 2);
  std::filesystem::remove(folder.path() / "summary.json");
  const std::string whole = read_text_file(folder.path() / "rounds.jsonl");
  write_file_atomic(folder.path() / "rounds.jsonl", whole + "{\"round\": 2, \"ro");
  const json view = report_view(folder.path());
  CHECK(view["runs"][0]["summary"]["status"] == "unfinished");
  CHECK(view["runs"][0]["series"]["rounds"] == json({1, 2}));
}

TEST_CASE("a folder without records, or with others, is a clear error") {
  const test::TempDir folder;
  const std::string name = folder.path().string();
  CHECK_THROWS_AS((void)report_view(folder.path() / "nowhere"), ConfigError);
  CHECK_THROWS_AS((void)report_view(folder.path()), DataError);
  write_run(folder.path(), 3, 2);
  write_file_atomic(folder.path() / "rounds.jsonl", std::string_view("{\"round\": 1}\nnonsense\n"));
  try {
    (void)report_view(folder.path());
    FAIL("no error");
  } catch (const DataError& error) {
    CHECK(std::string(error.what()).starts_with(name + "/rounds.jsonl:1: "));
  }
  write_run(folder.path(), 3, 2);
  write_file_atomic(folder.path() / "summary.json", std::string_view("[]"));
  CHECK_THROWS_AS((void)report_view(folder.path()), DataError);
}

TEST_CASE("a party or a round that the scenario does not have is refused") {
  for (const char* line :
       {R"({"round": 3, "role": "party-0"})", R"({"round": 1, "role": "party-3"})"}) {
    CAPTURE(line);
    const test::TempDir folder;
    write_run(folder.path(), 3, 2);
    report::RoundRecord record;
    record.round = json::parse(line)["round"];
    record.role = json::parse(line)["role"];
    write_file_atomic(folder.path() / "rounds.jsonl", to_json(record).dump() + "\n");
    CHECK_THROWS_AS((void)report_view(folder.path()), DataError);
  }
}

TEST_CASE("embedded JSON reads back, and holds nothing that ends a script or starts a comment") {
  const json value = {{"</script><script>alert(1)</script>", "<!-- & > \u2028 \u2029 \xc3\xa4"},
                      {"number", 0.1}};
  const std::string text = embedded_json(value);
  CHECK(json::parse(text) == value);
  for (const char c : text) {
    CHECK(static_cast<unsigned char>(c) < 0x80);
    CHECK(c != '<');
    CHECK(c != '>');
    CHECK(c != '&');
  }
  CHECK(json::parse(embedded_json("\xff")) == "\xef\xbf\xbd");
  CHECK(escaped_html("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST_CASE("the page holds the view once, with its title escaped and its scripts named by hash") {
  const test::TempDir folder;
  write_run(folder.path(), 3, 2);
  json view = report_view(folder.path());
  view["title"] = "<i>{{data}}";
  const std::string page = render_report(view);
  CHECK(page.find("<title>&lt;i&gt;{{data}} · Blindsum report</title>") != std::string::npos);
  CHECK(page.find("script-src 'sha256-") != std::string::npos);
  CHECK(page.find("default-src 'none'") != std::string::npos);
  CHECK(page.find("http-equiv") < page.find("<style>"));
  CHECK(page.find(embedded_json(view)) != std::string::npos);
  CHECK(page.find("<i>") == std::string::npos);
  CHECK(page.size() < 400'000);
  const auto path = write_report(folder.path());
  CHECK(path == folder.path() / "report.html");
  CHECK(read_text_file(path).size() > 100'000);
}

}  // namespace
}  // namespace blindsum::launcher
