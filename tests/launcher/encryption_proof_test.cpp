// The proof of encryption: an honest run passes, and every check fails on a recording that was
// doctored for it.
#include "scenarios/launcher/encryption_proof.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "party/key_holder/key_store.h"
#include "scenarios/launcher/needle_search.h"
#include "scenarios/launcher/run.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/secret/marker.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"
#include "shared/settings/identity.h"
#include "shared/wire/codec.h"
#include "shared/wire/traffic_log.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;
using nlohmann::json;

const std::atomic<bool> kNeverStop{false};

RunOptions options_in(const std::filesystem::path& folder, const std::string& cipher) {
  RunOptions options;
  options.settings.name = "proof";
  options.settings.parties = 3;
  options.settings.rounds = 2;
  options.settings.model.hidden = {8};
  options.settings.data.source = "synthetic";
  options.settings.local.batch_rows = 64;
  options.settings.cipher = cipher;
  options.settings.paillier.key_bits = 2048;
  options.settings.paillier.randomizer = "short";
  options.settings.deadlines = {20, 30};
  options.folder = folder / cipher;
  options.keys = folder / "keys";
  options.keep_traffic = true;
  const char* programs = std::getenv("BLINDSUM_BIN");
  options.programs = programs != nullptr ? std::filesystem::path(programs)
                                         : programs_directory().parent_path() / "bin";
  options.stop = &kNeverStop;
  return options;
}

// Example is one encrypted run of real processes with its recording, and the same run in the clear.
struct Example {
  test::TempDir dir;
  RunResult encrypted, plain;
  ProofInput input;

  Example() {
    key_holder::save_key_set(dir.path() / "keys", test::key_2048());
    Progress progress(Verbosity::kQuiet);
    encrypted = run_scenario(options_in(dir.path(), "paillier"), progress);
    plain = run_scenario(options_in(dir.path(), "none"), progress);
    input = input_of(dir.path() / "paillier");
    input.settings = options_in(dir.path(), "paillier").settings;
  }

  [[nodiscard]] ProofInput input_of(const std::filesystem::path& folder) const {
    ProofInput made;
    made.traffic = folder / "traffic.log";
    made.public_key = dir.path() / "keys" / "public.key";
    made.secret_key = dir.path() / "keys" / "secret.key";
    made.model = folder / "model.safetensors";
    for (int party = 0; party < 3; ++party) {
      made.shards.push_back(folder / "shards" / ("party-" + std::to_string(party) + ".csv"));
    }
    for (const wire::Peer& peer : all_peers(3)) {
      made.identities.push_back(folder / "roles" / (to_string(peer) + ".secret"));
      made.programs[peer] = {"some program", true, peer == wire::kKeyHolderPeer};
    }
    return made;
  }
};

const Example& example() {
  static const Example made;
  return made;
}

// Entry is a recorded message that a test may change.
struct Entry {
  wire::Direction direction = wire::Direction::kIn;
  wire::Peer peer;
  wire::Message message;
};
using Doctor = std::function<void(std::vector<Entry>&)>;

std::vector<Entry> entries_of(const std::filesystem::path& file) {
  std::vector<Entry> entries;
  wire::TrafficReader reader(file);
  while (const auto message = reader.next()) {
    entries.push_back({message->direction, message->peer, wire::decode(message->bytes, {})});
  }
  return entries;
}

// proof_after examines the recording of the encrypted run after `doctor` has been at it.
Proof proof_after(const Doctor& doctor, std::uint64_t max_bytes = wire::TrafficLog::kMaxBytes) {
  const test::TempDir folder;
  ProofInput input = example().input;
  std::vector<Entry> entries = entries_of(input.traffic);
  doctor(entries);
  input.traffic = folder.path() / "traffic.log";
  {
    wire::TrafficLog log(input.traffic, max_bytes);
    for (const Entry& entry : entries) {
      log.add(entry.direction, entry.peer, wire::encode(entry.message));
    }
  }
  return prove_encryption(input, kNeverStop);
}

