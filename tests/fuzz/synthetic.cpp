// The table of the synthetic data: it is refused, or it means one thing and rows can be drawn from
// it that the reader takes.
#include "shared/data/synthetic.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "shared/core/error.h"
#include "shared/core/seeded_random.h"
#include "shared/data/synthetic_model.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace blindsum;
  constexpr std::size_t kRows = 20;
  const std::string_view table(reinterpret_cast<const char*>(bytes), size);
  const auto model = fuzz::accepted<DataError>([&] { return data::parse_synthetic(table); });
  if (!model) return 0;
  const std::string text = data::to_text(*model);
  fuzz::require(data::to_text(data::parse_synthetic(text)) == text, "a table that reads otherwise");
  static const test::TempDir folder;
  data::write_synthetic(folder.path(), 1, {kRows, kRows}, table);
  const data::KddFiles files = data::find_kdd(folder.path());
  for (const auto& file : {files.train, files.test}) {
    fuzz::require(data::read_kdd(file).rows == kRows, "rows went missing");
  }
  return 0;
}

// Most inputs stay tables: a few of their digits are others.
std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  blindsum::SeededRandom random(seed, "digits");
  if (size == 0 || random.below(4) == 0) return LLVMFuzzerMutate(data, size, max_size);
  for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
    const std::uint64_t begin = random.below(size);
    const auto is_digit = [](std::uint8_t byte) { return byte >= '0' && byte <= '9'; };
    std::uint8_t* digit = std::find_if(data + begin, data + size, is_digit);
    if (digit != data + size) *digit = static_cast<std::uint8_t>('0' + random.below(10));
  }
  return size;
}
