#include "scenarios/launcher/run.h"

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "scenarios/launcher/baselines.h"
#include "scenarios/launcher/compare.h"
#include "scenarios/launcher/result_text.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/file.h"
#include "shared/model/privacy_accountant.h"
#include "shared/report/records.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using nlohmann::json;

const std::atomic<bool> kNeverStop{false};

// small_options is a run of a few seconds on synthetic data, in the clear.
RunOptions small_options(const std::filesystem::path& folder) {
  RunOptions options;
  options.settings.name = "small";
  options.settings.parties = 3;
  options.settings.rounds = 4;
  options.settings.data.source = "synthetic";
  options.settings.local.batch_rows = 64;
  options.settings.cipher = "none";
  options.settings.evaluate_every = 2;
  options.settings.deadlines = {20, 30};
  options.folder = folder;
  const char* programs = std::getenv("BLINDSUM_BIN");
  options.programs = programs != nullptr ? std::filesystem::path(programs)
                                         : programs_directory().parent_path() / "bin";
  options.stop = &kNeverStop;
  return options;
}

RunResult run(const RunOptions& options) {
  Progress progress(Verbosity::kQuiet);
  return run_scenario(options, progress);
}

json read_json(const std::filesystem::path& path) { return json::parse(read_text_file(path)); }

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status = {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

}  // namespace

TEST_CASE("a run with noise says what it guarantees, and draws its noise anew") {
  const test::TempDir folder;
  RunOptions first = small_options(folder.path() / "first");
  first.settings.privacy = {1.5, 0.5, 1e-5};
  RunOptions second = first;
  second.folder = folder.path() / "second";
  second.settings.runtime = "memory";
  const RunResult a = run(first);
  const RunResult b = run(second);
  REQUIRE(a.ending.fault == Fault::kNone);
  REQUIRE(b.ending.fault == Fault::kNone);
  CHECK(a.summary["model_digest"] != b.summary["model_digest"]);
  const json& privacy = a.summary["privacy"];
  const double rate = 3.0 * 64 / 40'000;
  const double epsilon = model::PrivacyAccountant(1.5, rate).epsilon(4, 1e-5);
  CHECK(privacy["epsilon"].get<double>() == doctest::Approx(epsilon).epsilon(1e-12));
  CHECK(privacy["epsilon"] == b.summary["privacy"]["epsilon"]);
  CHECK(privacy["delta"] == 1e-5);
  CHECK(privacy["clipped_rows"].get<std::uint64_t>() > 0);
  double before = 0;
  std::size_t rounds = 0;
  for (const json& line : report::read_records(folder.path() / "first/records/keyholder.jsonl")) {
    if (!line.contains("round")) continue;
    const double now = line.at("epsilon").get<double>();
    CHECK((rounds == 0 ? now == 0 : now > before));
    before = now;
    ++rounds;
  }
  CHECK(rounds == 5);
}

TEST_CASE("processes and memory end in the same model") {
  const test::TempDir folder;
  RunOptions processes = small_options(folder.path() / "processes");
  RunOptions memory = small_options(folder.path() / "memory");
  memory.settings.runtime = "memory";
  const RunResult a = run(processes);
  const RunResult b = run(memory);
  CHECK(a.ending.reason == "");
  CHECK(b.ending.reason == "");
  REQUIRE(a.ending.fault == Fault::kNone);
  REQUIRE(b.ending.fault == Fault::kNone);
  CHECK(a.summary["model_digest"] == b.summary["model_digest"]);
  CHECK(a.summary["confusion"] == b.summary["confusion"]);
  CHECK(a.summary["bytes_up"].get<std::uint64_t>() > 0);

  for (const auto& options : {processes, memory}) {
    INFO(options.folder.string());
    for (const char* name : {"scenario.yaml", "manifest.json", "rounds.jsonl", "summary.json",
                             "model.safetensors", "shards/party-0.csv", "shards/party-2.csv",
                             "records/keyholder.jsonl", "records/party-2.jsonl"}) {
      INFO(name);
      CHECK(std::filesystem::exists(options.folder / name));
    }
    CHECK(settings::to_json(load_scenario(options.folder / "scenario.yaml")) ==
          settings::to_json(options.settings));
    const auto rounds = report::read_records(options.folder / "rounds.jsonl");
    CHECK(rounds.size() == 5 * (1 + 4));  // five roles, round 0 and four more
    const json manifest = read_json(options.folder / "manifest.json");
    CHECK(manifest["data"]["source"] == "synthetic");
    CHECK(manifest["fixed_point"]["bits"] == 24);
    CHECK(manifest["fixed_point"]["clip"] == 8);
    CHECK(manifest["fixed_point"]["headroom"]["holds"] == true);
    CHECK(manifest["fixed_point"]["headroom"]["inequality"] ==
          "3 · (2^24 − 1) = 50331645 < 2^28 = 268435456");
    CHECK(read_json(options.folder / "summary.json")["status"] == "done");
  }
  CHECK(mode_of(processes.folder / "roles" / "party-0.secret") == 0600);
  CHECK(mode_of(processes.folder / "roles") == 0700);
}

