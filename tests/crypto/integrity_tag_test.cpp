// The integrity tags of packed plaintexts, against arithmetic on plain big integers.
#include "shared/crypto/integrity_tag.h"

#include <array>
#include <string>
#include <vector>

#include <NTL/ZZ.h>
#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/packing.h"
#include "shared/crypto/update_cipher.h"
#include "tests/crypto/test_numbers.h"

namespace blindsum::crypto {
namespace {

const Bytes kGroupKey(32, 1);
const Bytes kPartyKey(32, 2);
constexpr Digest kContext{9};

TEST_CASE("tag arithmetic is arithmetic mod 2^61 - 1") {
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "tag arithmetic");
  const NTL::ZZ p = NTL::power2_ZZ(61) - 1;
  std::vector<std::uint64_t> operands{0, 1, 2, kTagModulus - 2, kTagModulus - 1};
  for (int i = 0; i < 200; ++i) operands.push_back(random.next_u64() % kTagModulus);
  const auto zz = [](std::uint64_t value) {
    return NTL::ZZ(static_cast<long>(value >> 32)) * NTL::power2_ZZ(32) +
           static_cast<long>(value & 0xffffffff);
  };
  for (const std::uint64_t a : operands) {
    for (const std::uint64_t b : operands) {
      REQUIRE(zz(tag_multiply(a, b)) == zz(a) * zz(b) % p);
      REQUIRE(zz(tag_add(a, b)) == (zz(a) + zz(b)) % p);
    }
  }
  for (const std::uint64_t wide : {kTagModulus, kTagModulus + 1, ~std::uint64_t{0}}) {
    CHECK(zz(tag_reduce(wide)) == zz(wide) % p);
  }
}

TEST_CASE("multipliers and masks depend on key, context and purpose, and on nothing else") {
  const auto masks = tag_masks(kPartyKey, kContext, 5);
  CHECK(masks.size() == 5);
  CHECK(masks == tag_masks(kPartyKey, kContext, 5));
  CHECK(masks != tag_masks(kGroupKey, kContext, 5));
  CHECK(masks != tag_masks(kPartyKey, Digest{8}, 5));
  CHECK(masks != tag_multipliers(kPartyKey, kContext, 5));
  const auto longer = tag_masks(kPartyKey, kContext, 9);
  CHECK(std::equal(masks.begin(), masks.end(), longer.begin()));
  for (const std::uint64_t mask : longer) CHECK(mask < kTagModulus);
}

// Sum is what some parties' tagged plaintexts add up to, with what a checker needs.
struct Sum {
  PackedEncoder encoder;
  std::vector<std::uint64_t> multipliers;
  std::vector<PlaintextVector> tagged;
  std::vector<std::vector<std::uint64_t>> masks;

