// Tensors that are accepted are the same after they were written and read again.
#include <bit>

#include "shared/core/error.h"
#include "shared/report/records.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;

bool same(const report::Tensor& a, const report::Tensor& b) {
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  return a.name == b.name && a.shape == b.shape && a.values.size() == b.values.size() &&
         std::equal(a.values.begin(), a.values.end(), b.values.begin(),
                    [&](float x, float y) { return bits(x) == bits(y); });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::MemoryFile file;
  file.assign({data, size});
  const auto read =
      fuzz::accepted<DecodeError>([&] { return report::read_safetensors(file.path()); });
  if (!read) return 0;
  static const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  report::write_safetensors(path, read->tensors, read->metadata);
  const report::Tensors again = report::read_safetensors(path);
  fuzz::require(again.metadata == read->metadata, "metadata changed");
  fuzz::require(
      again.tensors.size() == read->tensors.size() &&
          std::equal(again.tensors.begin(), again.tensors.end(), read->tensors.begin(), same),
      "tensors changed");
  return 0;
}
