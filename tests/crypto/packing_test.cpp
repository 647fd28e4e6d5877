// Fixed point and packing: the integers that are encrypted.
#include "shared/crypto/packing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/crypto/update_cipher.h"
#include "shared/crypto/update_codec.h"
#include "tests/crypto/test_numbers.h"

namespace blindsum::crypto {
namespace {

using test::Integer;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

PlaintextVector sum_of(const std::vector<PlaintextVector>& addends) {
  PlaintextVector sum(addends[0].size(), addends[0].limbs_each());
  for (const PlaintextVector& addend : addends) {
    for (std::size_t i = 0; i < sum.size(); ++i) {
      REQUIRE(mpn_add_n(sum[i].data(), sum[i].data(), addend[i].data(),
                        static_cast<mp_size_t>(sum.limbs_each())) == 0);
    }
  }
  return sum;
}

TEST_CASE("the sum of as many extreme values as the layout admits is exact") {
  for (const unsigned bits : {2U, 16U, 24U, 32U, 50U}) {
    for (const std::uint32_t addends : {1U, 2U, 3U, 4U, 5U, 10U, 16U, 17U, 1000U, 1024U}) {
      CAPTURE(bits);
      CAPTURE(addends);
      const auto layout = PackingLayout::make(bits, addends, 511);
      const Integer largest_sum =
          Integer(static_cast<long>(addends)) * (Integer::power_of_two(bits) - Integer(1));
      CHECK(largest_sum < Integer::power_of_two(layout.slot_bits));
      CHECK(layout.slots * layout.slot_bits <= 511);
      const std::int64_t extreme = (std::int64_t{1} << (bits - 1)) - 1;
      const PackedEncoder encoder(layout, 3 * layout.slots + 1, 8);
      std::vector<std::int64_t> values(encoder.values());
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? extreme : -extreme;
      const std::vector<PlaintextVector> copies(addends, encoder.pack(values));
      const auto sums = encoder.unpack_sum(sum_of(copies), addends);
      bool are_exact = true;
      for (std::size_t i = 0; i < values.size(); ++i) {
        are_exact = are_exact && sums[i] == values[i] * static_cast<std::int64_t>(addends);
      }
      CHECK(are_exact);
    }
  }
}

TEST_CASE("sums of random values are exact for every number of addends") {
  INFO("seed ", test::kSeed);
  for (std::uint32_t max_addends = 1; max_addends <= 20; ++max_addends) {
    SeededRandom random(test::kSeed, "packing", {max_addends});
    const auto bits = static_cast<unsigned>(2 + random.below(40));
    const PackedEncoder encoder(PackingLayout::make(bits, max_addends, 1023), 1 + random.below(100),
                                16);
    const auto addends = static_cast<std::uint32_t>(1 + random.below(max_addends));
    std::vector<PlaintextVector> packed;
    std::vector<std::int64_t> expected(encoder.values());
    for (std::uint32_t i = 0; i < addends; ++i) {
      std::vector<std::int64_t> values;
      for (std::int64_t& total : expected) {
        const auto range = (std::uint64_t{1} << bits) - 1;
        values.push_back(static_cast<std::int64_t>(random.below(range)) -
                         static_cast<std::int64_t>(range / 2));
        total += values.back();
      }
      packed.push_back(encoder.pack(values));
    }
    CHECK(encoder.unpack_sum(sum_of(packed), addends) == expected);
  }
}

TEST_CASE("a set padding bit or an out-of-range slot is an IntegrityError") {
  const auto layout = PackingLayout::make(8, 3, 127);  // slots of 12 bits, 10 in a plaintext
  REQUIRE(layout.slot_bits == 12);
  REQUIRE(layout.slots == 10);
  const PackedEncoder encoder(layout, 13, 2);
  const PlaintextVector good = encoder.pack(std::vector<std::int64_t>(13, 5));
  CHECK_NOTHROW((void)encoder.unpack_sum(good, 1));
  for (const std::size_t bit : {120, 121, 126, 127, 128 + 36, 128 + 64, 128 + 127}) {
    CAPTURE(bit);
    PlaintextVector bad = good;
    bad.limbs()[bit / 64] ^= std::uint64_t{1} << (bit % 64);
    CHECK_THROWS_AS((void)encoder.unpack_sum(bad, 1), IntegrityError);
  }
  for (std::size_t slot = 0; slot < 13; ++slot) {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{256}, std::uint64_t{4095}}) {
      PlaintextVector bad = good;
      const std::size_t at = slot % 10 * 12;
      for (std::size_t bit = 0; bit < 12; ++bit) {
        std::uint64_t& limb = bad[slot / 10][(at + bit) / 64];
        const std::uint64_t mask = std::uint64_t{1} << ((at + bit) % 64);
        limb = ((value >> bit) & 1) != 0 ? limb | mask : limb & ~mask;
      }
      CHECK_THROWS_AS((void)encoder.unpack_sum(bad, 1), IntegrityError);
    }
  }
  // One vector is not the sum of two: offsets are counted.
  CHECK_THROWS_AS((void)encoder.unpack_sum(encoder.pack(std::vector<std::int64_t>(13, -127)), 2),
                  IntegrityError);
}

