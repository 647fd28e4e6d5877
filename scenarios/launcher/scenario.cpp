#include "scenarios/launcher/scenario.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "scenarios/launcher/quantisation.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/role/learning.h"
#include "shared/settings/fields.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;
using settings::Field;

constexpr std::size_t kMaxScenarioBytes = std::size_t{1} << 20;

// edit_distance counts insertions, deletions and substitutions (Levenshtein 1966).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }

// plain_value reads an unquoted scalar by YAML's core schema.
json plain_value(const std::string& text) {
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true") return true;
  if (text == "false") return false;
  const char* end = text.data() + text.size();
  const auto complete = [&](std::from_chars_result result) {
    return result.ec == std::errc() && result.ptr == end;
  };
  std::uint64_t natural = 0;
  if (complete(std::from_chars(text.data(), end, natural))) return natural;
  std::int64_t whole = 0;
  if (complete(std::from_chars(text.data(), end, whole))) return whole;
  double number = 0;
  if (complete(std::from_chars(text.data(), end, number)) && std::isfinite(number)) return number;
  return text;
}

json scalar_value(const YAML::Node& node) {
  if (node.IsNull()) return nullptr;
  if (!node.IsScalar()) return json::object();  // which no field takes
  const bool is_quoted = node.Tag() == "!";
  return is_quoted ? json(node.Scalar()) : plain_value(node.Scalar());
}

// texts_of reads a list within an item: its scalars as they are written.
json texts_of(const YAML::Node& node) {
  json list = json::array();
  for (const YAML::Node& item : node) {
    list.push_back(item.IsScalar() ? json(item.Scalar()) : scalar_value(item));
  }
  return list;
}

// item_value reads an item of a list: a scalar, or a mapping of scalars and lists of texts.
json item_value(const YAML::Node& node) {
  if (!node.IsMap()) return scalar_value(node);
  json object = json::object();
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) throw ConfigError("a key must be a word");
    const std::string& key = entry.first.Scalar();
    if (object.contains(key)) throw ConfigError("key '" + key + "' is given twice");
    object[key] = entry.second.IsSequence() ? texts_of(entry.second) : scalar_value(entry.second);
  }
  return object;
}

// value_of goes as deep as a field needs and no deeper: an alias may make a list contain itself.
json value_of(const YAML::Node& node) {
  if (!node.IsSequence()) return scalar_value(node);
  json list = json::array();
  for (const YAML::Node& item : node) list.push_back(item_value(item));
  return list;
}

// DocumentStarts keeps where the documents of a YAML stream start, and nothing else.
class DocumentStarts : public YAML::EventHandler {
 public:
  [[nodiscard]] const std::vector<YAML::Mark>& marks() const { return marks_; }

  void OnDocumentStart(const YAML::Mark& mark) override { marks_.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  std::vector<YAML::Mark> marks_;
};

// Reader applies YAML nodes to one Settings object.
class Reader {
 public:
  explicit Reader(settings::Settings& settings)
      : settings_(&settings), fields_(settings::fields_of(settings)) {}

  void read_file(std::string_view text, const std::string& file) {
    YAML::Node document;
    try {
      refuse_second_document(std::string(text), file);
      document = YAML::Load(std::string(text));
    } catch (const YAML::Exception& error) {
      throw ConfigError(place(file, error.mark) + ": " + error.msg);
    }
    if (document.IsNull()) return;
    if (!document.IsMap()) throw ConfigError(file + ": keys and values are expected");
    read_section(document, "", file);
  }

  void apply(const Override& override) {
    const Field* field = find(override.key);
    if (field == nullptr) {
      if (is_section(override.key)) {
        throw ConfigError(override.origin + ": '" + override.key + "' is a section; " +
                          example_of(override.key));
      }
      throw ConfigError(override.origin + ": " + unknown(override.key));
    }
    YAML::Node node;
    try {
      node = YAML::Load(override.value);
    } catch (const YAML::Exception& error) {
      throw ConfigError(override.origin + ": " + error.msg);
    }
    set(*field, node, override.origin);
    seen_[override.key] = override.origin;
    overridden_.insert(override.key);
    if (type_of(*field) == "faults") fault_places_.assign(node.size(), override.origin);
  }

  // check completes what is not given and throws for what no key can be blamed for alone.
  void check(const std::string& file) {
    const auto is_given = [this](std::string_view key) { return given_.contains(key); };
    apply_algorithm(*settings_, is_given);
    apply_schema(*settings_, is_given);
    try {
      require_consistent(*settings_);
      (void)role::schema_of(*settings_);
      choose_fixed_point();
    } catch (const ConfigError& error) {
      const std::string what = error.what();
      const auto place = seen_.find(what.substr(0, what.find(':')));
      if (place != seen_.end()) throw ConfigError(place->second + ": " + what);
      refuse(file, what);
    }
    for (std::size_t i = 0; i < settings_->faults.size(); ++i) {
      try {
        require_fits(settings_->faults[i], settings_->parties, settings_->rounds);
      } catch (const ConfigError& error) {
        refuse(fault_places_[i], "faults: " + std::string(error.what()));
      }
    }
  }

