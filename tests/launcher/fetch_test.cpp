// Downloads from a server of this machine that misbehaves on demand.
#include "scenarios/launcher/fetch.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <zlib.h>

#include "scenarios/launcher/processes.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using namespace std::chrono_literals;

// Web is a server with two compressed files, and a folder to download them to.
struct Web {
  test::TempDir dir;
  std::filesystem::path site = dir.path() / "site";
  std::filesystem::path target = dir.path() / "target";
  std::vector<WantedFile> files;
  std::string port;
  std::atomic<bool> stop{false};
  Progress progress{Verbosity::kQuiet};
  Processes server;

  Web() {
    std::filesystem::create_directories(site);
    files = {make("one.gz", 1), make("two.gz", 2)};
    const auto port_file = dir.path() / "port";
    server.start("server",
                 {"/usr/bin/python3", "tests/launcher/serve.py", site.string(), port_file.string()},
                 dir.path() / "server.log");
    for (int i = 0; i < 1000 && !std::filesystem::exists(port_file); ++i) {
      std::this_thread::sleep_for(10ms);
    }
    port = read_text_file(port_file);
  }

  WantedFile make(const std::string& name, unsigned seed) const {
    std::string text;
    for (unsigned i = 0; i < 400; ++i) text += std::to_string(i * 2654435761U * seed) + "\n";
    gzFile file = gzopen((site / name).c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return {name, to_hex(sha256(as_bytes(text)))};
  }

  bool get(const std::string& way, double patience_s = 20) {
    return fetch({target, "http://127.0.0.1:" + port + "/" + way, patience_s}, files, progress,
                 stop);
  }
  [[nodiscard]] std::string error_of(const std::string& way, double patience_s = 20) {
    try {
      (void)get(way, patience_s);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
  [[nodiscard]] std::string requests() const { return read_text_file(site / "requests"); }
  [[nodiscard]] bool is_whole(const std::string& name) const {
    return read_file(target / name) == read_file(site / name);
  }
  // put_part leaves the first `bytes` of a file as an earlier download would.
  void put_part(const std::string& name, std::size_t bytes) const {
    std::filesystem::create_directories(target);
    Bytes content = read_file(site / name);
    content.resize(bytes);
    write_file_atomic(target / (name + ".part"), content);
  }
  [[nodiscard]] std::size_t files_in_target() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(target)) ++count;
    return count;
  }
};

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Web, "both files arrive whole, leave nothing else, and are not fetched twice") {
  CHECK(get("good"));
  CHECK(is_whole("one.gz"));
  CHECK(is_whole("two.gz"));
  CHECK(files_in_target() == 2);
  const std::string before = requests();
  CHECK(get("good"));
  CHECK(requests() == before);
}

TEST_CASE_FIXTURE(Web, "a redirect is followed") {
  CHECK(get("moved"));
  CHECK(is_whole("two.gz"));
}

TEST_CASE_FIXTURE(Web, "a cut connection keeps what came, and the next call goes on from there") {
  const std::string error = error_of("cut");
  CHECK(contains(error, "/cut/one.gz: the download ended early"));
  CHECK(contains(error, "the same command goes on from there"));
  const auto half = std::filesystem::file_size(target / "one.gz.part");
  CHECK(half == (std::filesystem::file_size(site / "one.gz") + 1) / 2);
  CHECK_FALSE(std::filesystem::exists(target / "one.gz"));
  CHECK(get("good"));
  CHECK(is_whole("one.gz"));
  CHECK(contains(requests(), "/good/one.gz bytes=" + std::to_string(half) + "-"));
  CHECK(files_in_target() == 2);
}

TEST_CASE_FIXTURE(Web, "a server that ignores ranges sends the whole file once more") {
  put_part("one.gz", 100);
  CHECK(get("norange"));
  CHECK(is_whole("one.gz"));
}

TEST_CASE_FIXTURE(Web, "a .part that is complete already is checked and used") {
  put_part("one.gz", std::filesystem::file_size(site / "one.gz"));
  CHECK(get("good"));
  CHECK(is_whole("one.gz"));
}

