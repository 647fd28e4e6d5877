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

}  // namespace
}  // namespace blindsum::test
