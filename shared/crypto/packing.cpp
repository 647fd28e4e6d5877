#include "shared/crypto/packing.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "shared/core/error.h"
#include "shared/crypto/integrity_tag.h"

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

// is_zero_between tells whether all bits from `at` up to `end` are zero.
bool is_zero_between(std::span<const std::uint64_t> limbs, std::size_t at, std::size_t end) {
  while (at < end) {
    const std::size_t bits = std::min<std::size_t>(kLimbBits - at % kLimbBits, end - at);
    if (get(limbs, at, static_cast<unsigned>(bits)) != 0) return false;
    at += bits;
  }
  return true;
}

}  // namespace

PackingLayout PackingLayout::make(unsigned value_bits, std::uint32_t max_addends,
                                  std::size_t plaintext_bits, bool has_tag) {
  if (max_addends == 0) throw ConfigError("a packing for no addend");
  const auto addend_bits = static_cast<unsigned>(std::bit_width(max_addends - 1));
  if (value_bits < 2 || value_bits > kLimbBits || value_bits + addend_bits + 2 > kLimbBits) {
    throw ConfigError("packing values of " + std::to_string(value_bits) + " bits, " +
                      std::to_string(max_addends) +
                      " of them added: a slot would not lie between 4 and 64 bits");
  }
  PackingLayout layout{value_bits, value_bits + addend_bits + 2, max_addends, plaintext_bits, 0, 0};
  if (has_tag) layout.tag_bits = kTagBits + addend_bits;
  if (plaintext_bits < std::size_t{layout.tag_bits} + layout.slot_bits) {
    throw ConfigError("a slot of " + std::to_string(layout.slot_bits) + " bits and a tag of " +
                      std::to_string(layout.tag_bits) + " do not fit a plaintext of " +
                      std::to_string(plaintext_bits));
  }
  layout.slots = layout.tag_at() / layout.slot_bits;
  return layout;
}

PackedEncoder::PackedEncoder(PackingLayout layout, std::size_t values, std::size_t limbs_each)
    : layout_(layout), values_(values), limbs_each_(limbs_each) {
  if (layout.slots == 0 || layout.plaintext_bits > limbs_each * kLimbBits ||
      layout.slots * layout.slot_bits > layout.tag_at()) {
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
    if (!is_zero_between(sum[chunk], at, layout_.tag_at()) ||
        !is_zero_between(sum[chunk], layout_.plaintext_bits, limbs_each_ * kLimbBits)) {
      throw IntegrityError("the padding of plaintext " + std::to_string(chunk) + " is not zero");
    }
  }
  return values;
}

std::uint64_t PackedEncoder::tag_of(std::span<const std::uint64_t> plaintext,
                                    std::uint64_t multiplier, std::uint64_t mask) const {
  std::uint64_t tag = 0;  // Horner's rule, from the last slot
  for (std::size_t slot = layout_.slots; slot-- > 0;) {
    const std::uint64_t u = get(plaintext, slot * layout_.slot_bits, layout_.slot_bits);
    tag = tag_multiply(tag_add(tag, tag_reduce(u)), multiplier);
  }
  return tag_add(tag, mask);
}

void PackedEncoder::require_tags(const PlaintextVector& plaintexts, std::size_t multipliers,
                                 std::size_t masks) const {
  if (layout_.tag_bits == 0 || plaintexts.size() != this->plaintexts() ||
      (plaintexts.size() > 0 && plaintexts.limbs_each() != limbs_each_) ||
      multipliers != plaintexts.size() || masks != plaintexts.size()) {
    throw CryptoError("tags for " + std::to_string(plaintexts.size()) + " plaintexts, expected " +
                      std::to_string(this->plaintexts()));
  }
}

void PackedEncoder::add_tags(PlaintextVector& packed, std::span<const std::uint64_t> multipliers,
                             std::span<const std::uint64_t> masks) const {
  require_tags(packed, multipliers.size(), masks.size());
  for (std::size_t i = 0; i < packed.size(); ++i) {
    put(packed[i], layout_.tag_at(), tag_of(packed[i], multipliers[i], masks[i]));
  }
}

void PackedEncoder::check_tags(const PlaintextVector& sum,
                               std::span<const std::uint64_t> multipliers,
                               std::span<const std::uint64_t> masks) const {
  require_tags(sum, multipliers.size(), masks.size());
  const unsigned high_bits = layout_.tag_bits - kTagBits;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const std::uint64_t low = get(sum[i], layout_.tag_at(), kTagBits);
    const std::uint64_t high =
        high_bits == 0 ? 0 : get(sum[i], layout_.tag_at() + kTagBits, high_bits);
    // The field holds low + 2^61·high, and 2^61 = 1 mod p.
    if (tag_add(tag_reduce(low), high) != tag_of(sum[i], multipliers[i], masks[i])) {
      throw IntegrityError("the tag of plaintext " + std::to_string(i) +
                           " is not that of its slots");
    }
  }
}

}  // namespace blindsum::crypto
