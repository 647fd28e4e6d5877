// Help, version, and the completion of words in a real bash.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/cli/workspace.h"

namespace blindsum::test {
namespace {

// Completion is a bash that has loaded the script, in a folder with scenarios and folders.
struct Completion : Workspace {
  Completion() {
    std::filesystem::create_directories(dir.path() / "my data");
    write_file_atomic(dir.path() / "big one.yaml", std::string_view("name: x\n"));
    write_file_atomic(dir.path() / "notes.txt", std::string_view("x"));
  }

  // of returns what bash offers for the last of `words`, sorted.
  [[nodiscard]] std::vector<std::string> of(const std::vector<std::string>& words) const {
    std::string line;
    for (const std::string& word : words) line += " '" + word + "'";
    const Outcome outcome =
        bash("set -u; cd '" + dir.path().string() + "'; source <('" + blindsum_path() +
             "' completion bash) || exit 9; COMP_WORDS=(blindsum" + line +
             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _blindsum; "
             "((${#COMPREPLY[@]} == 0)) || printf '%s\\n' \"${COMPREPLY[@]}\"");
    INFO(outcome.err);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.err.empty());
    std::vector<std::string> offers;
    std::istringstream lines(outcome.out);
    for (std::string offer; std::getline(lines, offer);) offers.push_back(offer);
    std::sort(offers.begin(), offers.end());
    return offers;
  }
};

using Offers = std::vector<std::string>;

bool has(const Offers& offers, const std::string& offer) {
  return std::find(offers.begin(), offers.end(), offer) != offers.end();
}

TEST_CASE_FIXTURE(Completion, "bash completes verbs, verbs of verbs, and options") {
  CHECK(of({"r"}) == Offers{"report", "run"});
  CHECK(of({"comp"}) == Offers{"compare", "completion", "compose"});
  CHECK(of({"data", ""}) == Offers{"check", "fetch", "fit", "synth"});
  CHECK(of({"run", "--q"}) == Offers{"--quiet"});
  CHECK(of({"data", "fetch", "--u"}) == Offers{"--url"});
  CHECK(has(of({"--"}), "--version"));
  CHECK(has(of({"run", "small.yaml", "--"}), "--set"));
  CHECK(of({"nonsense", "--se"}).empty());
}

TEST_CASE_FIXTURE(Completion, "bash completes scenario files and folders, with spaces in them") {
  CHECK(of({"run", ""}) == Offers{"big one.yaml", "my data", "small.yaml"});
  CHECK(of({"run", "b"}) == Offers{"big one.yaml"});
  CHECK(of({"run", "small.yaml", "--data", "m"}) == Offers{"my data"});
  CHECK(of({"data", "check", ""}) == Offers{"my data"});
  CHECK(of({"keys", ""}) == Offers{"check", "enrol", "identity", "my data"});
}

TEST_CASE_FIXTURE(Completion, "bash completes the keys of --set and the words that they take") {
  CHECK(of({"run", "small.yaml", "--set", "paillier."}) ==
        Offers{"paillier.key_bits=", "paillier.randomizer="});
  CHECK(of({"run", "--set", "cipher", "=", ""}) == Offers{"none", "paillier"});
  CHECK(of({"run", "--set", "cipher", "="}) == Offers{"none", "paillier"});
  CHECK(of({"run", "--set", "cipher", "=", "n"}) == Offers{"none"});
  CHECK(of({"run", "--set", "rounds", "=", ""}).empty());
  CHECK(of({"keys", "--bits", ""}) == Offers{"2048", "3072", "4096"});
  CHECK(of({"completion", ""}) == Offers{"bash"});

  // Every key of the table in scenarios/README.md, an independent list.
  const Offers keys = of({"run", "--set", ""});
  std::ifstream readme("scenarios/README.md");
  std::set<std::string> seen;
  for (std::string line; std::getline(readme, line);) {
    if (!line.starts_with("| `") || line.find("` | `") != std::string::npos) continue;
    const std::string key = line.substr(3, line.find('`', 3) - 3) + "=";
    if (has(keys, key)) seen.insert(key);
  }
  CHECK(seen.size() == keys.size());
  CHECK(seen.size() > 20);
}

TEST_CASE("every verb's help exits well and has an example; --version names a version") {
  const Workspace space;
  const Outcome top = space.blindsum({"--help"});
  CHECK(top.exit_code == 0);
  CHECK(top.out.find("Example") != std::string::npos);
  for (const std::vector<std::string>& verb :
       std::vector<std::vector<std::string>>{{"run"},
                                             {"plan"},
                                             {"compare"},
                                             {"keys"},
                                             {"keys", "check"},
                                             {"crypt"},
                                             {"crypt", "genpkey"},
                                             {"crypt", "extract"},
                                             {"crypt", "encrypt"},
                                             {"crypt", "decrypt"},
                                             {"crypt", "add"},
                                             {"crypt", "addenc"},
                                             {"crypt", "multiply"},
                                             {"data"},
                                             {"data", "fetch"},
                                             {"data", "check"},
                                             {"data", "synth"},
                                             {"data", "fit"},
                                             {"completion"}}) {
    std::vector<std::string> words = verb;
    words.emplace_back("--help");
    const Outcome outcome = space.blindsum(words);
    CAPTURE(verb.back());
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.out.find("Example: ") != std::string::npos);
    CHECK(top.out.find(verb.front()) != std::string::npos);
  }
  const Outcome version = space.blindsum({"--version"});
  CHECK(version.exit_code == 0);
  CHECK(version.out.starts_with("blindsum "));
  CHECK(space.blindsum({}).exit_code == 2);
  CHECK(space.blindsum({"rum"}).exit_code == 2);
}

}  // namespace
}  // namespace blindsum::test
