// The identity of a role that is accepted is written as it was read.
#include "shared/settings/identity.h"

#include <algorithm>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  static const fuzz::MemoryFile file;
  file.assign({data, size});
  const auto identity =
      fuzz::accepted<KeyError>([&] { return settings::read_identity(file.path()); });
  if (!identity) return 0;
  static const test::TempDir folder;
  const auto path = folder.path() / "identity.secret";
  settings::write_identity(path, *identity);
  fuzz::require(std::ranges::equal(read_file(path), ByteView(data, size)),
                "an identity was read as another");
  return 0;
}
