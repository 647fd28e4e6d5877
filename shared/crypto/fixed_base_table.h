// The precomputed powers of h_s: in this process, or in a file that all processes of a machine map.
// Private to shared/crypto.
#pragma once

#include <cstddef>
#include <memory>

#include "shared/core/thread_pool.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/kernels/kernel.h"

namespace blindsum::crypto {

// FixedBaseTable is immutable and thread-safe.
class FixedBaseTable {
 public:
  // of returns the table of h_s for exponents of `exponent_bits` bits. All who ask for the same one
  // in this process share it while any of them lives. See TableOptions for the file.
  [[nodiscard]] static std::shared_ptr<const FixedBaseTable> of(const PublicKey& key,
                                                                std::size_t exponent_bits,
                                                                const TableOptions& options,
                                                                ThreadPool& pool);
  virtual ~FixedBaseTable() = default;

  [[nodiscard]] const kernels::FixedBase& base() const { return base_; }
  [[nodiscard]] const kernels::PublicContext& context() const;
  [[nodiscard]] const TableInfo& info() const { return info_; }

 protected:
  FixedBaseTable(PublicKey key, kernels::FixedBaseLayout layout);

  PublicKey key_;  // owns the context
  kernels::FixedBase base_;
  TableInfo info_;
};

// layout_for chooses the windows: the more encryptions are ahead, the longer, within max_bytes.
// encryptions = 0 fills max_bytes.
[[nodiscard]] kernels::FixedBaseLayout layout_for(const PublicKey& key, std::size_t exponent_bits,
                                                  const TableOptions& options);

}  // namespace blindsum::crypto
