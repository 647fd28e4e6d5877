#include "party/key_holder/state_store.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"

namespace blindsum::key_holder {
namespace {

namespace fs = std::filesystem;

constexpr wire::RunId kRun{1, 2, 3};

// content_of makes what a test stores for a round: other bytes and another length for each.
Bytes content_of(std::uint32_t round, std::size_t size = 20) {
  Bytes content(size + round);
  for (std::size_t i = 0; i < content.size(); ++i) {
    content[i] = static_cast<std::uint8_t>(31 * round + i);
  }
  return content;
}

std::string text(std::uint32_t round) { return "state after " + std::to_string(round); }

Bytes bytes_of(const std::string& value) { return {value.begin(), value.end()}; }

// Kept is what recover gave, in a form that compares.
struct Kept {
  std::optional<std::uint32_t> checkpoint;
  std::vector<std::uint32_t> rounds;
  friend bool operator==(const Kept&, const Kept&) = default;
};

std::ostream& operator<<(std::ostream& out, const Kept& kept) {
  out << "checkpoint " << (kept.checkpoint ? std::to_string(*kept.checkpoint) : "none")
      << ", rounds";
  for (const std::uint32_t round : kept.rounds) out << ' ' << round;
  return out;
}

// recover opens the store of `folder` and checks that what it gives back is what was put in.
Kept recover(const fs::path& folder, std::size_t size = 20) {
  const Recovered recovered = make_file_store(folder, kRun)->recover();
  Kept kept;
  if (!recovered.checkpoint.empty()) {
    kept.checkpoint = recovered.round;
    CHECK(recovered.checkpoint == bytes_of(text(recovered.round)));
  }
  for (const auto& entry : recovered.journal) {
    CHECK(entry.content == content_of(entry.round, size));
    kept.rounds.push_back(entry.round);
  }
  return kept;
}

// fill appends the rounds from `first` to `last`, with a checkpoint after each of `checkpoints`.
void fill(StateStore& store, std::uint32_t first, std::uint32_t last,
          const std::vector<std::uint32_t>& checkpoints = {}) {
  for (std::uint32_t round = first; round <= last; ++round) {
    store.append(round, content_of(round));
    if (std::find(checkpoints.begin(), checkpoints.end(), round) != checkpoints.end()) {
      store.checkpoint(round, bytes_of(text(round)));
    }
  }
}

void make_state(const fs::path& folder, std::uint32_t last,
                const std::vector<std::uint32_t>& checkpoints = {}) {
  const auto store = make_file_store(folder, kRun);
  (void)store->recover();
  fill(*store, 0, last, checkpoints);
}

using Files = std::map<std::string, Bytes>;

Files files_of(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = read_file(entry.path());
  }
  return files;
}

std::vector<std::string> names_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& [name, content] : files_of(folder)) names.push_back(name);
  return names;
}

void put(const fs::path& path, const Bytes& content) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
}

// lay_out makes `folder` hold exactly these files.
void lay_out(const fs::path& folder, const Files& files) {
  fs::remove_all(folder);
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms::owner_all);
  for (const auto& [name, content] : files) put(folder / name, content);
}

