// Runs that are interrupted and gone on with, and roles that are killed or stopped in every phase:
// the model comes out the same, bit for bit. BLINDSUM_CAMPAIGN=<n> repeats the campaign n times
// with other moments; the seed of each is printed.
#include <cstdlib>
#include <fstream>
#include <map>

#include <doctest/doctest.h>
#include <signal.h>

#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/report/records.h"
#include "tests/process/world.h"

namespace blindsum {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::child_of;
using test::Outcome;
using test::World;

const std::vector<std::string> kRounds{"--set", "rounds=40"};

// reference is the digest of kRounds without interruption.
std::string reference(const World& world) {
  const Outcome outcome = world.run("reference", kRounds);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  return world.summary("reference").at("model_digest");
}

// require_whole checks that a finished run has every round of every role once.
void require_whole(const World& world, const std::string& out) {
  std::map<std::string, std::size_t> rounds;
  for (const json& line : report::read_records(world.folder(out) / "rounds.jsonl")) {
    if (report::kind_of(line) == report::LineKind::kRound) ++rounds[line.at("role")];
  }
  for (const char* role : {"keyholder", "party-0", "party-1", "party-2"}) {
    INFO(role);
    CHECK(rounds[role] == 41);
  }
}

TEST_CASE("Ctrl-C says how to go on, and the model comes out as without it") {
  const World world;
  const std::string digest = reference(world);
  test::Program launcher("blindsum", world.arguments("part", kRounds), world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("part") >= 8; }));
  launcher.signal(SIGINT);
  const Outcome interrupted = launcher.wait(15s);
  CHECK(interrupted.exit_code == 130);
  CHECK(interrupted.err.find("blindsum run --resume " + world.folder("part").string()) !=
        std::string::npos);
  CHECK(world.summary("part").at("status") == "interrupted");

  const Outcome outcome = world.resume("part");
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const json summary = world.summary("part");
  CHECK(summary.at("status") == "done");
  CHECK(summary.at("model_digest") == digest);
  REQUIRE(summary.at("parts").size() == 2);
  CHECK(summary.at("parts")[0].at("status") == "interrupted");
  CHECK(summary.at("parts")[1].at("status") == "done");
  const double walls = summary.at("parts")[0].at("wall_s").get<double>() +
                       summary.at("parts")[1].at("wall_s").get<double>();
  CHECK(summary.at("wall_s").get<double>() == doctest::Approx(walls));
  require_whole(world, "part");

  const Outcome again = world.resume("part");
  CHECK(again.exit_code == 2);
  CHECK(again.err.find("this run is done") != std::string::npos);
}

TEST_CASE("under scaffold the parties' own memory outlives a kill, too") {
  const World world;
  const std::vector<std::string> scaffold{"--set", "rounds=40", "--set", "algorithm=scaffold",
                                          "--set", "local.steps=3"};
  REQUIRE(world.run("reference", scaffold).exit_code == 0);
  test::Program launcher("blindsum", world.arguments("killed", scaffold), world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("killed") >= 8; }));
  launcher.signal(SIGKILL);
  (void)launcher.wait(15s);
  const Outcome outcome = world.resume("killed");
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  CHECK(world.summary("killed").at("model_digest") ==
        world.summary("reference").at("model_digest"));
}

TEST_CASE("a launcher that was killed leaves a run that goes on") {
  const World world;
  const std::string digest = reference(world);
  test::Program launcher("blindsum", world.arguments("killed", kRounds), world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("killed") >= 8; }));
  launcher.signal(SIGKILL);
  CHECK(launcher.wait(5s).exit_code == 128 + SIGKILL);
  // Its roles die with it, in a moment: until then the folder is theirs.
  Outcome outcome;
  REQUIRE(test::wait_until(20s, [&] {
    outcome = world.resume("killed");
    return outcome.exit_code != 2;
  }));
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(world.summary("killed").at("model_digest") == digest);
  require_whole(world, "killed");
}

