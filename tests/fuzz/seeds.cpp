// fuzz_seeds [--check] FOLDER : writes the seed corpora, one folder a target; with --check only
// says which of them are not what it would write. Other files in the folders, such as inputs that
// once broke a target, are left alone.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "party/key_holder/state_store.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/number_json.h"
#include "shared/crypto/secret/secret_key_json.h"
#include "shared/data/kdd.h"
#include "shared/data/synthetic.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/wire/codec.h"
#include "tests/fuzz/session_attack.h"
#include "tests/fuzz/table.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"
#include "tests/wire/messages.h"

namespace {

using namespace blindsum;

constexpr std::uint64_t kSeed = 1;
constexpr std::string_view kUsage = "usage: fuzz_seeds [--check] FOLDER\n";

using Seeds = std::map<std::string, Bytes>;  // by name

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

Seeds messages() {
  Seeds seeds;
  SeededRandom random(kSeed, "messages");
  for (std::size_t type = 0; type < wire::test::kTypes; ++type) {
    constexpr std::size_t kMaxPayload = 64;
    const wire::Message message = wire::test::random_message(type, random, kMaxPayload);
    seeds[std::string(wire::message_name(message.body))] = wire::encode(message);
  }
  return seeds;
}

Seeds public_keys() {
  Seeds seeds;
  for (const std::size_t bits : {512, 2048}) {
    seeds[std::to_string(bits)] = test::insecure_test_key(bits).public_key().serialize();
  }
  return seeds;
}

Seeds secret_keys() {
  const crypto::SecretKey key = test::insecure_test_key(512);
  const SecretBytes file = key.serialize();
  return {{"512", {file.bytes().begin(), file.bytes().end()}}};
}

Seeds ciphertexts() {
  const crypto::SecretKey key = test::insecure_test_key(512);
  const std::size_t width = key.public_key().ciphertext_bytes();
  SeededRandom random(kSeed, "ciphertexts");
  const auto blob_of = [&](std::uint8_t count) {
    Bytes blob{count};
    for (std::size_t i = 0; i < count * width; ++i) {
      // The highest byte is 0: below n².
      blob.push_back(i % width == width - 1 ? 0 : static_cast<std::uint8_t>(random.next_u64()));
    }
    return blob;
  };
  const auto blob_from = [&](const Bytes& big_endian) {
    Bytes blob(1 + width);
    blob[0] = 1;
    std::ranges::reverse_copy(big_endian, blob.begin() + 1);
    return blob;
  };
  return {{"units-1", blob_of(1)},
          {"units-3", blob_of(3)},
          {"units-20", blob_of(20)},
          {"zero", blob_from({})},
          {"n", blob_from(key.public_key().modulus())},
          {"p", blob_from(from_hex(test::kInsecureTestKeys[0].p))},
          {"large", blob_from(Bytes(width, 0xff))}};
}

// number_texts are what the target number_json takes: a byte that says of what kind, and a text.
Seeds number_texts() {
  const crypto::SecretKey key = test::insecure_test_key(512);
  const std::string pub = crypto::public_key_to_json(key.public_key(), "a comment");
  const SecretBytes secret = crypto::secret_key_to_json(key, "a", "b");
  const auto text_of = [](char kind, std::string_view text) {
    return bytes_of(kind + std::string(text));
  };
  return {{"public_key", text_of(0, pub)},
          {"private_key",
           text_of(1, {reinterpret_cast<const char*>(secret.bytes().data()), secret.size()})},
          {"encrypted", text_of(2, R"({"v": "16", "e": -32})")},
          {"encrypted_high", text_of(2, R"({"v": "1", "e": 16384})")},
          {"encrypted_low", text_of(2, R"({"e": -16384, "v": "123456789012345678901234567890"})")},
          {"whole", text_of(3, "-123456789012345678901234567890")},
          {"real", text_of(3, "-3.25e-7")},
          {"half", text_of(3, "9007199254740993.0")}};
}

Seeds role_files() {
  const test::TempDir folder;
  const auto path = folder.path() / "role.json";
  settings::RoleFile role;
  role.run.fill(7);
  role.enrolment = {{wire::kCoordinatorPeer, {std::string(40, 'c'), {1}, {2}}},
                    {wire::kKeyHolderPeer, {std::string(40, 'k'), {3}, {4}}},
                    {wire::party_peer(3), {std::string(40, 'p'), {5}, {6}}}};
  role.files.identity = "identity.secret";
  role.files.records = "records.jsonl";
  Seeds seeds;
  for (const wire::Peer& self :
       {wire::kCoordinatorPeer, wire::kKeyHolderPeer, wire::party_peer(3)}) {
    role.self = self;
    role.link = {};
    if (self.role == wire::Role::kParty) {
      role.link.servers = {{wire::kCoordinatorPeer, "tcp://127.0.0.1:5555"}};
    } else {
      role.link.bind = "tcp://127.0.0.1:*";
    }
    settings::write_role_file(path, role);
    seeds[to_string(self)] = read_file(path);
  }
  return seeds;
}

Seeds identities() {
  const test::TempDir folder;
  const auto path = folder.path() / "identity.secret";
  const settings::Identity identity{
      wire::curve_key_pair_of(SecretBytes(as_bytes("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"))),
      SigningKey(Bytes(SigningKey::kSeedBytes, 1)),
      AgreementKey(Bytes(AgreementKey::kSecretBytes, 2))};
  settings::write_identity(path, identity);
  return {{"identity", read_file(path)}};
}

Seeds journals() {
  const test::TempDir parent;
  const auto folder = parent.path() / "state";
  const auto store = key_holder::make_file_store(folder, {7});
  (void)store->recover();
  for (std::uint32_t round = 0; round < 3; ++round) store->append(round, Bytes(5 + 20 * round, 9));
  Bytes whole = read_file(folder / "journal-0000000000");
  Bytes torn = whole;
  torn.resize(torn.size() - 10);
  return {{"whole", whole}, {"torn", torn}, {"empty", {}}};
}

Seeds scenarios() {
  return {{"defaults", bytes_of(launcher::to_yaml({}))},
          {"alias", bytes_of("model:\n  hidden: &h [41, 20]\n  activation: tanh\nrounds: 3\n")},
          {"flow", bytes_of("{parties: 5, data: {partition: {kind: dirichlet, alpha: 0.5}}}\n")},
          {"loop", bytes_of("model: &m {hidden: [*m]}\n")},
          {"quoted", bytes_of("%YAML 1.2\n---\nname: \"a\\x41\"\nseed: '1' # text\n...\n")},
          {"block", bytes_of("name: |-\n  folded\n? rounds\n: 20\nthreads: !!int 0x2\n")}};
}

// gzip_of is a gzip file of stored blocks: the same bytes with every version of zlib.
Bytes gzip_of(const Bytes& text) {
  Bytes file{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0x01};
  const auto size = static_cast<std::uint16_t>(text.size());
  for (const std::uint16_t word : {size, static_cast<std::uint16_t>(~size)}) {
    file.push_back(static_cast<std::uint8_t>(word));
    file.push_back(static_cast<std::uint8_t>(word >> 8));
  }
  file.insert(file.end(), text.begin(), text.end());
  append_le32(
      file, static_cast<std::uint32_t>(crc32(0, text.data(), static_cast<unsigned>(text.size()))));
  append_le32(file, size);
  return file;
}

Seeds kdd_files() {
  const test::TempDir folder;
  data::write_synthetic(folder.path(), kSeed, {200, 200});
  const data::RawFile file =
      data::read_raw(data::find_kdd(folder.path()).train, data::Schema::kdd99());
  Bytes lines;
  for (std::size_t row = 0; row < 4; ++row) {
    const std::string_view line = file.line(row * 37);
    lines.insert(lines.end(), line.begin(), line.end());
  }
  Bytes no_end = lines;
  no_end.pop_back();
  const auto bytes_of = [](std::string_view text) { return Bytes(text.begin(), text.end()); };
  return {{"plain", lines},
          {"gzip", gzip_of(lines)},
          {"no-end", no_end},
          {"own-header", bytes_of("c,id, label,a,b\r\n0.5,7,ok,tcp,-3\n9,8,no,gre,1e3\n")},
          {"own-bare", bytes_of("udp,1,2,1\n6,-2,0.1,0\n")}};
}

Seeds synthetic_tables() {
  constexpr std::string_view kTable =
      "blindsum-synthetic 1\nset train\nattack smurf 50\ncell 50\ntraffic icmp ecr_i SF 50\n"
      "src_bytes 0:520 20000:520 20000:1032 100000:1032 | 50 -7 0 0\n"
      "srv_diff_host_rate 0:0 90000:0 90000:0.1 99000:0.5 100000:1 | 10 90 0 1\n"
      "attack rootkit 10\nattack perl 3\ncell 13\ntraffic tcp telnet SF 12\n"
      "traffic udp other SF 1\nduration 0:0 50000:60 100000:708\n"
      "set test\nattack normal 5\ncell 5\ntraffic tcp http SF 5\nlogged_in 0:1 100000:1\n";
  return {{"table", Bytes(kTable.begin(), kTable.end())}};
}

Seeds tensors() {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  report::write_safetensors(
      path, {{"weights", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"bias", {2}, {0.5F, -1}}, {"none", {0}, {}}},
      {{"made_by", "blindsum"}});
  return {{"model", read_file(path)}};
}

Seeds records() {
  const test::TempDir folder;
  const auto path = folder.path() / "records.jsonl";
  report::RecordWriter writer(path);
  report::RoundRecord record;
  record.role = "keyholder";
  record.contributors = {0, 1, 4};
  record.phase_s = {{"decrypt", 0.25}, {"wait", 1e-9}};
  record.model_digest = "sha256:00";
  record.evaluation = report::Evaluation{};
  record.evaluation->classes = {"normal", "dos"};
  record.evaluation->recall = {0.5, 1};
  record.evaluation->confusion = {{1, 1}, {0, 3}};
  writer.add(record);
  writer.end({{"role", "keyholder"}, {"fault", "done"}});
  Bytes torn = read_file(path);
  Bytes whole = torn;
  torn.pop_back();
  return {{"whole", whole}, {"torn", torn}};
}

Seeds tables() {
  const test::TempDir folder;
  ThreadPool pool(1);
  const auto table = fuzz::table_in(fuzz::table_key(), folder.path(), pool);
  return {{"right", read_file(table->info().file)}};
}

// programs are inputs of attack_session, the same for each role.
Seeds programs() {
  const auto program = [](std::initializer_list<int> bytes) {
    return Bytes(bytes.begin(), bytes.end());
  };
  using enum fuzz::Step;
  using fuzz::Edit;
  constexpr int kAll = static_cast<int>(kDeliverAll), kNext = static_cast<int>(kDeliver);
  constexpr int kChange = static_cast<int>(kEdit), kChangeOld = static_cast<int>(kEditOld);
  constexpr int kSet = static_cast<int>(Edit::kSetByte), kMore = static_cast<int>(Edit::kAdd);
  constexpr int kFlip = static_cast<int>(Edit::kFlipByte), kEnd = static_cast<int>(Edit::kNone);
  constexpr int kAgain = static_cast<int>(kReplay), kTime = static_cast<int>(kWait);
  return {
      {"honest", program({kAll, kAll, kAll, kAll})},
      {"one-by-one", Bytes(40, static_cast<std::uint8_t>(kNext))},
      {"late", program({kAll, kTime, 3, kNext, kTime, 5, kAll, kTime, 6, kAll})},
      {"never", program({kTime, 7, kTime, 7})},
      {"lost", program({kNext, kNext, static_cast<int>(kDrop), kAll, kTime, 3, kAll, kTime, 5})},
      {"replayed", program({kNext, kAgain, 0, kNext, kAgain, 1, kAll, kAgain, 4, kAgain, 9, kAll})},
      {"forged", program({kNext, kNext, static_cast<int>(kForge), 0, 3, kAll,
                          static_cast<int>(kForge), 7, 5, static_cast<int>(kForge), 6, 6, kAll})},
      {"overtaken", Bytes(40, static_cast<std::uint8_t>(kDeliverLast))},
      {"payload", program({kNext, kNext, kNext, kNext,   kNext, kChange, kSet, 0, 9,    1,
                           77,    kEnd,  kAll,  kChange, kFlip, 200,     1,    4, kEnd, kAll})},
      {"fields", program({kNext,
                          kChange,
                          kMore,
                          2,
                          0,
                          0,
                          1,
                          kEnd,
                          kAll,
                          kChangeOld,
                          5,
                          kMore,
                          4,
                          0,
                          0,
                          255,
                          static_cast<int>(Edit::kResize),
                          0,
                          8,
                          kEnd,
                          kChangeOld,
                          6,
                          static_cast<int>(Edit::kTake),
                          1,
                          3,
                          static_cast<int>(Edit::kRemove),
                          2,
                          static_cast<int>(Edit::kRepeat),
                          1,
                          kEnd,
                          kAll})},
      {"raw", program({static_cast<int>(kRaw), 1, 4, 0x95, 1, 7, 0xc4, kAll})},
      {"cut-off", program({static_cast<int>(kCutOff), 2, kAll, static_cast<int>(kWorkAhead), kTime,
                           2, static_cast<int>(kCutOff), 1, kAll, kTime, 4})},
  };
}

const std::map<std::string, std::function<Seeds()>> kTargets{
    {"message", messages},
    {"public_key", public_keys},
    {"secret_key", secret_keys},
    {"ciphertexts", ciphertexts},
    {"number_json", number_texts},
    {"role_file", role_files},
    {"scenario", scenarios},
    {"kdd", kdd_files},
    {"synthetic", synthetic_tables},
    {"safetensors", tensors},
    {"records", records},
    {"table", tables},
    {"identity", identities},
    {"journal", journals},
    {"coordinator", programs},
    {"key_holder", programs},
    {"party", programs},
};

}  // namespace

int main(int argc, char** argv) {
  const bool is_check = argc == 3 && std::string_view(argv[1]) == "--check";
  if (argc != (is_check ? 3 : 2)) {
    std::cerr << kUsage;
    return 2;
  }
  const std::filesystem::path root = argv[argc - 1];
  bool is_same = true;
  for (const auto& [target, make] : kTargets) {
    for (const auto& [name, bytes] : make()) {
      const std::filesystem::path path = root / target / name;
      if (std::filesystem::exists(path) && read_file(path) == bytes) continue;
      is_same = false;
      if (is_check) {
        std::cerr << path.string() << ": not what fuzz_seeds writes; run fuzz_seeds "
                  << root.string() << '\n';
        continue;
      }
      std::filesystem::create_directories(path.parent_path());
      write_file_atomic(path, ByteView(bytes));
    }
  }
  return is_check && !is_same ? 1 : 0;
}
