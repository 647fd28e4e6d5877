#include "shared/data/schema.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "shared/core/error.h"

namespace blindsum::data {
namespace {

void require(bool is_right, const std::string& what) {
  if (!is_right) throw ConfigError(what);
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) out += c < ' ' || c > '~' ? '?' : c;
  return out + (text.size() > kShown ? "…'" : "'");
}

// sorted makes texts findable. Throws ConfigError for one that is there twice.
std::vector<Schema::Entry> Schema::sorted(std::vector<Entry> entries, const std::string& what) {
  std::ranges::sort(entries, {}, &Entry::text);
  const auto twice = std::ranges::adjacent_find(entries, {}, &Entry::text);
  if (twice != entries.end())
    throw ConfigError(what + " " + in_quotes(twice->text) + " is there twice");
  return entries;
}

const Schema::Entry* Schema::find(const std::vector<Entry>& sorted, std::string_view text) {
  const auto found = std::ranges::lower_bound(
      sorted, text, {}, [](const Entry& entry) { return std::string_view(entry.text); });
  return found == sorted.end() || found->text != text ? nullptr : &*found;
}

Schema::Schema(std::vector<Feature> columns, std::string label, std::vector<RecordClass> classes) {
  auto data = std::make_shared<Data>();
  require(!columns.empty() && columns.size() <= kMaxColumns,
          std::to_string(columns.size()) + " columns; use 1 to " + std::to_string(kMaxColumns));
  require(classes.size() >= 2 && classes.size() <= kMaxClasses,
          std::to_string(classes.size()) + " classes; use 2 to " + std::to_string(kMaxClasses));
  std::set<std::string> names{label};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Feature& column = columns[i];
    const std::string where = "column " + in_quotes(column.name);
    require(!column.name.empty(), "column " + std::to_string(i + 1) + " has no name");
    require(names.insert(column.name).second, where + " is there twice");
    if (column.kind != FeatureKind::kCategory) {
      require(column.values.empty(), where + ": only a category has values");
      require(!column.range ||
                  (column.kind == FeatureKind::kNumber && std::isfinite(column.range->low) &&
                   std::isfinite(column.range->high) && column.range->low < column.range->high),
              where + ": a range is of a number, and low is below high");
      data->numeric.push_back(i);
      continue;
    }
    require(!column.values.empty(), where + ": a category needs values");
    require(!column.range, where + ": a category has no range");
    std::vector<Entry> values;
    for (const std::string& value : column.values) values.push_back({value, values.size()});
    data->values.push_back(sorted(std::move(values), where + ": value"));
    data->categorical.push_back(i);
    data->onehot_inputs += column.values.size();
  }
  const std::size_t inputs = data->onehot_inputs + data->numeric.size();
  require(inputs <= kMaxInputs, std::to_string(inputs) + " inputs: the columns and the values of " +
                                    "categories may come to " + std::to_string(kMaxInputs));
  std::set<std::string> class_names;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    RecordClass& one = classes[c];
    const std::string where = "class " + in_quotes(one.name);
    require(!one.name.empty(), "class " + std::to_string(c + 1) + " has no name");
    require(class_names.insert(one.name).second, where + " is there twice");
    require(!one.labels.empty(), where + " has no labels");
    if (one.costs.empty()) {
      one.costs.assign(classes.size(), 1);
      one.costs[c] = 0;
    }
    require(one.costs.size() == classes.size() && one.costs[c] == 0,
            where + ": costs are one a class, and 0 for its own");
    for (const std::string& text : one.labels) data->labels.push_back({text, c});
  }
  constexpr std::size_t kMaxLabels = 65535;  // rows number them in 16 bits
  require(
      data->labels.size() <= kMaxLabels,
      std::to_string(data->labels.size()) + " labels; use at most " + std::to_string(kMaxLabels));
  data->labels = sorted(std::move(data->labels), "label");
  data->columns = std::move(columns);
  data->label = std::move(label);
  data->classes = std::move(classes);
  data_ = std::move(data);
}

std::vector<std::string> Schema::input_names() const {
  std::vector<std::string> names;
  for (const std::size_t place : categorical()) {
    for (const std::string& value : columns()[place].values) {
      names.push_back(columns()[place].name + "=" + value);
    }
  }
  for (const std::size_t place : numeric()) names.push_back(columns()[place].name);
  return names;
}

std::int16_t Schema::value_index(std::size_t k, std::string_view value) const {
  const Entry* found = find(data_->values[k], value);
  return found == nullptr ? kUnknownCategory : static_cast<std::int16_t>(found->index);
}

std::optional<std::size_t> Schema::categorical_named(std::string_view name) const {
  for (std::size_t k = 0; k < categorical().size(); ++k) {
    if (categorical_column(k).name == name) return k;
  }
  return std::nullopt;
}

std::optional<std::size_t> Schema::class_with_label(std::string_view label) const {
  const Entry* found = find(data_->labels, label);
  return found == nullptr ? std::nullopt : std::optional(found->index);
}

std::size_t Schema::class_of(std::string_view label) const {
  const auto found = class_with_label(label);
  if (!found) throw DataError("unknown label " + in_quotes(label));
  return *found;
}

std::vector<std::string> Schema::class_names() const {
  std::vector<std::string> names;
  for (const RecordClass& one : classes()) names.push_back(one.name);
  return names;
}

}  // namespace blindsum::data
