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

// UpdateCodec packs two kinds of updates. Statistics are integers below 2^(b-1) with b = min(60, 62
// - ceil(log2 N)). A gradient update is the parameters' fixed-point integers and, last, the number
// of rows they were computed on. Immutable, cheap enough to copy, thread-safe.
class UpdateCodec {
 public:
  // Throws ConfigError when the headroom inequality of PackingLayout cannot hold.
  explicit UpdateCodec(CodecSettings settings);

  [[nodiscard]] const CodecSettings& settings() const { return settings_; }
  [[nodiscard]] const FixedPoint& fixed_point() const { return fixed_point_; }
  [[nodiscard]] const PackedEncoder& statistics() const { return statistics_; }
  [[nodiscard]] const PackedEncoder& gradient() const { return gradient_; }
  [[nodiscard]] std::size_t plaintext_limbs() const;

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