const ProofCheck& check_of(const Proof& proof, const std::string& name) {
  const auto found = std::find_if(proof.checks.begin(), proof.checks.end(),
                                  [&](const ProofCheck& check) { return check.name == name; });
  REQUIRE(found != proof.checks.end());
  return *found;
}

// expect_failure expects that `name` fails with `detail`, and that the proof does so for a reason
// that names a check.
void expect_failure(const Doctor& doctor, const std::string& name, const std::string& detail) {
  const Proof proof = proof_after(doctor);
  const ProofCheck& check = check_of(proof, name);
  CAPTURE(name);
  CAPTURE(check.detail);
  CHECK(proof.verdict == Verdict::kFailed);
  CHECK(check.verdict == Verdict::kFailed);
  CHECK(check.detail.find(detail) != std::string::npos);
  CHECK(proof.reason.find(": ") != std::string::npos);
}

constexpr std::size_t kWidth = 512;  // bytes of a ciphertext under a key of 2048 bits

// update finds the update of a party in a round, aggregate what was made of that round.
wire::EncryptedUpdate& update(std::vector<Entry>& entries, std::uint32_t party,
                              std::uint32_t round) {
  for (Entry& entry : entries) {
    auto* found = std::get_if<wire::EncryptedUpdate>(&entry.message.body);
    if (found != nullptr && entry.peer == wire::party_peer(party) && found->round == round) {
      return *found;
    }
  }
  throw std::logic_error("no such update");
}
wire::EncryptedAggregate& aggregate(std::vector<Entry>& entries, std::uint32_t round) {
  for (Entry& entry : entries) {
    auto* found = std::get_if<wire::EncryptedAggregate>(&entry.message.body);
    if (found != nullptr && found->round == round) return *found;
  }
  throw std::logic_error("no such aggregate");
}

std::span<std::uint8_t> chunk(Bytes& payload, std::size_t i) {
  return std::span(payload).subspan(i * kWidth, kWidth);
}

// put_number puts a big-endian number into a ciphertext's place.
void put_number(std::span<std::uint8_t> place, ByteView big_endian) {
  std::fill(place.begin(), place.end(), std::uint8_t{0});
  std::copy(big_endian.rbegin(), big_endian.rend(), place.begin());
}

// plant writes `text` over the middle of a payload.
void plant(Bytes& payload, ByteView text) {
  std::copy(text.begin(), text.end(), payload.begin() + 333);
}

}  // namespace

TEST_CASE("an honest run passes every check, and its summary says how") {
  REQUIRE(example().encrypted.ending.reason == "");
  const json proof = example().encrypted.summary.at("encryption_proof");
  CAPTURE(proof.dump(2));
  CHECK(proof.at("verdict") == "passed");
  CHECK(proof.at("messages_not_recorded") == 0);
  std::vector<std::string> names;
  for (const json& check : proof.at("checks")) {
    names.push_back(check.at("name"));
    CHECK(check.at("verdict") == "passed");
    CHECK(check.at("count").get<std::uint64_t>() > 0);
  }
  CHECK(names == std::vector<std::string>{"capture", "valid_ciphertexts", "no_repeats",
                                          "rerandomized", "equal_sizes", "updates_hidden",
                                          "records_hidden", "weights_hidden", "keys_hidden",
                                          "detector", "programs"});
  CHECK_FALSE(example().plain.summary.contains("encryption_proof"));

  const Proof again = proof_after([](std::vector<Entry>&) {});
  CHECK(again.verdict == Verdict::kPassed);
  CHECK(again.messages == proof.at("messages"));
  CHECK(again.bytes == proof.at("bytes"));
}

