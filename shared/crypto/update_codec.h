// The codec of updates: how statistics and gradients become packed plaintexts, and back. All roles
// of a run must agree on it; its hash travels in every header.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shared/core/hash.h"
#include "shared/crypto/fixed_point.h"
#include "shared/crypto/packing.h"

namespace blindsum::crypto {

struct CodecSettings {
  std::uint32_t parties = 0;        // enrolled, N
  std::size_t modulus_bits = 3072;  // of n; sets the plaintext size also when nothing is encrypted
  std::size_t statistics = 0;       // values per statistics update
  std::size_t parameters = 0;       // of the model
  unsigned bits = 24;
  double clip = 8;
  Rounding rounding = Rounding::kNearest;
};

// GradientSum is what a sum of gradient updates holds.
struct GradientSum {
  std::vector<std::int64_t> values;  // one per parameter, in fixed point
  std::int64_t rows = 0;             // over which it was computed, all contributors together
};

// UpdateCodec packs two kinds of updates. Statistics are integers below 2^(b-1) with b = min(60, 62
// - ceil(log2 N)). A gradient update is the parameters' fixed-point integers and, in the last
// slots, the number of rows they were computed on: below 2^20, cut into digits of bits - 1 bits,
// lowest first, so that it adds up like everything else. Immutable, cheap enough to copy,
// thread-safe.
class UpdateCodec {
 public:
  static constexpr std::uint32_t kMaxRows = (1U << 20) - 1;  // of one update

  // Throws ConfigError when the headroom inequality of PackingLayout cannot hold.
  explicit UpdateCodec(CodecSettings settings);

  [[nodiscard]] const CodecSettings& settings() const { return settings_; }
  [[nodiscard]] const FixedPoint& fixed_point() const { return fixed_point_; }
  [[nodiscard]] const PackedEncoder& statistics() const { return statistics_; }
  [[nodiscard]] const PackedEncoder& gradient() const { return gradient_; }
  [[nodiscard]] std::size_t plaintext_limbs() const;

  // pack_gradient packs one update. Throws CryptoError when the counts or values do not fit, or
  // rows >= 2^20.
  [[nodiscard]] PlaintextVector pack_gradient(std::vector<std::int64_t> values,
                                              std::uint32_t rows) const;

  // unpack_gradient unpacks the sum of `addends` updates. Throws as PackedEncoder::unpack_sum.
  [[nodiscard]] GradientSum unpack_gradient(const PlaintextVector& sum,
                                            std::uint32_t addends) const;

  // id is SHA-256 over every setting, the slot order and the offset rule.
  [[nodiscard]] const Digest& id() const { return id_; }

 private:
  CodecSettings settings_;
  FixedPoint fixed_point_;
  PackedEncoder statistics_;
  PackedEncoder gradient_;
  Digest id_;
};

}  // namespace blindsum::crypto
