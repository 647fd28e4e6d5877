#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/core/bytes.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"
#include "shared/core/log.h"
#include "shared/core/random.h"
#include "shared/core/seeded_random.h"
#include "shared/core/thread_pool.h"
#include "shared/core/words.h"
#include "tests/support/temp_dir.h"

namespace blindsum {
namespace {

TEST_CASE("hexadecimal text round-trips and refuses what is not hexadecimal") {
  const Bytes bytes{0x00, 0x7f, 0x80, 0xff};
  CHECK(to_hex(bytes) == "007f80ff");
  CHECK(from_hex("007F80ff") == bytes);
  CHECK_THROWS_AS((void)from_hex("0"), DecodeError);
  CHECK_THROWS_AS((void)from_hex("0g"), DecodeError);
}

TEST_CASE("little-endian integers round-trip and refuse to read past the end") {
  Bytes bytes;
  append_le32(bytes, 0x01020304);
  append_le64(bytes, 0x05060708090a0b0c);
  CHECK(to_hex(bytes) == "040302010c0b0a0908070605");
  CHECK(read_le32(bytes, 0) == 0x01020304);
  CHECK(read_le64(bytes, 4) == 0x05060708090a0b0c);
  CHECK_THROWS_AS((void)read_le64(bytes, 5), DecodeError);
  CHECK_THROWS_AS((void)read_le32(bytes, 1000), DecodeError);
}

TEST_CASE("SHA-256 agrees with FIPS 180-4, in one piece and in several") {
  const auto* abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(to_hex(sha256(as_bytes("abc"))) == abc);
  CHECK(to_hex(Sha256().update(as_bytes("a")).update(as_bytes("bc")).finish()) == abc);
  CHECK(digest_text(sha256(as_bytes("abc"))) == std::string("sha256:") + abc);
}

TEST_CASE("hashed fields do not run together") {
  CHECK(Sha256().update_field("ab").update_field("c").finish() !=
        Sha256().update_field("a").update_field("bc").finish());
}

TEST_CASE("every fault has a name that reads back and an exit code of its own") {
  std::vector<int> codes;
  for (int i = 0; i <= static_cast<int>(Fault::kInterrupted); ++i) {
    const auto fault = static_cast<Fault>(i);
    CHECK(fault_from_string(to_string(fault)) == fault);
    codes.push_back(exit_code(fault));
  }
  std::sort(codes.begin(), codes.end());
  CHECK(std::adjacent_find(codes.begin(), codes.end()) == codes.end());
  CHECK_THROWS_AS((void)fault_from_string("nothing"), DecodeError);
  CHECK(exit_code(fault_of(DataError("x"))) == 3);
  CHECK(exit_code(fault_of(KeyError("x"))) == 4);
  CHECK(exit_code(fault_of(IntegrityError("x"))) == 7);
  CHECK(exit_code(fault_of(StorageError("x"))) == 9);
  CHECK(exit_code(fault_of(std::runtime_error("x"))) == 1);
  CHECK(exit_code(fault_of(std::filesystem::filesystem_error("x", "path", {}))) == 2);
}

TEST_CASE(
    "a seeded stream is the same for the same seed, purpose and indices, and differs otherwise") {
  const auto first = [](SeededRandom random) { return random.next_u64(); };
  const auto value = first(SeededRandom(1, "batch", {2, 3}));
  CHECK(value == first(SeededRandom(1, "batch", {2, 3})));
  CHECK(value != first(SeededRandom(2, "batch", {2, 3})));
  CHECK(value != first(SeededRandom(1, "shard", {2, 3})));
  CHECK(value != first(SeededRandom(1, "batch", {3, 2})));
  CHECK(value != first(SeededRandom(1, "batch", {2})));
}

TEST_CASE("a seeded stream does not repeat across its internal blocks") {
  SeededRandom random(7, "blocks");
  std::vector<std::uint64_t> values(5000);
  for (auto& value : values) value = random.next_u64();
  std::sort(values.begin(), values.end());
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
}

TEST_CASE("variates have the moments of their distributions") {
  constexpr std::uint64_t kSeed = 11;
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "moments");
  constexpr int kDraws = 200'000;
  double sum = 0, squares = 0, gamma_sum = 0, small_gamma_sum = 0;
  std::array<int, 7> counts{};
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    gamma_sum += random.gamma(2.5);
    small_gamma_sum += random.gamma(0.1);
    ++counts.at(random.below(7));
  }
  CHECK(std::abs(sum / kDraws) < 0.02);
  CHECK(std::abs(squares / kDraws - 1) < 0.02);
  CHECK(std::abs(gamma_sum / kDraws - 2.5) < 0.03);
  CHECK(std::abs(small_gamma_sum / kDraws - 0.1) < 0.01);
  for (const int count : counts) CHECK(std::abs(count - kDraws / 7.0) < 1000);
}

TEST_CASE("a shuffle keeps every item") {
  std::vector<int> items(1000);
  std::iota(items.begin(), items.end(), 0);
  auto shuffled = items;
  SeededRandom(3, "shuffle").shuffle(std::span(shuffled));
  CHECK(shuffled != items);
  std::sort(shuffled.begin(), shuffled.end());
  CHECK(shuffled == items);
}