TEST_CASE("a run in the clear does not pass: its updates are found") {
  REQUIRE(example().plain.ending.reason == "");
  ProofInput input = example().input_of(example().dir.path() / "none");
  input.settings = example().input.settings;
  const Proof proof = prove_encryption(input, kNeverStop);
  CHECK(proof.verdict == Verdict::kFailed);
  CHECK(check_of(proof, "valid_ciphertexts").verdict == Verdict::kFailed);
  const ProofCheck& updates = check_of(proof, "updates_hidden");
  CHECK(updates.verdict == Verdict::kFailed);
  // All of the statistics and of the first gradients, as they were sent, but for the tag in the
  // highest bytes of each plaintext and what is too dull to be looked for: fewer than six different
  // bytes.
  std::size_t expected = 0;
  for (const Entry& entry : entries_of(input.traffic)) {
    const auto* update = std::get_if<wire::EncryptedUpdate>(&entry.message.body);
    if (update == nullptr || update->round > 1) continue;
    const Bytes& payload = update->payload;
    for (std::size_t at = 0; at + 16 <= payload.size(); at += 16) {
      if (at % 256 == 240) continue;
      const auto window = ByteView(payload).subspan(at, 16);
      if (std::set<std::uint8_t>(window.begin(), window.end()).size() >= 6) ++expected;
    }
  }
  CHECK(expected > 300);
  const std::string begin = "found in ";
  CHECK(std::stoull(updates.detail.substr(begin.size())) >= expected);
}

TEST_CASE("a ciphertext out of range or with a factor of n fails") {
  const Bytes n = test::key_2048().public_key().modulus();
  const Bytes p = from_hex(test::kInsecureTestKeys[1].p);
  const auto with_number = [&](const Bytes& number) {
    return [&](std::vector<Entry>& entries) {
      put_number(chunk(update(entries, 1, 1).payload, 2), number);
    };
  };
  expect_failure(with_number({}), "valid_ciphertexts", "ciphertext 2 is 0 or at least n²");
  expect_failure(with_number(Bytes(kWidth, 0xff)), "valid_ciphertexts", "0 or at least n²");
  expect_failure(with_number(n), "valid_ciphertexts", "common factor with n");
  expect_failure(with_number(p), "valid_ciphertexts", "update of party 1 in round 1: a ciphertext");
  expect_failure(
      [&](std::vector<Entry>& entries) { put_number(chunk(aggregate(entries, 2).payload, 0), p); },
      "valid_ciphertexts", "aggregate of round 2");
}

TEST_CASE("an invalid update that the coordinator refused is not held against the run") {
  const Proof proof = proof_after([](std::vector<Entry>& entries) {
    Entry bad = entries.front();
    wire::EncryptedUpdate copy = update(entries, 1, 1);
    copy.payload.assign(copy.payload.size(), 0xff);
    bad = {wire::Direction::kIn, wire::party_peer(1), {bad.message.run, copy}};
    entries.push_back(bad);
    entries.push_back({wire::Direction::kOut,
                       wire::party_peer(1),
                       {bad.message.run, wire::UpdateReply{1, wire::AcceptResult::kInvalid}}});
  });
  CHECK(proof.verdict == Verdict::kPassed);
  CHECK(check_of(proof, "valid_ciphertexts").detail.starts_with("1 update that the coordinator"));
}

TEST_CASE("a ciphertext that is there twice fails, an update that is sent again does not") {
  expect_failure(
      [](std::vector<Entry>& entries) {
        const auto from = chunk(update(entries, 0, 1).payload, 1);
        std::copy(from.begin(), from.end(), chunk(update(entries, 2, 2).payload, 3).begin());
      },
      "no_repeats", "update of party 0 in round 1 and the update of party 2 in round 2");
  expect_failure(
      [](std::vector<Entry>& entries) {
        const auto from = chunk(update(entries, 0, 2).payload, 0);
        std::copy(from.begin(), from.end(), chunk(aggregate(entries, 2).payload, 0).begin());
      },
      "no_repeats", "update of party 0 in round 2 and the aggregate of round 2");
  const Proof proof = proof_after([](std::vector<Entry>& entries) {
    const auto found = std::find_if(entries.begin(), entries.end(), [](const Entry& entry) {
      return std::holds_alternative<wire::EncryptedUpdate>(entry.message.body);
    });
    entries.push_back(*found);
  });
  CHECK(proof.verdict == Verdict::kPassed);
  CHECK(check_of(proof, "no_repeats").detail == "1 message sent again as it was, not counted");
}

