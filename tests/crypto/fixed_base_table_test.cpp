// Fixed-base tables: in the process, and in files that processes share.
#include "shared/crypto/fixed_base_table.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/secret/key_generator.h"
#include "tests/crypto/test_numbers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace blindsum::crypto {
namespace {

using test::insecure_test_key;
using test::kSeed;

class Fixture {
 public:
  [[nodiscard]] TableOptions shared() const { return {folder_.path(), 0, std::size_t{1} << 18}; }

  [[nodiscard]] ObfuscatorSource source(const TableOptions& options) {
    return {key_, Randomizer::kHalf, pool_, options};
  }

  // encryptions are those of fixed plaintexts with fixed randomness.
  [[nodiscard]] CiphertextVector encryptions(const TableOptions& options) {
    constexpr std::size_t kCount = 11;
    SeededRandom random(kSeed, "table", {});
    const ObfuscatorSource made = source(options);
    std::vector<std::uint64_t> m(kCount * key_.plaintext_limbs());
    std::vector<std::uint64_t> r(kCount * made.random_limbs());
    for (std::size_t i = 0; i < kCount; ++i) {
      test::random_below(random, key_.modulus_limbs(),
                         std::span(m).subspan(i * key_.plaintext_limbs(), key_.plaintext_limbs()));
    }
    for (std::uint64_t& limb : r) limb = random.next_u64();
    return made.encrypt_with(m, r);
  }

  [[nodiscard]] std::vector<std::filesystem::path> tables() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().extension() == ".table") found.push_back(entry.path());
    }
    return found;
  }

 protected:
  ThreadPool pool_{2};
  test::TempDir folder_;
  PublicKey key_ = insecure_test_key(512).public_key();
};

ino_t inode_of(const std::filesystem::path& path) {
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

TEST_CASE_FIXTURE(Fixture, "a table in a file gives the ciphertexts of a table of one's own") {
  const CiphertextVector expected = encryptions({});
  CHECK(encryptions(shared()) == expected);
  REQUIRE(tables().size() == 1);
  const ino_t first = inode_of(tables()[0]);
  CHECK(encryptions(shared()) == expected);  // the first has let go of it
  CHECK(inode_of(tables()[0]) == first);
  const TableInfo info = source(shared()).table();
  CHECK(info.file == tables()[0]);
  CHECK(info.bytes <= shared().max_bytes);
  CHECK(info.bytes > shared().max_bytes / 4);
  CHECK(source({}).table().file.empty());
}

TEST_CASE_FIXTURE(Fixture, "a damaged table is made anew") {
  const CiphertextVector expected = encryptions({});
  CHECK(encryptions(shared()) == expected);
  const std::filesystem::path path = tables().at(0);
  const Bytes whole = read_file(path);
  SUBCASE("cut") { std::filesystem::resize_file(path, whole.size() - 8); }
  SUBCASE("empty") { std::filesystem::resize_file(path, 0); }
  SUBCASE("one bit of the header or of the table") {
    INFO("seed ", kSeed);
    SeededRandom random(kSeed, "damage", {});
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{16}, std::size_t{40}, std::size_t{70}, std::size_t{100},
          std::size_t{4096}, 4096 + random.next_u64() % (whole.size() - 4096), whole.size() - 1}) {
      CAPTURE(at);
      Bytes damaged = whole;
      damaged[at] ^= 4;
      write_file_atomic(path, damaged, 0600);
      CHECK(encryptions(shared()) == expected);
      CHECK(read_file(path) == whole);
    }
  }
  CHECK(encryptions(shared()) == expected);
  CHECK(read_file(path) == whole);
}

TEST_CASE_FIXTURE(Fixture, "the table of another key is made anew") {
  const CiphertextVector expected = encryptions({});
  {
    const PublicKey mine = key_;
    key_ = generate_key(512, pool_, KeyPolicy::kInsecureTesting).public_key();
    REQUIRE(key_.id() != mine.id());
    CHECK(encryptions(shared()) != expected);
    key_ = mine;
  }
  REQUIRE(tables().size() == 1);
  CHECK(encryptions(shared()) == expected);
}

