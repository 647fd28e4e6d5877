// Packing: many small integers in one plaintext, so that one ciphertext carries and adds them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shared/crypto/plaintext.h"

namespace blindsum::crypto {

// PackingLayout says where a value lies. A value v of value_bits = b bits, |v| <= 2^(b-1) - 1, is
// stored as u = v + 2^(b-1), u in [1, 2^b - 1], in a slot of slot_bits = b + ceil(log2 max_addends)
// + 2 bits; slots run from the low end of the plaintext upwards and the bits above the last slot
// are zero (padding). Invariants, checked by make: max_addends * (2^b - 1) < 2^slot_bits and slots
// * slot_bits <= plaintext_bits, so no sum of up to max_addends plaintexts carries from a slot into
// the next or wraps mod n; max_addends * 2^(b-1) <= 2^63 - 1, so every sum fits int64. With a tag,
// the topmost tag_bits = 61 + ceil(log2 max_addends) of the plaintext hold an integrity tag, or the
// sum of up to max_addends of them (integrity_tag.h), and the padding ends below.
struct PackingLayout {
  unsigned value_bits = 0;
  unsigned slot_bits = 0;
  std::uint32_t max_addends = 0;
  std::size_t plaintext_bits = 0;  // bits that any plaintext may use: bits of n, less one
  std::size_t slots = 0;           // per plaintext
  unsigned tag_bits = 0;           // 0: no tag

  // make throws ConfigError when the inequality cannot hold or not even one slot fits.
  [[nodiscard]] static PackingLayout make(unsigned value_bits, std::uint32_t max_addends,
                                          std::size_t plaintext_bits, bool has_tag = false);
  // tag_at is the lowest bit of the tag.
  [[nodiscard]] std::size_t tag_at() const { return plaintext_bits - tag_bits; }
  [[nodiscard]] std::size_t plaintexts_for(std::size_t values) const {
    return (values + slots - 1) / slots;
  }
  friend bool operator==(const PackingLayout&, const PackingLayout&) = default;
};

// PackedEncoder packs vectors of a fixed length and unpacks sums of them. Immutable, thread-safe.
class PackedEncoder {
 public:
  // `limbs_each` is the width of a plaintext: ceil(bits of n / 64).
  PackedEncoder(PackingLayout layout, std::size_t values, std::size_t limbs_each);

  [[nodiscard]] const PackingLayout& layout() const { return layout_; }
  [[nodiscard]] std::size_t values() const { return values_; }
  [[nodiscard]] std::size_t plaintexts() const { return layout_.plaintexts_for(values_); }

  // pack throws CryptoError when the count differs from values() or |v| > 2^(b-1) - 1, naming the
  // index. Unused slots of the last plaintext hold zero, and so do all tags.
  [[nodiscard]] PlaintextVector pack(std::span<const std::int64_t> values) const;

  // add_tags puts its tag into each packed plaintext; check_tags throws IntegrityError unless the
  // tag of each plaintext of a sum is that of its slots. Both take one multiplier and one mask, as
  // reduced integers, per plaintext; for a sum, the masks of its addends added up. The layout must
  // have a tag. Throws CryptoError when counts differ.
  void add_tags(PlaintextVector& packed, std::span<const std::uint64_t> multipliers,
                std::span<const std::uint64_t> masks) const;
  void check_tags(const PlaintextVector& sum, std::span<const std::uint64_t> multipliers,
                  std::span<const std::uint64_t> masks) const;

  // unpack_sum returns Σ v of `addends` packed vectors from the sum of their plaintexts; it does
  // not look at tags. Throws IntegrityError when padding or an unused slot is not zero, or a slot
  // lies outside [addends, addends * (2^b - 1)]; CryptoError when addends is 0 or above
  // max_addends.
  [[nodiscard]] std::vector<std::int64_t> unpack_sum(const PlaintextVector& sum,
                                                     std::uint32_t addends) const;

 private:
  [[nodiscard]] std::uint64_t tag_of(std::span<const std::uint64_t> plaintext,
                                     std::uint64_t multiplier, std::uint64_t mask) const;
  void require_tags(const PlaintextVector& plaintexts, std::size_t multipliers,
                    std::size_t masks) const;

  PackingLayout layout_;
  std::size_t values_;
  std::size_t limbs_each_;
};

}  // namespace blindsum::crypto
