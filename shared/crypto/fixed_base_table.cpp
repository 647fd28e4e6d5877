#include "shared/crypto/fixed_base_table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shared/core/error.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

using kernels::FixedBaseLayout;

// An entry costs about this many times what a window costs an encryption, with the memory that is
// taken into use for it.
constexpr std::size_t kEntryCost = 6;
constexpr std::size_t kMaxWidth = 16;
// Small test keys would fill any budget with entries that no one needs.
constexpr std::size_t kSmallestSecureBits = 2048;
constexpr std::size_t kTestingTableBytes = std::size_t{1} << 19;

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::array<char, 16> kMagic = {'b', 'l', 'i', 'n', 'd', 's', 'u', 'm',
                                         '-', 't', 'a', 'b', 'l', 'e', '-', '1'};
constexpr std::string_view kFilePrefix = "fixed-base-";
constexpr std::string_view kFileSuffix = ".table";
constexpr std::chrono::seconds kLockPatience{30};
constexpr std::chrono::milliseconds kLockInterval{10};

// Header is the beginning of a table file; the table follows at kHeaderBytes.
struct Header {
  std::array<char, 16> magic{};
  std::array<char, 16> kernel{};
  Digest key_id{};
  std::uint64_t exponent_bits = 0;
  std::uint64_t windows = 0;
  std::uint64_t table_bytes = 0;
  std::uint64_t checksum_low = 0;  // XXH3-128 of the table
  std::uint64_t checksum_high = 0;

