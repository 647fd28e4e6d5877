// A party's memory under SCAFFOLD, over rounds, refusals and restarts.
#include "party/control_variate.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"

namespace blindsum::party {
namespace {

constexpr wire::RunId kRun{3};
using Values = std::vector<float>;

TEST_CASE("a proposal counts from the next round on, and not in its own") {
  ControlVariate control(kRun, 1, 2, "");
  CHECK(control.at_round(1) == Values{0, 0});
  control.propose(1, {1, 2});
  CHECK(control.at_round(1) == Values{0, 0});
  CHECK(control.at_round(4) == Values{1, 2});
  control.propose(4, {3, 4});
  control.refuse(3);  // long over
  control.refuse(4);
  CHECK(control.at_round(5) == Values{1, 2});
}

TEST_CASE("the next process goes on where the last one ended") {
  const test::TempDir dir;
  const auto file = dir.path() / "control";
  {
    ControlVariate control(kRun, 1, 2, file);
    (void)control.at_round(1);
    control.propose(1, {1, 2});
    (void)control.at_round(2);
    control.propose(2, {3, 4});
  }
  struct stat status = {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  ControlVariate same_round(kRun, 1, 2, file);
  CHECK(same_round.at_round(2) == Values{1, 2});
  ControlVariate next_round(kRun, 1, 2, file);
  CHECK(next_round.at_round(3) == Values{3, 4});
}

TEST_CASE("a file that is damaged or somebody else's is a StorageError") {
  const test::TempDir dir;
  const auto file = dir.path() / "control";
  {
    ControlVariate control(kRun, 1, 2, file);
    control.propose(1, {1, 2});
  }
  CHECK_THROWS_AS(ControlVariate({4}, 1, 2, file), StorageError);
  CHECK_THROWS_AS(ControlVariate(kRun, 2, 2, file), StorageError);
  CHECK_THROWS_AS(ControlVariate(kRun, 1, 3, file), StorageError);
  CHECK_THROWS_AS(ControlVariate(kRun, 1, 1, file), StorageError);
  const Bytes good = read_file(file);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    write_file_atomic(file, ByteView(bad));
    CHECK_THROWS_AS(ControlVariate(kRun, 1, 2, file), StorageError);
    if (i % 16 == 0) {
      write_file_atomic(file, ByteView(good).first(i));
      CHECK_THROWS_AS(ControlVariate(kRun, 1, 2, file), StorageError);
    }
  }
  write_file_atomic(file, ByteView(good));
  CHECK(ControlVariate(kRun, 1, 2, file).at_round(2) == Values{1, 2});
  CHECK_THROWS_AS(ControlVariate(kRun, 1, 2, dir.path() / "none" / "control").propose(1, {1, 2}),
                  StorageError);
}

}  // namespace
}  // namespace blindsum::party
