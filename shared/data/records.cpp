#include "shared/data/records.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <unordered_map>
#include <utility>

#include <zlib.h>

#include "shared/core/error.h"
#include "shared/core/hash.h"

namespace blindsum::data {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{2} << 30;  // the full KDD file has 0.74 GB

// for_each_piece hands out the uncompressed text of a file. zlib passes a file without the gzip
// magic through unchanged.
template <class Sink>
void for_each_piece(const std::filesystem::path& path, Sink&& sink) {
  const auto close = [](gzFile file) { gzclose_r(file); };
  if (!std::filesystem::is_regular_file(path)) {
    throw DataError(path.string() + ": no such file");
  }
  std::unique_ptr<gzFile_s, decltype(close)> file(gzopen(path.c_str(), "rb"), close);
  if (!file) throw DataError(path.string() + ": cannot be opened");
  constexpr unsigned kPieceBytes = 1 << 17;
  gzbuffer(file.get(), kPieceBytes);
  std::vector<char> piece(kPieceBytes);
  std::size_t total = 0;
  for (;;) {
    const int got = gzread(file.get(), piece.data(), static_cast<unsigned>(piece.size()));
    // A stream that ends early reads as a short piece; the error state tells it from a full one.
    int state = Z_OK;
    const char* text = gzerror(file.get(), &state);
    if (got < 0 || state == Z_BUF_ERROR) {
      throw DataError(path.string() + ": " +
                      (state == Z_BUF_ERROR ? "the gzip stream is truncated" : text));
    }
    if (got == 0) return;
    total += static_cast<std::size_t>(got);
    if (total > kMaxTextBytes) throw DataError(path.string() + ": more than 2 GiB of text");
    sink(std::string_view(piece.data(), static_cast<std::size_t>(got)));
  }
}

std::string read_text(const std::filesystem::path& path) {
  std::string text;
  for_each_piece(path, [&](std::string_view piece) { text.append(piece); });
  if (text.empty()) throw DataError(path.string() + ": the file is empty");
  if (text.back() != '\n') text += '\n';
  return text;
}

// read_line cuts a line at its commas, without its line end.
void read_line(std::string_view text, std::vector<std::string_view>& fields) {
  fields.clear();
  if (text.ends_with('\r')) text.remove_suffix(1);
  for (;;) {
    const std::size_t comma = text.find(',');
    fields.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// AttackIndex numbers labels in order of first appearance.
class AttackIndex {
 public:
  explicit AttackIndex(const Schema& schema) : schema_(&schema) {}

  // index_of returns nothing (-1) for a label that the schema does not have.
  std::int32_t index_of(std::string_view label) {
    if (schema_->is_kdd99() && label.ends_with('.')) label.remove_suffix(1);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == label) return static_cast<std::int32_t>(i);
    }
    const auto found = schema_->class_with_label(label);
    if (!found) return -1;
    names.emplace_back(label);
    classes.push_back(static_cast<std::uint8_t>(*found));
    return static_cast<std::int32_t>(names.size()) - 1;
  }

  std::vector<std::string> names;
  std::vector<std::uint8_t> classes;

 private:
  const Schema* schema_;
};

// is_difficulty tells NSL-KDD's last column: of 21 classifiers, how many were right.
bool is_difficulty(std::string_view field) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc{} && end == field.data() + field.size() && value <= 21;
}

