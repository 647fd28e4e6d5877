// Whatever lies where the file of a fixed-base table is expected, the table that is used is right.
#include "tests/fuzz/table.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "shared/crypto/public_key_impl.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  static ThreadPool pool(1);
  static const test::TempDir folder;
  static const crypto::PublicKey key = fuzz::table_key();
  static const std::filesystem::path path = fuzz::table_in(key, folder.path(), pool)->info().file;
  {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  const auto table = fuzz::table_in(key, folder.path(), pool);
  const crypto::kernels::FixedBase& base = table->base();
  std::vector<std::uint64_t> expected(base.table.size());
  table->context().fill_fixed_base(crypto::fixed_base(key), base.layout, expected, pool);
  fuzz::require(std::ranges::equal(base.table, expected), "a wrong table is used");
  return 0;
}
