#include "shared/settings/settings.h"

#include <algorithm>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/settings/fields.h"
#include "shared/settings/role_file.h"
#include "tests/support/consistent.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::settings;
using nlohmann::json;

// refusal returns what `call` throws as a ConfigError.
template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was refused";
}

json any_faults(SeededRandom& random) {
  json list = json::array();
  for (std::uint64_t i = random.below(4); i > 0; --i) {
    const std::string party = "party-" + std::to_string(random.below(1000));
    json fault{{"role", party}, {"round", i}, {"kind", "kill"}};
    switch (random.below(4)) {
      case 0:
        fault["kind"] = "pause";
        fault["seconds"] = 0.01 + random.uniform() * 100;
        break;
      case 1:
        fault["kind"] = "corrupt";
        fault["how"] = random.below(2) == 0 ? "invalid" : "altered";
        break;
      case 2:
        fault["role"] = "coordinator";
        fault["kind"] = "tamper";
        fault["how"] = "swap";
        break;
      default:
        fault["role"] = random.below(2) == 0 ? party : "keyholder";
    }
    list.push_back(std::move(fault));
  }
  return list;
}

json any_columns(SeededRandom& random) {
  json list = json::array();
  for (std::uint64_t i = random.below(4); i > 0; --i) {
    json column{{"name", "column: " + std::to_string(i)}, {"kind", "number"}};
    switch (random.below(4)) {
      case 0:
        column["kind"] = "category";
        column["values"] = {"6", "tcp", "null", "ü " + std::to_string(random.below(10))};
        break;
      case 1:
        column["kind"] = "log";
        break;
      case 2:
        column["low"] = -random.uniform();
        column["high"] = 1 + random.uniform();
    }
    list.push_back(std::move(column));
  }
  return list;
}

json any_allowed(const Field& field, SeededRandom& random) {
  if (!field.words.empty()) {
    const std::string word(field.words[random.below(field.words.size())]);
    return type_of(field) == "whole number" ? json(std::stoull(word)) : json(word);
  }
  if (type_of(field) == "text") return "run-" + std::to_string(random.below(1000));
  if (type_of(field) == "number") {
    return field.least + random.uniform() * (field.most - field.least);
  }
  const double most = std::min(field.most, 1e18);
  const auto whole = [&] {
    return static_cast<std::uint64_t>(field.least) +
           random.below(static_cast<std::uint64_t>(most - field.least) + 1);
  };
  if (type_of(field) == "whole number") return whole();
  if (type_of(field) == "faults") return any_faults(random);
  if (type_of(field) == "columns") return any_columns(random);
  if (type_of(field) == "classes") return json::array();  // make_consistent gives some
  json list = json::array();
  for (std::uint64_t i = 0; i <= random.below(4); ++i) list.push_back(whole());
  return list;
}

Settings any_settings(SeededRandom& random) {
  Settings settings;
  for (const Field& field : fields_of(settings)) set(field, any_allowed(field, random));
  test::make_consistent(settings);
  return settings;
}

RoleFile example_role() {
  RoleFile role;
  for (std::size_t i = 0; i < role.run.size(); ++i) role.run[i] = static_cast<std::uint8_t>(i * 17);
  role.self = wire::party_peer(3);
  role.settings.name = "example";
  role.threads = 2;
  role.log_level = "debug";
  role.link.bind = "tcp://127.0.0.1:*";
  role.enrolment = {{wire::kCoordinatorPeer, {std::string(40, 'c'), {1}, {2}}},
                    {wire::kKeyHolderPeer, {std::string(40, 'k'), {3}, {4}}},
                    {wire::party_peer(3), {std::string(40, 'p'), {5}, {6}}}};
  role.link.servers = {{wire::kCoordinatorPeer, "tcp://127.0.0.1:5000"}};
  role.files = {
      "roles/party-3.secret", "keys/public.key",   "keys/secret.key", "tables",
      "shards/party-3.csv",   "test.csv",          "state",           "records/party.jsonl",
      "roles/party.endpoint", "model.safetensors", "traffic.log",     "logs/party.log"};
  return role;
}

}  // namespace

