// Whole federations of real processes over real sockets, and what happens when one of them goes
// wrong.
#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "shared/core/file.h"
#include "shared/core/hash.h"
#include "shared/report/records.h"
#include "tests/process/world.h"
#include "tests/support/program.h"

namespace blindsum {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::child_of;
using test::events_of;
using test::Outcome;
using test::World;

TEST_CASE("real processes, one process, other threads, encrypted or not: the same model digest") {
  const World world;
  const Outcome encrypted = world.run("encrypted");
  INFO(encrypted.err);
  REQUIRE(encrypted.exit_code == 0);
  const std::string digest = world.summary("encrypted").at("model_digest");
  CHECK(digest.starts_with("sha256:"));
  CHECK(digest.size() == 7 + 64);

  const std::map<std::string, std::vector<std::string>> others{
      {"plain", {"--set", "cipher=none"}},
      {"threads", {"--set", "threads=3"}},
      {"memory", {"--set", "runtime=memory"}},
      {"half", {"--set", "paillier.randomizer=half", "--set", "runtime=memory"}},
      {"plain-memory", {"--set", "runtime=memory", "--set", "cipher=none"}},
  };
  for (const auto& [name, options] : others) {
    const Outcome outcome = world.run(name, options);
    INFO(name, ": ", outcome.err);
    REQUIRE(outcome.exit_code == 0);
    CHECK(world.summary(name).at("model_digest") == digest);
    CHECK(world.summary(name).at("status") == "done");
  }
}

TEST_CASE("a run leaves the whole result folder, and the model's bytes have the digest it names") {
  const World world;
  const Outcome outcome = world.run("result", {"--json"});
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const auto folder = world.folder("result");
  for (const char* name : {"scenario.yaml", "manifest.json", "rounds.jsonl", "summary.json",
                           "model.safetensors", "logs", "shards"}) {
    CHECK_MESSAGE(std::filesystem::exists(folder / name), name);
  }
  const json summary = json::parse(outcome.out);
  CHECK(summary == world.summary("result"));
  CHECK(summary.at("cipher") == "paillier");
  CHECK(summary.at("key_bits") == 2048);
  CHECK(summary.at("final").at("accuracy").get<double>() > 0.2);
  const Bytes model = read_file(folder / "model.safetensors");
  const std::uint64_t header = read_le64(model, 0);
  CHECK(digest_text(sha256(ByteView(model).subspan(8 + header))) == summary.at("model_digest"));

  std::size_t records = 0;
  std::ifstream rounds(folder / "rounds.jsonl");
  for (std::string line; std::getline(rounds, line); ++records) CHECK(json::accept(line));
  CHECK(records == 3 * 5);  // statistics and two gradient rounds, five roles
}

TEST_CASE("no secret appears in arguments, logs, records or role files of a run") {
  const World world;
  REQUIRE(world.run("scan").exit_code == 0);
  const Bytes secret = read_file(world.keys / "secret.key");
  std::vector<std::string> needles;
  for (std::size_t i = 16; i + 16 < secret.size(); i += 8) {
    const ByteView piece = ByteView(secret).subspan(i, 16);
    needles.emplace_back(piece.begin(), piece.end());
    needles.push_back(to_hex(piece));
  }
  std::size_t identities = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(world.dir.path() / "scan")) {
    if (entry.path().extension() != ".secret") continue;
    ++identities;
    CHECK((entry.status().permissions() & std::filesystem::perms(077)) ==
          std::filesystem::perms::none);
    const std::string identity = read_text_file(entry.path());
    constexpr std::size_t kHeader = 20;
    needles.push_back(identity.substr(kHeader, 40));                  // CURVE
    for (const std::size_t at : {kHeader + 40, kHeader + 40 + 32}) {  // Ed25519, X25519
      needles.push_back(identity.substr(at, 32));
      needles.push_back(to_hex(as_bytes(needles.back())));
    }
  }
  CHECK(identities == 5);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(world.dir.path() / "scan")) {
    if (!entry.is_regular_file() || entry.path().extension() == ".secret") continue;
    const std::string text = read_text_file(entry.path());
    for (const std::string& needle : needles) {
      CHECK_MESSAGE(text.find(needle) == std::string::npos, entry.path().string());
    }
  }
}

