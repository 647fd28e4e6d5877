// Bits that follow from a tolerance.
#include "scenarios/launcher/quantisation.h"

#include <doctest/doctest.h>

#include "scenarios/launcher/plan.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/error.h"
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

TEST_CASE("the plan states step and bound") {
  const auto quantisation =
      quantisation_of(parse_scenario("fixed_point: {bits: 8, clip: 2}\n", "x"));
  CHECK(quantisation["bits"] == 8);
  CHECK(quantisation["step"].get<double>() == doctest::Approx(2.0 / 127));
  CHECK(quantisation["bound"].get<double>() == doctest::Approx(1.0 / 127));
}

}  // namespace
}  // namespace blindsum::launcher
