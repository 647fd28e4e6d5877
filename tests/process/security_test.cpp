// Real processes under attack, and what of their secrets can be found outside of them.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <gmp.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.hpp>

#include "party/key_holder/key_store.h"
#include "scenarios/launcher/needle_search.h"
#include "shared/core/file.h"
#include "shared/settings/identity.h"
#include "shared/settings/role_file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"
#include "tests/wire/raw_tcp.h"

namespace blindsum {
namespace {

using namespace std::chrono_literals;
using launcher::NeedleSearch;
using nlohmann::json;
using test::Outcome;
using wire::test::RawTcp;
using wire::test::zmtp_greeting;

// World is a folder with a key set, a small scenario and the result folder of one run.
struct World {
  test::TempDir dir;
  std::filesystem::path keys = dir.path() / "keys";
  std::filesystem::path scenario = dir.path() / "small.yaml";

  World() {
    key_holder::save_key_set(keys, test::key_2048());
    write_file_atomic(scenario,
                      "name: small\nparties: 3\nrounds: 300\nmodel: { hidden: [8] }\n"
                      "data: { source: synthetic }\nlocal: { batch_rows: 64 }\n"
                      "paillier: { key_bits: 2048, randomizer: short }\nevaluate_every: 100\n"
                      "deadlines: { round_s: 20, start_s: 20 }\n");
  }

  [[nodiscard]] std::vector<std::string> arguments(const std::string& out,
                                                   std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"run",    scenario.string(), "--out", (dir.path() / out).string(),
                                 "--keys", keys.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  [[nodiscard]] std::filesystem::path folder(const std::string& out) const {
    std::error_code none;
    const std::filesystem::directory_iterator inside(dir.path() / out, none);
    return none || inside == std::filesystem::directory_iterator() ? dir.path() / out
                                                                   : inside->path();
  }
  [[nodiscard]] json summary(const std::string& out) const {
    return json::parse(read_text_file(folder(out) / "summary.json"));
  }
  [[nodiscard]] std::size_t rounds_done(const std::string& out) const {
    std::ifstream file(folder(out) / "records" / "keyholder.jsonl");
    std::size_t lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
  }
};

// all_of reads a file whose size is not known beforehand, as those in /proc.
Bytes all_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// memory_mib reads a field such as "VmRSS" of a process.
double memory_mib(pid_t pid, const std::string& field) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) {
      return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
    }
  }
  return 0;
}

// Attack keeps threads going that call `one_turn` until it is destroyed.
class Attack {
 public:
  template <class Turn>
  void add(Turn one_turn) {
    threads_.emplace_back([this, one_turn = std::move(one_turn)]() mutable {
      while (!is_over_) {
        try {
          one_turn();
        } catch (const std::exception&) {  // the run has ended: nobody listens any more
          std::this_thread::sleep_for(10ms);
        }
      }
    });
  }
  ~Attack() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> is_over_{false};
  std::vector<std::thread> threads_;
};

