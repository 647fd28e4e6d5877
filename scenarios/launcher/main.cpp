// blindsum: runs, compares and prepares federations. One verb each; see 'blindsum --help'.
#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "scenarios/launcher/compare.h"
#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/run.h"
#include "scenarios/launcher/scenario.h"
#include "shared/core/error.h"
#include "shared/core/log.h"
#include "shared/data/kdd.h"
#include "shared/data/synthetic.h"
#include "shared/role/run_role.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;

struct RunArguments {
  std::string scenario;
  std::string parties;
  std::vector<std::string> sets;
  std::string data, out = "runs", keys;
  bool is_quiet = false, is_json = false;

  void add_to(CLI::App& verb) {
    verb.add_option("SCENARIO", scenario, "Scenario file (YAML)")->required();
    verb.add_option("--parties", parties, "Number of parties, instead of the scenario's");
    verb.add_option("--set", sets, "key=value, instead of the scenario's; repeatable")
        ->allow_extra_args(false);
    verb.add_option("--data", data,
                    "Folder of the KDD files (default $BLINDSUM_DATA, else ./data)");
    verb.add_option("--out", out, "Folder in which the result folder is made")
        ->capture_default_str();
    verb.add_option("--keys", keys,
                    "Key set to use instead of a new one ('blindsum keys' makes them)");
    auto* quiet = verb.add_flag("--quiet", is_quiet, "Print errors alone");
    verb.add_flag("--json", is_json, "Print the summary alone, as JSON")->excludes(quiet);
    verb.add_flag_callback(
        "--help-keys",
        [] {
          std::cout << key_table();
          throw CLI::Success();
        },
        "Print the keys of a scenario and exit");
  }

  [[nodiscard]] settings::Settings settings() const {
    std::vector<Override> overrides;
    if (!parties.empty()) overrides.push_back({"--parties " + parties, "parties", parties});
    for (const std::string& set : sets) overrides.push_back(override_from_set(set));
    return load_scenario(scenario, overrides);
  }

  [[nodiscard]] Verbosity verbosity() const {
    return is_quiet || is_json ? Verbosity::kQuiet : Verbosity::kNormal;
  }
};

using Job = RunResult (*)(const RunOptions&, Progress&);

void show_run(const RunResult& result) {
  const auto& quality = result.summary["final"];
  if (result.ending.fault != Fault::kNone || quality.is_null()) return;
  std::cout << "accuracy " << fixed(100 * quality["accuracy"].get<double>(), 2) << " %  macro-F1 "
            << fixed(quality["macro_f1"].get<double>(), 4) << "  cost "
            << fixed(quality["cost"].get<double>(), 4) << "  data "
            << result.summary["data"].get<std::string>() << "\n"
            << "model " << result.summary["model_digest"].get<std::string>() << "\n"
            << "trained in " << fixed(result.summary["train_s"].get<double>(), 1) << " s, "
            << fixed(result.summary["wall_s"].get<double>(), 1) << " s in all\n";
}

void show_comparison(const RunResult& result) { std::cout << comparison_table(result.summary); }

int run_job(const RunArguments& arguments, const char* suffix, Job job,
            void (*show)(const RunResult&)) {
  start_log("blindsum", "warn");
  RunOptions options;
  options.settings = arguments.settings();
  options.folder = make_result_folder(arguments.out, options.settings.name + suffix);
  options.programs = programs_directory();
  options.data_directory =
      arguments.data.empty() ? named_data_directory() : std::filesystem::path(arguments.data);
  options.keys = arguments.keys;
  options.stop = &stop_requested();
  catch_stop_signals();
  Progress progress(arguments.verbosity());
  const RunResult result = job(options, progress);
  progress.end();
  if (arguments.is_json) {
    std::cout << result.summary.dump(2) << "\n";
  } else if (!arguments.is_quiet) {
    show(result);
  }
  if (result.ending.fault != Fault::kNone) {
    std::cerr << "blindsum: " << to_string(result.ending.fault) << ": " << result.ending.reason
              << " (records and logs: " << options.folder.string() << ")\n";
  }
  return exit_code(result.ending.fault);
}

// become_key_holder replaces this program by blindsum-keyholder: the launcher itself handles no
// secret key.
[[noreturn]] void become_key_holder(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), (programs_directory() / "blindsum-keyholder").string());
  std::vector<char*> raw;
  raw.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) raw.push_back(argument.data());
  raw.push_back(nullptr);
  execv(raw[0], raw.data());
  throw Error(arguments[0] + ": cannot be started: " + std::strerror(errno));
}

