// Reproducible randomness for data, shards, weights and batches. Never for keys or encryption.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/core/bytes.h"

namespace blindsum {

// SeededRandom is a ChaCha20 stream whose key is SHA-256(seed, purpose, indices): streams with
// another purpose or index are independent, and a stream is the same on every machine, process and
// thread. Not thread-safe.
class SeededRandom {
 public:
  SeededRandom(std::uint64_t seed, std::string_view purpose,
               std::initializer_list<std::uint64_t> indices = {});

  // next_u64 returns 64 uniform bits.
  [[nodiscard]] std::uint64_t next_u64();

  // below returns a uniform integer in [0, bound), without modulo bias. `bound` must not be 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);

  // uniform returns a multiple of 2^-53 in [0, 1).
  [[nodiscard]] double uniform();

  // normal returns a standard normal variate (polar method).
  [[nodiscard]] double normal();

  // gamma returns a Gamma(shape, 1) variate, shape > 0 (Marsaglia and Tsang 2000).
  [[nodiscard]] double gamma(double shape);

  // shuffle permutes `items` uniformly (Fisher and Yates).
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  void refill();

  Bytes key_;
  Bytes block_;
  std::size_t used_ = 0;
  std::uint64_t counter_ = 0;
};

}  // namespace blindsum
