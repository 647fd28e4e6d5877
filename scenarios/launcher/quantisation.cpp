#include "scenarios/launcher/quantisation.h"

#include <sstream>

#include "shared/core/error.h"
#include "shared/crypto/fixed_point.h"
#include "shared/role/codec.h"

namespace blindsum::launcher {
namespace {

constexpr unsigned kLeastBits = 2;
constexpr unsigned kMostBits = 32;

crypto::FixedPoint fixed_point_of(const settings::Settings& settings, unsigned bits) {
  return {bits, settings.fixed_point.clip,
          crypto::rounding_from_string(settings.fixed_point.rounding)};
}

std::size_t plaintexts_of(settings::Settings settings, unsigned bits) {
  settings.fixed_point.bits = bits;
  return role::codec_of(settings).gradient().plaintexts();
}

}  // namespace

unsigned bits_for(const settings::Settings& settings) {
  const double tolerance = settings.fixed_point.tolerance;
  unsigned bits = kLeastBits;
  while (bits < kMostBits && fixed_point_of(settings, bits).error_bound() > tolerance) ++bits;
  if (const double least = fixed_point_of(settings, bits).error_bound(); least > tolerance) {
    std::ostringstream what;
    what << "fixed_point.tolerance: " << tolerance << " needs more than " << kMostBits
         << " bits with fixed_point.clip " << settings.fixed_point.clip << "; use at least "
         << least << " or a smaller clip";
    throw ConfigError(what.str());
  }
  const std::size_t plaintexts = plaintexts_of(settings, bits);
  while (bits < kMostBits && plaintexts_of(settings, bits + 1) == plaintexts) ++bits;
  return bits;
}

nlohmann::json quantisation_of(const settings::Settings& settings) {
  const auto fixed_point = fixed_point_of(settings, settings.fixed_point.bits);
  return {{"bits", fixed_point.bits()},
          {"clip", fixed_point.clip()},
          {"rounding", settings.fixed_point.rounding},
          {"step", 1 / fixed_point.scale()},
          {"bound", fixed_point.error_bound()},
          {"tolerance", settings.fixed_point.tolerance}};
}

}  // namespace blindsum::launcher
