// Bits and clip that follow from a tolerance.
#include "scenarios/launcher/quantisation.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "scenarios/launcher/plan.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/role/codec.h"

namespace blindsum::launcher {
namespace {

settings::Settings with_tolerance(double tolerance) {
  settings::Settings settings;
  settings.fixed_point.tolerance = tolerance;
  return settings;
}

std::size_t plaintexts(settings::Settings settings, unsigned bits) {
  settings.fixed_point.bits = bits;
  return role::codec_of(settings).gradient().plaintexts();
}

// half_step is the bound to nearest, by the formula in scenarios/README.md.
double half_step(double clip, unsigned bits) {
  return clip / (static_cast<double>(std::uint64_t{1} << bits) - 2);
}

TEST_CASE("bits are the fewest that keep the tolerance, and more that cost no ciphertext") {
  for (const double clip : {0.5, 8.0, 64.0}) {
    for (double tolerance = 3; tolerance > 1e-6; tolerance /= 3) {
      CAPTURE(clip);
      CAPTURE(tolerance);
      settings::Settings settings = with_tolerance(tolerance);
      settings.fixed_point.clip = clip;
      const unsigned bits = bits_for(settings);
      CHECK(half_step(clip, bits) <= tolerance);
      unsigned fewest = 2;
      while (half_step(clip, fewest) > tolerance) ++fewest;
      CHECK(bits >= fewest);
      CHECK(plaintexts(settings, bits) == plaintexts(settings, fewest));
      if (bits < 32) CHECK(plaintexts(settings, bits + 1) > plaintexts(settings, bits));
      // Stochastic rounding may be off by twice as much.
      settings.fixed_point.rounding = "stochastic";
      CHECK(2 * half_step(clip, bits_for(settings)) <= tolerance);
    }
  }
}

TEST_CASE("a tolerance that 32 bits cannot keep is refused with the one that they can") {
  CHECK_THROWS_WITH_AS(
      (void)bits_for(with_tolerance(1e-12)),
      doctest::Contains("fixed_point.tolerance: 1e-12 needs more than 32 bits with "
                        "fixed_point.clip 8; use at least 1.86265e-09"),
      ConfigError);
  CHECK(bits_for(with_tolerance(1.8627e-09)) == 32);
}

TEST_CASE("a scenario has bits or a tolerance, and the resolved one both") {
  const auto settings = parse_scenario("fixed_point: {tolerance: 0.0001}\n", "x.yaml");
  CHECK(settings.fixed_point.bits == bits_for(settings));
  CHECK(settings.fixed_point.bits < 24);
  const auto again = parse_scenario(to_yaml(settings), "resolved.yaml");
  CHECK(again.fixed_point.bits == settings.fixed_point.bits);
  CHECK(again.fixed_point.tolerance == 0.0001);
  CHECK_THROWS_WITH_AS(
      (void)parse_scenario("fixed_point: {tolerance: 0.0001, bits: 30}\n", "x.yaml"),
      doctest::Contains("exclude each other"), ConfigError);
  CHECK_THROWS_WITH_AS(
      (void)parse_scenario("privacy: {noise: 1}\nfixed_point: {tolerance: 0.0001}\n", "x.yaml"),
      doctest::Contains("goes without privacy.noise"), ConfigError);
}

// Packed is how an update is packed, by the formulas in shared/crypto/packing.h and
// update_codec.h.
struct Packed {
  std::uint64_t slot_bits, slots, ciphertexts;
};
Packed packed_of(const settings::Settings& settings, unsigned bits) {
  std::uint64_t log2_parties = 0;
  while ((std::uint64_t{1} << log2_parties) < settings.parties) ++log2_parties;
  std::uint64_t values = 0, inputs = 122;
  for (const std::uint64_t outputs : settings.model.hidden) {
    values += (inputs + 1) * outputs;
    inputs = outputs;
  }
  values += (inputs + 1) * 5 + (20 + bits - 2) / (bits - 1);  // and the digits of the row count
  const std::uint64_t slot_bits = bits + log2_parties + 2;
  const std::uint64_t slots = (settings.paillier.key_bits - 1 - (61 + log2_parties)) / slot_bits;
  return {slot_bits, slots, (values + slots - 1) / slots};
}

TEST_CASE("property: an open clip is widened until one more doubling would cost a ciphertext") {
  constexpr std::array kKeys{2048U, 3072U, 4096U};
  std::size_t widened = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SeededRandom random(seed, "fixed point", {});
    std::ostringstream text;
    const bool is_scaffold = random.below(4) == 0;
    const bool is_stochastic = random.below(4) == 0;
    const double tolerance = std::pow(10, -7.0 * random.uniform());
    text << "parties: " << 3 + random.below(998)
         << "\npaillier: {key_bits: " << kKeys.at(random.below(3)) << "}\nmodel: {hidden: ["
         << 1 + random.below(90) << "]}\nalgorithm: " << (is_scaffold ? "scaffold" : "fedavg")
         << "\nfixed_point: {tolerance: " << tolerance
         << ", rounding: " << (is_stochastic ? "stochastic" : "nearest") << "}\n";
    CAPTURE(seed);
    CAPTURE(text.str());
    const auto settings = parse_scenario(text.str(), "x.yaml");
    const unsigned bits = settings.fixed_point.bits;
    const double clip = settings.fixed_point.clip;
    const double own_clip = 8;
    const double steps = is_stochastic ? 2 : 1;
    CHECK(steps * half_step(clip, bits) <= settings.fixed_point.tolerance);
    unsigned fewest = 2;
    while (steps * half_step(own_clip, fewest) > settings.fixed_point.tolerance) ++fewest;
    REQUIRE(bits >= fewest);
    CHECK(clip == std::ldexp(own_clip, static_cast<int>(bits - fewest)));
    widened += bits > fewest ? 1 : 0;

    const Packed packed = packed_of(settings, bits);
    CHECK(packed.ciphertexts <= packed_of(settings, fewest).ciphertexts);
    CHECK((bits == 32 || 2 * clip > 1e6 ||
           packed_of(settings, bits + 1).ciphertexts > packed_of(settings, fewest).ciphertexts));
    const auto headroom = headroom_of(settings);
    CHECK(headroom["ciphertexts"] == packed.ciphertexts);
    CHECK(headroom["slots"] == packed.slots);
    CHECK(headroom["slot_bits"] == packed.slot_bits);
    const std::uint64_t largest = settings.parties * ((std::uint64_t{1} << bits) - 1);
    CHECK(headroom["largest_sum"] == largest);
    CHECK(headroom["limit"] == std::uint64_t{1} << packed.slot_bits);
    CHECK(largest < std::uint64_t{1} << packed.slot_bits);
    CHECK(headroom["holds"] == true);

    const auto again = parse_scenario(to_yaml(settings), "resolved.yaml");
    CHECK(settings::to_json(again) == settings::to_json(settings));
  }
  CHECK(widened > 40);
}

TEST_CASE("a clip that is given stays, and the bits that cost nothing go to the step") {
  const auto open = parse_scenario("fixed_point: {tolerance: 0.001}\n", "x.yaml");
  const auto given = parse_scenario("fixed_point: {tolerance: 0.001, clip: 8}\n", "x.yaml");
  CHECK(given.fixed_point.clip == 8);
  CHECK(given.fixed_point.bits == bits_for(given));
  CHECK(parse_scenario(to_yaml(given), "resolved.yaml").fixed_point.bits == given.fixed_point.bits);
  // Of a resolved scenario one key is overridden.
  const std::string resolved = to_yaml(open);
  const auto with = [&](const std::string& key, const std::string& value) {
    return parse_scenario(resolved, "resolved.yaml",
                          std::vector{Override{"--set " + key, "fixed_point." + key, value}})
        .fixed_point;
  };
  CHECK(with("bits", "16").bits == 16);
  CHECK(with("bits", "16").tolerance == 0);
  CHECK(half_step(with("tolerance", "1e-5").clip, with("tolerance", "1e-5").bits) <= 1e-5);
  CHECK(with("clip", "2").clip == 2);
  CHECK(half_step(2, with("clip", "2").bits) <= 0.001);
  // Neither the tolerance's own bits nor those of an open clip.
  CHECK_THROWS_WITH_AS(
      (void)parse_scenario("fixed_point: {tolerance: 0.001, clip: 32, bits: 31}\n", "x.yaml"),
      doctest::Contains("exclude each other"), ConfigError);
}

TEST_CASE("a small network's clip is widened to what a scenario takes, and no further") {
  const auto settings =
      parse_scenario("model: {hidden: [1]}\nfixed_point: {tolerance: 1}\n", "x.yaml");
  CHECK(settings.fixed_point.clip <= 1e6);
  CHECK(settings::to_json(parse_scenario(to_yaml(settings), "resolved.yaml")) ==
        settings::to_json(settings));
}

TEST_CASE("bound and headroom in words have their numbers") {
  const auto settings = parse_scenario("parties: 10\n", "x.yaml");
  CHECK(headroom_text(headroom_of(settings)) == "10 · (2^24 − 1) = 167772150 < 2^30 = 1073741824");
  CHECK(bound_text(quantisation_of(settings)) ==
        "24 bits, clip ± 8, nearest: a mean of full batches is off by at most 4.77e-07");
}

TEST_CASE("the plan states step and bound") {
  const auto quantisation =
      quantisation_of(parse_scenario("fixed_point: {bits: 8, clip: 2}\n", "x"));
  CHECK(quantisation["bits"] == 8);
  CHECK(quantisation["step"].get<double>() == doctest::Approx(2.0 / 127));
  CHECK(quantisation["bound"].get<double>() == doctest::Approx(1.0 / 127));
}

}  // namespace
}  // namespace blindsum::launcher
