#include "shared/wire/traffic_log.h"

#include <chrono>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"

namespace blindsum::wire {
namespace {

// read returns the sizes of the messages in a log.
std::vector<std::size_t> read(TrafficReader& reader) {
  std::vector<std::size_t> sizes;
  while (const auto message = reader.next()) sizes.push_back(message->bytes.size());
  return sizes;
}

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

TEST_CASE("messages read back as they were written, with direction, peer and time") {
  const blindsum::test::TempDir folder;
  const auto path = folder.path() / "traffic.log";
  const std::uint64_t before = now_us();
  {
    TrafficLog log(path);
    log.add(Direction::kIn, party_peer(70'000), Bytes{1, 2, 3});
    log.add(Direction::kOut, kKeyHolderPeer, Bytes(1'000'000, 9));
    log.add(Direction::kIn, kCoordinatorPeer, {});
    log.close();
    log.close();
  }
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  TrafficReader reader(path);
  auto message = reader.next();
  REQUIRE(message);
  CHECK(message->direction == Direction::kIn);
  CHECK(message->peer == party_peer(70'000));
  CHECK(Bytes(message->bytes.begin(), message->bytes.end()) == Bytes{1, 2, 3});
  CHECK(message->time_us >= before);
  CHECK(message->time_us <= now_us());
  message = reader.next();
  REQUIRE(message);
  CHECK(message->direction == Direction::kOut);
  CHECK(message->peer == kKeyHolderPeer);
  CHECK(Bytes(message->bytes.begin(), message->bytes.end()) == Bytes(1'000'000, 9));
  message = reader.next();
  REQUIRE(message);
  CHECK(message->bytes.empty());
  CHECK_FALSE(reader.is_whole());
  CHECK_FALSE(reader.next());
  CHECK(reader.is_whole());
  CHECK(reader.left_out() == 0);
  CHECK_FALSE(reader.next());
}

TEST_CASE("a full log is a beginning without gaps, and says how many messages it lacks") {
  const blindsum::test::TempDir folder;
  const auto path = folder.path() / "traffic.log";
  {
    TrafficLog log(path, 1000);
    for (const std::size_t size : {400, 300, 400, 1, 1}) {
      log.add(Direction::kIn, party_peer(0), Bytes(size));
    }
  }
  CHECK(std::filesystem::file_size(path) <= 1000 + 29);
  TrafficReader reader(path);
  CHECK(read(reader) == std::vector<std::size_t>{400, 300});
  CHECK(reader.is_whole());
  CHECK(reader.left_out() == 3);
}

TEST_CASE("a log that was begun again is not whole") {
  const blindsum::test::TempDir folder;
  const auto path = folder.path() / "traffic.log";
  for (int start = 0; start < 2; ++start) {
    TrafficLog log(path);
    log.add(Direction::kIn, party_peer(0), Bytes(5));
    log.close();
    TrafficReader reader(path);
    CHECK(read(reader) == std::vector<std::size_t>{5});
    CHECK(reader.is_whole() == (start == 0));
  }
}

TEST_CASE("a log that was cut anywhere gives its whole messages and is not whole") {
  const blindsum::test::TempDir folder;
  const auto path = folder.path() / "traffic.log";
  {
    TrafficLog log(path);
    for (const std::size_t size : {5, 0, 70}) log.add(Direction::kIn, party_peer(0), Bytes(size));
  }
  const Bytes whole = read_file(path);
  const auto cut = folder.path() / "cut.log";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file_atomic(cut, ByteView(whole).first(size));
    if (size < 19) {
      CHECK_THROWS_AS(TrafficReader{cut}, DecodeError);
      continue;
    }
    TrafficReader reader(cut);
    const std::vector<std::size_t> sizes = read(reader);
    CHECK(sizes.size() <= 3);
    CHECK(std::equal(sizes.begin(), sizes.end(), std::vector<std::size_t>{5, 0, 70}.begin()));
    CHECK_FALSE(reader.is_whole());
  }
}

TEST_CASE("a log of rubbish is a DecodeError before memory is taken for it") {
  const blindsum::test::TempDir folder;
  const auto path = folder.path() / "traffic.log";
  Bytes rubbish = [&] {
    TrafficLog log(path);
    log.close();
    return read_file(path);
  }();
  std::fill(rubbish.begin() + 19, rubbish.end(), std::uint8_t{0xfe});
  write_file_atomic(path, rubbish);
  TrafficReader reader(path);
  CHECK_THROWS_AS((void)reader.next(), DecodeError);
  CHECK_THROWS_AS(TrafficReader{folder.path() / "missing"}, DecodeError);
}

TEST_CASE("a log goes on when the disk is full, and cannot be taken for a whole one") {
  if (!std::filesystem::exists("/dev/full")) return;
  TrafficLog log("/dev/full");
  for (int i = 0; i < 100; ++i) log.add(Direction::kIn, party_peer(0), Bytes(100'000));
  log.close();
}

TEST_CASE("a log does not follow a link, and names a folder that is not there") {
  const blindsum::test::TempDir folder;
  std::filesystem::create_symlink(folder.path() / "target", folder.path() / "link");
  CHECK_THROWS_AS(TrafficLog{folder.path() / "link"}, ConfigError);
  CHECK_THROWS_AS(TrafficLog{folder.path() / "none" / "traffic.log"}, ConfigError);
}

}  // namespace
}  // namespace blindsum::wire