TEST_CASE("the quorum is two thirds, rounded up, and at least three") {
  CHECK(quorum_of(3) == 3);
  CHECK(quorum_of(4) == 3);
  CHECK(quorum_of(5) == 4);
  CHECK(quorum_of(6) == 4);
  CHECK(quorum_of(10) == 7);
  CHECK(quorum_of(1000) == 667);
}

TEST_CASE("a gradient round has the quorum of its sample") {
  Settings settings;
  settings.parties = 20;
  CHECK(gradient_quorum_of(settings) == 14);
  settings.sampling.parties = 9;
  CHECK(gradient_quorum_of(settings) == 6);
  settings.sampling.parties = 3;
  CHECK(gradient_quorum_of(settings) == 3);
}

TEST_CASE("a zero-day attack is known to nobody or to one party that there is") {
  Settings settings;
  settings.parties = 4;
  CHECK_FALSE(zero_day_party_of(settings));
  settings.data.zero_day.known_to = "party-3";
  CHECK(zero_day_party_of(settings) == 3U);
  for (const char* wrong :
       {"party-4", "party-", "party-x", "party--1", "3", "everybody", "party-1x"}) {
    settings.data.zero_day.known_to = wrong;
    CHECK_THROWS_WITH_AS((void)zero_day_party_of(settings), doctest::Contains("party-0 to party-3"),
                         ConfigError);
    CHECK_THROWS_AS(require_consistent(settings), ConfigError);
  }
}

TEST_CASE("every member of Settings is a field, and keys are unique") {
  // The fields' places tile the object: a new member without a field leaves a hole as large as
  // itself.
  Settings settings;
  std::set<std::string_view> keys;
  std::size_t bytes = 0;
  for (const Field& field : fields_of(settings)) {
    CHECK_MESSAGE(keys.insert(field.key).second, field.key);
    CHECK_FALSE(field.meaning.empty());
    bytes += std::visit([](auto* place) { return sizeof(*place); }, field.value);
  }
  CHECK(bytes <= sizeof(Settings));
  CHECK(sizeof(Settings) - bytes < 32);  // padding alone
}

TEST_CASE("text of a CSV file has no commas, quotes or controls") {
  for (const char* good : {"a", "DoS Hulk", "é", "~", "a=b", "#"}) CHECK(is_plain_text(good));
  for (const std::string& bad : {std::string(), std::string("a,b"), std::string("\"a\""),
                                 std::string(" a"), std::string("a "), std::string("a\nb"),
                                 std::string(1, '\0'), std::string("\xff"), std::string(65, 'a')}) {
    CHECK_FALSE(is_plain_text(bad));
  }
}

TEST_CASE("what belongs to the other mode is refused by its key") {
  const auto refusal_of = [](auto change) {
    Settings settings;
    change(settings);
    try {
      require_consistent(settings);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto replay = [](Settings& s) {
    s.mode = "encrypted_inputs";
    s.parties = 1;
    s.paillier.key_bits = 256;
  };
  CHECK(refusal_of([](Settings&) {}).empty());
  CHECK(refusal_of(replay).empty());
  CHECK(refusal_of([](Settings& s) { s.parties = 2; }).starts_with("parties: 2 is not allowed"));
  CHECK(refusal_of([](Settings& s) { s.paillier.key_bits = 256; }) ==
        "paillier.key_bits: 256 is not allowed; use 2048, 3072 or 4096");
  CHECK(refusal_of([&](Settings& s) {
          replay(s);
          s.parties = 3;
        }).starts_with("parties: 3 is not allowed with mode encrypted_inputs"));
  CHECK(refusal_of([&](Settings& s) {
          replay(s);
          s.cipher = "none";
        }).starts_with("cipher: 'none' is not allowed with mode encrypted_inputs"));
  CHECK(refusal_of([&](Settings& s) {
          replay(s);
          s.faults.emplace_back();
        }).starts_with("faults: mode encrypted_inputs takes none"));
}

TEST_CASE("the defaults are allowed values") {
  Settings settings;
  for (const Field& field : fields_of(settings)) {
    INFO(field.key);
    CHECK_NOTHROW(set(field, get(field)));
  }
}

TEST_CASE("settings survive the way through JSON text") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    SeededRandom random(seed, "settings");
    const Settings settings = any_settings(random);
    const json object = to_json(settings);
    CHECK(to_json(settings_from_json(json::parse(object.dump()))) == object);
  }
}

