#include "shared/core/seeded_random.h"

#include <cassert>
#include <cmath>

#include <sodium.h>

#include "shared/core/hash.h"

namespace blindsum {
namespace {
constexpr std::size_t kBlockBytes = 1024;
}

SeededRandom::SeededRandom(std::uint64_t seed, std::string_view purpose,
                           std::initializer_list<std::uint64_t> indices) {
  Sha256 hash;
  hash.update_field("blindsum/seeded-random/1").update_u64(seed).update_field(purpose);
  for (const std::uint64_t index : indices) hash.update_u64(index);
  const Digest digest = hash.finish();
  key_.assign(digest.begin(), digest.end());
}

void SeededRandom::refill() {
  static_assert(crypto_stream_chacha20_KEYBYTES == sizeof(Digest));
  static constexpr unsigned char kNonce[crypto_stream_chacha20_NONCEBYTES] = {};
  block_.assign(kBlockBytes, 0);
  crypto_stream_chacha20_xor_ic(block_.data(), block_.data(), block_.size(), kNonce,
                                counter_ * (kBlockBytes / 64), key_.data());
  ++counter_;
  used_ = 0;
}

std::uint64_t SeededRandom::next_u64() {
  if (used_ + 8 > block_.size()) refill();
  const std::uint64_t value = read_le64(block_, used_);
  used_ += 8;
  return value;
}

std::uint64_t SeededRandom::below(std::uint64_t bound) {
  assert(bound > 0);
  const std::uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound
  for (;;) {
    const std::uint64_t value = next_u64();
    if (value >= rejected) return value % bound;
  }
}

double SeededRandom::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

double SeededRandom::normal() {
  for (;;) {
    const double x = 2 * uniform() - 1;
    const double y = 2 * uniform() - 1;
    const double s = x * x + y * y;
    if (s > 0 && s < 1) return x * std::sqrt(-2 * std::log(s) / s);
  }
}

double SeededRandom::gamma(double shape) {
  assert(shape > 0);
  if (shape < 1) {
    double u = uniform();
    while (u == 0) u = uniform();
    return gamma(shape + 1) * std::pow(u, 1 / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal();
    const double t = 1 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t;
    const double u = uniform();
    if (u > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace blindsum
