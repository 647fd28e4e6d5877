// The KDD reader, plain and compressed: its two forms agree, and every value is one that the
// encoder may be given.
#include "shared/data/kdd.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include <zlib.h>

#include "shared/core/error.h"
#include "tests/fuzz/target.h"

namespace {

using namespace blindsum;

constexpr std::size_t kMaxText = 65536;

// inflated returns the text of a gzip stream, or nothing when `bytes` are not a whole one.
std::optional<Bytes> inflated(ByteView bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  if (inflateInit2(&stream, kGzip) != Z_OK) return std::nullopt;
  Bytes text(kMaxText);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = text.data();
  stream.avail_out = static_cast<unsigned>(text.size());
  const int result = inflate(&stream, Z_FINISH);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  if (result != Z_STREAM_END) return std::nullopt;
  return text;
}

Bytes deflated(ByteView text) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  fuzz::require(deflateInit2(&stream, 1, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK,
                "deflateInit2");
  Bytes bytes(deflateBound(&stream, static_cast<unsigned long>(text.size())));
  stream.next_in = const_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = bytes.data();
  stream.avail_out = static_cast<unsigned>(bytes.size());
  fuzz::require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflate");
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

// own_schema has a column of each kind.
const data::Schema& own_schema() {
  static const data::Schema schema(
      {{"a", data::FeatureKind::kCategory, {"tcp", "udp", "6"}},
       {"b", data::FeatureKind::kLog},
       {"c", data::FeatureKind::kNumber, {}, data::Feature::Range{-1, 5}}},
      "label", {{"good", {"ok", "0"}, {}}, {"bad", {"no", "1"}, {}}});
  return schema;
}

// check reads a file in both forms, which must agree.
void check(const std::filesystem::path& path, const data::Schema& schema) {
  const auto raw = fuzz::accepted<DataError>([&] { return data::read_raw(path, schema); });
  const auto table = fuzz::accepted<DataError>([&] { return data::read_records(path, schema); });
  fuzz::require(!table || raw, "a file was read whose lines were refused");
  if (!table) return;
  fuzz::require(table->rows == raw->rows() && table->attacks == raw->attacks &&
                    table->attack_names == raw->attack_names,
                "the two forms of reading do not agree");
  fuzz::require(table->numeric.size() == table->rows * schema.numeric().size() &&
                    table->categories.size() == table->rows * schema.categorical().size() &&
                    table->classes.size() == table->rows,
                "a table with holes");
  fuzz::require(std::ranges::all_of(
                    table->numeric,
                    [&](double v) { return std::isfinite(v) && (v >= 0 || !schema.is_kdd99()); }),
                "a value that is negative or not finite");
  for (std::size_t row = 0; row < table->rows; ++row) {
    fuzz::require(
        table->classes[row] == schema.class_of(table->attack_names.at(table->attacks[row])),
        "a row of another class than its attack");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::MemoryFile file;
  file.assign({data, size});
  check(file.path(), data::Schema::kdd99());
  check(file.path(), own_schema());
  return 0;
}