TEST_CASE_FIXTURE(Fixture, "a larger table serves those who want less, a smaller one is replaced") {
  TableOptions less = shared();
  less.max_bytes /= 4;
  const CiphertextVector expected = encryptions({});
  CHECK(encryptions(less) == expected);
  const std::size_t windows = source(less).table().windows;
  CHECK(encryptions(shared()) == expected);
  CHECK(tables().size() == 1);
  CHECK(source(shared()).table().windows < windows);
  const ino_t larger = inode_of(tables()[0]);
  CHECK(source(less).table().windows == source(shared()).table().windows);
  CHECK(encryptions(less) == expected);
  CHECK(inode_of(tables()[0]) == larger);
}

TEST_CASE_FIXTURE(Fixture, "a header with impossible windows is not believed") {
  const CiphertextVector expected = encryptions({});
  CHECK(encryptions(shared()) == expected);
  const Bytes whole = read_file(tables().at(0));
  for (const std::uint8_t windows : {0, 1, 15}) {
    CAPTURE(windows);
    Bytes damaged = whole;
    damaged[72] = windows;
    write_file_atomic(tables().at(0), damaged, 0600);
    CHECK(encryptions(shared()) == expected);
    CHECK(read_file(tables().at(0)) == whole);
  }
}

TEST_CASE_FIXTURE(Fixture, "a table that others may have written is a KeyError") {
  (void)encryptions(shared());
  for (const mode_t mode : {0620, 0602, 0666}) {
    REQUIRE(chmod(tables().at(0).c_str(), mode) == 0);
    CHECK_THROWS_WITH_AS((void)encryptions(shared()),
                         (tables().at(0).string() +
                          ": others may have written this file: delete it, or make it yours alone")
                             .c_str(),
                         KeyError);
  }
}

TEST_CASE_FIXTURE(Fixture, "a link in a table's place is not followed") {
  (void)encryptions(shared());
  const std::filesystem::path path = tables().at(0);
  const std::filesystem::path elsewhere = folder_.path() / "elsewhere";
  std::filesystem::rename(path, elsewhere);
  std::filesystem::create_symlink(elsewhere, path);
  CHECK(encryptions(shared()) == encryptions({}));
  CHECK_FALSE(std::filesystem::is_symlink(path));
}

TEST_CASE_FIXTURE(Fixture, "where no file can be made, the table is the process's own") {
  TableOptions options = shared();
  options.directory /= "nowhere";
  CHECK(source(options).table().file.empty());
  CHECK(encryptions(options) == encryptions({}));
}

TEST_CASE_FIXTURE(Fixture, "processes that ask at once share one table") {
  constexpr int kProcesses = 6;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ThreadPool pool(1);
      const ObfuscatorSource mine(key_, Randomizer::kHalf, pool, shared());
      std::ofstream(folder_.path() / ("inode-" + std::to_string(i)))
          << (mine.table().file.empty() ? 0 : inode_of(mine.table().file));
      _exit(0);
    }
    children.push_back(child);
  }
  std::set<std::string> inodes;
  for (int i = 0; i < kProcesses; ++i) {
    int status = -1;
    REQUIRE(waitpid(children[static_cast<std::size_t>(i)], &status, 0) > 0);
    CHECK(status == 0);
    inodes.insert(read_text_file(folder_.path() / ("inode-" + std::to_string(i))));
  }
  CHECK(inodes == std::set<std::string>{std::to_string(inode_of(tables().at(0)))});
}

TEST_CASE_FIXTURE(Fixture, "remove_tables leaves other files alone") {
  (void)encryptions(shared());
  write_file_atomic(folder_.path() / "public.key", std::string_view("x"));
  remove_tables(folder_.path());
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    left.push_back(entry.path().filename().string());
  }
  CHECK(left == std::vector<std::string>{"public.key"});
  remove_tables(folder_.path() / "nowhere");
}

TEST_CASE_FIXTURE(Fixture, "more work ahead makes a table larger, up to what is allowed") {
  std::size_t entries = 0;
  for (const std::size_t encryptions : {1UL, 100UL, 10'000UL, 1'000'000UL, 100'000'000UL}) {
    const auto layout = layout_for(key_, 256, {{}, encryptions, std::size_t{1} << 18});
    CHECK(layout.entries() >= entries);
    CHECK(layout.entries() * key_.ciphertext_limbs() * 8 <= std::size_t{1} << 18);
    entries = layout.entries();
  }
  CHECK(entries == layout_for(key_, 256, {{}, 0, std::size_t{1} << 18}).entries());
  CHECK(layout_for(key_, 256, {{}, 0, 1}).windows == 256);  // nothing is smaller
}

}  // namespace
}  // namespace blindsum::crypto
