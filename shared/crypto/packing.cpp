#include "shared/crypto/packing.h"

#include <bit>
#include <limits>
#include <string>

#include "shared/core/error.h"

namespace blindsum::crypto {
namespace {

constexpr unsigned kLimbBits = 64;

// put adds `value` at bit `at`, where the bits are zero so far.
void put(std::span<std::uint64_t> limbs, std::size_t at, std::uint64_t value) {
  const std::size_t shift = at % kLimbBits;
  limbs[at / kLimbBits] |= value << shift;
  const std::uint64_t high = shift == 0 ? 0 : value >> (kLimbBits - shift);
  if (high != 0) limbs[at / kLimbBits + 1] |= high;
}

// get reads `bits` <= 64 bits at bit `at`; bits beyond the last limb are zero.
std::uint64_t get(std::span<const std::uint64_t> limbs, std::size_t at, unsigned bits) {
  const std::size_t limb = at / kLimbBits;
  const std::size_t shift = at % kLimbBits;
  std::uint64_t value = limbs[limb] >> shift;
  if (shift != 0 && limb + 1 < limbs.size()) value |= limbs[limb + 1] << (kLimbBits - shift);
  return bits == kLimbBits ? value : value & ((std::uint64_t{1} << bits) - 1);
}

bool is_zero_above(std::span<const std::uint64_t> limbs, std::size_t at) {
  for (; at < limbs.size() * kLimbBits; at += kLimbBits - at % kLimbBits) {
    if (limbs[at / kLimbBits] >> (at % kLimbBits) != 0) return false;
  }
  return true;
}

}  // namespace

PackingLayout PackingLayout::make(unsigned value_bits, std::uint32_t max_addends,
                                  std::size_t plaintext_bits) {
  if (max_addends == 0) throw ConfigError("a packing for no addend");
  const auto addend_bits = static_cast<unsigned>(std::bit_width(max_addends - 1));
  if (value_bits < 2 || value_bits > kLimbBits || value_bits + addend_bits + 2 > kLimbBits) {
    throw ConfigError("packing values of " + std::to_string(value_bits) + " bits, " +
                      std::to_string(max_addends) +
                      " of them added: a slot would not lie between 4 and 64 bits");
  }
  PackingLayout layout{value_bits, value_bits + addend_bits + 2, max_addends, plaintext_bits, 0};
  layout.slots = plaintext_bits / layout.slot_bits;
  if (layout.slots == 0) {
    throw ConfigError("a slot of " + std::to_string(layout.slot_bits) +
                      " bits does not fit a plaintext of " + std::to_string(plaintext_bits));
  }
  return layout;
}

PackedEncoder::PackedEncoder(PackingLayout layout, std::size_t values, std::size_t limbs_each)
    : layout_(layout), values_(values), limbs_each_(limbs_each) {
  if (layout.slots == 0 || layout.slots * layout.slot_bits > limbs_each * kLimbBits) {
    throw ConfigError("the packing layout does not fit " + std::to_string(limbs_each) + " limbs");
  }
}

PlaintextVector PackedEncoder::pack(std::span<const std::int64_t> values) const {
  if (values.size() != values_) {
    throw CryptoError("packing " + std::to_string(values.size()) + " values, expected " +
                      std::to_string(values_));
  }
  const std::int64_t offset = std::int64_t{1} << (layout_.value_bits - 1);
  PlaintextVector plaintexts(this->plaintexts(), limbs_each_);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] <= -offset || values[i] >= offset) {
      throw CryptoError("value " + std::to_string(i) + " needs more than " +
                        std::to_string(layout_.value_bits) + " bits");
    }
    put(plaintexts[i / layout_.slots], i % layout_.slots * layout_.slot_bits,
        static_cast<std::uint64_t>(values[i] + offset));
  }
  return plaintexts;
}

std::vector<std::int64_t> PackedEncoder::unpack_sum(const PlaintextVector& sum,
                                                    std::uint32_t addends) const {
  if (addends == 0 || addends > layout_.max_addends) {
    throw CryptoError("unpacking a sum of " + std::to_string(addends) +
                      ", the layout admits 1 to " + std::to_string(layout_.max_addends));
  }
  if (sum.size() != plaintexts() || (sum.size() > 0 && sum.limbs_each() != limbs_each_)) {
    throw CryptoError("unpacking " + std::to_string(sum.size()) + " plaintexts, expected " +
                      std::to_string(plaintexts()));
  }
  const std::uint64_t offset = std::uint64_t{addends} << (layout_.value_bits - 1);
  const std::uint64_t largest =
      std::uint64_t{addends} * ((std::uint64_t{1} << layout_.value_bits) - 1);
  std::vector<std::int64_t> values;
  values.reserve(values_);
  for (std::size_t chunk = 0; chunk < sum.size(); ++chunk) {
    std::size_t at = 0;
    for (; at < layout_.slots * layout_.slot_bits && values.size() < values_;
         at += layout_.slot_bits) {
      const std::uint64_t u = get(sum[chunk], at, layout_.slot_bits);
      if (u < addends || u > largest) {
        throw IntegrityError("value " + std::to_string(values.size()) +
                             " of the sum is out of range");
      }
      values.push_back(static_cast<std::int64_t>(u - offset));
    }
    if (!is_zero_above(sum[chunk], at)) {
      throw IntegrityError("the padding of plaintext " + std::to_string(chunk) + " is not zero");
    }
  }
  return values;
}

}  // namespace blindsum::crypto
