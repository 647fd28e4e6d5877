#include "party/key_holder/key_store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace blindsum::key_holder {
namespace {

TEST_CASE("a key set reads back, its secret protected, and is never overwritten") {
  const test::TempDir dir;
  save_key_set(dir.path() / "keys", test::key_2048());
  const auto secret = secret_key_path(dir.path() / "keys");
  const auto open = public_key_path(dir.path() / "keys");
  struct stat status = {};
  REQUIRE(stat(secret.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(load_secret_key(secret, open).public_key() == test::key_2048().public_key());
  CHECK_THROWS_WITH_AS(save_key_set(dir.path() / "keys", test::key_2048()),
                       doctest::Contains("never overwritten"), KeyError);
}

TEST_CASE("two writers of one folder: one of them fails cleanly and the set is never mixed") {
  const test::TempDir dir;
  {
    const NewKeySet first(dir.path());
    CHECK_THROWS_WITH_AS(NewKeySet(dir.path()), doctest::Contains("another process"), KeyError);
    first.save(test::key_2048());
  }
  CHECK_THROWS_WITH_AS(NewKeySet(dir.path()), doctest::Contains("never overwritten"), KeyError);
  CHECK(load_secret_key(secret_key_path(dir.path()), public_key_path(dir.path())).public_key() ==
        test::key_2048().public_key());
}

TEST_CASE("what an interrupted writer left behind is found, and gone once new keys are made") {
  const test::TempDir dir;
  const auto left = dir.path() / "secret.key.tmp.123";
  write_file_atomic(left, std::string_view("part of a secret"));
  write_file_atomic(dir.path() / "notes.txt", std::string_view("mine"));
  REQUIRE(leftovers(dir.path()).size() == 1);
  CHECK(leftovers(dir.path())[0] == left);
  save_key_set(dir.path(), test::key_2048());
  CHECK_FALSE(std::filesystem::exists(left));
  CHECK(std::filesystem::exists(dir.path() / "notes.txt"));
}

TEST_CASE(
    "a missing, unprotected, truncated, altered or foreign key file is a KeyError that names it") {
  const test::TempDir dir;
  save_key_set(dir.path(), test::key_2048());
  const auto secret = secret_key_path(dir.path());
  const auto open = public_key_path(dir.path());
  const auto load = [&] { (void)load_secret_key(secret, open); };

  chmod(secret.c_str(), 0644);
  CHECK_THROWS_WITH_AS(load(), doctest::Contains("chmod 600"), KeyError);
  chmod(secret.c_str(), 0600);

  const Bytes good = read_file(secret);
  for (const std::size_t size : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
    write_secret_file(secret, ByteView(good).first(size));
    CHECK_THROWS_WITH_AS(load(), doctest::Contains("secret.key"), KeyError);
  }
  for (std::size_t i = 0; i < good.size(); i += 13) {
    Bytes altered = good;
    altered[i] ^= 1;
    write_secret_file(secret, altered);
    CHECK_THROWS_AS(load(), KeyError);
  }
  write_secret_file(secret, good);
  CHECK_NOTHROW(load());

  write_file_atomic(open, test::key_3072().public_key().serialize());
  CHECK_THROWS_WITH_AS(load(), doctest::Contains("not the public key of"), KeyError);
  std::filesystem::remove(open);
  CHECK_THROWS_WITH_AS(load(), doctest::Contains("public.key"), KeyError);
}

}  // namespace
}  // namespace blindsum::key_holder