TEST_CASE("packing refuses values, counts and numbers of addends outside the layout") {
  const PackedEncoder encoder(PackingLayout::make(8, 3, 127), 2, 2);
  CHECK_NOTHROW((void)encoder.pack(std::vector<std::int64_t>{127, -127}));
  CHECK_THROWS_WITH_AS((void)encoder.pack(std::vector<std::int64_t>{0, 128}),
                       doctest::Contains("value 1"), CryptoError);
  CHECK_THROWS_AS((void)encoder.pack(std::vector<std::int64_t>{-128, 0}), CryptoError);
  CHECK_THROWS_AS((void)encoder.pack(std::vector<std::int64_t>{0}), CryptoError);
  const PlaintextVector packed = encoder.pack(std::vector<std::int64_t>{0, 0});
  CHECK_THROWS_AS((void)encoder.unpack_sum(packed, 0), CryptoError);
  CHECK_THROWS_AS((void)encoder.unpack_sum(packed, 4), CryptoError);
  CHECK_THROWS_AS((void)encoder.unpack_sum(PlaintextVector(2, 2), 1), CryptoError);
  CHECK_THROWS_AS((void)encoder.unpack_sum(PlaintextVector(1, 3), 1), CryptoError);
}

TEST_CASE("a layout without headroom or room is a ConfigError") {
  CHECK_THROWS_AS((void)PackingLayout::make(1, 1, 127), ConfigError);
  CHECK_THROWS_AS((void)PackingLayout::make(8, 0, 127), ConfigError);
  CHECK_THROWS_AS((void)PackingLayout::make(63, 1, 127), ConfigError);
  CHECK_THROWS_AS((void)PackingLayout::make(62, 2, 127), ConfigError);
  CHECK_THROWS_AS((void)PackingLayout::make(40, 1U << 31, 127), ConfigError);
  CHECK_THROWS_AS((void)PackingLayout::make(32, 10, 37), ConfigError);
  CHECK(PackingLayout::make(32, 10, 38).slots == 1);
  CHECK(PackingLayout::make(62, 1, 127).slots == 1);
  CHECK_THROWS_AS(PackedEncoder(PackingLayout::make(8, 3, 127), 2, 1), ConfigError);
}

TEST_CASE("fixed point clips, counts, rounds to even and never yields a negative zero") {
  const FixedPoint fixed_point(8, 1.27);  // scale 100
  const std::vector<double> reals{0.0, -0.0, 0.004, 0.0149, -0.0151, 1.27, 1.28, -9, 1e300};
  const Quantised quantised = fixed_point.encode(reals, 1, 2, 3);
  CHECK(quantised.values == std::vector<std::int64_t>{0, 0, 0, 1, -2, 127, 127, -127, 127});
  CHECK(quantised.clipped.size() == 3);
  CHECK(fixed_point.decode(254) == doctest::Approx(2.54));
  CHECK(FixedPoint(3, 3.0).encode(std::vector<double>{0.5, 1.5, 2.5, -0.5, -1.5}, 0, 0, 0).values ==
        std::vector<std::int64_t>{0, 2, 2, 0, -2});
}

TEST_CASE("a mean of fixed-point values is off by no more than the bound, which is reached") {
  INFO("seed ", test::kSeed);
  for (const unsigned bits : {2U, 4U, 8U, 16U, 24U, 32U}) {
    for (const Rounding rounding : {Rounding::kNearest, Rounding::kStochastic}) {
      const FixedPoint fixed_point(bits, 3.7, rounding);
      const double bound = fixed_point.error_bound();
      SeededRandom random(test::kSeed, "bound", {bits});
      constexpr std::size_t kValues = 400;
      for (const std::uint32_t parties : {1U, 7U}) {
        std::vector<double> mean(kValues, 0.0);
        std::vector<std::int64_t> sum(kValues, 0);
        for (std::uint32_t party = 0; party < parties; ++party) {
          std::vector<double> reals(kValues);
          for (double& real : reals) real = 3.7 * (2 * random.uniform() - 1);
          const Quantised quantised = fixed_point.encode(reals, test::kSeed, party, 1);
          CHECK(quantised.clipped.empty());
          for (std::size_t i = 0; i < kValues; ++i) {
            mean[i] += reals[i] / parties;
            sum[i] += quantised.values[i];
          }
        }
        double largest = 0;
        for (std::size_t i = 0; i < kValues; ++i) {
          largest = std::max(largest, std::abs(fixed_point.decode(sum[i]) / parties - mean[i]));
        }
        CHECK(largest <= bound * (1 + 1e-6));
        if (parties == 1) CHECK(largest > 0.9 * bound);
      }
    }
  }
}

