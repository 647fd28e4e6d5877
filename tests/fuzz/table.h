// The fixed-base table whose file is fuzzed: the smallest one.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "shared/core/thread_pool.h"
#include "shared/crypto/fixed_base_table.h"

namespace blindsum::fuzz {

[[nodiscard]] inline crypto::PublicKey table_key() {
  constexpr std::string_view kModulus =
      "ffffffffffffff720000000000001321";  // (2^64 − 59)·(2^64 − 83)
  return crypto::PublicKey::from_modulus(from_hex(kModulus), crypto::KeyPolicy::kInsecureTesting);
}

[[nodiscard]] inline std::shared_ptr<const crypto::FixedBaseTable> table_in(
    const crypto::PublicKey& key, const std::filesystem::path& directory, ThreadPool& pool) {
  constexpr std::size_t kExponentBits = 16;
  return crypto::FixedBaseTable::of(key, kExponentBits, {directory, 0, 1}, pool);
}

}  // namespace blindsum::fuzz