 private:
  // choose_fixed_point follows fixed_point.tolerance: it sets the bits, and the clip unless that is
  // given. A resolved scenario has all three. An override of tolerance or clip displaces the bits
  // of the file, one of the bits its tolerance.
  void choose_fixed_point() {
    settings::Settings::FixedPoint& fixed_point = settings_->fixed_point;
    const auto sets = [&](const char* key) {
      return overridden_.contains(std::string("fixed_point.") + key);
    };
    if (sets("bits") && !sets("tolerance")) fixed_point.tolerance = 0;
    if (!sets("bits") && (sets("tolerance") || sets("clip"))) given_.erase("fixed_point.bits");
    if (fixed_point.tolerance == 0) return;
    const bool has_bits = given_.contains("fixed_point.bits");
    FixedPointChoice choice{0, fixed_point.clip};
    if (given_.contains("fixed_point.clip")) {
      choice.bits = bits_for(*settings_);
      if (has_bits && fixed_point.bits != choice.bits && is_widened()) return;
    } else {
      choice = widest_for(*settings_);
    }
    if (has_bits && fixed_point.bits != choice.bits) {
      throw ConfigError("fixed_point.bits: " + std::to_string(fixed_point.bits) +
                        " and fixed_point.tolerance, which takes " + std::to_string(choice.bits) +
                        ", exclude each other; give one of them");
    }
    fixed_point.bits = choice.bits;
    fixed_point.clip = choice.clip;
  }

  // is_widened says whether bits and clip are those that widest_for makes of the tolerance.
  [[nodiscard]] bool is_widened() const {
    settings::Settings open = *settings_;
    open.fixed_point.clip = settings::Settings().fixed_point.clip;
    apply_algorithm(open, [](std::string_view key) { return key != "fixed_point.clip"; });
    const settings::Settings::FixedPoint& fixed_point = settings_->fixed_point;
    return fixed_point.clip > open.fixed_point.clip &&
           widest_for(open) == FixedPointChoice{fixed_point.bits, fixed_point.clip};
  }

  static std::string place(const std::string& file, const YAML::Mark& mark) {
    return mark.is_null() ? file : file + ":" + std::to_string(mark.line + 1);
  }

  [[noreturn]] static void refuse(const std::string& where, const std::string& what) {
    throw ConfigError(where + ": " + what);
  }

  // yaml-cpp sees documents without end, one after the other, before a ',' that belongs to nothing:
  // YAML::LoadAll would not return.
  static void refuse_second_document(const std::string& text, const std::string& file) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStarts starts;
    if (!parser.HandleNextDocument(starts) || !parser.HandleNextDocument(starts)) return;
    const YAML::Mark &first = starts.marks()[0], &second = starts.marks()[1];
    if (first.pos == second.pos) refuse(place(file, first), "a key is expected");
    refuse(file, "more than one YAML document");
  }

  void read_section(const YAML::Node& section, const std::string& prefix, const std::string& file) {
    for (const auto& entry : section) {
      const std::string where = place(file, entry.first.Mark());
      if (!entry.first.IsScalar()) throw ConfigError(where + ": a key must be a word");
      const std::string key = prefix + entry.first.Scalar();
      if (const auto [first, is_new] = seen_.emplace(key, where); !is_new) {
        refuse(where, "key '" + key + "' was given before, at " + first->second);
      }
      if (const Field* field = find(key)) {
        if (type_of(*field) == "faults") fault_places_ = places_of(entry.second, file);
        check_items(*field, entry.second, file);
        set(*field, entry.second, where);
      } else if (!is_section(key)) {
        throw ConfigError(where + ": " + unknown(key));
      } else if (entry.second.IsMap()) {
        read_section(entry.second, key + ".", file);
      } else if (!entry.second.IsNull()) {
        refuse(where, "'" + key + "' is a section; " + example_of(key));
      }
    }
  }

  static std::vector<std::string> places_of(const YAML::Node& list, const std::string& file) {
    std::vector<std::string> places;
    if (!list.IsSequence()) return places;
    for (const YAML::Node& item : list) places.push_back(place(file, item.Mark()));
    return places;
  }

  // check_items refuses a bad fault, column or class at its own line.
  static void check_items(const Field& field, const YAML::Node& list, const std::string& file) {
    const std::string_view type = type_of(field);
    if (!list.IsSequence() || (type != "faults" && type != "columns" && type != "classes")) return;
    for (const YAML::Node& item : list) {
      try {
        const json value = item_value(item);
        if (type == "faults") (void)value.get<settings::PlannedFault>();
        if (type == "columns") (void)value.get<settings::SchemaColumn>();
        if (type == "classes") (void)value.get<settings::SchemaClass>();
      } catch (const ConfigError& error) {
        refuse(place(file, item.Mark()), std::string(field.key) + ": " + error.what());
      }
    }
  }