TEST_CASE("operating-system randomness differs between calls and between parent and child") {
  Bytes a(32), b(32);
  fill_random(a);
  fill_random(b);
  CHECK(a != b);
  int channel[2];
  REQUIRE(pipe(channel) == 0);
  const pid_t child = fork();
  fill_random(a);
  if (child == 0) {
    const auto put = write(channel[1], a.data(), a.size());
    _exit(put == static_cast<ssize_t>(a.size()) ? 0 : 1);
  }
  REQUIRE(read(channel[0], b.data(), b.size()) == static_cast<ssize_t>(b.size()));
  CHECK(a != b);
  close(channel[0]);
  close(channel[1]);
}

TEST_CASE("secret bytes are empty after they were moved from or cleared") {
  SecretBytes secret(as_bytes("secret"));
  SecretBytes other(std::move(secret));
  CHECK(other.size() == 6);
  other.clear();
  CHECK(other.size() == 0);
}

TEST_CASE("parallel_for visits every index once, whatever the number of threads") {
  for (const std::size_t threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const std::size_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> visits(count);
      pool.parallel_for(count, [&](std::size_t i) { ++visits[i]; });
      for (const auto& visit : visits) CHECK(visit == 1);
    }
  }
}

TEST_CASE("parallel_ranges covers every index once, cut at multiples of the grain") {
  ThreadPool pool(3);
  for (const std::size_t count : {0, 1, 7, 8, 9, 25, 64, 100}) {
    std::vector<std::atomic<int>> visits(count);
    pool.parallel_ranges(count, 8, [&](std::size_t begin, std::size_t end) {
      CHECK(begin % 8 == 0);
      for (std::size_t i = begin; i < end; ++i) ++visits[i];
    });
    for (const auto& visit : visits) CHECK(visit == 1);
  }
}

TEST_CASE("an exception in a parallel loop reaches the caller and leaves the pool usable") {
  ThreadPool pool(4);
  for (int round = 0; round < 20; ++round) {
    CHECK_THROWS_AS(pool.parallel_for(100,
                                      [](std::size_t i) {
                                        if (i == 57) throw DataError("57");
                                      }),
                    DataError);
  }
  std::atomic<int> visits = 0;
  pool.parallel_for(100, [&](std::size_t) { ++visits; });
  CHECK(visits == 100);
}

TEST_CASE("an atomic write replaces the file whole and leaves no temporary behind") {
  const test::TempDir dir;
  const auto path = dir.path() / "file";
  write_file_atomic(path, "old");
  write_file_atomic(path, "new content");
  CHECK(read_text_file(path) == "new content");
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("what lies at the temporary name is not written to") {
  const test::TempDir dir;
  const auto path = dir.path() / "secret";
  const auto trap = dir.path() / ("secret.tmp." + std::to_string(getpid()));
  const auto elsewhere = dir.path() / "elsewhere";
  write_file_atomic(elsewhere, "", 0666);
  std::filesystem::create_hard_link(elsewhere, trap);
  write_secret_file(path, as_bytes("abc"));
  CHECK(read_text_file(elsewhere).empty());
  CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms(077)) ==
        std::filesystem::perms::none);
}

TEST_CASE("loops of several threads over one pool run one after the other") {
  ThreadPool pool(2);
  std::atomic<int> visits = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int loop = 0; loop < 200; ++loop) pool.parallel_for(10, [&](std::size_t) { ++visits; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(visits == 4 * 200 * 10);
}

TEST_CASE("reading a missing, oversized or special file is an Error that names it") {
  const test::TempDir dir;
  const auto path = dir.path() / "file";
  CHECK_THROWS_WITH_AS((void)read_file(path), doctest::Contains("cannot be opened"), Error);
  write_file_atomic(path, "12345");
  CHECK_THROWS_WITH_AS((void)read_file(path, 4), doctest::Contains("5 bytes, at most 4"), Error);
  CHECK_THROWS_AS((void)read_file(dir.path()), Error);
}

TEST_CASE("writing into a missing folder is an Error that names the file") {
  const test::TempDir dir;
  CHECK_THROWS_WITH_AS(write_file_atomic(dir.path() / "no" / "file", "x"),
                       doctest::Contains("cannot be written"), Error);
}

TEST_CASE("a secret file has mode 0600 and is refused when others may use it") {
  const test::TempDir dir;
  const auto path = dir.path() / "secret";
  write_secret_file(path, as_bytes("abc"));
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(read_secret_file(path).size() == 3);
  for (const mode_t mode : {0640, 0604, 0620, 0666}) {
    chmod(path.c_str(), mode);
    CHECK_THROWS_WITH_AS((void)read_secret_file(path), doctest::Contains("chmod 600"), KeyError);
  }
}

TEST_CASE("words name the values of an enumeration and list what they know") {
  enum class Colour { kRed, kBlue };
  constexpr Words<Colour, 2> kColours("colour", {"red", "blue"});
  CHECK(kColours.word(Colour::kBlue) == "blue");
  CHECK(kColours.value("red") == Colour::kRed);
  CHECK_THROWS_WITH_AS((void)kColours.value("green"), "unknown colour 'green' (known: red, blue)",
                       ConfigError);
}

TEST_CASE("an unknown log level is a ConfigError that lists the levels") {
  CHECK_THROWS_WITH_AS(start_log("test", "loud"), doctest::Contains("trace, debug"), ConfigError);
  start_log("test", "off");
}

}  // namespace
}  // namespace blindsum