// attack_as_stranger adds what somebody without a key may do to a listener.
void attack_as_stranger(Attack& attack, const std::string& endpoint) {
  // Hundreds of handshakes that get nowhere, begun anew when they are all closed.
  attack.add([endpoint, held = std::vector<RawTcp>()]() mutable {
    if (held.empty()) {
      const Bytes greeting = zmtp_greeting("CURVE");
      for (int i = 0; i < 300; ++i) {
        held.emplace_back(endpoint);
        held.back().send(ByteView(greeting).first(i % 3 == 0 ? 0 : i % 3 == 1 ? 11 : 64));
      }
    }
    if (held.back().is_closed_within(200ms)) held.clear();
  });
  // Rubbish, before and after a good beginning.
  attack.add([endpoint, turn = 0]() mutable {
    Bytes rubbish = ++turn % 2 == 0 ? Bytes() : zmtp_greeting("CURVE");
    rubbish.resize(rubbish.size() + 60'000, static_cast<std::uint8_t>(turn));
    const RawTcp connection(endpoint);
    connection.send(rubbish, 50);
    std::this_thread::sleep_for(10ms);
  });
}

// attack_as_party adds what an enrolled party may do to a listener with its key.
void attack_as_party(Attack& attack, const std::string& endpoint, const std::string& server_key,
                     const std::filesystem::path& role_file) {
  const auto connect = [=](zmq::context_t& context) {
    const settings::RoleFile role = settings::read_role_file(role_file);
    const settings::Identity identity = settings::load_identity(role);
    const ByteView secret = identity.curve.secret_key.bytes();
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::sndhwm, 16);
    socket.set(zmq::sockopt::sndtimeo, 100);
    socket.set(zmq::sockopt::routing_id, to_string(role.self) + "/second-self");
    socket.set(zmq::sockopt::curve_serverkey, server_key);
    socket.set(zmq::sockopt::curve_publickey, identity.curve.public_key);
    socket.set(zmq::sockopt::curve_secretkey, std::string(secret.begin(), secret.end()));
    socket.connect(endpoint);
    return socket;
  };
  // Undecodable messages, as fast as they are taken.
  attack.add([=, turn = std::uint8_t{0}]() mutable {
    zmq::context_t context;
    zmq::socket_t socket = connect(context);
    bool is_taken = true;
    for (int i = 0; i < 5000 && is_taken; ++i) {
      const Bytes rubbish(1 + ++turn, turn);
      is_taken =
          socket.send(zmq::const_buffer(rubbish.data(), rubbish.size()), zmq::send_flags::none)
              .has_value();
    }
  });
  // Messages of thousands of frames, and frames that are too large.
  attack.add([=, turn = 0]() mutable {
    zmq::context_t context;
    zmq::socket_t socket = connect(context);
    const bool is_one_frame = ++turn % 8 == 0;
    const Bytes frame(is_one_frame ? 10'000'000 : 8'000, 7);
    const zmq::const_buffer view(frame.data(), frame.size());
    bool is_taken = true;
    for (int i = 0; i < 20'000 && is_taken && !is_one_frame; ++i) {  // 160 MB
      is_taken = socket.send(view, zmq::send_flags::sndmore).has_value();
    }
    if (is_taken) socket.send(view, zmq::send_flags::none);
    std::this_thread::sleep_for(700ms);
  });
}

TEST_CASE(
    "strangers and a hostile party change nothing: same model, bounded memory, no long waits") {
  const World world;
  REQUIRE(test::run_program(
              "blindsum",
              world.arguments("peace", {"--set", "rounds=400", "--set", "runtime=memory"}),
              world.dir.path())
              .exit_code == 0);
  test::Program launcher("blindsum", world.arguments("war", {"--set", "rounds=400"}),
                         world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("war") >= 2; }));
  const auto folder = world.folder("war");
  std::map<std::string, pid_t> listeners;
  for (const auto& [pid, name] : test::children_of(launcher.pid())) {
    if (name != "blindsum-party") listeners[name] = pid;
  }
  REQUIRE(listeners.size() == 2);
  std::map<std::string, double> before, most;
  for (const auto& [name, pid] : listeners) before[name] = memory_mib(pid, "VmRSS");

  int longest_ms = 0;
  {
    Attack attack;
    for (const std::string role : {"coordinator", "keyholder"}) {
      std::string endpoint = read_text_file(folder / "roles" / (role + ".endpoint"));
      endpoint.erase(endpoint.find_last_not_of('\n') + 1);
      const auto role_file = settings::read_role_file(folder / "roles" / (role + ".json"));
      attack_as_stranger(attack, endpoint);
      attack_as_party(attack, endpoint, enrolled(role_file, role_file.self).curve,
                      folder / "roles" / "party-2.json");
    }
    auto last = std::chrono::steady_clock::now();
    std::size_t rounds = world.rounds_done("war");
    while (launcher.is_running()) {
      for (const auto& [name, pid] : listeners) {
        most[name] = std::max(most[name], memory_mib(pid, "VmRSS"));
      }
      const std::size_t now_done = world.rounds_done("war");
      const auto now = std::chrono::steady_clock::now();
      if (now_done > rounds) {
        rounds = now_done;
        last = now;
      }
      longest_ms =
          std::max(longest_ms,
                   static_cast<int>(
                       std::chrono::duration_cast<std::chrono::milliseconds>(now - last).count()));
      if (rounds > 400 || longest_ms > 60'000) break;
      test::sleep_ms(20);
    }
  }
  const Outcome outcome = launcher.wait(60s);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(world.summary("war").at("model_digest") == world.summary("peace").at("model_digest"));
  CHECK(world.summary("war").at("encryption_proof").at("verdict") == "passed");
  CHECK(longest_ms < 5000);
  for (const auto& [name, mib] : most) {
    CAPTURE(name);
    CAPTURE(mib);
    CHECK(mib > 0);
    CHECK(mib - before.at(name) < 64);
    MESSAGE(name, ": at most ", mib - before.at(name), " MiB more than before");
  }
  // The attacks arrived, and did not fill the disk with complaints.
  for (const json& end : [&] {
         std::vector<json> ends;
         for (const char* role : {"coordinator", "keyholder"}) {
           std::ifstream file(folder / "records" / (std::string(role) + ".jsonl"));
           std::string last;
           for (std::string line; std::getline(file, line);) last = line;
           ends.push_back(json::parse(last));
         }
         return ends;
       }()) {
    CAPTURE(end.dump());
    CHECK(end.at("rejected").get<std::uint64_t>() > 1000);
  }
  CHECK(std::filesystem::file_size(folder / "logs" / "coordinator.log") < 1'000'000);
  CHECK(std::filesystem::file_size(folder / "logs" / "keyholder.log") < 1'000'000);
  MESSAGE("longest wait for a round: ", longest_ms, " ms");
}

