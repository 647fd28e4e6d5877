// Every algorithm as a federation: encrypted against plain, samples, early ends.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "party/control_variate.h"
#include "shared/core/error.h"
#include "shared/report/records.h"
#include "shared/wire/codec.h"
#include "tests/support/federation.h"
#include "tests/support/test_keys.h"

namespace blindsum {
namespace {

using model::Algorithm;

constexpr std::array kAlgorithms{Algorithm::kFedSgd,  Algorithm::kFedAvg,  Algorithm::kFedProx,
                                 Algorithm::kFedAvgM, Algorithm::kFedAdam, Algorithm::kFedYogi,
                                 Algorithm::kScaffold};

test::FederationOptions options_for(Algorithm algorithm) {
  using model::OptimizerKind;
  test::FederationOptions options;
  options.rounds = 3;
  options.shape = {122, {4}, 5, model::Activation::kRelu};
  options.local.algorithm = algorithm;
  options.local.batch_rows = 16;
  options.local.steps = 3;
  options.local.proximal = 0.1;
  options.optimizer.schedule = model::Schedule::kConstant;
  switch (algorithm) {
    case Algorithm::kFedSgd:
    case Algorithm::kFedAdam:
      options.optimizer.kind = OptimizerKind::kAdam;
      break;
    case Algorithm::kFedAvgM:
      options.optimizer.kind = OptimizerKind::kMomentum;
      break;
    case Algorithm::kFedYogi:
      options.optimizer.kind = OptimizerKind::kYogi;
      break;
    default:
      options.optimizer = {OptimizerKind::kSgd, 1, model::Schedule::kConstant};
  }
  options.clip = algorithm == Algorithm::kScaffold ? 64 : 8;
  options.keeps_records = false;
  return options;
}

Digest digest_of(const test::FederationOptions& options) {
  test::Federation federation(options);
  REQUIRE(federation.run());
  REQUIRE(federation.key_holder().fault() == Fault::kNone);
  return federation.digest();
}

// cut_by_hand makes shards as parties bring them with `files`: of very different sizes, down to one
// row, and one row at two parties.
test::FederationData cut_by_hand(const test::FederationOptions& options) {
  test::FederationOptions whole = options;
  whole.parties = 1;
  test::FederationData data = test::make_data(whole);
  const data::RecordTable train = std::move(data.shards.at(0));
  const auto rows = [&](std::uint32_t begin, std::size_t end) {
    std::vector<std::uint32_t> numbers(end - begin);
    std::iota(numbers.begin(), numbers.end(), begin);
    return data::select(train, numbers);
  };
  data.shards = {rows(0, 1), rows(0, 40), rows(40, 700), rows(700, train.rows)};
  return data;
}

// require_same_models runs every algorithm on `data`, plain and encrypted under `key`. `seen` holds
// the models of earlier calls: no two runs may end in the same one.
void require_same_models(const test::FederationData& data, const crypto::SecretKey& key,
                         std::set<Digest>& seen) {
  for (const Algorithm algorithm : kAlgorithms) {
    CAPTURE(to_string(algorithm));
    test::FederationOptions options = options_for(algorithm);
    options.data = &data;
    options.modulus_bits = key.public_key().modulus_bits();
    const Digest plain = digest_of(options);
    options.key = &key;
    CHECK(digest_of(options) == plain);
    CHECK(seen.insert(plain).second);
  }
}

TEST_CASE("encrypted and plain runs end in the same model for every algorithm and partition") {
  using data::PartitionKind;
  std::set<Digest> seen;
  test::FederationOptions options = options_for(Algorithm::kFedSgd);
  for (const auto kind :
       {PartitionKind::kIid, PartitionKind::kDirichlet, PartitionKind::kByAttack}) {
    CAPTURE(to_string(kind));
    options.partition = {kind, 0.3};
    require_same_models(test::make_data(options), test::key_2048(), seen);
  }
  const crypto::SecretKey small = test::insecure_test_key(512);
  for (const auto kind : {PartitionKind::kQuantity, PartitionKind::kSomeClasses,
                          PartitionKind::kByService, PartitionKind::kByTime}) {
    CAPTURE(to_string(kind));
    options.partition = {kind, 0.3};
    require_same_models(test::make_data(options), small, seen);
  }
  INFO("files");
  require_same_models(cut_by_hand(options), small, seen);
  CHECK(seen.size() == 8 * kAlgorithms.size());
}

TEST_CASE("epochs, too, give the same model encrypted and plain") {
  for (const Algorithm algorithm : {Algorithm::kFedAvg, Algorithm::kFedProx}) {
    test::FederationOptions options = options_for(algorithm);
    options.partition = {data::PartitionKind::kDirichlet, 0.3};
    options.local.batch_rows = 64;
    options.local.epochs = 2;
    const test::FederationData data = test::make_data(options);
    options.data = &data;
    const Digest plain = digest_of(options);
    options.key = &test::key_2048();
    CHECK(digest_of(options) == plain);
  }
}

std::vector<report::RoundRecord> rounds_of(const test::Federation& federation) {
  std::vector<report::RoundRecord> rounds;
  for (const auto& line : report::read_records(federation.folder() / "keyholder.jsonl")) {
    if (report::kind_of(line) == report::LineKind::kRound) {
      rounds.push_back(report::round_record_from_json(line));
    }
  }
  return rounds;
}

// c = Σ w_i c_i / Σ w_i, where w_i are the rows that parties count for, holds before the first
// round and must hold after each: else the corrections c − c_i do not cancel and drive the steps
// off.
TEST_CASE("under scaffold c stays the mean of all c_i, whatever is clipped") {
  test::FederationOptions options = options_for(Algorithm::kScaffold);
  options.rounds = 12;
  options.clip = 0.02;
  options.partition = {data::PartitionKind::kDirichlet, 0.1};
  options.keeps_controls = true;
  options.keeps_records = true;
  const test::FederationData data = test::make_data(options);
  options.data = &data;
  test::Federation federation(options);
  model::Parameters control;
  federation.link().tamper = [&](const wire::Peer&, const wire::Peer&, Bytes bytes) {
    const wire::Message message = wire::decode(bytes, {});
    if (const auto* start = std::get_if<wire::RoundStart>(&message.body);
        start != nullptr && start->round == options.rounds) {
      const ByteView weights = start->weights;
      control = model::parameters_from_bytes(weights.subspan(weights.size() / 2), options.shape);
    }
    return std::vector<wire::MemoryLink::Delivery>{{0, std::move(bytes)}};
  };
  REQUIRE(federation.run());
  REQUIRE(federation.key_holder().fault() == Fault::kNone);
  REQUIRE(control.size() == options.shape.parameters());

  std::vector<double> mean(control.size(), 0.0);
  double all = 0;
  for (std::uint32_t id = 0; id < options.parties; ++id) {
    const std::string name = "party-" + std::to_string(id);
    const std::size_t most = options.local.steps * options.local.batch_rows;
    const auto rows = static_cast<double>(std::min(data.shards[id].rows, most));
    party::ControlVariate own(federation.run_id(), id, control.size(),
                              federation.folder() / (name + ".control"));
    const std::vector<float>& values = own.at_round(options.rounds);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += rows * double{values[i]};
    all += rows;
    std::uint64_t clipped = 0;
    for (const auto& line : report::read_records(federation.folder() / (name + ".jsonl"))) {
      clipped += report::round_record_from_json(line).clipped_values;
    }
    CHECK(clipped > 0);
  }
  for (std::size_t i = 0; i < mean.size(); ++i) {
    REQUIRE(std::abs(mean[i] / all - double{control[i]}) < 1e-6);
  }
}

TEST_CASE("a round asks its sample, and nobody else") {
  for (const Algorithm algorithm : {Algorithm::kFedSgd, Algorithm::kScaffold}) {
    test::FederationOptions options = options_for(algorithm);
    options.parties = 8;
    options.rounds = 6;
    options.sample = 4;
    options.keeps_records = true;
    test::Federation federation(options);
    REQUIRE(federation.run());
    REQUIRE(federation.key_holder().fault() == Fault::kNone);
    const auto rounds = rounds_of(federation);
    REQUIRE(rounds.size() == 7);
    CHECK(rounds[0].contributors.size() == 8);
    for (std::uint32_t round = 1; round <= 6; ++round) {
      CHECK(rounds[round].contributors == model::sampled_parties(8, 4, options.seed, round));
    }
  }
}

TEST_CASE("a sample goes on without a party of it, down to its own quorum") {
  test::FederationOptions options = options_for(Algorithm::kFedAvg);
  options.parties = 6;
  options.rounds = 5;
  options.sample = 5;  // of which 4 make a quorum
  options.keeps_records = true;
  test::Federation federation(options);
  REQUIRE(federation.run({2}));
  CHECK(federation.key_holder().fault() == Fault::kNone);
  for (const auto& round : rounds_of(federation)) {
    CHECK(std::find(round.contributors.begin(), round.contributors.end(), 2U) ==
          round.contributors.end());
    CHECK(round.contributors.size() >= 4);
  }
}

// four_of_six has seven parties, of which a round asks six and takes the first four.
test::FederationOptions four_of_six() {
  test::FederationOptions options = options_for(Algorithm::kFedSgd);
  options.parties = 7;
  options.rounds = 5;
  options.sample = 4;
  options.extra = 2;
  options.keeps_records = true;
  return options;
}

TEST_CASE("asked beyond the need, the first to come make the round") {
  const test::FederationOptions options = four_of_six();
  test::Federation federation(options);
  REQUIRE(federation.run());
  REQUIRE(federation.key_holder().fault() == Fault::kNone);
  const auto rounds = rounds_of(federation);
  REQUIRE(rounds.size() == 6);
  for (std::uint32_t round = 1; round <= 5; ++round) {
    CHECK(rounds[round].contributors.size() == 4);
    const auto asked = model::sampled_parties(7, 6, options.seed, round);
    for (const std::uint32_t party : rounds[round].contributors) {
      CHECK(std::find(asked.begin(), asked.end(), party) != asked.end());
    }
  }
}

TEST_CASE("the first to come are not the lowest numbers") {
  const test::FederationOptions options = four_of_six();
  test::Federation federation(options);
  // The lower a party's number, the later its gradients come.
  federation.link().tamper = [&](const wire::Peer& from, const wire::Peer&, Bytes bytes) {
    const wire::Message message = wire::decode(bytes, {});
    const auto* update = std::get_if<wire::EncryptedUpdate>(&message.body);
    const bool is_gradient = update != nullptr && update->round > 0;
    const wire::TimeMs delay = is_gradient ? 10 * (options.parties - from.id) : 0;
    return std::vector<wire::MemoryLink::Delivery>{{delay, std::move(bytes)}};
  };
  REQUIRE(federation.run());
  REQUIRE(federation.key_holder().fault() == Fault::kNone);
  const auto rounds = rounds_of(federation);
  REQUIRE(rounds.size() == 6);
  for (std::uint32_t round = 1; round <= 5; ++round) {
    const auto asked = model::sampled_parties(7, 6, options.seed, round);
    CHECK(rounds[round].contributors ==
          std::vector<std::uint32_t>(asked.begin() + options.extra, asked.end()));
  }
}

TEST_CASE("a run ends early with the model that was good enough") {
  test::FederationOptions options = options_for(Algorithm::kFedSgd);
  options.rounds = 30;
  options.keeps_records = true;
  test::Federation whole(options);
  REQUIRE(whole.run());
  const auto all = rounds_of(whole);
  double wanted = 0;
  std::uint32_t first = 0;  // the first round whose accuracy is the best of the first ten
  for (std::uint32_t round = 1; round <= 10; ++round) {
    if (all[round].evaluation->accuracy > wanted) {
      wanted = all[round].evaluation->accuracy;
      first = round;
    }
  }
  REQUIRE(first > 0);
  options.stop.accuracy = wanted;
  test::Federation federation(options);
  REQUIRE(federation.run());
  CHECK(federation.key_holder().fault() == Fault::kNone);
  CHECK(federation.coordinator().fault() == Fault::kNone);
  for (std::uint32_t id = 0; id < options.parties; ++id) {
    CHECK(federation.party(id).fault() == Fault::kNone);
  }
  const auto rounds = rounds_of(federation);
  REQUIRE(rounds.size() == first + 1);
  CHECK(rounds.back().model_digest == all[first].model_digest);
  CHECK(digest_text(federation.digest()) == all[first].model_digest);
}

TEST_CASE("patience ends a run that gets no better") {
  test::FederationOptions options = options_for(Algorithm::kFedSgd);
  options.rounds = 40;
  options.optimizer = {model::OptimizerKind::kSgd, 1e-9, model::Schedule::kConstant};
  options.stop.patience = 3;
  options.keeps_records = true;
  test::Federation federation(options);
  REQUIRE(federation.run());
  CHECK(federation.key_holder().fault() == Fault::kNone);
  CHECK(rounds_of(federation).size() == 5);  // round 0, the best one, and three no better
}

}  // namespace
}  // namespace blindsum