std::string failure_of(const fs::path& folder) {
  try {
    (void)make_file_store(folder, kRun)->recover();
  } catch (const StorageError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a store gives back its journal, then the newest checkpoint and what came after it") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  CHECK(recover(folder) == Kept{});
  make_state(folder, 2);
  CHECK(recover(folder) == Kept{{}, {0, 1, 2}});
  {
    const auto store = make_file_store(folder, kRun);
    (void)store->recover();
    fill(*store, 3, 9, {4, 7});
  }
  CHECK(recover(folder) == Kept{7, {8, 9}});
  {
    const auto store = make_file_store(folder, kRun);
    (void)store->recover();
    fill(*store, 10, 10, {10});
  }
  CHECK(recover(folder) == Kept{10, {}});
  CHECK(recover(folder) == Kept{10, {}});  // recovering changes nothing
}

TEST_CASE("the folder is the owner's alone and of one key-holder at a time") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "deep" / "state";
  const auto mode = [](const fs::path& path) {
    struct stat status = {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777;
  };
  {
    const auto store = make_file_store(folder / "", kRun);
    (void)store->recover();
    fill(*store, 0, 3, {1, 2});
    CHECK(mode(folder) == 0700);
    for (const auto& entry : fs::directory_iterator(folder)) CHECK(mode(entry.path()) == 0600);
    CHECK_THROWS_WITH_AS(make_file_store(folder, kRun), doctest::Contains("another key-holder"),
                         StorageError);
  }
  CHECK_NOTHROW(make_file_store(folder, kRun));
  chmod(folder.c_str(), 0770);
  CHECK_THROWS_WITH_AS(make_file_store(folder, kRun), doctest::Contains("chmod 700"), StorageError);
  put(dir.path() / "file", bytes_of("x"));
  CHECK_THROWS_AS(make_file_store(dir.path() / "file", kRun), StorageError);
}

TEST_CASE("the journal keeps what the older generation needs, and no more") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 8, {2, 5, 7});
  CHECK(names_of(folder) == std::vector<std::string>{"checkpoint-0", "checkpoint-1",
                                                     "journal-0000000006", "journal-0000000008"});
  const Files files = files_of(folder);
  CHECK(recover(folder) == Kept{7, {8}});

  // Without the newer generation the older one and its journal lead to the same round.
  for (const bool is_missing : {false, true}) {
    Files damaged = files;
    if (is_missing) {
      damaged.erase("checkpoint-0");
    } else {
      damaged["checkpoint-0"].back() ^= 1;
    }
    lay_out(folder, damaged);
    CHECK(recover(folder) == Kept{5, {6, 7, 8}});
    {
      const auto store = make_file_store(folder, kRun);
      (void)store->recover();
      fill(*store, 9, 9, {9});
    }
    CHECK(recover(folder) == Kept{9, {}});
    // The generation that was damaged was replaced; the good one is the fallback now.
    CHECK(names_of(folder) == std::vector<std::string>{"checkpoint-0", "checkpoint-1",
                                                       "journal-0000000006", "journal-0000000008",
                                                       "journal-0000000010"});
  }

  Files damaged = files;
  damaged["checkpoint-0"].back() ^= 1;
  damaged["checkpoint-1"].back() ^= 1;
  lay_out(folder, damaged);
  const std::string failure = failure_of(folder);
  CHECK(failure.find("checkpoint-0 is damaged") != std::string::npos);
  CHECK(failure.find("checkpoint-1 is damaged") != std::string::npos);
  CHECK(failure.find("no good checkpoint stands in") != std::string::npos);
  CHECK(failure.find("start the run anew in an empty folder") != std::string::npos);
}

TEST_CASE("a single checkpoint that is damaged is made up for by the journal from round 0") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 4, {3});
  Files files = files_of(folder);
  files["checkpoint-0"][50] ^= 1;
  lay_out(folder, files);
  CHECK(recover(folder) == Kept{{}, {0, 1, 2, 3, 4}});
}

TEST_CASE("a flipped byte anywhere in a journal is a StorageError that names the file") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 7, {3, 5});
  const Files files = files_of(folder);
  std::size_t flips = 0;
  for (const auto& [name, content] : files) {
    if (!name.starts_with("journal")) continue;
    for (std::size_t i = 0; i < content.size(); ++i) {
      for (const std::uint8_t mask : {0x01, 0x80, 0xff}) {
        Bytes damaged = content;
        damaged[i] ^= mask;
        put(folder / name, damaged);
        const std::string failure = failure_of(folder);
        REQUIRE_MESSAGE(failure.find(name) != std::string::npos,
                        name << " byte " << i << ": " << failure);
        ++flips;
      }
    }
    put(folder / name, content);
  }
  CHECK(flips > 1000);
  CHECK(recover(folder) == Kept{5, {6, 7}});
}

TEST_CASE("a flipped byte in a checkpoint is survived by its other generation") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 7, {3, 5});
  const Bytes newest = read_file(folder / "checkpoint-1");
  for (std::size_t i = 0; i < newest.size(); ++i) {
    Bytes damaged = newest;
    damaged[i] ^= 1;
    put(folder / "checkpoint-1", damaged);
    REQUIRE(recover(folder) == Kept{3, {4, 5, 6, 7}});
  }
}

TEST_CASE("a journal cut anywhere in its last segment keeps every whole entry and goes on") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 5, {2, 3});
  const std::string last = "journal-0000000004";
  const Files files = files_of(folder);
  const Bytes& content = files.at(last);
  const std::size_t entry_4 = 68 + content_of(4).size() + 32;
  REQUIRE(content.size() == entry_4 + 68 + content_of(5).size() + 32);
  for (std::size_t size = 0; size <= content.size(); ++size) {
    CAPTURE(size);
    Files cut = files;
    cut[last].resize(size);
    lay_out(folder, cut);
    std::vector<std::uint32_t> expected;
    if (size >= entry_4) expected.push_back(4);
    if (size == content.size()) expected.push_back(5);
    REQUIRE(recover(folder) == Kept{3, expected});
    REQUIRE(fs::file_size(folder / last) == (expected.empty()       ? 0
                                             : expected.size() == 1 ? entry_4
                                                                    : content.size()));
    if (size % 11 != 0) continue;
    {
      const auto store = make_file_store(folder, kRun);
      (void)store->recover();
      fill(*store, 4 + static_cast<std::uint32_t>(expected.size()), 6);
    }
    REQUIRE(recover(folder) == Kept{3, {4, 5, 6}});
  }
}

