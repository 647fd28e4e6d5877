#include "scenarios/launcher/scenario.h"

#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "scenarios/launcher/terminal.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/data/encoder.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"
#include "shared/settings/fields.h"
#include "tests/support/consistent.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;

// refusal returns what parsing `text` as the file x.yaml throws.
std::string refusal(const std::string& text, const std::vector<std::string>& sets = {}) {
  try {
    std::vector<Override> overrides;
    for (const std::string& set : sets) overrides.push_back(override_from_set(set));
    (void)parse_scenario(text, "x.yaml", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing was refused";
}

settings::Settings with_sets(const std::string& text, const std::vector<std::string>& sets) {
  std::vector<Override> overrides;
  for (const std::string& set : sets) overrides.push_back(override_from_set(set));
  return parse_scenario(text, "x.yaml", overrides);
}

bool same(const settings::Settings& a, const settings::Settings& b) {
  return settings::to_json(a) == settings::to_json(b);
}

}  // namespace

TEST_CASE("an empty scenario has the defaults") {
  CHECK(same(parse_scenario("", "x.yaml"), {}));
  CHECK(same(parse_scenario("# only a comment\n", "x.yaml"), {}));
  CHECK(same(parse_scenario("data:\n", "x.yaml"), {}));
}

TEST_CASE("block and flow style read the same") {
  const auto block = parse_scenario(
      "parties: 5\ndata:\n  source: kdd99\n  partition:\n    kind: dirichlet\n    alpha: 1\n"
      "model:\n  hidden:\n    - 64\n    - 32\nserver:\n  rate: 1e-3\n",
      "x.yaml");
  const auto flow = parse_scenario(
      "{parties: 5, data: {source: kdd99, partition: {kind: dirichlet, alpha: 1.0}}, "
      "model: {hidden: [64, 32]}, server: {rate: 0.001}}",
      "x.yaml");
  CHECK(same(block, flow));
  CHECK(block.parties == 5);
  CHECK(block.data.partition.alpha == 1.0);
  CHECK(block.model.hidden == std::vector<std::uint32_t>{64, 32});
  CHECK(block.server.rate == 0.001);
}

TEST_CASE("an unknown key is refused with its line and the nearest known name") {
  CHECK(refusal("name: a\nseed: 1\npartys: 10\n") ==
        "x.yaml:3: unknown key 'partys' (did you mean 'parties'?)");
  CHECK(refusal("local:\n  batch: 3\n") ==
        "x.yaml:2: unknown key 'local.batch' (did you mean 'local.batch_rows'?)");
  CHECK(refusal("data: { partition: { knid: iid } }\n") ==
        "x.yaml:1: unknown key 'data.partition.knid' (did you mean 'data.partition.kind'?)");
  CHECK(refusal("\n\nbatch_rows: 3\n") ==
        "x.yaml:3: unknown key 'batch_rows' (did you mean 'local.batch_rows'?)");
  CHECK(refusal("dat: { source: auto }\n") == "x.yaml:1: unknown key 'dat' (did you mean 'data'?)");
  CHECK(refusal("zzzzzzzzzzzz: 1\n") == "x.yaml:1: unknown key 'zzzzzzzzzzzz'");
  CHECK(refusal("<<: { parties: 3 }\n").starts_with("x.yaml:1: unknown key '<<'"));
}

TEST_CASE("a value of the wrong type or range is refused with what is allowed") {
  CHECK(refusal("seed: 1\nparties: 2\n") ==
        "x.yaml:2: parties: 2 is not allowed; use a whole number from 3 to 1000");
  CHECK(refusal("parties: ten\n") ==
        "x.yaml:1: parties: 'ten' is not allowed; use a whole number from 1 to 1000");
  CHECK(refusal("parties: 10.5\n") ==
        "x.yaml:1: parties: 10.5 is not allowed; use a whole number from 1 to 1000");
  CHECK(refusal("parties: '10'\n") ==
        "x.yaml:1: parties: '10' is not allowed; use a whole number from 1 to 1000");
  CHECK(refusal("parties: [3]\n") ==
        "x.yaml:1: parties: [3] is not allowed; use a whole number from 1 to 1000");
  CHECK(refusal("parties:\n") ==
        "x.yaml:1: parties: null is not allowed; use a whole number from 1 to 1000");
  CHECK(refusal("parties: 18446744073709551619\n").starts_with("x.yaml:1: parties: "));
  CHECK(refusal("rounds: 0\n") ==
        "x.yaml:1: rounds: 0 is not allowed; use a whole number from 1 to 100000");
  CHECK(refusal("cipher: rot13\n") ==
        "x.yaml:1: cipher: 'rot13' is not allowed; use paillier or none");
  CHECK(refusal("algorithm: fedsvd\n") ==
        "x.yaml:1: algorithm: 'fedsvd' is not allowed; use fedsgd, fedavg, fedprox, fedavgm, "
        "fedadam, fedyogi or scaffold");
  CHECK(refusal("paillier:\n  key_bits: 1024\n") ==
        "x.yaml:2: paillier.key_bits: 1024 is not allowed; use 256, 2048, 3072 or 4096");
  CHECK(refusal("data: {partition: {alpha: 0}}\n") ==
        "x.yaml:1: data.partition.alpha: 0 is not allowed; use a number from 0.001 to 1000");
  CHECK(refusal("data: {partition: {alpha: .nan}}\n") ==
        "x.yaml:1: data.partition.alpha: '.nan' is not allowed; use a number from 0.001 to 1000");
  CHECK(refusal("fixed_point: {bits: 33}\n") ==
        "x.yaml:1: fixed_point.bits: 33 is not allowed; use a whole number from 2 to 32");
  CHECK(refusal("model: {hidden: 41}\n") ==
        "x.yaml:1: model.hidden: 41 is not allowed; use a list of 1 to 8 whole numbers from 1 to "
        "4096");
  CHECK(refusal("name: ../escape\n") ==
        "x.yaml:1: name: '../escape' is not allowed; use 1 to 64 letters, digits, '_', '-' or '.'");
  CHECK(refusal("name: true\n").starts_with("x.yaml:1: name: true is not allowed"));
}

TEST_CASE("an algorithm brings its server's step, and what is given stays") {
  const auto server_of = [](const std::string& text) {
    const settings::Settings settings = parse_scenario(text, "x.yaml");
    return settings.server.optimizer + " " + fixed(settings.server.rate, 2) + " " +
           settings.server.schedule;
  };
  CHECK(server_of("") == "adam 0.01 cosine");
  CHECK(server_of("algorithm: fedavg\n") == "sgd 1.00 constant");
  CHECK(server_of("algorithm: scaffold\n") == "sgd 1.00 constant");
  CHECK(server_of("algorithm: fedavgm\n") == "momentum 0.10 constant");
  CHECK(server_of("algorithm: fedadam\n") == "adam 0.01 constant");
  CHECK(server_of("algorithm: fedyogi\nserver: {rate: 0.5}\n") == "yogi 0.50 constant");
  CHECK(server_of("algorithm: fedavg\nserver: {optimizer: adam, schedule: cosine}\n") ==
        "adam 1.00 cosine");
  const auto local_rate_of = [](const std::string& text) {
    return parse_scenario(text, "x.yaml").local.rate;
  };
  CHECK(local_rate_of("algorithm: fedavg\n") == 0.1);
  CHECK(local_rate_of("algorithm: scaffold\n") == 0.01);
  CHECK(local_rate_of("algorithm: scaffold\nlocal: {rate: 0.1}\n") == 0.1);
}

TEST_CASE("values that exclude each other are refused with both names") {
  CHECK(refusal("algorithm: fedadam\nserver: {optimizer: sgd}\n") ==
        "x.yaml: algorithm fedadam steps with server.optimizer adam, not sgd");
  CHECK(refusal("sampling: {parties: 2}\n") ==
        "x.yaml:1: sampling.parties: a sum of fewer than 3 parties is never opened");
  CHECK(refusal("parties: 5\nsampling: {parties: 4, extra: 2}\n") ==
        "x.yaml: sampling.parties and sampling.extra ask 6 of 5 parties");
  CHECK(refusal("sampling: {extra: 2}\n") == "x.yaml: sampling.extra goes with sampling.parties");
  CHECK(refusal("algorithm: fedavg\nprivacy: {noise: 1}\n") ==
        "x.yaml: privacy.noise goes with algorithm fedsgd, not fedavg");
  CHECK(refusal("algorithm: scaffold\nlocal: {epochs: 1}\n") ==
        "x.yaml: algorithm scaffold goes with local.steps, not with local.epochs: its control "
        "variates need the same number of steps of every party; use local.epochs 0");
  CHECK(refusal("algorithm: fedavg\nlocal: {steps: 10000, batch_rows: 1000}\n") ==
        "x.yaml: local.steps times local.batch_rows: more than 2^20 rows in one update");
}

TEST_CASE("a key given twice is refused with both places") {
  CHECK(refusal("parties: 3\nrounds: 2\nparties: 3\n") ==
        "x.yaml:3: key 'parties' was given before, at x.yaml:1");
  CHECK(refusal("local: {batch_rows: 3}\nlocal: {batch_rows: 3}\n") ==
        "x.yaml:2: key 'local' was given before, at x.yaml:1");
  CHECK(refusal("local:\n  batch_rows: 3\n  batch_rows: 4\n") ==
        "x.yaml:3: key 'local.batch_rows' was given before, at x.yaml:2");
}

TEST_CASE("a section that holds a value is refused with its keys") {
  CHECK(refusal("sampling: 256\n") ==
        "x.yaml:1: 'sampling' is a section; its keys are sampling.parties, sampling.extra");
  CHECK(refusal("", {"deadlines=3"}) ==
        "--set deadlines=3: 'deadlines' is a section; its keys are deadlines.round_s, "
        "deadlines.start_s");
}

TEST_CASE("what is not a mapping of keys is refused") {
  CHECK(refusal("- a\n- b\n") == "x.yaml: keys and values are expected");
  CHECK(refusal("just text\n") == "x.yaml: keys and values are expected");
  CHECK(refusal("a: 1\n---\nb: 2\n") == "x.yaml: more than one YAML document");
  CHECK(refusal("---\n---\nparties: 5\n") == "x.yaml: more than one YAML document");
  CHECK(refusal("# text\n, parties: 5\n") == "x.yaml:2: a key is expected");
  CHECK(refusal("[a]: 1\n") == "x.yaml:1: a key must be a word");
  CHECK(refusal("parties: 3\nrounds: [1, 2\n").starts_with("x.yaml:"));
  CHECK(refusal("parties: *anchor\n").starts_with("x.yaml:1: "));
}

TEST_CASE("a fault is refused with its own line") {
  const std::string head = "parties: 4\nrounds: 9\nfaults:\n";
  const std::string good = "  - {role: party-3, round: 9, kind: kill}\n";
  CHECK(parse_scenario(head + good + "  - {role: party-3, round: 8, kind: kill}\n", "x.yaml")
            .faults.size() == 2);
  CHECK(parse_scenario("faults: []\n", "x.yaml").faults.empty());
  CHECK(refusal(head + good + "  - {role: party-3, round: 1, kind: kil}\n")
            .starts_with("x.yaml:5: faults: kind: 'kil' is not allowed; use kill, "));
  CHECK(refusal(head + good + "  - role: party-3\n    round: 1\n") ==
        "x.yaml:5: faults: kind: is missing");
  CHECK(refusal(head + "  - {role: party-3, round: 1, kind: kill, when: 3}\n") ==
        "x.yaml:4: faults: unknown key 'when' of a fault of kind kill");
  CHECK(refusal(head + "  - {role: party-3, round: 1, round: 2, kind: kill}\n") ==
        "x.yaml:4: faults: key 'round' is given twice");
  CHECK(refusal(head + "  - party-3\n").starts_with("x.yaml:4: faults: a fault is {role:"));
  CHECK(refusal("faults: 3\n").starts_with("x.yaml:1: faults: 3 is not allowed; use a list of {"));
  CHECK(refusal("faults: &a [*a]\n").starts_with("x.yaml:1: faults: "));
  CHECK(refusal("faults: [&a {role: *a}]\n").starts_with("x.yaml:1: faults: "));
}

constexpr const char* kOwnRecords =
    "data:\n"
    "  source: csv\n"
    "  schema:\n"
    "    label: Label\n"
    "    columns:\n"
    "      - {name: proto, kind: category, values: [6, 17, yes, \"~\", 1e3, 007]}\n"
    "      - {name: bytes, kind: log}\n"
    "      - {name: idle, low: -1, high: 2.5}\n"
    "    classes:\n"
    "      - {name: fine, labels: [ok, true], costs: [0, 2]}\n"
    "      - {name: bad, labels: [\"DoS: #1\"], costs: [3, 0]}\n";

// own_records is kOwnRecords with one of its lines replaced.
std::string own_records(const std::string& from, const std::string& to) {
  std::string text = kOwnRecords;
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a schema's values and labels are texts as they are written") {
  const auto settings = parse_scenario(kOwnRecords, "x.yaml");
  const auto& schema = settings.data.schema;
  CHECK(settings.data.encoding == "onehot");
  CHECK(schema.label == "Label");
  REQUIRE(schema.columns.size() == 3);
  CHECK(schema.columns[0].values == std::vector<std::string>{"6", "17", "yes", "~", "1e3", "007"});
  CHECK(schema.columns[1].kind == "log");
  CHECK(schema.columns[2].kind == "number");
  CHECK(schema.columns[2].low == -1);
  CHECK(schema.columns[2].high == 2.5);
  REQUIRE(schema.classes.size() == 2);
  CHECK(schema.classes[0].labels == std::vector<std::string>{"ok", "true"});
  CHECK(schema.classes[1].labels == std::vector<std::string>{"DoS: #1"});
  CHECK(schema.classes[1].costs == std::vector<std::uint32_t>{3, 0});
  CHECK(same(parse_scenario(to_yaml(settings), "y.yaml"), settings));
}

TEST_CASE("sizes that settings know are those of the schema") {
  const auto own = parse_scenario(kOwnRecords, "x.yaml");
  for (const settings::Settings& settings : {settings::Settings(), own}) {
    const data::Schema schema = role::schema_of(settings);
    const settings::Dimensions dimensions = settings::dimensions_of(settings);
    CHECK(dimensions.inputs == schema.inputs());
    CHECK(dimensions.classes == schema.classes().size());
    CHECK(dimensions.statistics == data::Statistics::values_of(schema));
    CHECK(role::codec_of(settings).settings().parameters == role::shape_of(settings).parameters());
  }
}

TEST_CASE("a column or class that is wrong is refused with its own line") {
  const auto refusal_of = [](const std::string& from, const std::string& to) {
    return refusal(own_records(from, to));
  };
  CHECK(refusal_of("kind: log", "kind: loud") ==
        "x.yaml:7: data.schema.columns: kind: 'loud' is not allowed; use number, log or category");
  CHECK(refusal_of("name: bytes", "nmae: bytes") ==
        "x.yaml:7: data.schema.columns: unknown key 'nmae'; use name, kind, values, low, high");
  CHECK(refusal_of("name: bytes", "name: 7") ==
        "x.yaml:7: data.schema.columns: name: 7 is not allowed; use 1 to 64 characters without ',' "
        "and '\"', in quotes where YAML reads a number or null");
  CHECK(refusal_of("[6, 17,", "[~, 17,")
            .starts_with("x.yaml:6: data.schema.columns: values: null is"));
  CHECK(
      refusal_of("name: bytes", "name: a=b").starts_with("x.yaml:7: data.schema.columns: name: "));
  CHECK(refusal_of("low: -1, high: 2.5", "low: 3, high: 2.5") ==
        "x.yaml:8: data.schema.columns: low and high: a number has both, low below high, or none");
  CHECK(
      refusal_of("low: -1, high: 2.5", "low: 3").starts_with("x.yaml:8: data.schema.columns: low"));
  CHECK(refusal_of(", kind: category", "") ==
        "x.yaml:6: data.schema.columns: values: a category lists them, a number or log has none; "
        "column 'proto' is a number");
  CHECK(refusal_of("labels: [ok, true]", "labels: []")
            .starts_with("x.yaml:10: data.schema.classes: labels: '0 items' is not allowed"));
  CHECK(refusal_of("costs: [3, 0]", "costs: [3, -1]")
            .starts_with("x.yaml:11: data.schema.classes: costs: '-1' is not allowed; use whole"));
  CHECK(refusal_of("name: bytes", "name: idle") ==
        "x.yaml:5: data.schema.columns: column 3: name: 'idle' is an earlier one's");
  CHECK(refusal_of("name: bytes", "name: Label") ==
        "x.yaml:5: data.schema.columns: column 'Label' is there twice");
  CHECK(refusal_of("labels: [ok, true]", "labels: [ok, \"DoS: #1\"]") ==
        "x.yaml:5: data.schema.columns: label 'DoS: #1' is there twice");
  CHECK(refusal_of("source: csv", "source: kdd99")
            .ends_with("data.schema.columns goes with data.source csv, not kdd99"));
  CHECK(refusal_of("source: csv", "encoding: onehot122\n  source: csv") ==
        "x.yaml:2: data.encoding: onehot122 is of KDD'99's columns; use onehot with "
        "data.schema.columns");
  CHECK(refusal("data: { encoding: onehot }\n") ==
        "x.yaml:1: data.encoding: onehot goes with data.schema.columns; use onehot122");
  CHECK(refusal(own_records("data:\n", "mode: encrypted_inputs\nparties: 1\ndata:\n"))
            .find("mode encrypted_inputs takes KDD'99's records alone") != std::string::npos);
}

TEST_CASE("a fault of a party or round that the scenario has not is refused, whoever set that") {
  const std::string text =
      "faults:\n  - {role: keyholder, round: 9, kind: pause}\n"
      "  - {role: party-3, round: 2, kind: kill}\n";
  CHECK(refusal(text) == "nothing was refused");
  CHECK(refusal(text, {"parties=3"}) ==
        "x.yaml:3: faults: role: there is no party-3; the parties are party-0 to party-2");
  CHECK(refusal(text, {"rounds=8"}) == "x.yaml:2: faults: round: 9 never comes; the last is 8");
  CHECK(refusal(text, {"rounds=8", "faults=[]"}) == "nothing was refused");
  CHECK(refusal(text, {"faults=[{role: party-10, round: 1, kind: kill}]"}) ==
        "--set faults=[{role: party-10, round: 1, kind: kill}]: faults: role: there is no "
        "party-10; the parties are party-0 to party-9");
}

TEST_CASE("--set goes through the same checks") {
  CHECK(with_sets("rounds: 5\n", {"rounds=7", "data.partition.kind=dirichlet",
                                  "model.hidden=[64,32]", "deadlines.round_s=2.5"})
            .rounds == 7);
  CHECK(with_sets("", {"model.hidden=[64,32]"}).model.hidden == std::vector<std::uint32_t>{64, 32});
  CHECK(with_sets("", {"rounds=3", "rounds=4"}).rounds == 4);
  CHECK(refusal("", {"local.batch=3"}) ==
        "--set local.batch=3: unknown key 'local.batch' (did you mean 'local.batch_rows'?)");
  CHECK(refusal("", {"parties=2"}) ==
        "--set parties=2: parties: 2 is not allowed; use a whole number from 3 to 1000");
  CHECK(refusal("", {"cipher="}) ==
        "--set cipher=: cipher: null is not allowed; use paillier or none");
  CHECK(refusal("", {"rounds"}) == "--set rounds: key=value is expected");
  CHECK(refusal("", {"=3"}) == "--set =3: key=value is expected");
  CHECK(refusal("", {"model.hidden=[3"}).starts_with("--set model.hidden=[3: "));
}

TEST_CASE("the resolved scenario reads back as the same settings") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    SeededRandom random(seed, "scenario");
    settings::Settings settings;
    for (const settings::Field& field : settings::fields_of(settings)) {
      if (!field.words.empty()) {
        const std::string word(field.words[random.below(field.words.size())]);
        set(field,
            type_of(field) == "word" ? nlohmann::json(word) : nlohmann::json(std::stoul(word)));
      } else if (type_of(field) == "number") {
        set(field, field.least + random.uniform() * (field.most - field.least));
      } else if (type_of(field) == "whole number") {
        const auto most = static_cast<std::uint64_t>(std::min(field.most, 1e9));
        set(field, static_cast<std::uint64_t>(field.least) +
                       random.below(most - static_cast<std::uint64_t>(field.least) + 1));
      } else if (type_of(field) == "list") {
        set(field, nlohmann::json::array({1 + random.below(4096), 1 + random.below(4096)}));
      } else if (type_of(field) == "columns" && seed % 3 == 0) {
        set(field, nlohmann::json::parse(R"([
          {"name": "proto: 1", "kind": "category", "values": ["6", "true", "~", "a #b", "x"]},
          {"name": "7", "kind": "log"}, {"name": "[z]", "kind": "number", "low": -1.5, "high": 2},
          {"name": "ü", "kind": "number"}])"));
      } else if (type_of(field) == "faults") {
        for (std::uint64_t i = random.below(3); i > 0; --i) {
          settings.faults.push_back(
              {"party-2", static_cast<std::uint32_t>(i), "pause", 0.01 + random.uniform(), ""});
          settings.faults.push_back(
              {"coordinator", static_cast<std::uint32_t>(i), "tamper", 1, "swap"});
        }
      }
    }
    test::make_consistent(settings);
    const std::string yaml = to_yaml(settings);
    INFO(yaml);
    CHECK(same(parse_scenario(yaml, "x.yaml"), settings));
  }
  for (const char* name : {"true", "null", "123", "1e3", "0x10", "a.b-c_d"}) {
    settings::Settings settings;
    settings.name = name;
    CHECK(parse_scenario(to_yaml(settings), "x.yaml").name == name);
  }
}