  [[nodiscard]] PlaintextVector of(const std::vector<std::size_t>& parties) const {
    const auto accumulator = make_plain_accumulator(tagged[0].limbs_each());
    const auto sealer = make_plain_sealer(tagged[0].limbs_each());
    accumulator->reset(encoder.plaintexts());
    for (const std::size_t party : parties) accumulator->add(sealer->seal(tagged[party]));
    return make_plain_opener(tagged[0].limbs_each())
        ->open(accumulator->finish(), encoder.plaintexts());
  }
  [[nodiscard]] bool passes(const PlaintextVector& sum, const std::vector<std::size_t>& as) const {
    std::vector<std::uint64_t> joint(encoder.plaintexts(), 0);
    for (const std::size_t party : as) {
      for (std::size_t i = 0; i < joint.size(); ++i) joint[i] = tag_add(joint[i], masks[party][i]);
    }
    try {
      encoder.check_tags(sum, multipliers, joint);
      return true;
    } catch (const IntegrityError&) {
      return false;
    }
  }
};

Sum make_sum(unsigned bits, std::uint32_t parties, SeededRandom& random) {
  const auto layout = PackingLayout::make(bits, parties, 1023, true);
  Sum sum{PackedEncoder(layout, 2 * layout.slots + 3, 16), {}, {}, {}};
  sum.multipliers = tag_multipliers(kGroupKey, kContext, sum.encoder.plaintexts());
  const std::int64_t limit = (std::int64_t{1} << (bits - 1)) - 1;
  for (std::uint32_t party = 0; party < parties; ++party) {
    std::vector<std::int64_t> values(sum.encoder.values());
    for (std::int64_t& value : values) {
      const auto drawn = static_cast<std::int64_t>(random.next_u64() >> 2);
      value = party == 0 ? limit : drawn % (2 * limit + 1) - limit;
    }
    Bytes key = kPartyKey;
    key[0] = static_cast<std::uint8_t>(party);
    sum.masks.push_back(tag_masks(key, kContext, sum.encoder.plaintexts()));
    sum.tagged.push_back(sum.encoder.pack(values));
    sum.encoder.add_tags(sum.tagged.back(), sum.multipliers, sum.masks.back());
  }
  return sum;
}

TEST_CASE("the sum of tagged plaintexts passes for exactly the parties that it holds") {
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "tagged sums");
  for (const unsigned bits : {2U, 24U, 57U}) {
    CAPTURE(bits);
    const Sum sum = make_sum(bits, 5, random);
    for (std::size_t subset = 1; subset < 32; ++subset) {
      std::vector<std::size_t> parties;
      for (std::size_t party = 0; party < 5; ++party) {
        if ((subset >> party & 1) != 0) parties.push_back(party);
      }
      const PlaintextVector total = sum.of(parties);
      CHECK(sum.passes(total, parties));
      CHECK_NOTHROW(
          (void)sum.encoder.unpack_sum(total, static_cast<std::uint32_t>(parties.size())));
      std::vector<std::size_t> others{0, 1, 2, 3, 4};
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(subset % 5));
      if (others != parties) CHECK_FALSE(sum.passes(total, others));
    }
    CHECK_FALSE(sum.passes(sum.of({0, 0, 1}), {0, 1}));
    CHECK_FALSE(sum.passes(sum.of({0, 0, 1}), {0, 1, 2}));
  }
}

TEST_CASE("a changed bit, swapped plaintexts or a scaled sum do not pass") {
  INFO("seed ", test::kSeed);
  SeededRandom random(test::kSeed, "tampered sums");
  const Sum sum = make_sum(24, 3, random);
  const std::vector<std::size_t> all{0, 1, 2};
  const PlaintextVector good = sum.of(all);
  REQUIRE(sum.passes(good, all));
  const PackingLayout& layout = sum.encoder.layout();
  for (std::size_t bit = 0; bit < layout.plaintext_bits; ++bit) {
    const bool is_padding = bit >= layout.slots * layout.slot_bits && bit < layout.tag_at();
    PlaintextVector bad = good;
    bad[0][bit / 64] ^= std::uint64_t{1} << (bit % 64);
    CAPTURE(bit);
    if (is_padding) {
      CHECK_THROWS_AS((void)sum.encoder.unpack_sum(bad, 3), IntegrityError);
    } else {
      CHECK_FALSE(sum.passes(bad, all));
    }
  }
  PlaintextVector swapped = good;
  std::swap_ranges(swapped[0].begin(), swapped[0].end(), swapped[1].begin());
  CHECK_FALSE(sum.passes(swapped, all));
}

TEST_CASE("a tag costs the plaintext 61 bits and the addends' headroom") {
  const auto with = PackingLayout::make(24, 10, 3071, true);
  CHECK(with.tag_bits == 65);
  CHECK(with.tag_at() == 3006);
  CHECK(with.slots == 100);
  CHECK(PackingLayout::make(24, 10, 3071).slots == 102);
  CHECK(PackingLayout::make(24, 1, 87, true).slots == 1);
  CHECK_THROWS_AS((void)PackingLayout::make(24, 1, 86, true), ConfigError);
}

}  // namespace
}  // namespace blindsum::crypto