TEST_CASE("what cannot go on is refused, says why, and stays as it is") {
  const World world;
  test::Program launcher("blindsum", world.arguments("part", {"--set", "rounds=100000"}),
                         world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("part") >= 3; }));
  const auto expect = [&](const std::string& text, const std::vector<std::string>& more = {}) {
    const Outcome outcome = world.resume("part", more);
    CAPTURE(text);
    INFO(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.err.find(text) != std::string::npos);
  };
  expect("a run is going on in this folder");
  launcher.signal(SIGINT);
  REQUIRE(launcher.wait(15s).exit_code == 130);
  const auto folder = world.folder("part");
  const std::string summary = read_text_file(folder / "summary.json");

  expect("--set", {"--set", "rounds=3"});
  expect("SCENARIO", {world.scenario.string()});
  const std::string scenario = read_text_file(folder / "scenario.yaml");
  write_file_atomic(folder / "scenario.yaml", scenario + "# the same\n");
  std::string changed = scenario;
  changed.replace(changed.find("rounds: 100000"), 14, "rounds: 200000");
  write_file_atomic(folder / "scenario.yaml", std::string_view("rounds: 3\nparties: 3\n"));
  expect("other settings than");
  write_file_atomic(folder / "scenario.yaml", changed);
  expect("rounds: 200000 is not allowed");
  write_file_atomic(folder / "scenario.yaml", scenario);

  const auto moved = world.dir.path() / "moved" / "x";
  std::filesystem::create_directories(moved.parent_path());
  std::filesystem::rename(folder, moved);
  Outcome outcome =
      test::run_program("blindsum", {"run", "--resume", moved.string()}, world.dir.path());
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.find("has been moved from " + folder.string()) != std::string::npos);
  std::filesystem::rename(moved, folder);

  std::filesystem::rename(folder / "state", folder / "elsewhere");
  expect("the key-holder's state is gone");
  std::filesystem::rename(folder / "elsewhere", folder / "state");

  std::filesystem::rename(folder / "roles" / "party-2.json", folder / "aside");
  expect("ended before all its roles were started");
  std::filesystem::rename(folder / "aside", folder / "roles" / "party-2.json");
  CHECK(read_text_file(folder / "summary.json") == summary);

  for (const std::string nothing : {"no/such/folder", "data"}) {
    std::filesystem::create_directories(world.dir.path() / "data");
    outcome = test::run_program(
        "blindsum", {"run", "--resume", (world.dir.path() / nothing).string()}, world.dir.path());
    CAPTURE(nothing);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.err.find("no run to go on with") != std::string::npos);
  }
  outcome = test::run_program("blindsum", {"run"}, world.dir.path());
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.find("SCENARIO") != std::string::npos);
}

TEST_CASE("a coordinator and a key-holder that are killed and started again change nothing") {
  const World world;
  const std::string digest = reference(world);
  const Outcome outcome = world.run(
      "restarts", {"--set", "rounds=40", "--set",
                   "faults=[{role: coordinator, round: 5, kind: restart, seconds: 0.2}, {role: "
                   "keyholder, round: 15, kind: restart, seconds: 0.2}, {role: keyholder, round: "
                   "25, kind: pause, seconds: 0.5}]"});
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  CHECK(world.summary("restarts").at("model_digest") == digest);
  require_whole(world, "restarts");
}

// A phase of a run, recognised by what the processes have left so far.
struct Phase {
  const char* name;
  // The moment has come when `records` of `role` has a line with this round.
  const char* role;
  std::uint32_t round;
};

bool has_round(const World& world, const std::string& out, const Phase& phase) {
  const auto path = world.folder(out) / "records" / (std::string(phase.role) + ".jsonl");
  if (!std::filesystem::exists(path)) return false;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line) && !file.eof();) {
    const json record = json::parse(line, nullptr, false);
    if (record.is_object() && record.value("round", 0U) >= phase.round) return true;
  }
  return false;
}

TEST_CASE("kill -9 of each role in each phase, then --resume: the digest of an uninterrupted run") {
  const char* repeats = std::getenv("BLINDSUM_CAMPAIGN");
  const int campaigns = repeats == nullptr ? 1 : std::atoi(repeats);
  const World world;
  const std::string digest = reference(world);
  int number = 0;
  for (int campaign = 0; campaign < campaigns; ++campaign) {
    SeededRandom random(static_cast<std::uint64_t>(campaign), "process campaign");
    const auto round = static_cast<std::uint32_t>(5 + random.below(25));
    // A party's record is written when its update is made, the coordinator's when it hands on the
    // sum, the key-holder's when it has released the weights.
    for (const Phase& phase :
         {Phase{"start", "party-0", 0}, Phase{"collecting", "party-0", round},
          Phase{"aggregating", "coordinator", round}, Phase{"after release", "keyholder", round}}) {
      for (const std::string victim : {"coordinator", "keyholder", "party-1"}) {
        const std::string out = "campaign-" + std::to_string(number++);
        INFO("campaign ", campaign, ", ", victim, " killed in phase ", phase.name, ", round ",
             phase.round);
        test::Program launcher(
            "blindsum",
            world.arguments(out, {"--set", "rounds=40", "--set", "deadlines.round_s=2", "--set",
                                  "deadlines.start_s=5"}),
            world.dir.path());
        REQUIRE(test::wait_until(60s, [&] { return has_round(world, out, phase); }));
        const pid_t pid = child_of(launcher, victim);
        REQUIRE(pid != 0);
        if (random.below(3) == 0) {  // a straggler first
          kill(pid, SIGSTOP);
          test::sleep_ms(100);
        }
        kill(pid, SIGKILL);
        const Outcome outcome = launcher.wait(60s);
        INFO(outcome.err);
        // Three parties are the quorum: without one of them the run ends as well.
        CHECK(outcome.exit_code == (victim == "party-1" ? 6 : 5));
        CHECK(outcome.err.find("--resume") != std::string::npos);
        const Outcome resumed = world.resume(out);
        INFO(resumed.err);
        REQUIRE(resumed.exit_code == 0);
        CHECK(world.summary(out).at("model_digest") == digest);
        require_whole(world, out);
        std::filesystem::remove_all(world.dir.path() / out);
      }
    }
  }
}

}  // namespace
}  // namespace blindsum
