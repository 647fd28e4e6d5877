#include "tests/support/federation.h"

#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/report/records.h"
#include "tests/support/test_keys.h"

namespace blindsum {
namespace {

Digest digest_of(test::FederationOptions options) {
  test::Federation federation(options);
  REQUIRE(federation.run());
  REQUIRE(federation.key_holder().fault() == Fault::kNone);
  return federation.digest();
}

TEST_CASE("an encrypted federation ends in the same model as the plain one, bit for bit") {
  test::FederationOptions options;
  const Digest plain = digest_of(options);
  options.key = &test::key_2048();
  CHECK(digest_of(options) == plain);
  options.randomizer = crypto::Randomizer::kHalf;
  CHECK(digest_of(options) == plain);
}

TEST_CASE("the number of threads does not change the model") {
  test::FederationOptions options;
  const Digest one = digest_of(options);
  options.threads = 3;
  CHECK(digest_of(options) == one);
}

TEST_CASE("the seed changes the model and a repeat does not") {
  test::FederationOptions options;
  const Digest first = digest_of(options);
  CHECK(digest_of(options) == first);
  options.seed = 2;
  CHECK(digest_of(options) != first);
}

TEST_CASE("stochastic rounding gives the same model encrypted and plain") {
  test::FederationOptions options;
  options.rounding = crypto::Rounding::kStochastic;
  options.bits = 4;  // the row count needs several slots then
  const Digest plain = digest_of(options);
  options.key = &test::key_2048();
  CHECK(digest_of(options) == plain);
}

TEST_CASE("without one party a quorum trains on, and the records name who contributed") {
  test::FederationOptions options;
  options.parties = 5;
  test::Federation federation(options);
  REQUIRE(federation.run({2}));
  CHECK(federation.key_holder().fault() == Fault::kNone);
  const auto records = report::read_records(federation.folder() / "keyholder.jsonl");
  REQUIRE(records.size() == options.rounds + 1);
  for (const auto& json : records) {
    CHECK(report::round_record_from_json(json).contributors ==
          std::vector<std::uint32_t>{0, 1, 3, 4});
  }
}

TEST_CASE("below the quorum the run ends with quorum_lost for everyone") {
  test::Federation federation({});
  REQUIRE(federation.run({0, 3}));
  CHECK(federation.key_holder().fault() == Fault::kQuorumLost);
  CHECK(federation.party(1).fault() == Fault::kQuorumLost);
  CHECK(federation.coordinator().fault() == Fault::kQuorumLost);
}

TEST_CASE("a federation whose parties diverge ends for everyone, with the round and the remedy") {
  test::FederationOptions options;
  options.local.algorithm = model::Algorithm::kFedAvg;
  options.local.rate = 1e38;
  test::Federation federation(options);
  std::size_t rejected = 0;
  federation.link().on_rejected = [&](std::string_view, std::string_view) { ++rejected; };
  REQUIRE(federation.run());
  const std::string reason =
      "round 1: training diverged: the update of layer 1 is not finite; lower local.rate or "
      "server.rate";
  CHECK(federation.key_holder().fault() == Fault::kUsage);
  CHECK(federation.key_holder().reason() == "party-0: " + reason);
  CHECK(federation.coordinator().fault() == Fault::kUsage);
  for (std::uint32_t id = 0; id < options.parties; ++id) {
    CHECK(federation.party(id).fault() == Fault::kUsage);
  }
  CHECK(federation.party(0).reason() == reason);
  CHECK(rejected == 0);
}

TEST_CASE("the coordinator never receives weights, statistics or a plaintext label") {
  test::FederationOptions options;
  options.key = &test::key_2048();
  test::Federation federation(options);
  std::set<std::string> seen;
  federation.link().tamper = [&](const wire::Peer&, const wire::Peer& to, Bytes bytes) {
    if (to == wire::kCoordinatorPeer) seen.emplace(message_name(wire::decode(bytes, {}).body));
    return std::vector<wire::MemoryLink::Delivery>{{0, std::move(bytes)}};
  };
  REQUIRE(federation.run());
  CHECK(seen == std::set<std::string>{"EncryptedUpdate", "Finish", "Hello", "RoundOpen"});
}

TEST_CASE("records hold one line a round and role, with contributors, phases and evaluations") {
  test::FederationOptions options;
  test::Federation federation(options);
  REQUIRE(federation.run());
  const auto holder = report::read_records(federation.folder() / "keyholder.jsonl");
  REQUIRE(holder.size() == options.rounds + 1);
  for (std::uint32_t round = 0; round <= options.rounds; ++round) {
    const auto record = report::round_record_from_json(holder[round]);
    CHECK(record.round == round);
    CHECK(record.evaluation.has_value() == (round > 0));
    CHECK(record.phase_s.contains("decrypt"));
  }
  for (std::uint32_t id = 0; id < options.parties; ++id) {
    const auto party =
        report::read_records(federation.folder() / ("party-" + std::to_string(id) + ".jsonl"));
    REQUIRE(party.size() == options.rounds + 1);
    CHECK(report::round_record_from_json(party[1]).phase_s.contains("train"));
  }
}

}  // namespace
}  // namespace blindsum
