#include "shared/crypto/update_codec.h"

#include <algorithm>
#include <bit>

#include "shared/core/bytes.h"

namespace blindsum::crypto {
namespace {

std::size_t limbs_of(std::size_t bits) { return (bits + 63) / 64; }

PackedEncoder encoder_for(unsigned value_bits, std::size_t values, const CodecSettings& settings) {
  const auto layout = PackingLayout::make(value_bits, settings.parties, settings.modulus_bits - 1);
  return {layout, values, limbs_of(settings.modulus_bits)};
}

unsigned statistics_bits(std::uint32_t parties) {
  const auto addend_bits = static_cast<unsigned>(std::bit_width(std::max(parties, 1U) - 1));
  return std::min(60U, 62U - addend_bits);
}

Digest hash_of(const CodecSettings& settings, const PackedEncoder& statistics,
               const PackedEncoder& gradient) {
  Sha256 hash;
  hash.update_field("blindsum/update-codec/1: offset 2^(b-1), slots from the low end, rows last");
  hash.update_u64(settings.parties).update_u64(settings.modulus_bits);
  hash.update_u64(settings.bits).update_u64(std::bit_cast<std::uint64_t>(settings.clip));
  hash.update_field(to_string(settings.rounding));
  for (const PackedEncoder* encoder : {&statistics, &gradient}) {
    hash.update_u64(encoder->values()).update_u64(encoder->layout().value_bits);
    hash.update_u64(encoder->layout().slot_bits).update_u64(encoder->layout().slots);
  }
  return hash.finish();
}

}  // namespace

UpdateCodec::UpdateCodec(CodecSettings settings)
    : settings_(settings),
      fixed_point_(settings.bits, settings.clip, settings.rounding),
      statistics_(encoder_for(statistics_bits(settings.parties), settings.statistics, settings)),
      gradient_(encoder_for(settings.bits, settings.parameters + 1, settings)),
      id_(hash_of(settings_, statistics_, gradient_)) {}

std::size_t UpdateCodec::plaintext_limbs() const { return limbs_of(settings_.modulus_bits); }

}  // namespace blindsum::crypto
