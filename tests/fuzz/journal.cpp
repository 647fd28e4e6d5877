// Whatever the key-holder's journal holds: it is refused, or it goes on after what it gave back.
#include <algorithm>
#include <fstream>

#include "party/key_holder/state_store.h"
#include "shared/core/error.h"
#include "shared/core/hash.h"
#include "tests/fuzz/target.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;

constexpr wire::RunId kRun{7};

std::optional<key_holder::Recovered> recovered_from(const std::filesystem::path& folder,
                                                    ByteView next) {
  const auto store = key_holder::make_file_store(folder, kRun);
  auto recovered = fuzz::accepted<StorageError>([&] { return store->recover(); });
  if (recovered && !next.empty()) {
    store->append(static_cast<std::uint32_t>(recovered->journal.size()), next);
  }
  return recovered;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::TempDir parent;
  static const std::filesystem::path folder = parent.path() / "state";
  std::filesystem::create_directories(folder);
  {
    std::ofstream file(folder / "journal-0000000000", std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  const Bytes next{1, 2, 3};
  const auto first = recovered_from(folder, next);
  if (!first) return 0;
  fuzz::require(first->checkpoint.empty(), "a checkpoint out of nothing");
  const auto second = recovered_from(folder, {});
  fuzz::require(second && second->journal.size() == first->journal.size() + 1,
                "the journal does not go on");
  for (std::size_t i = 0; i < second->journal.size(); ++i) {
    fuzz::require(second->journal[i].round == i, "a round is missing or twice");
    fuzz::require(second->journal[i].content ==
                      (i < first->journal.size() ? first->journal[i].content : next),
                  "an entry has changed");
  }
  return 0;
}

// Most changes get their digests: else none would get beyond them. See state_store.cpp.
std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  constexpr std::size_t kFields = 36, kHeader = kFields + sizeof(Digest);
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 4 == 0) return size;
  for (std::size_t at = 0; size - at >= kHeader;) {
    const ByteView record(data + at, size - at);
    const auto put = [&](std::size_t offset) {
      const Digest digest = content_hash(record.first(offset));
      std::copy(digest.begin(), digest.end(), data + at + offset);
    };
    put(kFields);
    const std::uint64_t content = read_le64(record, 28);
    if (content > record.size() - kHeader || record.size() - kHeader - content < sizeof(Digest)) {
      break;
    }
    put(kHeader + content);
    at += kHeader + content + sizeof(Digest);
  }
  return size;
}