TEST_CASE("a sum that was not re-randomised fails, in a single ciphertext, too") {
  expect_failure(
      [](std::vector<Entry>& entries) {
        ThreadPool pool(1);
        const crypto::PublicKey& key = test::key_2048().public_key();
        const crypto::Evaluator evaluator(key, pool);
        const auto of = [&](std::uint32_t party) {
          Bytes& payload = update(entries, party, 1).payload;
          return key.parse_ciphertexts(payload, payload.size() / kWidth);
        };
        crypto::CiphertextVector sum = of(0);
        evaluator.add_inplace(sum, of(1));
        evaluator.add_inplace(sum, of(2));
        const Bytes plain = key.serialize_ciphertexts(sum);
        std::copy_n(plain.begin() + 2 * kWidth, kWidth,
                    chunk(aggregate(entries, 1).payload, 2).begin());
      },
      "rerandomized", "aggregate of round 1: ciphertext 2 is the plain product");
  expect_failure(
      [](std::vector<Entry>& entries) {
        const auto gone = std::find_if(entries.begin(), entries.end(), [](const Entry& entry) {
          return entry.peer == wire::party_peer(1) &&
                 std::holds_alternative<wire::EncryptedUpdate>(entry.message.body);
        });
        entries.erase(gone);
      },
      "rerandomized", "the update that its contributor 1 signed was not recorded");
}

TEST_CASE("an update of another size fails") {
  expect_failure(
      [](std::vector<Entry>& entries) {
        Bytes& payload = update(entries, 2, 1).payload;
        payload.resize(payload.size() - kWidth);
      },
      "equal_sizes", "update of party 2 in round 1: a payload of");
}

TEST_CASE("what must not be there is found wherever it is") {
  const ProofInput& input = example().input;
  const Bytes row = [&] {
    std::ifstream file(input.shards[1]);
    std::string line;
    std::getline(file, line);
    return Bytes(line.begin(), line.end());
  }();
  expect_failure([&](std::vector<Entry>& entries) { plant(update(entries, 0, 1).payload, row); },
                 "records_hidden", "found in");
  expect_failure(
      [&](std::vector<Entry>& entries) {
        const std::string text(row.begin(), row.end());
        entries.back().message.body = wire::Abort{Fault::kData, "bad row: " + text};
      },
      "records_hidden", "found in");
  expect_failure(
      [&](std::vector<Entry>& entries) {
        const auto weights = model::initial_parameters(role::shape_of(input.settings), 1);
        plant(update(entries, 0, 1).payload,
              ByteView(model::parameters_to_bytes(weights)).subspan(402, 40));
      },
      "weights_hidden", "found in");
  expect_failure(
      [&](std::vector<Entry>& entries) {
        const Bytes model = read_file(input.model);
        plant(aggregate(entries, 2).payload, ByteView(model).last(100));
      },
      "weights_hidden", "found in");
  for (const bool is_little_endian : {false, true}) {
    expect_failure(
        [&](std::vector<Entry>& entries) {
          Bytes q = from_hex(test::kInsecureTestKeys[1].q);
          if (is_little_endian) std::reverse(q.begin(), q.end());
          plant(update(entries, 0, 1).payload, ByteView(q).subspan(7, 31));
        },
        "keys_hidden", "found in");
  }
  expect_failure(
      [&](std::vector<Entry>& entries) {
        const auto identity = settings::read_identity(input.identities[4]);
        plant(update(entries, 0, 2).payload, identity.curve.secret_key.bytes());
      },
      "keys_hidden", "found in");
  expect_failure(
      [&](std::vector<Entry>& entries) {
        const auto identity = settings::read_identity(input.identities[3]);
        plant(update(entries, 2, 2).payload, identity.agreement.secret());
      },
      "keys_hidden", "found in");
}