TEST_CASE("a coordinator or key-holder that is killed ends the run, named, and nothing stays") {
  for (const std::string role : {"coordinator", "keyholder"}) {
    CAPTURE(role);
    const World world;
    test::Program launcher("blindsum", world.arguments("killed", {"--set", "rounds=100000"}),
                           world.dir.path());
    REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("killed") >= 2; }));
    const auto children = test::children_of(launcher.pid());
    CHECK(children.size() == 5);
    const pid_t victim = child_of(launcher, role);
    REQUIRE(victim != 0);
    kill(victim, SIGKILL);
    const Outcome outcome = launcher.wait(15s);
    INFO(outcome.err);
    CHECK(outcome.exit_code == 5);
    CHECK(outcome.err.find("signal 9") != std::string::npos);
    CHECK(world.summary("killed").at("status") == "role_failed");
    for (const auto& [pid, name] : children) CHECK_FALSE(test::is_alive(pid));
  }
}

TEST_CASE("a party that is killed has dropped out: the others finish without it") {
  const World world;
  test::Program launcher("blindsum",
                         world.arguments("dropout", {"--parties", "4", "--set", "rounds=200",
                                                     "--set", "deadlines.round_s=2"}),
                         world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("dropout") >= 2; }));
  const pid_t victim = child_of(launcher, "party-2");
  REQUIRE(victim != 0);
  kill(victim, SIGKILL);
  const Outcome outcome = launcher.wait(60s);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.starts_with("party 2 was killed by signal 9 in round "));
  const json summary = world.summary("dropout");
  CHECK(summary.at("status") == "done");
  CHECK(events_of(summary) ==
        std::vector<std::string>{"party_lost party-2", "party_absent party-2"});
  json last;
  for (const json& record :
       report::read_records(world.folder("dropout") / "records" / "keyholder.jsonl")) {
    if (record.contains("contributors")) last = record;
  }
  CHECK(last.at("round") == 200);
  CHECK(last.at("contributors") == json::array({0, 1, 3}));
}

TEST_CASE("a run that loses its quorum ends as quorum_lost") {
  const World world;
  test::Program launcher(
      "blindsum",
      world.arguments("quorum", {"--set", "rounds=100000", "--set", "deadlines.round_s=2"}),
      world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("quorum") >= 2; }));
  const auto children = test::children_of(launcher.pid());
  const pid_t victim = child_of(launcher, "party-0");
  REQUIRE(victim != 0);
  kill(victim, SIGKILL);
  const Outcome outcome = launcher.wait(30s);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 6);
  CHECK(world.summary("quorum").at("status") == "quorum_lost");
  for (const auto& [pid, name] : children) CHECK_FALSE(test::is_alive(pid));
}

TEST_CASE("a scenario's faults happen: a party that returns, a straggler, a dropout") {
  const World world;
  const std::string faults =
      "faults=[{role: party-1, round: 5, kind: restart, seconds: 0.2}, "
      "{role: party-2, round: 40, kind: pause, seconds: 0.3}, {role: party-3, round: 60, kind: "
      "kill}]";
  const Outcome outcome = world.run("faults", {"--parties", "5", "--set", "rounds=90", "--set",
                                               "deadlines.round_s=2", "--set", faults});
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const json summary = world.summary("faults");
  const std::vector<std::string> events = events_of(summary);
  for (const char* event :
       {"fault_injected party-1", "fault_ended party-1", "role_restarted party-1",
        "fault_injected party-2", "fault_ended party-2", "fault_injected party-3",
        "party_lost party-3", "party_absent party-3"}) {
    INFO(event);
    CHECK(std::count(events.begin(), events.end(), event) == 1);
  }
  std::vector<std::size_t> counts(5);
  for (const json& record : report::read_records(world.folder("faults") / "rounds.jsonl")) {
    if (record.value("role", "") != "keyholder" || record.contains("event")) continue;
    for (const std::size_t party : record.at("contributors")) ++counts.at(party);
  }
  CHECK(counts[0] == 91);
  CHECK(counts[1] > 50);  // it came back
  CHECK(counts[3] >= 60);
  CHECK(counts[3] < 91);
}

TEST_CASE("a party whose update is no update is left out of one sum") {
  const World world;
  for (const std::string cipher : {"paillier", "none"}) {
    const Outcome outcome = world.run(
        cipher, {"--parties", "4", "--set", "cipher=" + cipher, "--set", "runtime=memory", "--set",
                 "faults=[{role: party-3, round: 1, kind: corrupt, how: invalid}]"});
    INFO(outcome.err);
    CHECK(outcome.exit_code == 0);
    const auto events = events_of(world.summary(cipher));
    for (const char* event :
         {"fault_injected party-3", "party_absent party-3", "update_refused party-3"}) {
      INFO(event);
      CHECK(std::count(events.begin(), events.end(), event) == 1);
    }
  }
}