TEST_CASE("a journal cut in an earlier segment, or without one, is a StorageError") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 6, {2, 3});
  const Files files = files_of(folder);
  for (std::size_t size = 0; size < files.at("journal-0000000003").size(); ++size) {
    Files cut = files;
    cut["journal-0000000003"].resize(size);
    lay_out(folder, cut);
    CAPTURE(size);
    CAPTURE(failure_of(folder));
    REQUIRE(failure_of(folder).find("journal-000000000") != std::string::npos);
  }
  for (const auto& [name, content] : files) {
    if (!name.starts_with("journal")) continue;
    Files without = files;
    without.erase(name);
    lay_out(folder, without);
    CAPTURE(name);
    if (name == "journal-0000000003") {
      CHECK(recover(folder) == Kept{3, {4, 5, 6}});  // nothing but the older generation needs it
    } else {
      CHECK(failure_of(folder).find(
                "journal-0000000004: is missing, and follows the checkpoint from after round 3") !=
            std::string::npos);
    }
  }
}

TEST_CASE("a folder of another run, and a file with another name, are refused") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 4, {1, 3});
  wire::RunId other = kRun;
  other[15] = 9;
  CHECK_THROWS_WITH_AS((void)make_file_store(folder, other)->recover(),
                       doctest::Contains("holds the state of run"), StorageError);
  put(folder / "journal-7", {});
  CHECK(failure_of(folder).find("journal-7: not a name that a journal has") != std::string::npos);
}

TEST_CASE("what a checkpoint left unfinished is removed") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 4, {1});
  put(folder / "checkpoint-1.tmp.77", bytes_of("half"));
  CHECK(recover(folder) == Kept{1, {2, 3, 4}});
  CHECK_FALSE(fs::exists(folder / "checkpoint-1.tmp.77"));
}

TEST_CASE("a checkpoint that was cut short after its segment was made is only a missing one") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  make_state(folder, 4, {1});
  put(folder / "journal-0000000005", {});
  CHECK(recover(folder) == Kept{1, {2, 3, 4}});
  {
    const auto store = make_file_store(folder, kRun);
    (void)store->recover();
    store->checkpoint(4, bytes_of(text(4)));
    fill(*store, 5, 6);
  }
  CHECK(recover(folder) == Kept{4, {5, 6}});
}

TEST_CASE("rounds out of order and an unrecovered store are mistakes of the caller") {
  const test::TempDir dir;
  const auto store = make_file_store(dir.path() / "state", kRun);
  CHECK_THROWS_AS(store->append(0, content_of(0)), std::logic_error);
  (void)store->recover();
  CHECK_THROWS_AS((void)store->recover(), std::logic_error);
  CHECK_THROWS_AS(store->append(1, content_of(1)), std::logic_error);
  store->append(0, content_of(0));
  CHECK_THROWS_AS(store->append(0, content_of(0)), std::logic_error);
  CHECK_THROWS_AS(store->checkpoint(1, bytes_of(text(1))), std::logic_error);
  CHECK_THROWS_AS(store->checkpoint(0, ByteView{}), std::logic_error);
}