TEST_CASE("a recording that is not whole is not passed over in silence") {
  const auto nothing = [](std::vector<Entry>&) {};
  const Proof bounded = proof_after(nothing, 20'000);
  CHECK(bounded.verdict == Verdict::kPartlyChecked);
  CHECK(bounded.left_out > 0);
  CHECK(bounded.bytes < 20'000);
  CHECK(check_of(bounded, "capture").detail.starts_with("the recording was full: the last"));

  const test::TempDir folder;
  ProofInput input = example().input;
  Bytes recorded = read_file(input.traffic);
  recorded.resize(recorded.size() - 10);
  input.traffic = folder.path() / "traffic.log";
  write_file_atomic(input.traffic, recorded);
  const Proof broken = prove_encryption(input, kNeverStop);
  CHECK(broken.verdict == Verdict::kPartlyChecked);
  CHECK(check_of(broken, "capture").detail.starts_with("the recording is not whole"));

  const Proof shorter = proof_after([](std::vector<Entry>& entries) {
    std::erase_if(entries, [](const Entry& entry) {
      const auto* update = std::get_if<wire::EncryptedUpdate>(&entry.message.body);
      const auto* sum = std::get_if<wire::EncryptedAggregate>(&entry.message.body);
      return (update != nullptr && update->round == 2) || (sum != nullptr && sum->round == 2);
    });
  });
  CHECK(shorter.verdict == Verdict::kPartlyChecked);
  CHECK(check_of(shorter, "capture").detail == "only 2 of 3 rounds were recorded");

  recorded.resize(5);
  write_file_atomic(input.traffic, recorded);
  CHECK_THROWS_AS((void)prove_encryption(input, kNeverStop), DecodeError);
}

TEST_CASE("a search that finds nothing fails, and what there is nothing of is not checked") {
  const Proof empty = proof_after([](std::vector<Entry>& entries) { entries.clear(); });
  CHECK(check_of(empty, "detector").verdict == Verdict::kFailed);
  CHECK(check_of(empty, "detector").detail.starts_with("the key's id was not found"));

  ProofInput input;
  input.settings = example().input.settings;
  input.traffic = example().input.traffic;
  input.public_key = example().input.public_key;
  input.absent = "the roles ran elsewhere";
  const Proof proof = prove_encryption(input, kNeverStop);
  CHECK(proof.verdict == Verdict::kPartlyChecked);
  for (const char* name : {"updates_hidden", "records_hidden", "keys_hidden", "programs"}) {
    CHECK(check_of(proof, name).verdict == Verdict::kNotChecked);
    CHECK(check_of(proof, name).detail == "the roles ran elsewhere");
  }
  CHECK(check_of(proof, "valid_ciphertexts").verdict == Verdict::kPassed);
  CHECK(check_of(proof, "detector").verdict == Verdict::kPassed);
}

TEST_CASE("of the programs that run, the key-holder's alone has the marker, stripped or not") {
  const test::TempDir folder;
  const auto programs = options_in(folder.path(), "paillier").programs;
  const auto copy = folder.path() / "holder";
  std::filesystem::copy_file(programs / "blindsum-keyholder", copy);
  const bool is_stripped = std::system(("strip -s '" + copy.string() + "'").c_str()) == 0;
  if (!is_stripped) MESSAGE("no strip here: the program is tested as it was built");

  std::map<wire::Peer, Federation::Program> running;
  std::vector<std::unique_ptr<test::Program>> children;
  const auto start = [&](const wire::Peer& peer, const std::filesystem::path& file) {
    children.push_back(std::make_unique<test::Program>(
        file.string(), std::vector<std::string>{"--wait", "60", "none.json"}, folder.path()));
    running[peer] = {children.back()->pid(), file};
  };
  start(wire::kCoordinatorPeer, programs / "blindsum-coordinator");
  start(wire::kKeyHolderPeer, copy);
  start(wire::party_peer(0), programs / "blindsum-party");
  ProgramWatch watch;
  watch.look(running);
  REQUIRE(watch.seen().size() == 3);
  CHECK_FALSE(watch.seen().at(wire::kCoordinatorPeer).has_marker);
  CHECK(watch.seen().at(wire::kKeyHolderPeer).has_marker);
  CHECK_FALSE(watch.seen().at(wire::party_peer(0)).has_marker);

  start(wire::party_peer(0), copy);  // a restarted party is looked at again
  watch.look(running);
  CHECK(watch.seen().at(wire::party_peer(0)).has_marker);
  for (const auto& child : children) child->signal(SIGKILL);
}

TEST_CASE("a run whose party could decrypt ends as an integrity fault that names the check") {
  const test::TempDir folder;
  RunOptions options = options_in(folder.path(), "paillier");
  options.keys = example().dir.path() / "keys";
  options.keep_traffic = false;
  const auto real = options.programs;
  options.programs = folder.path() / "bin";
  std::filesystem::create_directories(options.programs);
  for (const char* name : {"blindsum-coordinator", "blindsum-keyholder", "blindsum-party"}) {
    std::filesystem::copy_file(real / name, options.programs / name);
  }
  std::ofstream(options.programs / "blindsum-party", std::ios::app) << crypto::kSecretMarker;
  Progress progress(Verbosity::kQuiet);
  const RunResult result = run_scenario(options, progress);
  CHECK(result.ending.fault == Fault::kIntegrity);
  CHECK(result.ending.reason.find("the proof of encryption failed: programs: party 0") == 0);
  CHECK(result.summary.at("status") == "integrity");
  CHECK(result.summary.at("encryption_proof").at("verdict") == "failed");
  CHECK(std::filesystem::exists(options.folder / "traffic.log"));  // the evidence stays
}

TEST_CASE("the recording of a run that passed is removed unless it is wanted") {
  const test::TempDir folder;
  RunOptions options = options_in(folder.path(), "paillier");
  options.keys = example().dir.path() / "keys";
  options.keep_traffic = false;
  Progress progress(Verbosity::kQuiet);
  const RunResult result = run_scenario(options, progress);
  CHECK(result.ending.reason == "");
  CHECK(result.summary.at("encryption_proof").at("verdict") == "passed");
  CHECK_FALSE(std::filesystem::exists(options.folder / "traffic.log"));
  CHECK(std::filesystem::exists(example().input.traffic));

  options.folder = folder.path() / "memory";
  options.settings.runtime = "memory";
  const RunResult memory = run_scenario(options, progress);
  CHECK(memory.ending.reason == "");
  CHECK(memory.summary.at("encryption_proof").at("verdict") == "not checked");
  CHECK(memory.summary.at("encryption_proof")
            .at("reason")
            .get<std::string>()
            .starts_with("runtime memory"));
}

TEST_CASE("31 bytes of a needle are found at any place, 15 are not, and dull ones are left out") {
  SeededRandom random(7, "needles");
  Bytes needle(100);
  for (std::uint8_t& byte : needle) byte = static_cast<std::uint8_t>(random.next_u64());
  NeedleSearch search;
  search.add(1, needle);
  search.add(0, Bytes(100, 0));
  CHECK(search.windows(0) == 0);
  CHECK(search.windows(1) == 7);
  for (std::size_t begin = 0; begin + 31 <= needle.size(); ++begin) {
    Bytes text(200, 0xaa);
    std::copy_n(needle.begin() + static_cast<long>(begin), 31,
                text.begin() + static_cast<long>(begin));
    CHECK(search.count(text)[1] >= 1);
    CHECK(search.count(text)[0] == 0);
    std::fill(text.begin() + static_cast<long>(begin) + 15, text.end(), std::uint8_t{0xaa});
    CHECK(search.count(text)[1] == 0);
  }
  CHECK(search.count({}) == std::vector<std::uint64_t>{0, 0});
  CHECK(search.count(needle)[1] == 7);
}