// Secrets are the needles of a run: every secret number and key in the forms in which it could
// have been written.
class Secrets {
 public:
  enum Kind : std::size_t { kPrimes, kIdentities, kKinds };

  // add_prime takes a secret prime, big-endian.
  void add_prime(ByteView prime) {
    mpz_t number;
    mpz_init(number);
    mpz_import(number, prime.size(), 1, 1, 0, 0, prime.data());
    add_number(kPrimes, number);
    mpz_fdiv_q_2exp(number, number, 1);  // (p − 1) / 2: an exponent of decryption
    add_number(kPrimes, number);
    mpz_clear(number);
  }

  // add_identity takes the three secrets of a role.
  void add_identity(const settings::Identity& identity) {
    const ByteView curve = identity.curve.secret_key.bytes();
    add_bytes(kIdentities, curve);
    std::array<std::uint8_t, 32> raw{};
    if (zmq_z85_decode(raw.data(), std::string(curve.begin(), curve.end()).c_str()) != nullptr) {
      add_bytes(kIdentities, raw);
    }
    add_bytes(kIdentities, identity.signing.seed().bytes());
    add_bytes(kIdentities, identity.agreement.secret());
  }

  // hits returns at how many places of `text` a secret lies.
  [[nodiscard]] std::uint64_t hits(ByteView text) {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : search_.count(text)) sum += count;
    return sum;
  }
  [[nodiscard]] const std::vector<Bytes>& forms() const { return forms_; }

 private:
  void add_number(Kind kind, mpz_srcptr number) {
    Bytes bytes((mpz_sizeinbase(number, 2) + 7) / 8);
    mpz_export(bytes.data(), nullptr, 1, 1, 0, 0, number);
    add_bytes(kind, bytes);
    // Limbs from the high end, each little-endian.
    Bytes limbs((bytes.size() + 7) / 8 * 8);
    mpz_export(limbs.data(), nullptr, 1, 8, -1, 0, number);
    add(kind, limbs);
    for (const int base : {10, -16}) {
      std::string text(mpz_sizeinbase(number, base == 10 ? 10 : 16) + 2, '\0');
      mpz_get_str(text.data(), base, number);
      text.resize(text.find('\0'));
      add(kind, as_bytes(text));
    }
  }

  // add_bytes takes bytes in both orders, in hexadecimal and in base 64.
  void add_bytes(Kind kind, ByteView bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    add(kind, bytes);
    add(kind, Bytes(bytes.rbegin(), bytes.rend()));
    add(kind, as_bytes(to_hex(bytes)));
    for (std::size_t skip = 0; skip < 3; ++skip) {  // it may begin anywhere in a longer text
      std::string text;
      for (std::size_t i = skip; i + 3 <= bytes.size(); i += 3) {
        const std::uint32_t word = static_cast<std::uint32_t>(bytes[i]) << 16 |
                                   static_cast<std::uint32_t>(bytes[i + 1]) << 8 | bytes[i + 2];
        for (const unsigned shift : {18, 12, 6, 0}) text += kDigits[word >> shift & 63];
      }
      add(kind, as_bytes(text));
    }
  }

  void add(Kind kind, ByteView form) {
    search_.add(kind, form);
    forms_.emplace_back(form.begin(), form.end());
  }

  NeedleSearch search_;
  std::vector<Bytes> forms_;
};