TEST_CASE("JSON is nested by the dots of the keys") {
  const json object = to_json(Settings{});
  CHECK(object["data"]["partition"]["kind"] == "iid");
  CHECK(object["model"]["hidden"] == json::array({41}));
  CHECK(object["paillier"]["key_bits"] == 3072);
}

TEST_CASE("a missing, unknown or mistyped key is named with its dots") {
  const json good = to_json(Settings{});
  const auto with = [&](const char* pointer, json value) {
    json object = good;
    object[json::json_pointer(pointer)] = std::move(value);
    return refusal([&] { (void)settings_from_json(object); });
  };
  json missing = good;
  missing["data"]["partition"].erase("alpha");
  CHECK(refusal([&] { (void)settings_from_json(missing); }) == "data.partition.alpha: is missing");
  CHECK(with("/local/batches", 3) == "unknown key 'local.batches'");
  CHECK(with("/data.source", "kdd99") == "unknown key 'data.source'");
  CHECK(with("/data/partition.kind", "iid") == "unknown key 'data.partition.kind'");
  CHECK(with("/local", 3) == "local: an object is expected");
  CHECK(with("/parties", "ten") ==
        "parties: 'ten' is not allowed; use a whole number from 1 to 1000");
  CHECK(with("/parties", 2) == "parties: 2 is not allowed; use a whole number from 1 to 1000");
  CHECK(with("/parties", 10.0) ==
        "parties: 10.0 is not allowed; use a whole number from 1 to 1000");
  CHECK(with("/parties", -3) == "parties: -3 is not allowed; use a whole number from 1 to 1000");
  CHECK(with("/seed", -1) == "seed: -1 is not allowed; use a whole number of at least 0");
  CHECK(with("/cipher", "aes") == "cipher: 'aes' is not allowed; use paillier or none");
  CHECK(with("/paillier/key_bits", 2050) ==
        "paillier.key_bits: 2050 is not allowed; use 256, 2048, 3072 or 4096");
  CHECK(with("/data/partition/alpha", 0) ==
        "data.partition.alpha: 0 is not allowed; use a number from 0.001 to 1000");
  CHECK(with("/model/hidden", json::array()) ==
        "model.hidden: [] is not allowed; use a list of 1 to 8 whole numbers from 1 to 4096");
  CHECK(with("/name", "../x") ==
        "name: '../x' is not allowed; use 1 to 64 letters, digits, '_', '-' or '.'");
  CHECK(refusal([] { (void)settings_from_json(json::array()); }) ==
        "settings: an object is expected");
}

TEST_CASE("a refused value leaves the field as it was") {
  Settings settings;
  for (const Field& field : fields_of(settings)) {
    const json before = get(field);
    for (const json& bad : {json(nullptr), json(true), json(-1), json("no, such word!"),
                            json(1e300), json::object(), json::array({0})}) {
      INFO(field.key << " = " << bad.dump());
      CHECK_THROWS_AS(set(field, bad), ConfigError);
      CHECK(get(field) == before);
    }
  }
}