  friend bool operator==(const Header&, const Header&) = default;
};
static_assert(sizeof(Header) == 104, "no padding");

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() {
    if (number_ >= 0) close(number_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

// Mapping is memory from mmap.
class Mapping {
 public:
  Mapping(std::size_t bytes, int protection, int flags, int file)
      : data_(mmap(nullptr, bytes, protection, flags, file, 0)), bytes_(bytes) {
    if (data_ == MAP_FAILED) throw std::bad_alloc();
  }
  ~Mapping() { munmap(data_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  [[nodiscard]] std::uint8_t* data() const { return static_cast<std::uint8_t*>(data_); }

 private:
  void* data_;
  std::size_t bytes_;
};

std::size_t table_bytes(const PublicKey& key, const FixedBaseLayout& layout) {
  return layout.entries() * key.ciphertext_limbs() * 8;
}

void set_checksum(Header& header, const std::uint8_t* table) {
  const XXH128_hash_t hash = XXH3_128bits(table, header.table_bytes);
  header.checksum_low = hash.low64;
  header.checksum_high = hash.high64;
}

// PrivateTable is in huge pages, where the system has them: a table is read at random.
class PrivateTable : public FixedBaseTable {
 public:
  PrivateTable(const PublicKey& key, FixedBaseLayout layout, ThreadPool& pool)
      : FixedBaseTable(key, layout),
        memory_((info_.bytes + kHugePage - 1) / kHugePage * kHugePage, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1) {
    madvise(memory_.data(), info_.bytes, MADV_HUGEPAGE);
    const kernels::Limbs table(reinterpret_cast<std::uint64_t*>(memory_.data()), info_.bytes / 8);
    context().fill_fixed_base(fixed_base(key), layout, table, pool);
    base_.table = table;
  }

 private:
  Mapping memory_;
};

// MappedTable reads a file that others map too.
class MappedTable : public FixedBaseTable {
 public:
  MappedTable(const PublicKey& key, FixedBaseLayout layout, int file,
              const std::filesystem::path& path)
      : FixedBaseTable(key, layout),
        memory_(kHeaderBytes + info_.bytes, PROT_READ, MAP_SHARED, file) {
    base_.table = {reinterpret_cast<const std::uint64_t*>(memory_.data() + kHeaderBytes),
                   info_.bytes / 8};
    info_.file = path;
  }

  [[nodiscard]] bool matches(Header expected) const {
    Header header;
    std::memcpy(&header, memory_.data(), sizeof header);
    expected.checksum_low = header.checksum_low;
    expected.checksum_high = header.checksum_high;
    if (header != expected) return false;
    set_checksum(expected, memory_.data() + kHeaderBytes);
    return header == expected;
  }

 private:
  Mapping memory_;
};

// TableFile is the table of one key, kernel and size of r in the file system.
class TableFile {
 public:
  // `layout` is the least that the table must be: a larger one serves as well.
  TableFile(PublicKey key, FixedBaseLayout layout, const std::filesystem::path& directory)
      : key_(std::move(key)), layout_(layout) {
    const std::string_view kernel = kernels::active_kernel().name();
    path_ = directory / (std::string(kFilePrefix) + std::string(kernel) + "-" +
                         std::to_string(layout.exponent_bits) + std::string(kFileSuffix));
  }

  // open_or_make returns nothing when the file can neither be read nor be written here. One process
  // makes it, the others wait for that.
  [[nodiscard]] std::shared_ptr<const FixedBaseTable> open_or_make(ThreadPool& pool) const {
    if (auto table = open_existing()) return table;
    const FileDescriptor lock(
        open((path_.string() + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock.is_open() || !wait_for(lock)) return nullptr;
    if (auto table = open_existing()) return table;
    return make(pool);
  }

 private:
  static bool wait_for(const FileDescriptor& lock) {
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return false;
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(kLockInterval);
    }
    return true;
  }

  // open_existing returns the file's table, or nothing when it is missing, damaged or too small.
  // Throws KeyError when others than this user may have written it: they could choose the
  // obfuscators.
  [[nodiscard]] std::shared_ptr<const FixedBaseTable> open_existing() const {
    const FileDescriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status = {};
    if (!file.is_open() || fstat(file.get(), &status) != 0) return nullptr;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      throw KeyError(path_.string() +
                     ": others may have written this file: delete it, or make it yours alone");
    }
    Header header;
    if (pread(file.get(), &header, sizeof header, 0) != sizeof header) return nullptr;
    const FixedBaseLayout layout{layout_.exponent_bits, header.windows};
    if (layout.windows < 1 || layout.windows > layout_.windows ||
        layout.exponent_bits > layout.windows * kMaxWidth ||
        static_cast<std::uint64_t>(status.st_size) != kHeaderBytes + table_bytes(key_, layout)) {
      return nullptr;
    }
    auto table = std::make_shared<const MappedTable>(key_, layout, file.get(), path_);
    return table->matches(header_of(layout)) ? table : nullptr;
  }

  [[nodiscard]] std::shared_ptr<const FixedBaseTable> make(ThreadPool& pool) const {
    std::string temporary = path_.string() + ".XXXXXX";
    const FileDescriptor file(mkostemp(temporary.data(), O_CLOEXEC));
    if (!file.is_open()) return nullptr;
    Header header = header_of(layout_);
    const std::size_t bytes = kHeaderBytes + header.table_bytes;
    // Without the space, writing to the mapping would be a fatal signal.
    if (posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)) != 0) {
      unlink(temporary.c_str());
      return nullptr;
    }
    try {
      const Mapping memory(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get());
      const kernels::Limbs table(reinterpret_cast<std::uint64_t*>(memory.data() + kHeaderBytes),
                                 header.table_bytes / 8);
      key_.impl().context->fill_fixed_base(fixed_base(key_), layout_, table, pool);
      set_checksum(header, memory.data() + kHeaderBytes);
      std::memcpy(memory.data(), &header, sizeof header);
    } catch (...) {
      unlink(temporary.c_str());
      throw;
    }
    if (rename(temporary.c_str(), path_.c_str()) != 0) {
      unlink(temporary.c_str());
      return nullptr;
    }
    return std::make_shared<const MappedTable>(key_, layout_, file.get(), path_);
  }

  [[nodiscard]] Header header_of(const FixedBaseLayout& layout) const {
    const std::string_view kernel = kernels::active_kernel().name();
    Header header;
    header.magic = kMagic;
    std::copy_n(kernel.data(), std::min(kernel.size(), header.kernel.size()),
                header.kernel.begin());
    header.key_id = key_.id();
    header.exponent_bits = layout.exponent_bits;
    header.windows = layout.windows;
    header.table_bytes = table_bytes(key_, layout);
    return header;
  }

  PublicKey key_;
  FixedBaseLayout layout_;
  std::filesystem::path path_;
};

}  // namespace

FixedBaseTable::FixedBaseTable(PublicKey key, FixedBaseLayout layout) : key_(std::move(key)) {
  base_.layout = layout;
  info_.bytes = table_bytes(key_, layout);
  info_.windows = layout.windows;
}

const kernels::PublicContext& FixedBaseTable::context() const { return *key_.impl().context; }

FixedBaseLayout layout_for(const PublicKey& key, std::size_t exponent_bits,
                           const TableOptions& options) {
  const std::size_t max_bytes = key.modulus_bits() >= kSmallestSecureBits
                                    ? options.max_bytes
                                    : std::min(options.max_bytes, kTestingTableBytes);
  FixedBaseLayout best;
  for (std::size_t windows = (exponent_bits + kMaxWidth - 1) / kMaxWidth; windows <= exponent_bits;
       ++windows) {
    const FixedBaseLayout layout{exponent_bits, windows};
    const bool is_last = windows == exponent_bits;  // the smallest table of all
    if (table_bytes(key, layout) > max_bytes && !is_last) continue;
    const auto cost = [&](const FixedBaseLayout& some) {
      return kEntryCost * some.entries() + options.encryptions * some.windows;
    };
    if (best.windows == 0 || (options.encryptions > 0 && cost(layout) < cost(best))) best = layout;
  }
  return best;
}

void remove_tables(const std::filesystem::path& directory) noexcept {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    // With the lock file, and what a process that was killed left unfinished.
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (name.starts_with(kFilePrefix) && name.find(kFileSuffix) != std::string::npos) {
      std::filesystem::remove(entry->path(), ignored);
    }
  }
}

std::shared_ptr<const FixedBaseTable> FixedBaseTable::of(const PublicKey& key,
                                                         std::size_t exponent_bits,
                                                         const TableOptions& options,
                                                         ThreadPool& pool) {
  using Name = std::tuple<Digest, std::size_t, std::size_t, const kernels::Kernel*>;
  static std::mutex mutex;
  static std::map<Name, std::weak_ptr<const FixedBaseTable>> tables;
  const FixedBaseLayout layout = layout_for(key, exponent_bits, options);
  const std::lock_guard lock(mutex);
  std::erase_if(tables, [](const auto& entry) { return entry.second.expired(); });
  auto& slot = tables[{key.id(), exponent_bits, layout.windows, &kernels::active_kernel()}];
  if (auto table = slot.lock()) return table;
  std::shared_ptr<const FixedBaseTable> table;
  if (!options.directory.empty()) {
    table = TableFile(key, layout, options.directory).open_or_make(pool);
  }
  if (table == nullptr) table = std::make_shared<const PrivateTable>(key, layout, pool);
  slot = table;
  return table;
}

}  // namespace blindsum::crypto