TEST_CASE("hostile text is a ConfigError, never anything else") {
  const std::string good = to_yaml({});
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    INFO("seed " << seed);
    SeededRandom random(seed, "hostile");
    std::string text = good;
    for (std::uint64_t i = 0; i <= random.below(4); ++i) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    text.resize(random.below(text.size() + 1));
    try {
      (void)parse_scenario(text, "x.yaml");
    } catch (const ConfigError&) {
    }
  }
}

TEST_CASE("endless and very deep values are refused") {
  CHECK(refusal("parties: &a [*a]\n").starts_with("x.yaml:1: parties: "));
  CHECK(refusal("model: {hidden: &a [[*a], 3]}\n").starts_with("x.yaml:1: model.hidden: "));
  CHECK(refusal("data: &a {partition: *a}\n").starts_with("x.yaml:1: unknown key"));
  CHECK(refusal("parties: " + std::string(100'000, '[')) != "nothing was refused");
  CHECK(refusal(std::string(100'000, '{')) != "nothing was refused");
}

TEST_CASE("a missing file is a ConfigError") {
  CHECK_THROWS_AS((void)load_scenario("no/such/file.yaml"), ConfigError);
}

TEST_CASE("every scenario that is shipped can be read, and is named as its file") {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("scenarios")) {
    if (entry.path().extension() != ".yaml") continue;
    INFO(entry.path().string());
    CHECK(load_scenario(entry.path()).name == entry.path().stem());
    ++found;
  }
  CHECK(found >= 4);
  settings::Settings defaults;
  defaults.name = "kdd-iid-10";
  CHECK(same(load_scenario("scenarios/kdd-iid-10.yaml"), defaults));
}

TEST_CASE("no shipped scenario holds an algorithm to the settings of another") {
  for (const auto& entry : std::filesystem::directory_iterator("scenarios")) {
    if (entry.path().extension() != ".yaml") continue;
    if (is_encrypted_inputs(load_scenario(entry.path()))) continue;
    for (const char* algorithm :
         {"fedsgd", "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "scaffold"}) {
      INFO(entry.path().string(), " ", algorithm);
      const auto changed =
          load_scenario(entry.path(), std::vector{Override{"--set", "algorithm", algorithm}});
      const auto own = parse_scenario("algorithm: " + std::string(algorithm) + "\n", "x.yaml");
      CHECK(changed.server.optimizer == own.server.optimizer);
      CHECK(changed.server.rate == own.server.rate);
      CHECK(changed.server.schedule == own.server.schedule);
      CHECK(changed.fixed_point.clip == own.fixed_point.clip);
      CHECK(changed.local.rate == own.local.rate);
    }
  }
}

TEST_CASE("scenarios/README.md holds the table of all keys as it is") {
  CHECK(read_text_file("scenarios/README.md").find(key_table()) != std::string::npos);
}
