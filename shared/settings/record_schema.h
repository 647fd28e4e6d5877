// A scenario's own records: what the columns of its files are, and which labels make which class.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace blindsum::settings {

// SchemaColumn is a feature; data::Feature says what becomes of it.
struct SchemaColumn {
  std::string name;
  std::string kind = "number";      // number | log | category
  std::vector<std::string> values;  // category
  // number: the range that its values are scaled by; both or none.
  std::optional<double> low, high;
  friend bool operator==(const SchemaColumn&, const SchemaColumn&) = default;
};

// SchemaClass is a class of records: its labels in the files, and what a record of it costs that is
// taken for each class, in their order. Without costs every mistake costs 1.
struct SchemaClass {
  std::string name;
  std::vector<std::string> labels;
  std::vector<std::uint32_t> costs;
  friend bool operator==(const SchemaClass&, const SchemaClass&) = default;
};

// is_plain_text says whether a name, value or label can stand in a CSV file without quotes: 1 to 64
// bytes of valid UTF-8 without controls, ',', '"' and blanks at its ends.
[[nodiscard]] bool is_plain_text(const std::string& text);

// to_json and from_json are exact inverses and leave out what is not given. from_json throws
// ConfigError naming the key and what is allowed. A cost may be text, as YAML lists have it.
void to_json(nlohmann::json& json, const SchemaColumn& column);
void from_json(const nlohmann::json& json, SchemaColumn& column);
void to_json(nlohmann::json& json, const SchemaClass& one);
void from_json(const nlohmann::json& json, SchemaClass& one);

}  // namespace blindsum::settings
