#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "scenarios/launcher/verbs/verbs.h"
#include "shared/settings/fields.h"

namespace blindsum::launcher {
namespace {

// The parts of the script that do not depend on the command line. `path` is the verb that was typed
// ("keys check"), `cur` the word to complete. Bash splits words at '=', so that key=value is three.
constexpr const char* kBegin =
    R"(# Bash completion for blindsum. To load it: source <(blindsum completion bash)
_blindsum_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_blindsum_folders() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -d -- "$cur")
}
_blindsum_scenarios() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -X '!*.yaml' -- "$cur"; compgen -f -X '!*.yml' -- "$cur"; compgen -d -- "$cur")
}
_blindsum_keys() {
  compopt -o nospace 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -S = -W "$1" -- "$cur")
}
_blindsum() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path="" key="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${COMP_WORDS[i]}" in
)";
constexpr const char* kFindKey = R"(    esac
  done
  if ((COMP_CWORD > 2)) && [[ $cur == = && ${COMP_WORDS[COMP_CWORD-2]} == --set ]]; then
    key=$prev cur=""
  elif ((COMP_CWORD > 3)) && [[ $prev == = && ${COMP_WORDS[COMP_CWORD-3]} == --set ]]; then
    key=${COMP_WORDS[COMP_CWORD-2]}
  fi
  if [[ -n $key ]]; then
    case "$key" in
)";
constexpr const char* kEndKey = R"(    esac
    return
  fi
)";
constexpr const char* kEnd = R"(}
complete -F _blindsum blindsum
)";

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// complete_value is the call that completes a value named or described as `name`; empty: nothing is
// known about it. CLI11 describes a choice as "TEXT:{a,b}".
std::string complete_value(const CLI::Option& option) {
  std::string type = option.get_type_name();
  if (const auto open = type.find('{'); open != std::string::npos) {
    std::string words = type.substr(open + 1, type.find('}', open) - open - 1);
    std::replace(words.begin(), words.end(), ',', ' ');
    return "_blindsum_words '" + words + "'";
  }
  const std::string name = option.get_name();
  if (name == "SCENARIO") return "_blindsum_scenarios";
  if (name.ends_with("DIR") || name == "--data" || name == "--out" || name == "--keys" ||
      name == "--resume") {
    return "_blindsum_folders";
  }
  if (name != "--set") return "";
  std::vector<std::string> keys;
  settings::Settings defaults;
  for (const auto& field : settings::fields_of(defaults)) keys.emplace_back(field.key);
  return "_blindsum_keys '" + joined(keys) + "'";
}

// Node is a verb and the words that lead to it.
struct Node {
  std::string path;
  const CLI::App* app;
};

void collect(const std::string& path, const CLI::App& app, std::vector<Node>& nodes) {
  nodes.push_back({path, &app});
  for (const CLI::App* verb : app.get_subcommands({})) {
    collect(path.empty() ? verb->get_name() : path + " " + verb->get_name(), *verb, nodes);
  }
}

std::string script_of(const CLI::App& app) {
  std::vector<Node> nodes;
  collect("", app, nodes);
  std::string text = kBegin;
  for (const Node& node : nodes) {
    for (const CLI::App* verb : node.app->get_subcommands({})) {
      text += "      \"" + node.path + " " + verb->get_name() + "\") path=\"" +
              (node.path.empty() ? "" : node.path + " ") + verb->get_name() + "\" ;;\n";
    }
  }
  text += kFindKey;
  settings::Settings defaults;
  for (const auto& field : settings::fields_of(defaults)) {
    if (field.words.empty()) continue;
    text += "      " + std::string(field.key) + ") _blindsum_words '" +
            joined({field.words.begin(), field.words.end()}) + "' ;;\n";
  }
  text += kEndKey;
  text += "  case \"$path $prev\" in\n";
  std::string words, positionals;
  for (const Node& node : nodes) {
    std::vector<std::string> flags, verbs;
    std::string positional;
    for (const CLI::App* verb : node.app->get_subcommands({})) verbs.push_back(verb->get_name());
    for (const CLI::Option* option : node.app->get_options()) {
      if (option->get_positional()) {
        if (positional.empty()) positional = complete_value(*option);
        continue;
      }
      flags.push_back(option->get_name());
      if (option->get_items_expected_max() == 0) continue;
      const std::string call = complete_value(*option);
      text += "    \"" + node.path + " " + option->get_name() + "\") " +
              (call.empty() ? "" : call + "; ") + "return ;;\n";
    }
    const std::string pattern = "    \"" + node.path + "\") ";
    words += pattern + "_blindsum_words '" + joined(flags) + "' ;;\n";
    if (!positional.empty() || !verbs.empty()) {
      positionals += pattern + positional + (positional.empty() ? "" : "; ") +
                     (verbs.empty() ? ""
                                    : "mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W '" +
                                          joined(verbs) + "' -- \"$cur\")") +
                     " ;;\n";
    }
  }
  text += "  esac\n  if [[ $cur == -* ]]; then\n    case \"$path\" in\n" + words +
          "    esac\n    return\n  fi\n  case \"$path\" in\n" + positionals + "  esac\n";
  return text + kEnd;
}

}  // namespace

void add_completion(CLI::App& app, Job& job) {
  const auto shell = std::make_shared<std::string>();
  auto* verb = app.add_subcommand("completion", "Print a script that completes words in a shell");
  verb->add_option("SHELL", *shell, "The shell")->required()->check(CLI::IsMember({"bash"}));
  verb->footer(
      "Example: source <(blindsum completion bash)\n"
      "To keep it: blindsum completion bash > ~/.local/share/bash-completion/completions/blindsum");
  verb->callback([&app, &job, shell] {  // which the option writes to until then
    job = [&app] {
      std::cout << script_of(app);
      return 0;
    };
  });
}

}  // namespace blindsum::launcher