TEST_CASE("no number is too odd for fixed point but NaN and infinity, which are errors") {
  const FixedPoint fixed_point(24, 8);
  for (const double bad : {std::nan(""), kInfinity, -kInfinity}) {
    CHECK_THROWS_WITH_AS((void)fixed_point.encode(std::vector<double>{0, 1, bad}, 0, 0, 0),
                         doctest::Contains("value 2"), CryptoError);
  }
  for (const double clip : {0.0, -1.0, std::nan(""), kInfinity}) {
    CHECK_THROWS_AS(FixedPoint(24, clip), ConfigError);
  }
  CHECK_THROWS_AS(FixedPoint(1, 1), ConfigError);
  CHECK_THROWS_AS(FixedPoint(33, 1), ConfigError);
}

TEST_CASE("stochastic rounding is unbiased, the same on a retry, and another for another round") {
  INFO("seed ", test::kSeed);
  const FixedPoint fixed_point(4, 7.0, Rounding::kStochastic);  // scale 1
  const std::vector<double> reals(20000, 2.25);
  const Quantised first = fixed_point.encode(reals, test::kSeed, 3, 9);
  CHECK(fixed_point.encode(reals, test::kSeed, 3, 9).values == first.values);
  CHECK(fixed_point.encode(reals, test::kSeed, 3, 10).values != first.values);
  CHECK(fixed_point.encode(reals, test::kSeed, 4, 9).values != first.values);
  std::int64_t ups = 0;
  for (const std::int64_t value : first.values) {
    REQUIRE((value == 2 || value == 3));
    ups += value - 2;
  }
  CHECK(std::abs(static_cast<double>(ups) - 5000) < 6 * std::sqrt(20000 * 0.25 * 0.75));
}

TEST_CASE("an update codec's id depends on every setting") {
  const CodecSettings base{10, 3072, 82, 5253, 24, 8, Rounding::kNearest};
  std::vector<CodecSettings> others(7, base);
  others[0].parties = 11;
  others[1].modulus_bits = 2048;
  others[2].statistics = 83;
  others[3].parameters = 5254;
  others[4].bits = 16;
  others[5].clip = 4;
  others[6].rounding = Rounding::kStochastic;
  const UpdateCodec codec(base);
  CHECK(UpdateCodec(base).id() == codec.id());
  for (const CodecSettings& other : others) CHECK(UpdateCodec(other).id() != codec.id());
  CHECK(codec.gradient().values() == 5254);
  CHECK(codec.gradient().layout().slot_bits == 30);
  CHECK(codec.gradient().plaintexts() == 53);
  CHECK(codec.statistics().layout().slot_bits == 64);
}

TEST_CASE(
    "gradients and row counts of several parties come back as their sums, whatever the bits") {
  for (const unsigned bits : {2U, 3U, 8U, 16U, 21U, 24U, 32U}) {
    CAPTURE(bits);
    CodecSettings settings;
    settings.parties = 5;
    settings.modulus_bits = 512;
    settings.statistics = 3;
    settings.parameters = 7;
    settings.bits = bits;
    const UpdateCodec codec(settings);
    INFO("seed ", test::kSeed);
    SeededRandom random(test::kSeed, "update codec", {bits});
    const std::int64_t max_abs = codec.fixed_point().max_abs();
    std::vector<std::int64_t> expected(settings.parameters);
    std::int64_t expected_rows = 0;
    auto sum = make_plain_accumulator(codec.plaintext_limbs());
    const auto sealer = make_plain_sealer(codec.plaintext_limbs());
    sum->reset(codec.gradient().plaintexts());
    for (std::uint32_t party = 0; party < settings.parties; ++party) {
      std::vector<std::int64_t> values(settings.parameters);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<std::int64_t>(random.below(2 * max_abs + 1)) - max_abs;
        expected[i] += values[i];
      }
      const auto rows =
          static_cast<std::uint32_t>(party == 0 ? (1 << 20) - 1 : random.below(1 << 20));
      expected_rows += rows;
      sum->add(sealer->seal(codec.pack_gradient(values, rows)));
    }
    const auto opened = make_plain_opener(codec.plaintext_limbs())
                            ->open(sum->finish(), codec.gradient().plaintexts());
    const GradientSum result = codec.unpack_gradient(opened, settings.parties);
    CHECK(result.values == expected);
    CHECK(result.rows == expected_rows);
    CHECK_THROWS_AS((void)codec.pack_gradient(expected, 1 << 20), CryptoError);
    CHECK_THROWS_AS((void)codec.pack_gradient({1, 0, 0}, 1), CryptoError);
  }
}

}  // namespace
}  // namespace blindsum::crypto
