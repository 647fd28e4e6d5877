#include "shared/crypto/update_codec.h"

#include <algorithm>
#include <bit>
#include <string>

#include "shared/core/bytes.h"
#include "shared/core/error.h"

namespace blindsum::crypto {
namespace {

std::size_t limbs_of(std::size_t bits) { return (bits + 63) / 64; }

PackedEncoder encoder_for(unsigned value_bits, std::size_t values, const CodecSettings& settings) {
  const auto layout =
      PackingLayout::make(value_bits, settings.parties, settings.modulus_bits - 1, true);
  return {layout, values, limbs_of(settings.modulus_bits)};
}

constexpr unsigned kRowBits = std::bit_width(UpdateCodec::kMaxRows);

// row_slots is the number of digits that a row count is cut into.
std::size_t row_slots(unsigned bits) { return (kRowBits + bits - 2) / (bits - 1); }

unsigned statistics_bits(std::uint32_t parties) {
  const auto addend_bits = static_cast<unsigned>(std::bit_width(std::max(parties, 1U) - 1));
  return std::min(60U, 62U - addend_bits);
}

Digest hash_of(const CodecSettings& settings, const PackedEncoder& statistics,
               const PackedEncoder& gradient) {
  Sha256 hash;
  hash.update_field(
      "blindsum/update-codec/2: offset 2^(b-1), slots from the low end, row digits last, tag mod "
      "2^61 - 1 at the high end");
  hash.update_u64(settings.parties).update_u64(settings.modulus_bits);
  hash.update_u64(settings.bits).update_u64(std::bit_cast<std::uint64_t>(settings.clip));
  hash.update_field(to_string(settings.rounding));
  for (const PackedEncoder* encoder : {&statistics, &gradient}) {
    hash.update_u64(encoder->values()).update_u64(encoder->layout().value_bits);
    hash.update_u64(encoder->layout().slot_bits).update_u64(encoder->layout().slots);
    hash.update_u64(encoder->layout().tag_bits);
  }
  return hash.finish();
}

}  // namespace

UpdateCodec::UpdateCodec(CodecSettings settings)
    : settings_(settings),
      fixed_point_(settings.bits, settings.clip, settings.rounding),
      statistics_(encoder_for(statistics_bits(settings.parties), settings.statistics, settings)),
      gradient_(
          encoder_for(settings.bits, settings.parameters + row_slots(settings.bits), settings)),
      id_(hash_of(settings_, statistics_, gradient_)) {}

std::size_t UpdateCodec::plaintext_limbs() const { return limbs_of(settings_.modulus_bits); }

PlaintextVector UpdateCodec::pack_gradient(std::vector<std::int64_t> values,
                                           std::uint32_t rows) const {
  if (values.size() != settings_.parameters) {
    throw CryptoError("a gradient of " + std::to_string(values.size()) + " values, expected " +
                      std::to_string(settings_.parameters));
  }
  if (rows > kMaxRows) throw CryptoError(std::to_string(rows) + " rows in one update");
  const std::int64_t digit_mask = (std::int64_t{1} << (settings_.bits - 1)) - 1;
  for (std::size_t i = 0; i < row_slots(settings_.bits); ++i) {
    values.push_back((std::int64_t{rows} >> (i * (settings_.bits - 1))) & digit_mask);
  }
  return gradient_.pack(values);
}

GradientSum UpdateCodec::unpack_gradient(const PlaintextVector& sum, std::uint32_t addends) const {
  GradientSum result;
  result.values = gradient_.unpack_sum(sum, addends);
  for (std::size_t i = row_slots(settings_.bits); i-- > 0;) {
    result.rows += result.values.back() << (i * (settings_.bits - 1));
    result.values.pop_back();
  }
  return result;
}

}  // namespace blindsum::crypto