// Layout says where the lines of a file have the columns of a schema.
class Layout {
 public:
  // `first` is the file's first line; `fail` throws.
  template <class Fail>
  Layout(const Schema& schema, std::string_view first, const Fail& fail)
      : is_kdd99_(schema.is_kdd99()) {
    const auto columns = schema.columns();
    places_.resize(columns.size());
    for (std::size_t i = 0; i < places_.size(); ++i) places_[i] = i;
    label_ = columns.size();
    count_ = columns.size() + 1;
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (!is_kdd99_ && first.starts_with(kByteOrderMark)) {
      first.remove_prefix(kByteOrderMark.size());
    }
    std::vector<std::string_view> names;
    read_line(first, names);
    for (std::string_view& name : names) name = is_kdd99_ ? name : trimmed(name);
    if (is_kdd99_) {
      has_header_ =
          names.size() >= columns.size() &&
          std::ranges::equal(columns, std::span(names).first(columns.size()), {},
                             [](const Feature& column) { return std::string_view(column.name); });
      return;
    }
    // All names of the schema make a header, and none of them a record.
    std::string missing;
    std::size_t found = 0;
    const auto place_of = [&](const std::string& name) {
      const auto place = std::ranges::find(names, name);
      if (place == names.end()) {
        if (missing.empty()) missing = name;
        return std::size_t{0};
      }
      ++found;
      if (std::find(place + 1, names.end(), name) != names.end()) {
        fail("the header has column " + in_quotes(name) + " twice");
      }
      return static_cast<std::size_t>(place - names.begin());
    };
    std::vector<std::size_t> places;
    for (const Feature& column : columns) places.push_back(place_of(column.name));
    const std::size_t label = place_of(schema.label());
    if (found == 0) return;
    if (!missing.empty()) fail("the header has no column " + in_quotes(missing));
    has_header_ = true;
    places_ = std::move(places);
    label_ = label;
    count_ = names.size();
  }

  [[nodiscard]] bool has_header() const { return has_header_; }
  [[nodiscard]] bool goes_by_name() const { return has_header_ && !is_kdd99_; }

  // take reads a line. Calls `fail` when it has another number of fields than it should.
  template <class Fail>
  void take(std::string_view line, const Fail& fail) {
    read_line(line, fields_);
    const bool has_difficulty =
        is_kdd99_ && fields_.size() == count_ + 1 && is_difficulty(fields_.back());
    if (fields_.size() != count_ && !has_difficulty) {
      fail(std::to_string(fields_.size()) + " fields, expected " + std::to_string(count_));
    }
    if (is_kdd99_) return;
    if (line.find('"') != std::string_view::npos) fail("a quote; fields are read without quotes");
    for (std::string_view& field : fields_) field = trimmed(field);
  }

  // The fields of the line that was taken.
  [[nodiscard]] std::string_view column(std::size_t i) const { return fields_[places_[i]]; }
  [[nodiscard]] std::string_view label() const { return fields_[label_]; }

 private:
  bool is_kdd99_;
  bool has_header_ = false;
  std::vector<std::size_t> places_;  // of the columns
  std::size_t label_ = 0, count_ = 0;
  std::vector<std::string_view> fields_;
};

// for_each_record calls body(begin, line, attack, fail) for every record of `text`: its offset, its
// fields, the index of its attack, and a function that throws with file and line number. Returns
// the offset of the first record.
template <class Body>
std::size_t for_each_record(const std::filesystem::path& path, std::string_view text,
                            const Schema& schema, AttackIndex& attacks, Body&& body) {
  std::size_t number = 1;
  const auto fail = [&](const std::string& what) {
    throw DataError(path.string() + ":" + std::to_string(number) + ": " + what);
  };
  Layout layout(schema, text.substr(0, text.find('\n')), fail);
  std::size_t begin = 0;
  if (layout.has_header()) {
    begin = text.find('\n') + 1;
    ++number;
  }
  const std::size_t first = layout.goes_by_name() ? begin : 0;
  for (; begin < text.size(); ++number) {
    const std::size_t end = text.find('\n', begin);
    layout.take(text.substr(begin, end - begin), fail);
    const std::int32_t attack = attacks.index_of(layout.label());
    if (attack < 0) {
      fail((schema.is_kdd99() ? "unknown attack label " : "unknown label ") +
           in_quotes(layout.label()));
    }
    body(begin, std::as_const(layout), static_cast<std::uint16_t>(attack), fail);
    begin = end + 1;
  }
  return first;
}

}  // namespace

