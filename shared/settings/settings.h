// Settings of a federation: what its processes must agree on. Plain values, all of them public.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/settings/faults.h"
#include "shared/settings/record_schema.h"

namespace blindsum::settings {

// Settings is the resolved scenario. Words (encoding, optimizer, …) are kept as text: the modules
// that they belong to read them. Defaults are those of scenarios/README.md.
struct Settings {
  std::string name = "unnamed";
  std::string mode = "federated";  // federated | encrypted_inputs
  std::uint64_t seed = 1;          // data, shards, weights, batches; never keys
  std::uint32_t parties = 10;
  std::uint32_t rounds = 150;

  struct Partition {
    // iid | dirichlet | quantity | classes | by_attack | by_service | by_time |
    // files
    std::string kind = "iid";
    double alpha = 0.5;         // dirichlet, quantity
    std::uint32_t classes = 2;  // classes: of a party
  };
  struct ZeroDay {
    std::string attack = "none";      // "none" or an attack's name
    std::string known_to = "nobody";  // "nobody" or "party-<k>"
  };
  struct Data {
    std::string source = "auto";         // auto | kdd99 | nsl_kdd | csv | synthetic
    std::string encoding = "onehot122";  // onehot122: of KDD'99; onehot: of a schema
    // What the records of data.source csv are; without columns those of KDD'99.
    struct Schema {
      std::string label = "label";  // name of the label's column
      std::vector<SchemaColumn> columns;
      std::vector<SchemaClass> classes;
    } schema;
    Partition partition;
    ZeroDay zero_day;
  } data;

  struct Model {
    std::vector<std::uint32_t> hidden{41};
    std::string activation = "relu";     // relu | sigmoid | tanh | square
    std::string class_weights = "sqrt";  // none | sqrt | balanced
  } model;

  // fedsgd | fedavg | fedprox | fedavgm | fedadam | fedyogi | scaffold
  std::string algorithm = "fedsgd";
  struct Local {
    std::uint32_t batch_rows = 256;
    std::uint32_t steps = 20;  // all but fedsgd
    std::uint32_t epochs = 0;  // all but fedsgd; 0: steps count
    double rate = 0.1;
    std::string schedule = "constant";  // constant | cosine
    double proximal = 0.01;             // fedprox
  } local;
  struct Server {
    std::string optimizer = "adam";  // sgd | momentum | adam | yogi
    double rate = 0.01;
    std::string schedule = "cosine";  // constant | cosine
  } server;

  struct Sampling {
    std::uint32_t parties = 0;  // asked in a round; 0: all
    std::uint32_t extra = 0;    // asked beyond that; the first to come count
  } sampling;

  struct Stop {
    double accuracy = 0;         // reached; 0: off
    std::uint32_t patience = 0;  // evaluations without a better macro-F1; 0: off
    double minutes = 0;          // of training; 0: off
  } stop;

  struct FixedPoint {
    unsigned bits = 24;
    double clip = 8;
    std::string rounding = "nearest";  // nearest | stochastic
    double tolerance = 0;              // instead of bits: see launcher/quantisation.h; 0: off
  } fixed_point;

  struct Privacy {
    double noise = 0;  // 0: none
    double clip = 1;
    double delta = 1e-6;
  } privacy;

  struct EncryptedInputs {
    std::string task = "replay";      // replay | detect
    std::string activation = "none";  // detect: none | square
    std::uint32_t hidden = 8;         // detect with square
    std::uint32_t batch_rows = 0;     // detect: records in a message; 0: as many as fit
    std::string gradient = "seed";    // seed | right
    std::string scaler = "seed";      // seed | train
    std::uint32_t epochs = 5;
    std::uint32_t train_rows = 10000;
    std::uint32_t test_rows = 1000;
  } encrypted_inputs;

  std::string cipher = "paillier";  // paillier | none
  struct Paillier {
    std::uint32_t key_bits = 3072;    // 256 | 2048 | 3072 | 4096
    std::string randomizer = "half";  // full | half | short
  } paillier;

  std::string runtime = "processes";  // processes | memory
  std::uint32_t threads = 0;          // per role; 0: shared out over the machine's processors
  std::uint32_t evaluate_every =
      1;  // rounds between evaluations; the last round is always evaluated
  struct Deadlines {
    double round_s = 30;
    double start_s = 120;  // until every party is ready
  } deadlines;

  std::vector<PlannedFault> faults;
};

// is_encrypted_inputs says whether the scenario is of mode encrypted_inputs.
[[nodiscard]] inline bool is_encrypted_inputs(const Settings& settings) {
  return settings.mode == "encrypted_inputs";
}

// is_detection says whether it is private detection.
[[nodiscard]] inline bool is_detection(const Settings& settings) {
  return is_encrypted_inputs(settings) && settings.encrypted_inputs.task == "detect";
}

// has_schema says whether the scenario describes its records itself.
[[nodiscard]] inline bool has_schema(const Settings& settings) {
  return !settings.data.schema.columns.empty();
}

// Dimensions are what the size of messages and models follows from: inputs of the network, classes,
// and numbers in a statistics update.
struct Dimensions {
  std::size_t inputs, classes, statistics;
};
[[nodiscard]] Dimensions dimensions_of(const Settings& settings);

// quorum_of is the least number of contributors whose sum may be opened: max(3, ceil(2N/3)).
[[nodiscard]] std::uint32_t quorum_of(std::uint32_t parties);

// gradient_quorum_of is the quorum of a gradient round: of the parties that it waits for.
[[nodiscard]] std::uint32_t gradient_quorum_of(const Settings& settings);

// apply_algorithm sets the server's keys, and the local rate of scaffold, to what `algorithm`
// means, but for those that `is_given`: fedsgd steps with Adam at .01, falling; fedavg, fedprox and
// scaffold take the mean of the parties' ways as it is; fedavgm, fedadam and fedyogi have an
// optimiser of their own.
void apply_algorithm(Settings& settings, const std::function<bool(std::string_view)>& is_given);

// apply_schema sets data.encoding to the one that goes with the records, unless it `is_given`.
void apply_schema(Settings& settings, const std::function<bool(std::string_view)>& is_given);

// zero_day_party_of is the party that data.zero_day.known_to names; nothing for "nobody". Throws
// ConfigError for a party that there is not.
[[nodiscard]] std::optional<std::uint32_t> zero_day_party_of(const Settings& settings);

// require_consistent throws ConfigError for values that exclude each other, naming both keys.
void require_consistent(const Settings& settings);

// to_json and settings_from_json are exact inverses; settings_from_json throws ConfigError for a
// missing, unknown or mistyped key, with its dotted name.
[[nodiscard]] nlohmann::json to_json(const Settings& settings);
[[nodiscard]] Settings settings_from_json(const nlohmann::json& json);

}  // namespace blindsum::settings
