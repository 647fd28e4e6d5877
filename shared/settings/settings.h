// Settings of a federation: what its processes must agree on. Plain values, all of them public.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/settings/faults.h"

namespace blindsum::settings {

// Settings is the resolved scenario. Words (encoding, optimizer, …) are kept as text: the modules
// that they belong to read them. Defaults are those of scenarios/README.md.
struct Settings {
  std::string name = "unnamed";
  std::uint64_t seed = 1;  // data, shards, weights, batches; never keys
  std::uint32_t parties = 10;
  std::uint32_t rounds = 150;

  struct Partition {
    std::string kind = "iid";  // iid | dirichlet | by_attack
    double alpha = 0.5;        // dirichlet
  };
  struct Data {
    std::string source = "auto";         // auto | kdd99 | synthetic
    std::string encoding = "onehot122";  // onehot122
    Partition partition;
  } data;

  struct Model {
    std::vector<std::uint32_t> hidden{41};
    std::string activation = "relu";     // relu | sigmoid | tanh
    std::string class_weights = "sqrt";  // none | sqrt | balanced
  } model;

  std::string algorithm = "fedsgd";  // fedsgd
  struct Local {
    std::uint32_t batch_rows = 256;
  } local;
  struct Server {
    std::string optimizer = "adam";  // sgd | momentum | adam
    double rate = 0.01;
    std::string schedule = "cosine";  // constant | cosine
  } server;

  struct FixedPoint {
    unsigned bits = 24;
    double clip = 8;
    std::string rounding = "nearest";  // nearest | stochastic
  } fixed_point;

  struct Privacy {
    double noise = 0;  // 0: none
    double clip = 1;
    double delta = 1e-6;
  } privacy;

  std::string cipher = "paillier";  // paillier | none
  struct Paillier {
    std::uint32_t key_bits = 3072;    // 2048 | 3072 | 4096
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

// quorum_of is the least number of contributors whose sum may be opened: max(3, ceil(2N/3)).
[[nodiscard]] std::uint32_t quorum_of(std::uint32_t parties);

// to_json and settings_from_json are exact inverses; settings_from_json throws ConfigError for a
// missing, unknown or mistyped key, with its dotted name.
[[nodiscard]] nlohmann::json to_json(const Settings& settings);
[[nodiscard]] Settings settings_from_json(const nlohmann::json& json);

}  // namespace blindsum::settings
