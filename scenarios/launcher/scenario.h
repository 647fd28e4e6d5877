// Scenario files: YAML in, settings out, every mistake named with its place.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "shared/settings/settings.h"

namespace blindsum::launcher {

// Override is one key given on the command line. It goes through the same checks as the file;
// `origin` is what errors call it: "--set rounds=20", "--parties 4".
struct Override {
  std::string origin;
  std::string key;
  std::string value;
};

// override_from_set splits "a.b=c". Throws ConfigError when there is no '='.
[[nodiscard]] Override override_from_set(std::string_view text);

// parse_scenario reads the YAML `text` of the file called `file`, then applies `overrides`. A key
// that is not given has its default. Throws ConfigError for YAML that cannot be read, an unknown
// key, a key given twice, or a value of the wrong type or range: "scenarios/x.yaml:12: unknown key
// 'partys' (did you mean 'parties'?)".
[[nodiscard]] settings::Settings parse_scenario(std::string_view text, const std::string& file,
                                                std::span<const Override> overrides = {});

// load_scenario is parse_scenario of a file; ConfigError also when the file cannot be read.
[[nodiscard]] settings::Settings load_scenario(const std::filesystem::path& path,
                                               std::span<const Override> overrides = {});

// to_yaml writes every key. parse_scenario reads the same settings back.
[[nodiscard]] std::string to_yaml(const settings::Settings& settings);

// key_table is the Markdown table of all keys: type and values, default, meaning.
// scenarios/README.md holds it.
[[nodiscard]] std::string key_table();

}  // namespace blindsum::launcher