TEST_CASE("whatever a coordinator does to a sum, or a party to its update, is found out") {
  const World world;
  std::vector<std::string> faults{"role: party-2, round: 2, kind: corrupt, how: altered"};
  for (const std::string how : {"drop", "double", "replay", "swap", "scale", "alter", "forge"}) {
    faults.push_back("role: coordinator, round: 2, kind: tamper, how: " + how);
  }
  int number = 0;
  for (const std::string cipher : {"none", "paillier"}) {
    for (const std::string& fault : faults) {
      CAPTURE(cipher);
      CAPTURE(fault);
      const std::string out = "tampered-" + std::to_string(number++);
      const Outcome outcome =
          world.run(out, {"--parties", "4", "--set", "rounds=3", "--set", "cipher=" + cipher,
                          "--set", "runtime=memory", "--set", "faults=[{" + fault + "}]"});
      INFO(outcome.err);
      CHECK(outcome.exit_code == 7);
      const json summary = world.summary(out);
      CHECK(summary.at("status") == "integrity");
      CHECK(summary.at("model_digest").is_null());
      const auto events = events_of(summary);
      REQUIRE(events.size() == 2);
      CHECK(events[0].starts_with("fault_injected "));
      CHECK(events[1] == "integrity_fault keyholder");
      CHECK(world.rounds_done(out) == 3);  // two rounds were released, and the last line
    }
  }
}

TEST_CASE("faults of processes are refused where there are none, and by compare") {
  const World world;
  const std::string fault = "faults=[{role: party-1, round: 1, kind: kill}]";
  const Outcome memory = world.run("memory", {"--set", "runtime=memory", "--set", fault});
  CHECK(memory.exit_code == 2);
  CHECK(memory.err.find("runtime: memory has no processes to kill") != std::string::npos);
  const Outcome compared = test::run_program("blindsum",
                                             {"compare", world.scenario.string(), "--out",
                                              (world.dir.path() / "c").string(), "--set", fault},
                                             world.dir.path());
  CHECK(compared.exit_code == 2);
  CHECK(compared.err.find("--set faults=[]") != std::string::npos);
}

TEST_CASE("a stopped coordinator ends the run at the deadline with a named fault") {
  const World world;
  test::Program launcher(
      "blindsum",
      world.arguments("stopped", {"--set", "rounds=100000", "--set", "deadlines.round_s=2"}),
      world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("stopped") >= 2; }));
  const auto children = test::children_of(launcher.pid());
  for (const auto& [pid, name] : children) {
    if (std::string("blindsum-coordinator").starts_with(name)) kill(pid, SIGSTOP);
  }
  const Outcome outcome = launcher.wait(30s);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 8);
  CHECK(world.summary("stopped").at("status") == "deadline");
  for (const auto& [pid, name] : children) CHECK_FALSE(test::is_alive(pid));
}

TEST_CASE("Ctrl-C stops everything and says so") {
  const World world;
  test::Program launcher("blindsum", world.arguments("interrupted", {"--set", "rounds=100000"}),
                         world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("interrupted") >= 2; }));
  const auto children = test::children_of(launcher.pid());
  launcher.signal(SIGINT);
  const Outcome outcome = launcher.wait(15s);
  CHECK(outcome.exit_code == 130);
  CHECK(world.summary("interrupted").at("status") == "interrupted");
  for (const auto& [pid, name] : children) CHECK_FALSE(test::is_alive(pid));
}

TEST_CASE("when the launcher itself is killed its processes end too") {
  const World world;
  test::Program launcher("blindsum", world.arguments("orphans", {"--set", "rounds=100000"}),
                         world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("orphans") >= 2; }));
  const auto children = test::children_of(launcher.pid());
  REQUIRE(children.size() == 5);
  launcher.signal(SIGKILL);
  CHECK(launcher.wait(5s).exit_code == 128 + SIGKILL);
  for (const auto& [pid, name] : children) {
    CHECK(test::wait_until(5s, [pid = pid] { return !test::is_alive(pid); }));
  }
}