TEST_CASE("a run that stops early says how many rounds it did, and what was sent in them") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.settings.runtime = "memory";
  options.settings.parties = 5;
  options.settings.sampling.parties = 3;
  options.settings.rounds = 50;
  options.settings.stop.accuracy = 0.01;  // reached whatever the model: evaluated after round 2
  const RunResult result = run(options);
  CHECK(result.ending.reason == "");
  REQUIRE(result.ending.fault == Fault::kNone);
  const json& summary = result.summary;
  CHECK(summary["rounds"] == 50);
  CHECK(summary["rounds_done"] == 2);
  // Who was asked for the next round before the last was judged may have sent as well.
  std::size_t sent = 0;
  for (const json& line : report::read_records(options.folder / "rounds.jsonl")) {
    if (line.contains("event") || !line.at("role").get<std::string>().starts_with("party-")) {
      continue;
    }
    if (line.at("round") > 0) ++sent;
  }
  CHECK(summary["updates_sent"] == sent);
  CHECK(sent >= 2 * 3);
  CHECK(sent <= 3 * 3);
  CHECK(summary["final"]["round"] == 2);
  const std::string text = result_text(options.settings, summary, options.folder, Terminal{});
  CHECK(text.find("5 parties, 2 of 50 rounds (stopped early)") != std::string::npos);
}

TEST_CASE("a program that is not there is a failed role, named") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.programs = folder.path();  // no programs there
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kRoleFailed);
  CHECK(result.ending.reason.find("blindsum-coordinator") != std::string::npos);
  CHECK(read_json(options.folder / "summary.json")["status"] == "role_failed");
}

TEST_CASE("a role that only sleeps is stopped at the deadline") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.settings.deadlines = {0.1, 0.1};
  options.programs = folder.path();
  write_file_atomic(folder.path() / "blindsum-coordinator", "#!/bin/sh\nexec sleep 600\n", 0755);
  const report::Stopwatch watch;
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kDeadline);
  CHECK(result.ending.reason == "coordinator did not listen within 0.1 s");
  CHECK(watch.seconds() < 60);
}

TEST_CASE("a role's own exit code becomes the ending, with what its log says") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.programs = folder.path();
  write_file_atomic(folder.path() / "blindsum-coordinator",
                    "#!/bin/sh\necho 'x error coordinator fault=integrity the sum is wrong' >&2\n"
                    "exit 7\n",
                    0755);
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kIntegrity);
  CHECK(result.ending.reason ==
        "coordinator exited with 7 before training began: the sum is wrong");
}

TEST_CASE("a role that is killed is named") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.programs = folder.path();
  write_file_atomic(folder.path() / "blindsum-coordinator", "#!/bin/sh\nkill -9 $$\n", 0755);
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kRoleFailed);
  CHECK(result.ending.reason == "coordinator was killed by signal 9 before training began");
}

TEST_CASE("of several failures the one nearest to the cause names the run") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.programs = folder.path();
  const std::string listen = "#!/bin/sh\necho tcp://127.0.0.1:1 > \"${1%.json}.endpoint\"\n";
  write_file_atomic(folder.path() / "blindsum-coordinator", listen + "sleep 0.4; kill -9 $$\n",
                    0755);
  write_file_atomic(folder.path() / "blindsum-keyholder", listen + "sleep 0.8; exit 6\n", 0755);
  write_file_atomic(folder.path() / "blindsum-party", "#!/bin/sh\nsleep 0.6; exit 5\n", 0755);
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kQuorumLost);
  CHECK(result.ending.reason == "key-holder exited with 6 in round 0; see logs/keyholder.log");
}

TEST_CASE("a party that is killed is an event with its round, and the key-holder decides") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.programs = folder.path();
  const std::string listen = "#!/bin/sh\necho tcp://127.0.0.1:1 > \"${1%.json}.endpoint\"\n";
  write_file_atomic(folder.path() / "blindsum-coordinator", listen + "exec sleep 60\n", 0755);
  report::RoundRecord record;
  record.role = "keyholder";
  record.contributors = {0, 1, 2};
  write_file_atomic(folder.path() / "blindsum-keyholder",
                    listen + "echo '" + report::to_json(record).dump() + "' > '" +
                        records_path(options.folder, wire::kKeyHolderPeer).string() +
                        "'\nsleep 1.5; exit 6\n",
                    0755);
  write_file_atomic(folder.path() / "blindsum-party",
                    "#!/bin/sh\ncase $1 in *party-1.json) sleep 0.5; kill -9 $$;; esac\n"
                    "exec sleep 60\n",
                    0755);
  const report::Stopwatch watch;
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kQuorumLost);
  REQUIRE(result.summary["events"].size() == 1);
  const auto& event = result.summary["events"][0];
  CHECK(event["event"] == "party_lost");
  CHECK(event["role"] == "party-1");
  CHECK(event["round"] == 1);
  CHECK(event["detail"] == "party 1 was killed by signal 9 in round 1");
  CHECK(watch.seconds() < 30);
}

