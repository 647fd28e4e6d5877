#include "shared/settings/record_schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"

namespace blindsum::settings {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBytes = 64;
constexpr std::size_t kMaxItems = 8192;
constexpr std::uint32_t kMaxCost = 1000000;
constexpr const char* kPlainText =
    "1 to 64 characters without ',' and '\"', in quotes where YAML reads a number or null";

std::string shown(const json& value) {
  return value.is_string() ? "'" + value.get<std::string>() + "'"
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

[[noreturn]] void refuse(std::string_view key, const json& value, std::string_view allowed) {
  throw ConfigError(std::string(key) + ": " + shown(value) + " is not allowed; use " +
                    std::string(allowed));
}

// require_keys throws for what is no object, or has other keys.
template <std::size_t N>
void require_keys(const json& object, const char* what,
                  const std::array<std::string_view, N>& known) {
  if (!object.is_object()) throw ConfigError(std::string(what) + ", not " + shown(object));
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) == known.end()) {
      std::string names;
      for (const std::string_view name : known) (names += names.empty() ? "" : ", ") += name;
      throw ConfigError("unknown key '" + key + "'; use " + names);
    }
  }
}

std::string plain_text(std::string_view key, const json& value) {
  if (!value.is_string() || !is_plain_text(value.get_ref<const std::string&>())) {
    refuse(key, value, kPlainText);
  }
  return value.get<std::string>();
}

std::string name_of(const json& object) {
  if (!object.contains("name")) throw ConfigError("name: is missing");
  return plain_text("name", object.at("name"));
}

template <class Item, class Read>
std::vector<Item> list_of(const json& object, std::string_view key, const Read& read) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_array() || found->empty() || found->size() > kMaxItems) {
    refuse(key, found->is_array() ? json(std::to_string(found->size()) + " items") : *found,
           "a list of 1 to " + std::to_string(kMaxItems));
  }
  std::vector<Item> items;
  for (const json& item : *found) items.push_back(read(key, item));
  return items;
}

std::uint32_t cost(std::string_view key, const json& value) {
  std::uint32_t number = 0;
  const std::string digits = value.is_string()            ? value.get<std::string>()
                             : value.is_number_unsigned() ? value.dump()
                                                          : "";
  const char* end = digits.data() + digits.size();
  const auto [read, error] = std::from_chars(digits.data(), end, number);
  if (digits.empty() || error != std::errc{} || read != end || number > kMaxCost) {
    refuse(key, value, "whole numbers from 0 to " + std::to_string(kMaxCost));
  }
  return number;
}

std::optional<double> bound(const json& object, std::string_view key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (!found->is_number() || !std::isfinite(found->get<double>())) {
    refuse(key, *found, "a number");
  }
  return found->get<double>();
}

}  // namespace

bool is_plain_text(const std::string& text) {
  if (text.empty() || text.size() > kMaxBytes || text.front() == ' ' || text.back() == ' ') {
    return false;
  }
  if (std::ranges::any_of(text, [](char c) {
        return (c >= '\0' && c < ' ') || c == '\x7f' || c == ',' || c == '"';
      })) {
    return false;
  }
  try {
    (void)json(text).dump();
  } catch (const json::exception&) {  // not UTF-8
    return false;
  }
  return true;
}

void to_json(json& object, const SchemaColumn& column) {
  object = {{"name", column.name}, {"kind", column.kind}};
  if (!column.values.empty()) object["values"] = column.values;
  if (column.low) object["low"] = *column.low;
  if (column.high) object["high"] = *column.high;
}

void from_json(const json& object, SchemaColumn& column) {
  require_keys(object, "a column is {name: …, kind: …}",
               std::array<std::string_view, 5>{"name", "kind", "values", "low", "high"});
  SchemaColumn read;
  read.name = name_of(object);
  if (read.name.find('=') != std::string::npos) {
    refuse("name", json(read.name), "a name without '=', which stands between name and value");
  }
  if (object.contains("kind")) {
    const json& kind = object.at("kind");
    if (kind != "number" && kind != "log" && kind != "category") {
      refuse("kind", kind, "number, log or category");
    }
    read.kind = kind;
  }
  read.values = list_of<std::string>(object, "values", plain_text);
  if ((read.kind == "category") == read.values.empty()) {
    throw ConfigError("values: a category lists them, a " + std::string("number or log has none") +
                      "; column '" + read.name + "' is a " + read.kind);
  }
  read.low = bound(object, "low");
  read.high = bound(object, "high");
  const bool is_range = read.low && read.high && *read.low < *read.high;
  if ((read.low || read.high) && (read.kind != "number" || !is_range)) {
    throw ConfigError("low and high: a number has both, low below high, or none");
  }
  column = std::move(read);
}

void to_json(json& object, const SchemaClass& one) {
  object = {{"name", one.name}, {"labels", one.labels}};
  if (!one.costs.empty()) object["costs"] = one.costs;
}

void from_json(const json& object, SchemaClass& one) {
  require_keys(object, "a class is {name: …, labels: […]}",
               std::array<std::string_view, 3>{"name", "labels", "costs"});
  SchemaClass read;
  read.name = name_of(object);
  read.labels = list_of<std::string>(object, "labels", plain_text);
  if (read.labels.empty()) throw ConfigError("labels: is missing");
  read.costs = list_of<std::uint32_t>(object, "costs", cost);
  one = std::move(read);
}

}  // namespace blindsum::settings