  void set(const Field& field, const YAML::Node& node, const std::string& where) {
    try {
      settings::set(field, value_of(node));
      given_.insert(field.key);
    } catch (const ConfigError& error) {
      throw ConfigError(where + ": " + std::string(field.key) + ": " + error.what());
    }
  }

  [[nodiscard]] const Field* find(std::string_view key) const {
    const auto found = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const Field& field) { return field.key == key; });
    return found == fields_.end() ? nullptr : &*found;
  }

  [[nodiscard]] bool is_section(const std::string& key) const {
    const std::string prefix = key + ".";
    return std::any_of(fields_.begin(), fields_.end(),
                       [&](const Field& field) { return field.key.starts_with(prefix); });
  }

  [[nodiscard]] std::string example_of(const std::string& section) const {
    const std::string prefix = section + ".";
    std::string keys;
    for (const Field& field : fields_) {
      if (!field.key.starts_with(prefix)) continue;
      if (!keys.empty()) keys += ", ";
      keys += field.key;
    }
    return "its keys are " + keys;
  }

  // unknown names the nearest known key or section, unless all are far away.
  [[nodiscard]] std::string unknown(const std::string& key) const {
    std::vector<std::string_view> known;
    for (const Field& field : fields_) {
      for (auto dot = field.key.find('.'); dot != std::string_view::npos;
           dot = field.key.find('.', dot + 1)) {
        known.push_back(field.key.substr(0, dot));
      }
      known.push_back(field.key);
    }
    std::string_view nearest;
    std::size_t least = std::max<std::size_t>(2, key.size() / 2) + 1;
    for (const std::string_view name : known) {
      std::size_t distance = edit_distance(key, name);
      // A key in the wrong section: nearly the same last part.
      const std::size_t moved = edit_distance(last_part(key), last_part(name));
      if (moved <= last_part(key).size() / 4) distance = std::min(distance, moved + 1);
      // A key that was cut short.
      if (name.starts_with(key + "_")) distance = std::min<std::size_t>(distance, 1);
      if (distance < least) {
        least = distance;
        nearest = name;
      }
    }
    std::string text = "unknown key '" + key + "'";
    if (!nearest.empty()) text += " (did you mean '" + std::string(nearest) + "'?)";
    return text;
  }

  settings::Settings* settings_;
  std::vector<Field> fields_;
  std::vector<std::string> fault_places_;    // where each was given
  std::map<std::string, std::string> seen_;  // key → where it was given
  std::set<std::string_view> given_;         // keys of fields_
  std::set<std::string> overridden_;
};

// yaml_value writes a value so that value_of reads it back.
std::string yaml_value(const Field& field) {
  const json value = settings::get(field);
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  const bool is_word = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  return is_word && text.front() != '-' && plain_value(text).is_string() ? text : value.dump();
}

}  // namespace

Override override_from_set(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw ConfigError("--set " + std::string(text) + ": key=value is expected");
  }
  return {"--set " + std::string(text), std::string(text.substr(0, equals)),
          std::string(text.substr(equals + 1))};
}

settings::Settings parse_scenario(std::string_view text, const std::string& file,
                                  std::span<const Override> overrides) {
  settings::Settings settings;
  Reader reader(settings);
  reader.read_file(text, file);
  for (const Override& override : overrides) reader.apply(override);
  reader.check(file);
  return settings;
}

settings::Settings load_scenario(const std::filesystem::path& path,
                                 std::span<const Override> overrides) {
  std::string text;
  try {
    text = read_text_file(path, kMaxScenarioBytes);
  } catch (const Error& error) {
    throw ConfigError(error.what());
  }
  return parse_scenario(text, path.string(), overrides);
}

std::string to_yaml(const settings::Settings& settings) {
  settings::Settings copy = settings;
  std::string text;
  std::vector<std::string> open;  // the sections that the last key was in
  for (const Field& field : settings::fields_of(copy)) {
    std::vector<std::string> sections;
    std::string_view rest = field.key;
    for (auto dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
      sections.emplace_back(rest.substr(0, dot));
      rest.remove_prefix(dot + 1);
    }
    for (std::size_t depth = 0; depth < sections.size(); ++depth) {
      if (depth < open.size() && open[depth] == sections[depth]) continue;
      text += std::string(2 * depth, ' ') + sections[depth] + ":\n";
      open.resize(depth);
      open.push_back(sections[depth]);
    }
    open = sections;
    text +=
        std::string(2 * sections.size(), ' ') + std::string(rest) + ": " + yaml_value(field) + "\n";
  }
  return text;
}

std::string key_table() {
  settings::Settings defaults;
  std::string text = "| key | values | default | meaning |\n|---|---|---|---|\n";
  for (const Field& field : settings::fields_of(defaults)) {
    text += "| `" + std::string(field.key) + "` | " + settings::allowed_values(field) + " | `" +
            yaml_value(field) + "` | " + std::string(field.meaning) + " |\n";
  }
  return text;
}

}  // namespace blindsum::launcher