TEST_CASE("no secret of a run is in its files, arguments, environment or traffic") {
  const World world;
  test::Program launcher("blindsum", world.arguments("scan", {"--keep-traffic"}), world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("scan") >= 2; }));
  const auto folder = world.folder("scan");

  Secrets secrets;
  secrets.add_prime(from_hex(test::kInsecureTestKeys[1].p));
  secrets.add_prime(from_hex(test::kInsecureTestKeys[1].q));
  std::vector<std::filesystem::path> secret_files{world.keys / "secret.key"};
  for (const auto& entry : std::filesystem::directory_iterator(folder / "roles")) {
    if (entry.path().extension() != ".secret") continue;
    secret_files.push_back(entry.path());
    secrets.add_identity(settings::read_identity(entry.path()));
  }
  CHECK(secret_files.size() == 6);

  // The scanner finds them: in the secret files, and in every form anywhere.
  for (const auto& file : secret_files) {
    CAPTURE(file.string());
    CHECK(secrets.hits(all_of(file)) > 0);
    CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms(077)) ==
          std::filesystem::perms::none);
  }
  CHECK(secrets.forms().size() > 50);
  for (const Bytes& form : secrets.forms()) {
    std::string text = "planted: ";
    text.append(form.begin(), form.end());
    CHECK(secrets.hits(as_bytes(text)) > 0);
  }

  // What the kernel shows of the processes, while they run.
  std::vector<pid_t> processes{launcher.pid()};
  for (const auto& [pid, name] : test::children_of(launcher.pid())) processes.push_back(pid);
  CHECK(processes.size() == 6);
  std::size_t environments = 0;
  for (const pid_t pid : processes) {
    const auto proc = std::filesystem::path("/proc") / std::to_string(pid);
    const Bytes arguments = all_of(proc / "cmdline");
    CHECK_FALSE(arguments.empty());
    CHECK(secrets.hits(arguments) == 0);
    // The kernel hides the environment of processes that forbid core files from their own user.
    const Bytes environment = all_of(proc / "environ");
    environments += environment.empty() ? 0 : 1;
    CHECK(secrets.hits(environment) == 0);
  }
  if (environments < processes.size()) MESSAGE("environments read: ", environments, " of 6");

  const Outcome outcome = launcher.wait(60s);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(world.dir.path())) {
    if (!entry.is_regular_file()) continue;
    if (std::find(secret_files.begin(), secret_files.end(), entry.path()) != secret_files.end()) {
      continue;
    }
    CAPTURE(entry.path().string());
    CHECK(secrets.hits(all_of(entry.path())) == 0);
    ++files;
  }
  CHECK(files > 30);
  CHECK(std::filesystem::file_size(folder / "traffic.log") > 1'000'000);
}

// died_of starts a program that may write core files as large as it likes, in `folder`, waits until
// it is `ready`, and sends it a signal. Returns its status as waitpid gives it.
template <class Ready>
int died_of(int number, const std::vector<std::string>& command,
            const std::filesystem::path& folder, Ready ready) {
  const pid_t pid = fork();
  if (pid == 0) {
    struct rlimit all = {};
    getrlimit(RLIMIT_CORE, &all);
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_CORE, &all);
    if (chdir(folder.c_str()) != 0) _exit(126);
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
  }
  CHECK(test::wait_until(20s, [&] { return ready(pid); }));
  kill(pid, number);
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

// catches_term says whether a process has come so far as to handle SIGTERM, which the programs do
// right before they forbid core files.
bool catches_term(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("SigCgt:")) {
      return (std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1) & 1) != 0;
    }
  }
  return false;
}

TEST_CASE("a key-holder that crashes leaves no core file") {
  const World world;
  const test::TempDir folder;
  const char* programs = std::getenv("BLINDSUM_BIN");
  REQUIRE(programs != nullptr);
  const int control = died_of(SIGSEGV, {"sleep", "60"}, folder.path(), [](pid_t pid) {
    return all_of("/proc/" + std::to_string(pid) + "/comm") == Bytes{'s', 'l', 'e', 'e', 'p', '\n'};
  });
  CHECK(WIFSIGNALED(control));
  if (!WCOREDUMP(control)) MESSAGE("this machine writes no core files at all: nothing to compare");
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::filesystem::remove(entry.path());
  }

  const std::string key_holder = std::string(programs) + "/blindsum-keyholder";
  for (const int number : {SIGSEGV, SIGABRT, SIGQUIT}) {
    CAPTURE(number);
    const int waiting =
        died_of(number, {key_holder, "--wait", "60", "none.json"}, folder.path(), [](pid_t pid) {
          const bool is_ready = catches_term(pid);
          if (is_ready) test::sleep_ms(100);  // one system call more
          return is_ready;
        });
    CHECK(WIFSIGNALED(waiting));
    CHECK_FALSE(WCOREDUMP(waiting));
  }

  // In the middle of a run, too, when it holds the secret key in memory.
  test::Program launcher("blindsum", world.arguments("crash", {"--set", "rounds=100000"}),
                         world.dir.path());
  REQUIRE(test::wait_until(60s, [&] { return world.rounds_done("crash") >= 2; }));
  for (const auto& [pid, name] : test::children_of(launcher.pid())) {
    if (std::string("blindsum-keyholder").starts_with(name)) kill(pid, SIGSEGV);
  }
  CHECK(launcher.wait(30s).exit_code != 0);
  for (const auto& root : {world.dir.path(), folder.path(), std::filesystem::current_path()}) {
    for (const auto& entry : std::filesystem::directory_iterator(root)) {
      const std::string name = entry.path().filename();
      CHECK_MESSAGE((name != "core" && !name.starts_with("core.")), entry.path().string());
    }
  }
}

}  // namespace
}  // namespace blindsum
