#include "scenarios/launcher/compose.h"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/run.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/file.h"
#include "shared/role/run_role.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using std::filesystem::path;

const std::atomic<bool> kNeverStop{false};

// small_options is a run of a few seconds on synthetic data, in the clear.
RunOptions small_options() {
  RunOptions options;
  options.settings.name = "small";
  options.settings.parties = 3;
  options.settings.rounds = 4;
  options.settings.data.source = "synthetic";
  options.settings.local.batch_rows = 64;
  options.settings.cipher = "none";
  options.settings.evaluate_every = 2;
  options.settings.deadlines = {20, 30};
  const char* programs = std::getenv("BLINDSUM_BIN");
  options.programs =
      programs != nullptr ? path(programs) : programs_directory().parent_path() / "bin";
  options.stop = &kNeverStop;
  return options;
}

unsigned mode_of(const path& file) {
  struct stat status = {};
  return stat(file.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace

TEST_CASE("the committed docker-compose file is what blindsum compose writes") {
  ContainerPlan plan;
  plan.settings = load_scenario("scenarios/kdd-compose-5.yaml");
  plan.command =
      "blindsum compose scenarios/kdd-compose-5.yaml --prepare-inside . --out scenarios/docker";
  CHECK(read_text_file("scenarios/docker/docker-compose.yml") ==
        compose_with_volumes(plan, "../kdd-compose-5.yaml", "../..", {}));
}

TEST_CASE("every service of a compose file mounts its own role's files alone") {
  ContainerPlan plan;
  plan.settings.parties = 12;
  const std::string text = compose_with_secrets(plan);
  const std::regex service("  (coordinator|keyholder|party-[0-9]+):\n((?:    .*\n)+)");
  std::size_t services = 0;
  for (std::sregex_iterator found(text.begin(), text.end(), service), end; found != end; ++found) {
    ++services;
    const std::string name = (*found)[1];
    const std::string body = (*found)[2];
    INFO(name);
    const std::regex mount("\\./roles/([a-z0-9-]+)/|source: ([a-z0-9-]+)\\.");
    for (std::sregex_iterator at(body.begin(), body.end(), mount); at != end; ++at) {
      CHECK((*at)[1].str() + (*at)[2].str() == name);
    }
    CHECK((body.find("secret.key") != std::string::npos) == (name == "keyholder"));
    CHECK((body.find("/data:ro") != std::string::npos) == (name != "coordinator"));
  }
  CHECK(services == 14);
}

TEST_CASE("prepared role folders keep secrets to their owner, and data to their role") {
  const test::TempDir folder;
  const path roles = folder.path() / "roles";
  Progress progress(Verbosity::kQuiet);
  REQUIRE(prepare_roles(small_options(), view_of_volumes(), roles, progress).reason == "");
  for (const wire::Peer& peer : all_peers(3)) {
    const path own = role_folder(roles, peer);
    INFO(own.string());
    CHECK(mode_of(own / "identity.secret") == 0600);
    CHECK(mode_of(own / "data") == 0700);
    CHECK(mode_of(own) == 0711);
    CHECK(std::filesystem::exists(own / "data" / "shard.csv") == (peer.role == wire::Role::kParty));
    CHECK(std::filesystem::exists(own / "data" / "test.csv") == (peer == wire::kKeyHolderPeer));
  }
  CHECK_FALSE(std::filesystem::exists(run_folder(roles) / "data"));

  SUBCASE("a second preparation leaves nothing of the first") {
    const path role_file = role_folder(roles, wire::party_peer(1)) / "role.json";
    const path left_over = role_folder(roles, wire::party_peer(1)) / "out" / "records.jsonl";
    write_file_atomic(left_over, "{}\n");
    const std::string before = read_text_file(role_file);
    REQUIRE(prepare_roles(small_options(), view_of_volumes(), roles, progress).reason == "");
    CHECK(read_text_file(role_file) != before);
    CHECK_FALSE(std::filesystem::exists(left_over));
  }
}

TEST_CASE("a supervised run of prepared roles ends in the model of blindsum run") {
  const test::TempDir folder;
  RunOptions options = small_options();
  Progress progress(Verbosity::kQuiet);
  options.folder = folder.path() / "whole";
  const RunResult whole = run_scenario(options, progress);
  REQUIRE(whole.ending.reason == "");

  const path roles = folder.path() / "roles";
  REQUIRE(prepare_roles(options, view_of_volumes(), roles, progress).reason == "");
  // What containers do with mounts and host names, this test does with paths and ports.
  Processes processes;
  const std::string ports = std::to_string(20000 + getpid() % 10000);
  for (const wire::Peer& peer : all_peers(options.settings.parties)) {
    const path own = role_folder(roles, peer);
    std::string text = read_text_file(own / "role.json");
    text = replaced(text, "\"/role", "\"" + own.string());
    text = replaced(text, "tcp://*:7300", "tcp://127.0.0.1:" + ports);
    text = replaced(text, "tcp://*:7301", "tcp://127.0.0.1:1" + ports.substr(1));
    text = replaced(text, "tcp://coordinator:7300", "tcp://127.0.0.1:" + ports);
    text = replaced(text, "tcp://keyholder:7301", "tcp://127.0.0.1:1" + ports.substr(1));
    write_file_atomic(own / "late.json", text);
  }
  // Parties first, and everybody before the role files are there.
  std::vector<wire::Peer> peers = all_peers(options.settings.parties);
  std::reverse(peers.begin(), peers.end());
  for (const wire::Peer& peer : peers) {
    const path own = role_folder(roles, peer);
    std::filesystem::remove(own / "role.json");
    processes.start(to_string(peer),
                    {(options.programs / program_name(peer)).string(), "--wait", "30",
                     (own / "role.json").string()},
                    folder.path() / (to_string(peer) + ".log"));
  }
  for (const wire::Peer& peer : peers) {
    const path own = role_folder(roles, peer);
    std::filesystem::rename(own / "late.json", own / "role.json");
  }
  options.folder = folder.path() / "supervised";
  const RunResult supervised = supervise(options, roles, progress);
  CHECK(supervised.ending.reason == "");
  CHECK(supervised.summary["model_digest"] == whole.summary["model_digest"]);
  CHECK(supervised.summary["confusion"] == whole.summary["confusion"]);
  CHECK(supervised.summary["data"] == whole.summary["data"]);
  CHECK(read_file(model_path(options.folder)) == read_file(model_path(folder.path() / "whole")));
  for (const char* name : {"rounds.jsonl", "manifest.json", "logs/keyholder.log"}) {
    INFO(name);
    CHECK(std::filesystem::file_size(options.folder / name) > 0);
  }
}

TEST_CASE("a supervised run that is stopped before the key-holder has ended is interrupted") {
  const test::TempDir folder;
  RunOptions options = small_options();
  Progress progress(Verbosity::kQuiet);
  const path roles = folder.path() / "roles";
  REQUIRE(prepare_roles(options, view_of_volumes(), roles, progress).reason == "");
  const std::atomic<bool> stop{true};
  options.stop = &stop;
  options.folder = folder.path() / "supervised";
  CHECK(supervise(options, roles, progress).ending.fault == Fault::kInterrupted);

  SUBCASE("but not when the key-holder has") {
    write_file_atomic(role_folder(roles, wire::kKeyHolderPeer) / "out" / "records.jsonl",
                      "{\"end\":true,\"reason\":\"too few\",\"status\":\"quorum_lost\"}\n");
    options.folder = folder.path() / "ended";
    const RunResult result = supervise(options, roles, progress);
    CHECK(result.ending.fault == Fault::kQuorumLost);
    CHECK(result.ending.reason == "key-holder: too few");
  }
}

TEST_CASE("a role is healthy when it listens and its connections stand") {
  constexpr const char* kHeader =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
  const std::string listens =
      "   0: 00000000:1C85 00000000:0000 0A 00000000:00000000 00:0 0 10001\n";
  const std::string calls = "   1: 0200000A:9C40 0300000A:1C84 01 00000000:00000000 00:0 0 10001\n";
  const std::string tries = "   1: 0200000A:9C40 0300000A:1C84 02 00000000:00000000 00:0 0 10001\n";
  const std::string served =
      "   1: 0200000A:1C84 0300000A:9C40 01 00000000:00000000 00:0 0 10001\n";
  settings::RoleFile role;
  role.link.bind = "tcp://*:7301";
  role.link.servers = {{wire::kCoordinatorPeer, "tcp://coordinator:7300"}};
  CHECK(role::is_at_work(role, kHeader + listens + calls));
  CHECK_FALSE(role::is_at_work(role, kHeader));
  CHECK_FALSE(role::is_at_work(role, kHeader + listens));
  CHECK_FALSE(role::is_at_work(role, kHeader + calls));
  CHECK_FALSE(role::is_at_work(role, kHeader + listens + tries));
  CHECK_FALSE(role::is_at_work(role, kHeader + listens + served));
  role.link.bind = "tcp://127.0.0.1:*";
  CHECK_THROWS_AS((void)role::is_at_work(role, kHeader), ConfigError);
}
