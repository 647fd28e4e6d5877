// 'blindsum keys': making a set, checking it, and two users at once.
#include <doctest/doctest.h>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("two 'blindsum keys' in one folder: one makes a good set, the other fails cleanly") {
  const Workspace space;
  const std::string keys = (space.dir.path() / "keys").string();
  Program a("blindsum", {"keys", keys, "--bits", "2048"}, space.dir.path());
  Program b("blindsum", {"keys", keys, "--bits", "2048"}, space.dir.path());
  const Outcome first = a.wait(120s);
  const Outcome second = b.wait(120s);
  INFO(first.err, second.err);
  CHECK(first.exit_code + second.exit_code == 4);
  const std::string error = first.err + second.err;
  CHECK((error.find("another process makes keys") != std::string::npos ||
         error.find("never overwritten") != std::string::npos));

  write_file_atomic(std::filesystem::path(keys) / "secret.key.tmp.7", std::string_view("x"));
  const Outcome checked = space.blindsum({"keys", "check", keys});
  CHECK(checked.exit_code == 0);
  CHECK(checked.out.find("good") != std::string::npos);
  CHECK(checked.err.find("secret.key.tmp.7: left behind") != std::string::npos);
}

TEST_CASE("an enrolment of identities stands in for making them, and no secret is handed on") {
  const Workspace space;
  const auto folder = space.dir.path();
  const std::vector<std::string> names{"coordinator", "keyholder", "party-0", "party-1", "party-2"};
  std::vector<std::string> enrol{"keys", "enrol"};
  for (const std::string& name : names) {
    REQUIRE(space.blindsum({"keys", "identity", (folder / "own" / name).string(), "--role", name})
                .exit_code == 0);
    enrol.push_back((folder / "own" / name / "identity.json").string());
    const auto secret = folder / "own" / name / "identity.secret";
    CHECK((std::filesystem::status(secret).permissions() & std::filesystem::perms(077)) ==
          std::filesystem::perms::none);
  }
  CHECK(space
            .blindsum(
                {"keys", "identity", (folder / "own" / "party-0").string(), "--role", "party-0"})
            .exit_code == 2);
  CHECK(space.blindsum({"keys", "identity", (folder / "own" / "x").string(), "--role", "party"})
            .exit_code == 2);
  const std::string enrolment = (folder / "enrolment.json").string();
  enrol.insert(enrol.end(), {"--out", enrolment});
  REQUIRE(space.blindsum(enrol).exit_code == 0);
  auto twice = enrol;
  twice.insert(twice.begin() + 2, twice[2]);
  CHECK(space.blindsum(twice).err.find("is enrolled already") != std::string::npos);

  const std::string roles = (folder / "roles").string();
  const auto prepare = [&](const char* parties) {
    return space.blindsum({"prepare", space.scenario.string(), "--parties", parties, "--roles",
                           roles, "--enrolment", enrolment});
  };
  const Outcome refused = prepare("4");
  CHECK(refused.exit_code == 2);
  CHECK(refused.err.find("the enrolment has no party-3") != std::string::npos);
  const Outcome prepared = prepare("3");
  INFO(prepared.err);
  REQUIRE(prepared.exit_code == 0);
  for (const std::string& name : names) {
    const auto role = folder / "roles" / name;
    CHECK_FALSE(std::filesystem::exists(role / "identity.secret"));
    CHECK(std::filesystem::exists(role / "role.json"));
  }
}

}  // namespace
}  // namespace blindsum::test
