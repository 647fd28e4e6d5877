// What a tampering coordinator hands on, against sums worked out here. Updates are not encrypted,
// so that a test can read them.
#include "coordinator/tampering.h"

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/update_cipher.h"

namespace blindsum::coordinator {
namespace {

using Numbers = std::vector<std::uint64_t>;

constexpr std::size_t kLimbs = 2;
constexpr std::size_t kChunks = 3;

Bytes payload(const Numbers& numbers) {
  crypto::PlaintextVector plaintexts(numbers.size(), kLimbs);
  for (std::size_t i = 0; i < numbers.size(); ++i) plaintexts[i][0] = numbers[i];
  return crypto::make_plain_sealer(kLimbs)->seal(plaintexts);
}

Numbers opened(ByteView payload) {
  const auto plaintexts = crypto::make_plain_opener(kLimbs)->open(payload, kChunks);
  Numbers numbers;
  for (std::size_t i = 0; i < kChunks; ++i) {
    CHECK(plaintexts[i][1] == 0);
    numbers.push_back(plaintexts[i][0]);
  }
  return numbers;
}

Tampering tampering(const std::string& how) {
  return {{{"coordinator", 5, "tamper", 1, how}},
          kLimbs,
          crypto::make_plain_sealer(kLimbs),
          crypto::make_plain_accumulator(kLimbs)};
}

// Updates of parties 1, 2 and 4: in round 4 from {100, 200, 300}, in round 5 from {1, 2, 3}, times
// the party's number.
void show_updates(Tampering& tampering) {
  for (const std::uint32_t party : {1, 2, 4}) {
    wire::EncryptedUpdate update;
    for (update.round = 3; update.round <= 5; ++update.round) {
      const std::uint64_t factor = update.round == 5 ? party : 100 * party;
      update.payload = payload({factor, 2 * factor, 3 * factor});
      tampering.see(party, update);
    }
  }
}

wire::EncryptedAggregate honest() {
  wire::EncryptedAggregate aggregate;
  aggregate.round = 5;
  for (const std::uint32_t party : {1, 2, 4}) aggregate.contributions.push_back({party, {}, {}});
  aggregate.payload = payload({7, 14, 21});
  return aggregate;
}

Numbers tampered(const std::string& how) {
  Tampering with = tampering(how);
  show_updates(with);
  REQUIRE(with.fault_of(5) != nullptr);
  const auto aggregate = with.change(honest(), *with.fault_of(5));
  CHECK(aggregate.round == 5);
  auto contributions = aggregate.contributions;
  CHECK((contributions[0].payload_hash != Digest{}) == (how == "forge"));
  contributions[0].payload_hash = {};
  CHECK(contributions == honest().contributions);
  return opened(aggregate.payload);
}

TEST_CASE("each way of tampering hands on the sum that it is described by") {
  CHECK(tampered("drop") == Numbers{3, 6, 9});
  CHECK(tampered("double") == Numbers{8, 16, 24});
  CHECK(tampered("replay") == Numbers{106, 212, 318});
  CHECK(tampered("swap") == Numbers{14, 7, 21});
  CHECK(tampered("scale") == Numbers{14, 28, 42});
  CHECK(tampered("alter") == Numbers{8, 14, 21});
  CHECK(tampered("forge") == Numbers{6, 12, 18});
}

TEST_CASE("other rounds are left alone") {
  const Tampering with = tampering("drop");
  for (const std::uint32_t round : {0, 4, 6}) CHECK(with.fault_of(round) == nullptr);
}

TEST_CASE("a replay of an update that was never seen is an Error, not another sum") {
  Tampering with = tampering("replay");
  wire::EncryptedUpdate update;
  update.round = 5;
  update.payload = payload({1, 2, 3});
  for (const std::uint32_t party : {1, 2, 4}) with.see(party, update);
  CHECK_THROWS_AS((void)with.change(honest(), *with.fault_of(5)), Error);
}

}  // namespace
}  // namespace blindsum::coordinator