TEST_CASE("a party that fails at its start names the run in its own words") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.programs = folder.path();
  const std::string listen = "#!/bin/sh\necho tcp://127.0.0.1:1 > \"${1%.json}.endpoint\"\n";
  write_file_atomic(folder.path() / "blindsum-coordinator", listen + "exec sleep 60\n", 0755);
  write_file_atomic(folder.path() / "blindsum-keyholder", listen + "exec sleep 60\n", 0755);
  write_file_atomic(folder.path() / "blindsum-party",
                    "#!/bin/sh\ncase $1 in *party-2.json)\n"
                    "echo 'x error party-2 fault=role_failed shard.csv: cannot be opened' >&2\n"
                    "exit 5;; esac\nexec sleep 60\n",
                    0755);
  const report::Stopwatch watch;
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kRoleFailed);
  CHECK(result.ending.reason == "party 2 exited with 5 in round 0: shard.csv: cannot be opened");
  CHECK(watch.seconds() < 20);
}

TEST_CASE("a run whose training diverges ends with the round and what to lower") {
  const test::TempDir folder;
  for (const char* runtime : {"memory", "processes"}) {
    CAPTURE(runtime);
    RunOptions options = small_options(folder.path() / runtime);
    options.settings.runtime = runtime;
    options.settings.algorithm = "fedavg";
    options.settings.server = {"sgd", 1, "constant"};
    options.settings.local.steps = 60;
    options.settings.local.rate = 100;
    const report::Stopwatch watch;
    const RunResult result = run(options);
    CHECK(result.ending.fault == Fault::kUsage);
    CHECK(result.ending.reason.find("party") != std::string::npos);
    CHECK(result.ending.reason.ends_with(
        ": round 1: training diverged: the update of layer 1 is not finite; lower local.rate or "
        "server.rate"));
    CHECK(result.summary["status"] == "usage");
    CHECK(result.summary["final"].is_null());
    CHECK(watch.seconds() < 30);
  }
}

TEST_CASE("a stop that is asked for while a thousand parties start is heard at once") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.settings.parties = 1000;
  options.settings.data.source = "synthetic";
  options.programs = folder.path();
  const std::string listen = "#!/bin/sh\necho tcp://127.0.0.1:1 > \"${1%.json}.endpoint\"\n";
  write_file_atomic(folder.path() / "blindsum-coordinator", listen + "exec sleep 60\n", 0755);
  write_file_atomic(folder.path() / "blindsum-keyholder", listen + "exec sleep 60\n", 0755);
  write_file_atomic(folder.path() / "blindsum-party", "#!/bin/sh\nexec sleep 60\n", 0755);
  std::atomic<bool> stop{false};
  options.stop = &stop;
  std::thread user([&] {
    const auto first = options.folder / "logs" / "party-0.log";
    while (!std::filesystem::exists(first)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    stop = true;
  });
  const RunResult result = run(options);
  user.join();
  CHECK(result.ending.fault == Fault::kInterrupted);
  CHECK_FALSE(std::filesystem::exists(options.folder / "logs" / "party-999.log"));
}

TEST_CASE("a run that is stopped ends as interrupted") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  const std::atomic<bool> stop{true};
  options.stop = &stop;
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kInterrupted);
  CHECK(result.summary["status"] == "interrupted");
}

TEST_CASE("missing KDD files are a data fault when the scenario asks for them") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.settings.data.source = "kdd99";
  options.data_directory = folder.path();
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kData);
}

TEST_CASE("a key set that is not there is a keys fault") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.settings.cipher = "paillier";
  options.keys = folder.path() / "no-keys";
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kKeys);
}

TEST_CASE("a named folder without the KDD files is a DataError, never a silent synthetic run") {
  const test::TempDir folder;
  settings::Settings settings;
  CHECK_THROWS_AS(
      (void)find_data(settings, folder.path(), folder.path() / "data", [](const auto&) {}),
      DataError);
}

TEST_CASE("a network whose messages would be too large is refused before keys or shards are made") {
  const test::TempDir folder;
  RunOptions options = small_options(folder.path() / "run");
  options.settings.model.hidden = {4096, 4096, 4096};
  const RunResult result = run(options);
  CHECK(result.ending.fault == Fault::kUsage);
  CHECK(result.ending.reason.find("parameters") != std::string::npos);
  CHECK(std::filesystem::is_empty(options.folder / "shards"));
}

TEST_CASE("centralized training ends in the same model every time") {
  const test::TempDir folder;
  const RunOptions options = small_options(folder.path());
  const DataSource data =
      find_data(options.settings, "", folder.path() / "data", [](const auto&) {});
  Progress progress(Verbosity::kQuiet);
  const Workload workload = load_workload(options.settings, data);
  const Training a = train_centralized(options.settings, workload, progress, kNeverStop);
  const Training b = train_centralized(options.settings, workload, progress, kNeverStop);
  CHECK(a.ending.fault == Fault::kNone);
  CHECK(a.summary["model_digest"] == b.summary["model_digest"]);
  CHECK(a.summary["final"]["accuracy"].get<double>() > 0.3);
  CHECK(a.summary["bytes_up"] == 0);
  CHECK(comparison_table({{"centralized", a.summary}}).find("centralized") != std::string::npos);
}
