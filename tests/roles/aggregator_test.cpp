#include "coordinator/aggregator.h"

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/crypto/update_cipher.h"

namespace blindsum::coordinator {
namespace {

using wire::AcceptResult;

constexpr std::size_t kLimbs = 2;

Bytes payload(std::uint64_t low) {
  crypto::PlaintextVector plaintexts(1, kLimbs);
  plaintexts[0][0] = low;
  return crypto::make_plain_sealer(kLimbs)->seal(plaintexts);
}

std::uint64_t opened(ByteView sum) { return crypto::make_plain_opener(kLimbs)->open(sum, 1)[0][0]; }

wire::Contribution from(std::uint32_t party) {
  return {party, Digest{static_cast<std::uint8_t>(party + 1)}, Signature{}};
}

TEST_CASE("each party counts once and the order does not matter") {
  for (const auto& order : {std::vector<std::uint32_t>{0, 1, 2}, {2, 0, 1}}) {
    Aggregator aggregator(4, crypto::make_plain_accumulator(kLimbs));
    aggregator.open(1);
    for (const std::uint32_t party : order) {
      CHECK(aggregator.accept(from(party), payload(10 + party)) == AcceptResult::kAccepted);
      CHECK(aggregator.accept(from(party), payload(1000)) == AcceptResult::kDuplicate);
    }
    CHECK(aggregator.contributions() == std::vector{from(0), from(1), from(2)});
    CHECK(opened(aggregator.finish()) == 33);
  }
}

TEST_CASE("an invalid payload leaves the sum unchanged and its party may try again") {
  Aggregator aggregator(2, crypto::make_plain_accumulator(kLimbs));
  aggregator.open(1);
  CHECK(aggregator.accept(from(0), payload(5)) == AcceptResult::kAccepted);
  Bytes truncated = payload(7);
  truncated.pop_back();
  CHECK(aggregator.accept(from(1), truncated) == AcceptResult::kInvalid);
  CHECK(aggregator.accept(from(1), {}) == AcceptResult::kInvalid);
  CHECK(aggregator.count() == 1);
  CHECK(aggregator.accept(from(1), payload(7)) == AcceptResult::kAccepted);
  CHECK(opened(aggregator.finish()) == 12);
}

TEST_CASE("opening a round forgets the one before") {
  Aggregator aggregator(2, crypto::make_plain_accumulator(kLimbs));
  aggregator.open(1);
  CHECK(aggregator.accept(from(0), payload(5)) == AcceptResult::kAccepted);
  aggregator.open(1);
  CHECK(aggregator.count() == 0);
  CHECK(aggregator.accept(from(0), payload(6)) == AcceptResult::kAccepted);
  CHECK(opened(aggregator.finish()) == 6);
}

}  // namespace
}  // namespace blindsum::coordinator
