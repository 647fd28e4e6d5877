// The fields of Settings as one table: name, place, allowed values, meaning. Scenario files, --set,
// JSON and the documentation all go through it, so that a field is described once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "shared/settings/settings.h"

namespace blindsum::settings {

// Field is one field of one Settings object, which must outlive it.
struct Field {
  using Value = std::variant<std::string*, std::uint64_t*, std::uint32_t*, double*,
                             std::vector<std::uint32_t>*, std::vector<PlannedFault>*,
                             std::vector<SchemaColumn>*, std::vector<SchemaClass>*>;
  std::string_view key;  // dotted: "data.partition.kind"
  Value value;
  std::vector<std::string_view> words;  // allowed texts; empty for numbers and for free text
  double least = 0, most = 0;           // allowed numbers, inclusive; of a list: of its items
  std::string_view meaning;
  bool is_plain = false;  // a text that takes whatever a CSV file can hold
};

// fields_of lists every field in the order of the documentation.
[[nodiscard]] std::vector<Field> fields_of(Settings& settings);

// type_of names the field's type: "text", "word", "whole number", "number", "list", "faults",
// "columns" or "classes".
[[nodiscard]] std::string_view type_of(const Field& field);

// allowed_values says which values the field takes: "a whole number from 3 to 1000", "iid,
// dirichlet or by_attack".
[[nodiscard]] std::string allowed_values(const Field& field);

[[nodiscard]] nlohmann::json get(const Field& field);

// set assigns `value`. Throws ConfigError "'x' is not allowed; use …", without the field's name,
// when the type or the value is not allowed; the field is then unchanged. Of a fault, a column or a
// class, the error says the place in the list, from 1.
void set(const Field& field, const nlohmann::json& value);

}  // namespace blindsum::settings