TEST_CASE("bad input ends with its own exit code and a message that says what and where") {
  const World world;
  const auto expect = [&](const std::vector<std::string>& options, int code,
                          const std::string& text) {
    const Outcome outcome = world.run("bad", options);
    CAPTURE(text);
    INFO(outcome.err);
    CHECK(outcome.exit_code == code);
    CHECK(outcome.err.find(text) != std::string::npos);
  };
  expect({"--set", "partys=3"}, 2, "did you mean 'parties'?");
  expect({"--set", "parties=2"}, 2, "parties");
  expect({"--no-such-option"}, 2, "no-such-option");
  expect({"--set", "data.source=kdd99", "--data", world.dir.path().string()}, 3,
         "kddcup.data_10_percent");
  expect({"--set", "paillier.key_bits=3072"}, 4, "2048");

  write_file_atomic(world.scenario, "name: x\nrounds: 2\npartys: 3\n");
  expect({}, 2, "small.yaml:3: unknown key 'partys' (did you mean 'parties'?)");
  write_file_atomic(world.scenario, "name: [x\n");
  expect({}, 2, "small.yaml:");
  std::filesystem::remove(world.scenario);
  expect({}, 2, "small.yaml");
}

TEST_CASE("a broken line in the data names file and line") {
  const World world;
  std::filesystem::create_directories(world.data);
  const std::string good =
      "0,tcp,http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,0.00,"
      "0.00,9,9,1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00,normal.\n";
  write_file_atomic(world.data / "corrected", good);
  write_file_atomic(world.data / "kddcup.data_10_percent", good + good + "0,tcp,http\n");
  const Outcome outcome =
      world.run("broken", {"--set", "data.source=kdd99", "--data", world.data.string()});
  INFO(outcome.err);
  CHECK(outcome.exit_code == 3);
  CHECK(outcome.err.find("kddcup.data_10_percent:3: 3 fields, expected 42") != std::string::npos);
}

TEST_CASE("a secret key that others may read is refused before anything starts") {
  const World world;
  std::filesystem::permissions(world.keys / "secret.key", std::filesystem::perms(0644));
  const Outcome outcome = world.run("unprotected");
  CHECK(outcome.exit_code == 4);
  CHECK(outcome.err.find("chmod 600") != std::string::npos);
}

TEST_CASE("compare finds the encrypted and the integer run identical and writes the table") {
  const World world;
  const Outcome outcome =
      test::run_program("blindsum",
                        {"compare", world.scenario.string(), "--out",
                         (world.dir.path() / "compare").string(), "--keys", world.keys.string()},
                        world.dir.path());
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const json result = json::parse(read_text_file(world.folder("compare") / "compare.json"));
  CHECK(result.at("identical") == true);
  CHECK(result.at("federated_encrypted").at("model_digest") ==
        result.at("federated_integer").at("model_digest"));
  CHECK(result.at("centralized").at("final").at("accuracy").get<double>() > 0.2);
  CHECK(outcome.out.find("federated_encrypted") != std::string::npos);
}

TEST_CASE("a comparison that fails says why as JSON, and leaves it in its folder") {
  const World world;
  std::filesystem::create_directories(world.data);
  const Outcome outcome = test::run_program(
      "blindsum",
      {"compare", world.scenario.string(), "--set", "data.source=kdd99", "--data",
       world.data.string(), "--json", "--out", (world.dir.path() / "compare").string()},
      world.dir.path());
  CHECK(outcome.exit_code == 3);
  const json printed = json::parse(outcome.out);
  CHECK(printed.at("status") == "data");
  CHECK(json::parse(read_text_file(world.folder("compare") / "compare.json")) == printed);
}

TEST_CASE("Ctrl-C ends a comparison in its own trainings, too") {
  const World world;
  test::Program program("blindsum",
                        {"compare", world.scenario.string(), "--quiet", "--set", "rounds=100000",
                         "--out", (world.dir.path() / "compare").string()},
                        world.dir.path());
  REQUIRE(test::wait_until(30s, [&] {
    return std::filesystem::exists(world.folder("compare") / "data" / "corrected");
  }));
  program.signal(SIGINT);
  CHECK(program.wait(30s).exit_code == 130);
  const json comparison = json::parse(read_text_file(world.folder("compare") / "compare.json"));
  CHECK(comparison.at("status") == "interrupted");
}

}  // namespace
}  // namespace blindsum