RecordTable read_records(const std::filesystem::path& path, const Schema& schema) {
  const std::string text = read_text(path);
  RecordTable table;
  table.schema = schema;
  AttackIndex attacks(schema);
  const auto columns = schema.columns();
  // A line that is too short for a record ends the reading: memory for it is not needed.
  const std::size_t shortest = 2 * columns.size();  // a digit and a comma each
  const std::size_t most_rows = std::min(static_cast<std::size_t>(std::ranges::count(text, '\n')),
                                         text.size() / shortest + 1);
  table.numeric.reserve(most_rows * schema.numeric().size());
  table.categories.reserve(most_rows * schema.categorical().size());
  table.attacks.reserve(most_rows);
  table.classes.reserve(most_rows);
  for_each_record(
      path, text, schema, attacks,
      [&](std::size_t, const Layout& line, std::uint16_t attack, const auto& fail) {
        for (const std::size_t place : schema.numeric()) {
          const std::string_view field = line.column(place);
          const std::string& name = columns[place].name;
          double value = 0;
          const auto [end, error] =
              std::from_chars(field.data(), field.data() + field.size(), value);
          if (error != std::errc{} || end != field.data() + field.size() || !std::isfinite(value)) {
            fail(in_quotes(field) + " is not a number in column " + name);
          }
          if (value < 0 && schema.is_kdd99()) {
            fail(in_quotes(field) + " is negative in column " + name);
          }
          table.numeric.push_back(value);
        }
        for (std::size_t k = 0; k < schema.categorical().size(); ++k) {
          table.categories.push_back(schema.value_index(k, line.column(schema.categorical()[k])));
        }
        table.attacks.push_back(attack);
        table.classes.push_back(attacks.classes[attack]);
      });
  table.rows = table.attacks.size();
  table.attack_names = std::move(attacks.names);
  return table;
}

RecordTable select(const RecordTable& table, std::span<const std::uint32_t> rows) {
  RecordTable selected;
  selected.schema = table.schema;
  selected.rows = rows.size();
  selected.numeric.reserve(rows.size() * table.schema.numeric().size());
  selected.categories.reserve(rows.size() * table.schema.categorical().size());
  selected.attacks.reserve(rows.size());
  selected.classes.reserve(rows.size());
  for (const std::uint32_t row : rows) {
    const auto numeric = table.numeric_of(row);
    const auto categories = table.categories_of(row);
    selected.numeric.insert(selected.numeric.end(), numeric.begin(), numeric.end());
    selected.categories.insert(selected.categories.end(), categories.begin(), categories.end());
    selected.attacks.push_back(table.attacks[row]);
    selected.classes.push_back(table.classes[row]);
  }
  selected.attack_names = table.attack_names;
  return selected;
}

DistinctRows distinct_rows(const RecordTable& table) {
  const auto hash = [&](std::uint32_t row) {
    const std::span<const double> numeric = table.numeric_of(row);
    const std::string_view bytes(reinterpret_cast<const char*>(numeric.data()),
                                 numeric.size_bytes());
    return std::hash<std::string_view>{}(bytes) + table.attacks[row];
  };
  const auto equal = [&](std::uint32_t a, std::uint32_t b) {
    return table.attacks[a] == table.attacks[b] &&
           std::ranges::equal(table.categories_of(a), table.categories_of(b)) &&
           std::ranges::equal(table.numeric_of(a), table.numeric_of(b));
  };
  std::unordered_map<std::uint32_t, std::size_t, decltype(hash), decltype(equal)> places(0, hash,
                                                                                         equal);
  DistinctRows distinct;
  for (std::uint32_t row = 0; row < table.rows; ++row) {
    const auto [found, is_new] = places.emplace(row, distinct.rows.size());
    if (is_new) {
      distinct.rows.push_back(row);
      distinct.multiplicity.push_back(1);
    } else {
      ++distinct.multiplicity[found->second];
    }
  }
  return distinct;
}

RawFile read_raw(const std::filesystem::path& path, const Schema& schema) {
  RawFile file;
  file.schema = schema;
  file.text = read_text(path);
  AttackIndex attacks(schema);
  const auto service = schema.categorical_named(kServiceColumn);
  const std::size_t first = for_each_record(
      path, file.text, schema, attacks,
      [&](std::size_t begin, const Layout& line, std::uint16_t attack, const auto&) {
        file.line_begin.push_back(begin);
        if (service) {
          file.services.push_back(
              schema.value_index(*service, line.column(schema.categorical()[*service])));
        }
        file.attacks.push_back(attack);
      });
  file.header = file.text.substr(0, first);
  file.line_begin.push_back(file.text.size());
  file.attack_names = std::move(attacks.names);
  return file;
}

std::string text_sha256(const std::filesystem::path& path) {
  Sha256 hash;
  for_each_piece(path, [&](std::string_view piece) { hash.update(as_bytes(piece)); });
  return to_hex(hash.finish());
}

}  // namespace blindsum::data