void check_file(const char* use, const std::filesystem::path& path, std::string_view expected) {
  const data::RawFile file = data::read_raw(path);
  std::array<std::size_t, data::kClasses> rows{};
  for (const std::uint16_t attack : file.attacks) {
    ++rows.at(static_cast<std::size_t>(data::class_of(file.attack_names[attack])));
  }
  const std::string digest = data::text_sha256(path);
  std::cout << use << " " << path.string() << "\n  rows " << file.rows() << ":";
  for (std::size_t c = 0; c < data::kClasses; ++c) {
    std::cout << " " << to_string(static_cast<data::TrafficClass>(c)) << " " << rows[c];
  }
  std::cout << "\n  sha256 " << digest
            << (digest == expected ? " (the published KDD'99 file)\n"
                                   : " (NOT the published KDD'99 file)\n");
}

int run(int argc, char** argv) {
  CLI::App app{"Blindsum trains one model on the records of several organisations, encrypted."};
  app.require_subcommand(1);
  app.footer("Example: blindsum run scenarios/kdd-quick.yaml");

  RunArguments run_arguments;
  auto* run_verb = app.add_subcommand("run", "Run a scenario");
  run_arguments.add_to(*run_verb);
  run_verb->footer("Example: blindsum run scenarios/kdd-iid-10.yaml --parties 5 --set rounds=20");

  RunArguments compare_arguments;
  auto* compare_verb =
      app.add_subcommand("compare", "Run a scenario centralized, federated, and encrypted");
  compare_arguments.add_to(*compare_verb);
  compare_verb->footer("Example: blindsum compare scenarios/kdd-quick.yaml --json");

  std::string keys_directory;
  std::string bits = "3072";
  auto* keys_verb = app.add_subcommand("keys", "Make a key set, or check one");
  auto* keys_directory_option =
      keys_verb->add_option("DIR", keys_directory, "Folder of the new key set");
  keys_verb->add_option("--bits", bits, "Modulus bits; 2048 gives 112-bit security")
      ->check(CLI::IsMember({"2048", "3072", "4096"}))
      ->capture_default_str();
  keys_verb->footer("Example: blindsum keys my-keys --bits 3072; blindsum keys check my-keys");
  auto* keys_check = keys_verb->add_subcommand("check", "Check a key set");
  std::string checked_directory;
  keys_check->add_option("DIR", checked_directory, "Folder of the key set")->required();
  keys_check->footer("Example: blindsum keys check my-keys");

  std::string data_directory;
  auto* data_verb = app.add_subcommand("data", "Check data files, or make synthetic ones");
  data_verb->require_subcommand(1);
  data_verb->footer("Example: blindsum data check data");
  auto* data_check =
      data_verb->add_subcommand("check", "Read both KDD files and show what they hold");
  data_check->add_option("DIR", data_directory, "Folder of the files")->required();
  data_check->footer("Example: blindsum data check data");
  std::string synthetic_directory;
  std::uint64_t seed = 1;
  auto* data_synth = data_verb->add_subcommand("synth", "Write a synthetic pair of KDD-like files");
  data_synth->add_option("DIR", synthetic_directory, "Folder of the new files")->required();
  data_synth->add_option("--seed", seed, "Seed")->capture_default_str();
  data_synth->footer("Example: blindsum data synth synthetic-data");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(Fault::kUsage);
  }
  if (*run_verb) return run_job(run_arguments, "", run_scenario, show_run);
  if (*compare_verb) return run_job(compare_arguments, "-compare", compare, show_comparison);
  if (*keys_check) become_key_holder({"check", "--keys", checked_directory});
  if (*keys_verb) {
    if (keys_directory_option->empty())
      throw ConfigError("keys: DIR is missing; see 'blindsum keys --help'");
    become_key_holder({"keygen", "--out", keys_directory, "--bits", bits});
  }
  if (*data_check) {
    const data::KddFiles files = data::find_kdd(data_directory);
    check_file("train", files.train, data::kTrainSha256);
    check_file("test ", files.test, data::kTestSha256);
  } else {
    std::filesystem::create_directories(synthetic_directory);
    data::write_synthetic(synthetic_directory, seed);
    std::cout << "synthetic KDD-like files in " << synthetic_directory << "\n";
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    role::forbid_core_files();  // it makes the transport keys, and in memory runs every role
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "blindsum: " << error.what() << "\n";
    return exit_code(fault_of(error));
  }
}