TEST_CASE("a fault that makes no sense is refused with its place in the list and its key") {
  const auto with = [](const char* fault) {
    json object = to_json(Settings{});
    const json good{{"role", "party-1"}, {"round", 3U}, {"kind", "kill"}};
    object["faults"] = {good, json::parse(fault)};
    return refusal([&] { (void)settings_from_json(object); });
  };
  CHECK(with(R"({"role": "party-1", "kind": "kill"})") == "faults: fault 2: round: is missing");
  CHECK(with(R"({"role": "party-x", "round": 1, "kind": "kill"})") ==
        "faults: fault 2: role: 'party-x' is not allowed; use coordinator, keyholder or "
        "party-<number>");
  CHECK(with(R"({"role": 7, "round": 1, "kind": "kill"})").starts_with("faults: fault 2: role: 7"));
  CHECK(with(R"({"role": "party-1", "round": -1, "kind": "kill"})")
            .starts_with("faults: fault 2: round: -1"));
  CHECK(with(R"({"role": "party-1", "round": 1.5, "kind": "kill"})")
            .starts_with("faults: fault 2: round: 1.5"));
  CHECK(with(R"({"role": "party-1", "round": 1, "kind": "crash"})") ==
        "faults: fault 2: kind: 'crash' is not allowed; use kill, restart, pause, tamper or "
        "corrupt");
  CHECK(with(R"({"role": "party-1", "round": 1, "kind": "pause", "seconds": 0})")
            .starts_with("faults: fault 2: seconds: 0 is not allowed"));
  CHECK(with(R"({"role": "party-1", "round": 1, "kind": "kill", "seconds": 1})") ==
        "faults: fault 2: unknown key 'seconds' of a fault of kind kill");
  CHECK(with(R"({"role": "coordinator", "round": 1, "kind": "tamper"})") ==
        "faults: fault 2: how: is missing");
  CHECK(with(R"({"role": "keyholder", "round": 1, "kind": "tamper", "how": "drop"})") ==
        "faults: fault 2: role: only the coordinator can tamper with a sum, not keyholder");
  CHECK(with(R"({"role": "coordinator", "round": 1, "kind": "corrupt", "how": "invalid"})") ==
        "faults: fault 2: role: only a party can send a corrupt update, not the coordinator");
  CHECK(with(R"({"role": "party-1", "round": 1, "kind": "corrupt", "how": "drop"})") ==
        "faults: fault 2: how: 'drop' is not allowed; use invalid or altered");
  CHECK(with(R"({"role": "coordinator", "round": 1, "kind": "tamper", "how": "replay"})")
            .starts_with("faults: fault 2: round: 1 is not allowed; use at least 2"));
  CHECK(with(R"({"role": "party-1", "round": 3, "kind": "kill"})") ==
        "faults: fault 2: role, round and kind are those of an earlier fault");
  CHECK(with("[]").starts_with("faults: fault 2: a fault is {role:"));
}

TEST_CASE("a role does its own faults, and nobody else's") {
  const std::vector<PlannedFault> all{{"party-1", 1, "kill", 1, ""},
                                      {"party-1", 2, "corrupt", 1, "invalid"},
                                      {"party-2", 3, "corrupt", 1, "altered"},
                                      {"coordinator", 4, "tamper", 1, "drop"}};
  CHECK(faults_of(all, "party-1") == std::vector{all[1]});
  CHECK(faults_of(all, "coordinator") == std::vector{all[3]});
  CHECK(faults_of(all, "keyholder").empty());
  CHECK(std::count_if(all.begin(), all.end(), is_of_process) == 1);
}

TEST_CASE("a role file reads back as it was written") {
  const test::TempDir folder;
  const RoleFile role = example_role();
  const auto path = folder.path() / "party-3.json";
  const auto again = folder.path() / "again.json";
  write_role_file(path, role);
  write_role_file(again, read_role_file(path));
  CHECK(read_text_file(path) == read_text_file(again));

  const RoleFile read = read_role_file(path);
  CHECK(read.run == role.run);
  CHECK(read.self == role.self);
  CHECK(to_json(read.settings) == to_json(role.settings));
  CHECK(read.enrolment == role.enrolment);
  CHECK(read.link.servers == role.link.servers);
  CHECK(read.files.identity == "roles/party-3.secret");
  CHECK(read.files.state == "state");
  CHECK(read.files.tables == "tables");
  CHECK(read.files.model == "model.safetensors");
  CHECK(read.files.traffic == "traffic.log");
  CHECK(read.files.log == "logs/party.log");
  CHECK(read.threads == 2);
}