TEST_CASE_FIXTURE(Web, "a .part of another file, shorter or longer, is dropped and fetched anew") {
  std::filesystem::create_directories(target);
  write_file_atomic(target / "one.gz.part", std::string_view("something else"));
  write_file_atomic(target / "two.gz.part", std::string(100000, 'x'));
  CHECK(get("good"));
  CHECK(is_whole("one.gz"));
  CHECK(is_whole("two.gz"));
}

TEST_CASE_FIXTURE(Web, "wrong content is a DataError and is removed, compressed or not") {
  CHECK(contains(error_of("wrong"), "/wrong/one.gz: not the published file"));
  CHECK(files_in_target() == 0);
}

TEST_CASE_FIXTURE(Web,
                  "a file that is not there, and a server that fails, are told by their status") {
  CHECK(contains(error_of("nowhere"),
                 "/nowhere/one.gz: the server answers 404 (not found); name "
                 "another server's folder with --url"));
  CHECK(contains(error_of("fail"), "the server answers 500;"));
  CHECK(files_in_target() == 0);
}

TEST_CASE_FIXTURE(Web, "a missing file keeps the .part that was there") {
  put_part("one.gz", 100);
  CHECK(contains(error_of("nowhere"), "100 B are kept in "));
  CHECK(std::filesystem::file_size(target / "one.gz.part") == 100);
}

TEST_CASE_FIXTURE(Web, "nobody listening is told as a network that cannot be reached") {
  server.stop_all(0ms);
  CHECK(contains(error_of("good"), "the server cannot be reached"));
  CHECK(contains(error_of("good"), "check the network, or name another server's folder"));
  CHECK(files_in_target() == 0);
}

TEST_CASE_FIXTURE(Web, "a name that does not resolve is told too") {
  const FetchOptions options{target, "http://blindsum.invalid/", 5};
  CHECK_THROWS_WITH_AS((void)fetch(options, files, progress, stop),
                       doctest::Contains("cannot be reached"), DataError);
}

TEST_CASE_FIXTURE(Web, "a server that falls silent is given up after the patience") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK(contains(error_of("stall", 1), "/stall/one.gz: the server is silent"));
  CHECK(std::chrono::steady_clock::now() - begin < 15s);
  CHECK(std::filesystem::file_size(target / "one.gz.part") > 0);
}

TEST_CASE_FIXTURE(Web, "a file without end is given up and removed") {
  CHECK(contains(error_of("endless"), "larger than any file of KDD Cup 1999"));
  CHECK(files_in_target() == 0);
}

TEST_CASE_FIXTURE(Web, "a stop keeps the .part, and the next call goes on") {
  std::thread user([&] {
    const auto part = target / "one.gz.part";
    while (!std::filesystem::exists(part) || std::filesystem::file_size(part) < 20) {
      std::this_thread::sleep_for(1ms);
    }
    stop = true;
  });
  CHECK_FALSE(get("slow"));
  user.join();
  CHECK(std::filesystem::file_size(target / "one.gz.part") >= 20);
  stop = false;
  CHECK(get("good"));
  CHECK(is_whole("one.gz"));
}

TEST_CASE_FIXTURE(Web, "a disk without room is told with the reason, and the .part is kept") {
  // A limit of the size of files stands for a full disk.
  struct rlimit before = {};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const struct rlimit tight = {200, before.rlim_max};
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  const std::string error = error_of("good");
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  CHECK(contains(error, "one.gz.part: cannot be written: File too large; make room"));
  CHECK(get("good"));
  CHECK(is_whole("one.gz"));
}

TEST_CASE_FIXTURE(Web, "a file of that name with another content is never overwritten") {
  std::filesystem::create_directories(target);
  for (const char* name : {"one.gz", "one"}) {
    write_file_atomic(target / name, std::string_view("mine"));
    CHECK(contains(error_of("good"), "is not the published file (other SHA-256); move it away"));
    CHECK(read_text_file(target / name) == "mine");
    std::filesystem::remove(target / name);
  }
}

TEST_CASE_FIXTURE(Web, "an address that is no web address is a ConfigError") {
  const FetchOptions options{target, "file:///etc/", 5};
  CHECK_THROWS_WITH_AS((void)fetch(options, files, progress, stop), doctest::Contains("--url"),
                       ConfigError);
}
