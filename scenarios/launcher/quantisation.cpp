#include "scenarios/launcher/quantisation.h"

#include <cstdint>
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

constexpr double kMostClip = 1e6;  // of the key fixed_point.clip

std::size_t plaintexts_of(settings::Settings settings, unsigned bits) {
  settings.fixed_point.bits = bits;
  return role::codec_of(settings).gradient().plaintexts();
}

unsigned fewest_bits_for(const settings::Settings& settings) {
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
  return bits;
}

}  // namespace

unsigned bits_for(const settings::Settings& settings) {
  unsigned bits = fewest_bits_for(settings);
  const std::size_t plaintexts = plaintexts_of(settings, bits);
  while (bits < kMostBits && plaintexts_of(settings, bits + 1) <= plaintexts) ++bits;
  return bits;
}

FixedPointChoice widest_for(const settings::Settings& settings) {
  FixedPointChoice choice{fewest_bits_for(settings), settings.fixed_point.clip};
  const std::size_t plaintexts = plaintexts_of(settings, choice.bits);
  while (choice.bits < kMostBits && 2 * choice.clip <= kMostClip &&
         plaintexts_of(settings, choice.bits + 1) <= plaintexts) {
    ++choice.bits;
    choice.clip *= 2;
  }
  return choice;
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

nlohmann::json headroom_of(const settings::Settings& settings) {
  const crypto::UpdateCodec codec = role::codec_of(settings);
  const auto& layout = codec.gradient().layout();
  const std::uint64_t largest =
      std::uint64_t{settings.parties} * ((std::uint64_t{1} << layout.value_bits) - 1);
  const std::uint64_t limit = std::uint64_t{1} << layout.slot_bits;
  return {{"value_bits", layout.value_bits},
          {"slot_bits", layout.slot_bits},
          {"slots", layout.slots},
          {"ciphertexts", codec.gradient().plaintexts()},
          {"addends", settings.parties},
          {"largest_sum", largest},
          {"limit", limit},
          {"holds", largest < limit}};
}

std::string bound_text(const nlohmann::json& quantisation) {
  std::ostringstream text;
  text.precision(3);
  text << quantisation.at("bits").get<int>() << " bits, clip ± "
       << quantisation.at("clip").get<double>() << ", "
       << quantisation.at("rounding").get<std::string>()
       << ": a mean of full batches is off by at most " << quantisation.at("bound").get<double>();
  if (const auto tolerance = quantisation.at("tolerance").get<double>(); tolerance > 0) {
    text << " (tolerance " << tolerance << ")";
  }
  return text.str();
}

std::string headroom_text(const nlohmann::json& headroom) {
  return headroom.at("addends").dump() + " · (2^" + headroom.at("value_bits").dump() +
         " − 1) = " + headroom.at("largest_sum").dump() + " < 2^" +
         headroom.at("slot_bits").dump() + " = " + headroom.at("limit").dump();
}

}  // namespace blindsum::launcher