TEST_CASE("a role file is refused by the name of the key that is wrong") {
  const test::TempDir folder;
  const auto path = folder.path() / "role.json";
  write_role_file(path, example_role());
  const json good = json::parse(read_text_file(path));
  const auto reread = [&](const json& object) {
    write_file_atomic(path, object.dump());
    const std::string message = refusal([&] { (void)read_role_file(path); });
    REQUIRE(message.starts_with(path.string() + ": "));
    return message.substr(path.string().size() + 2);
  };
  const auto with = [&](const char* pointer, json value) {
    json object = good;
    object[json::json_pointer(pointer)] = std::move(value);
    return reread(object);
  };
  CHECK(with("/extra", 1) == "unknown key 'extra'");
  CHECK(with("/link/extra", 1) == "unknown key 'link.extra'");
  CHECK(with("/files/extra", "x") == "unknown key 'files.extra'");
  CHECK(with("/link/servers/party-x", "e").starts_with("link.servers: "));
  CHECK(with("/link/servers/coordinator", 1) == "link.servers.coordinator: text is expected");
  CHECK(with("/enrolment/party-x", good["enrolment"]["party-3"]).starts_with("enrolment"));
  CHECK(with("/enrolment/party-3/extra", 1) == "unknown key 'enrolment.party-3.extra'");
  CHECK(with("/enrolment/party-3/signing", "00") ==
        "enrolment.party-3.signing: 64 hexadecimal digits are expected");
  for (const char* key : {"curve", "signing", "agreement"}) {
    CHECK(with((std::string("/enrolment/party-3/") + key).c_str(),
               good["enrolment"]["keyholder"][key]) ==
          "enrolment.party-3: has a key of another role");
  }
  CHECK(with("/link/bind", 5) == "link.bind: text is expected");
  CHECK(with("/self", "party").starts_with("self: "));
  CHECK(with("/run", "00").starts_with("run: "));
  CHECK(with("/run", "zz").starts_with("run: "));
  CHECK(with("/threads", -1) == "threads: a whole number from 0 to 1024 is expected");
  CHECK(with("/settings/rounds", 0) ==
        "settings: rounds: 0 is not allowed; use a whole number from 1 to 100000");
  CHECK(with("/files/shard", nullptr) == "files.shard: text is expected");
  json missing = good;
  missing["link"].erase("servers");
  CHECK(reread(missing) == "link.servers: is missing");
  CHECK(reread(json::array()) == ": an object is expected");

  write_file_atomic(path, "{\"run\": ");
  CHECK_THROWS_AS((void)read_role_file(path), ConfigError);
  CHECK_THROWS_AS((void)read_role_file(folder.path() / "absent.json"), ConfigError);
}

TEST_CASE("a truncated role file is a ConfigError at every length") {
  const test::TempDir folder;
  const auto path = folder.path() / "role.json";
  write_role_file(path, example_role());
  const std::string text = read_text_file(path);
  for (std::size_t length = 0; length + 2 < text.size(); length += 7) {
    write_file_atomic(path, std::string_view(text).substr(0, length));
    INFO("length " << length);
    CHECK_THROWS_AS((void)read_role_file(path), ConfigError);
  }
}