// in_child runs `work` in a child of its own and returns its exit code, or minus the signal.
template <class Work>
int in_child(Work work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    try {
      _exit(work());
    } catch (...) {
      _exit(99);
    }
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_CASE("a disk that is full is a StorageError, and what was kept before is intact") {
  // The limit on a file's size stands for the end of the disk: write fails in mid-entry.
  for (const rlim_t limit : {1U, 119U, 121U, 200U, 300U, 500U, 1000U}) {
    CAPTURE(limit);
    const test::TempDir dir;
    const fs::path folder = dir.path() / "state";
    const int kept = in_child([&] {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit limits{limit, limit};
      setrlimit(RLIMIT_FSIZE, &limits);
      const auto store = make_file_store(folder, kRun);
      (void)store->recover();
      int durable = 0;
      try {
        for (std::uint32_t round = 0; round < 50; ++round, ++durable) {
          store->append(round, content_of(round));
        }
      } catch (const StorageError& error) {
        const std::string what = error.what();
        if (what.find("journal-0000000000: cannot be written: File too large") ==
            std::string::npos) {
          return 98;
        }
        // What the disk holds is unknown now: the store stays shut.
        try {
          store->append(static_cast<std::uint32_t>(durable), content_of(0));
        } catch (const std::logic_error&) {
          return durable;
        }
      }
      return 97;
    });
    REQUIRE(kept < 50);
    Kept expected;
    for (int round = 0; round < kept; ++round) {
      expected.rounds.push_back(static_cast<std::uint32_t>(round));
    }
    CHECK(recover(folder) == expected);
  }
}

TEST_CASE("a checkpoint that does not fit is a StorageError, and the journal goes on") {
  const test::TempDir dir;
  const fs::path folder = dir.path() / "state";
  CHECK(in_child([&] {
          std::signal(SIGXFSZ, SIG_IGN);
          const auto store = make_file_store(folder, kRun);
          (void)store->recover();
          fill(*store, 0, 3, {1});
          rlimit limits{};
          getrlimit(RLIMIT_FSIZE, &limits);
          const rlimit small{100, limits.rlim_max};
          setrlimit(RLIMIT_FSIZE, &small);
          for (int attempt = 0; attempt < 2; ++attempt) {
            try {
              store->checkpoint(3, bytes_of(text(3)));
              return 1;
            } catch (const StorageError&) {
            }
          }
          setrlimit(RLIMIT_FSIZE, &limits);
          fill(*store, 4, 7, {6});
          return 0;
        }) == 0);
  CHECK(recover(folder) == Kept{6, {7}});
  fs::remove(folder / "checkpoint-1");
  CHECK(recover(folder) == Kept{1, {2, 3, 4, 5, 6, 7}});
}

TEST_CASE("a store killed at any moment gives back everything that it had called durable") {
  for (int attempt = 0; attempt < 12; ++attempt) {
    const test::TempDir dir;
    const fs::path folder = dir.path() / "state";
    int report[2];
    REQUIRE(pipe(report) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      close(report[0]);
      const auto store = make_file_store(folder, kRun);
      (void)store->recover();
      for (std::uint32_t round = 0;; ++round) {
        store->append(round, content_of(round, 30'000));
        if (write(report[1], &round, sizeof round) != sizeof round) _exit(1);
        if (round % 3 == 2) store->checkpoint(round, bytes_of(text(round)));
      }
    }
    close(report[1]);
    // Another moment each time, from the first append on.
    std::uint32_t durable = 0;
    const std::uint32_t stop_at = static_cast<std::uint32_t>(attempt) * 3;
    while (durable < stop_at && read(report[0], &durable, sizeof durable) == sizeof durable) {
    }
    usleep(static_cast<useconds_t>(attempt * 317));
    kill(child, SIGKILL);
    REQUIRE(waitpid(child, nullptr, 0) == child);
    bool has_any = false;
    std::uint32_t round = 0;
    while (read(report[0], &round, sizeof round) == sizeof round) durable = round, has_any = true;
    close(report[0]);
    const Kept kept = recover(folder, 30'000);
    CAPTURE(attempt);
    CAPTURE(kept);
    const std::int64_t last = !kept.rounds.empty() ? std::int64_t{kept.rounds.back()}
                              : kept.checkpoint    ? std::int64_t{*kept.checkpoint}
                                                   : -1;
    CHECK(last >= (has_any || stop_at > 0 ? std::int64_t{durable} : -1));
    CHECK(last <= std::int64_t{durable} + 1);
  }
}

// Not a claim but a figure: how long a key-holder waits before it may open a round.
TEST_CASE("the cost of an append" * doctest::skip()) {
  const char* const where = std::getenv("BLINDSUM_STATE");
  const test::TempDir dir;
  const fs::path folder = (where != nullptr ? fs::path(where) : dir.path()) / "state-cost";
  const auto store = make_file_store(folder, kRun);
  (void)store->recover();
  for (const std::size_t size : {std::size_t{50'000}, std::size_t{5'000'000}}) {
    static std::uint32_t round = 0;
    std::vector<double> times_ms;
    const Bytes content(size);
    for (int i = 0; i < 200; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      store->append(round++, content);
      times_ms.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
              .count());
    }
    std::sort(times_ms.begin(), times_ms.end());
    MESSAGE(size << " bytes: median " << times_ms[100] << " ms, p95 " << times_ms[190] << " ms");
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace blindsum::key_holder
