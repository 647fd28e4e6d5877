// What a party does in a round before it sends: one gradient, or several steps of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/data/encoder.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"

namespace blindsum::model {

// Algorithm is how local work and the key-holder's step make a round.
//   kFedSgd    one gradient a party (McMahan et al. 2017, FedSGD)
//   kFedAvg    local steps of SGD, and the mean of the ways gone (McMahan et al. 2017, algorithm 1)
//   kFedProx   FedAvg with a pull back to the weights of the round (Li et al. 2020, algorithm 2)
//   kFedAvgM   FedAvg with momentum at the key-holder (Hsu et al. 2019)
//   kFedAdam, kFedYogi   FedAvg with adaptive steps at the key-holder (Reddi et al. 2021, algorithm
//              2)
//   kScaffold  FedAvg with control variates against drift (Karimireddy et al. 2020, algorithm 1,
//              option II; parties weigh by their rows, as elsewhere, where the paper has 1/N)
enum class Algorithm : std::uint8_t {
  kFedSgd,
  kFedAvg,
  kFedProx,
  kFedAvgM,
  kFedAdam,
  kFedYogi,
  kScaffold
};
[[nodiscard]] std::string_view to_string(Algorithm algorithm);         // "fedsgd", …, "scaffold"
[[nodiscard]] Algorithm algorithm_from_string(std::string_view name);  // Throws ConfigError.

// LocalSettings is what everybody knows of the local work.
struct LocalSettings {
  Algorithm algorithm = Algorithm::kFedSgd;
  std::uint32_t batch_rows = 256;
  std::uint32_t steps = 20;  // a round, of batch_rows rows each; unless epochs > 0
  std::uint32_t epochs = 0;  // passes over the shard a round
  double rate = 0.1;         // of local steps
  Schedule schedule = Schedule::kConstant;
  double proximal = 0;         // kFedProx: μ
  std::uint32_t rounds = 150;  // length of the schedule
  std::uint32_t parties = 1;   // enrolled
};

// LocalScale is the scale of an update in a round, the same for all parties: they send (w −
// w')/unit times their weight, where w' is where local steps have led, so that a sum has the size
// of a gradient whatever the rate and the number of steps. A party that used `rows` rows weighs
// one.
struct LocalScale {
  double unit = 1;              // rate · steps; of kFedSgd 1
  std::uint32_t rows = 1;       // for a weight of 1
  std::uint64_t most_rows = 1;  // that a party may count
};

// scale_of follows from the settings, the joint statistics and the round (from 1).
[[nodiscard]] LocalScale scale_of(const LocalSettings& settings, const data::Statistics& joint,
                                  std::uint32_t round);

// LocalWork is what local training gives: the gradient, or (w − w')/unit, not yet weighted, and the
// rows that it counts for.
struct LocalWork {
  std::vector<double> direction;
  std::uint32_t rows = 0;
};

// train_locally does a party's work of one round on its dataset. `correction`, of kScaffold alone,
// is added to every gradient (c − c_i); else empty. Deterministic in all arguments, one thread.
// Throws Error when sizes differ.
[[nodiscard]] LocalWork train_locally(const Shape& shape, const Parameters& parameters,
                                      const data::Dataset& dataset,
                                      std::span<const double> class_weights,
                                      const LocalSettings& settings, const LocalScale& scale,
                                      std::uint64_t seed, std::uint32_t party, std::uint32_t round,
                                      std::span<const float> correction = {});

// require_finite throws ConfigError when one of `values`, in the order of the parameters, is not a
// finite number: training has diverged. The message names `what` they are ("the
// update"), the layer (from 1), and the keys to lower.
void require_finite(const Shape& shape, const LocalSettings& settings, std::string_view what,
                    std::span<const double> values);
void require_finite(const Shape& shape, const LocalSettings& settings, std::string_view what,
                    std::span<const float> values);

// sampled_parties draws, ascending, the `sample` of `parties` that a round asks: all when sample is
// 0 or not less than parties. Deterministic in (seed, round).
[[nodiscard]] std::vector<std::uint32_t> sampled_parties(std::uint32_t parties,
                                                         std::uint32_t sample, std::uint64_t seed,
                                                         std::uint32_t round);

}  // namespace blindsum::model