TEST_CASE("an identity is read back, from a file for its owner alone") {
  const test::TempDir folder;
  const auto path = folder.path() / "identity.secret";
  const Identity identity = Identity::generate();
  write_identity(path, identity);
  struct stat status = {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(read_identity(path).public_identity() == identity.public_identity());
  CHECK(Identity::generate().public_identity() != identity.public_identity());

  const Bytes good = read_file(path);
  REQUIRE(chmod(path.c_str(), 0640) == 0);
  CHECK_THROWS_AS((void)read_identity(path), KeyError);
  std::vector<Bytes> bads(5, good);
  bads[0].clear();
  bads[1].pop_back();
  bads[2].push_back(0);
  bads[3][0] ^= 1;     // the header
  bads[4][25] = '\0';  // not Z85
  for (const Bytes& bad : bads) {
    write_secret_file(path, bad);
    CHECK_THROWS_AS((void)read_identity(path), KeyError);
  }
  CHECK_THROWS_AS((void)read_identity(folder.path() / "absent"), KeyError);
}

TEST_CASE("two roles agree on a key that a third does not get") {
  const Identity a = Identity::generate();
  const Identity b = Identity::generate();
  const Identity c = Identity::generate();
  const auto key = [](const Identity& own, const Identity& other) {
    return to_hex(std::as_const(own).agreement.agree(other.public_identity().agreement).bytes());
  };
  CHECK(key(a, b) == key(b, a));
  CHECK(key(a, b) != key(a, c));
  CHECK(key(a, b) != key(c, b));
  CHECK_THROWS_AS((void)a.agreement.agree(AgreementPublicKey{}), KeyError);
}

TEST_CASE("each listener lets in who calls it, and nobody else") {
  Enrolment everybody;
  for (const wire::Peer& peer : {wire::kCoordinatorPeer, wire::kKeyHolderPeer, wire::party_peer(0),
                                 wire::party_peer(1), wire::party_peer(2)}) {
    everybody.emplace(peer, Identity::generate().public_identity());
  }
  const auto config_of = [&](const wire::Peer& self, const char* bind) {
    RoleFile role = example_role();
    role.self = self;
    role.enrolment = enrolment_for(self, everybody);
    role.link.bind = bind;
    return zmq_config(role, wire::make_curve_key_pair());
  };
  const auto allowed = [&](const wire::ZmqConfig& config) {
    std::set<wire::Peer> peers;
    for (const auto& [key, peer] : config.allowed) {
      CHECK(key == everybody.at(peer).curve);
      peers.insert(peer);
    }
    return peers;
  };
  std::set<wire::Peer> callers{wire::party_peer(0), wire::party_peer(1), wire::party_peer(2)};
  CHECK(allowed(config_of(wire::kKeyHolderPeer, "tcp://127.0.0.1:*")) == callers);
  callers.insert(wire::kKeyHolderPeer);
  CHECK(allowed(config_of(wire::kCoordinatorPeer, "tcp://127.0.0.1:*")) == callers);
  const wire::ZmqConfig party = config_of(wire::party_peer(1), "");
  CHECK(party.allowed.empty());
  REQUIRE(party.servers.size() == 1);
  CHECK(party.servers[0].endpoint == "tcp://127.0.0.1:5000");
  CHECK(party.servers[0].public_key == everybody.at(wire::kCoordinatorPeer).curve);
  CHECK(enrolment_for(wire::party_peer(1), everybody).size() == 3);

  RoleFile stranger = example_role();
  stranger.link.servers = {{wire::party_peer(7), "tcp://127.0.0.1:5000"}};
  CHECK_THROWS_AS((void)zmq_config(stranger, wire::make_curve_key_pair()), ConfigError);
}

TEST_CASE("an identity that is not the enrolled one is refused") {
  const test::TempDir folder;
  RoleFile role = example_role();
  role.files.identity = folder.path() / "identity.secret";
  const Identity identity = Identity::generate();
  write_identity(role.files.identity, identity);
  CHECK_THROWS_AS((void)load_identity(role), KeyError);
  role.enrolment[role.self] = identity.public_identity();
  CHECK(load_identity(role).public_identity() == identity.public_identity());
}

TEST_CASE("a role file holds no secret") {
  const test::TempDir folder;
  write_role_file(folder.path() / "role.json", example_role());
  const std::string text = read_text_file(folder.path() / "role.json");
  CHECK(text.find("party-3.secret") != std::string::npos);
  CHECK(text.find("secret\"") == text.find("party-3.secret\"") + std::string("party-3.").size());
}
