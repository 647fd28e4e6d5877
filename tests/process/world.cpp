#include "tests/process/world.h"

#include <fstream>
#include <iterator>

#include "party/key_holder/key_store.h"
#include "shared/core/file.h"
#include "tests/support/test_keys.h"

namespace blindsum::test {

using namespace std::chrono_literals;
using nlohmann::json;

World::World() {
  key_holder::save_key_set(keys, key_2048());
  write_file_atomic(scenario,
                    "name: small\nparties: 3\nrounds: 2\nmodel: { hidden: [8] }\n"
                    "data: { source: synthetic }\nlocal: { batch_rows: 64 }\n"
                    "paillier: { key_bits: 2048, randomizer: short }\n"
                    "deadlines: { round_s: 10, start_s: 20 }\n");
}

std::vector<std::string> World::arguments(const std::string& out,
                                          std::vector<std::string> more) const {
  std::vector<std::string> all{"run",    scenario.string(), "--out", (dir.path() / out).string(),
                               "--keys", keys.string()};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Outcome World::run(const std::string& out, std::vector<std::string> more) const {
  return run_program("blindsum", arguments(out, std::move(more)), dir.path());
}

Outcome World::resume(const std::string& out, std::vector<std::string> more) const {
  std::vector<std::string> all{"run", "--resume", folder(out).string()};
  all.insert(all.end(), more.begin(), more.end());
  return run_program("blindsum", all, dir.path());
}

std::filesystem::path World::folder(const std::string& out) const {
  std::error_code none;
  const std::filesystem::directory_iterator inside(dir.path() / out, none);
  return none || inside == std::filesystem::directory_iterator() ? dir.path() / out
                                                                 : inside->path();
}

json World::summary(const std::string& out) const {
  return json::parse(read_text_file(folder(out) / "summary.json"));
}

std::size_t World::rounds_done(const std::string& out) const {
  std::ifstream file(folder(out) / "records" / "keyholder.jsonl");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

pid_t child_of(const Program& launcher, const std::string& role) {
  for (const auto& [pid, name] : children_of(launcher.pid())) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (line.find("/" + role + ".json") != std::string::npos) return pid;
  }
  return 0;
}

std::vector<std::string> events_of(const json& summary) {
  std::vector<std::string> events;
  for (const json& event : summary.at("events")) {
    events.push_back(event.at("event").get<std::string>() + " " +
                     event.at("role").get<std::string>());
  }
  return events;
}

}  // namespace blindsum::test
