#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "scenarios/launcher/fetch.h"
#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/scenario.h"
#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/data/kdd.h"
#include "shared/data/synthetic.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

// check_file compares the SHA-256 with `expected`, if that is not empty.
void check_file(const char* use, const std::filesystem::path& path, const data::Schema& schema,
                std::string_view expected) {
  const data::RecordTable table = data::read_records(path, schema);
  std::vector<std::size_t> rows(schema.classes().size(), 0);
  for (const std::uint8_t c : table.classes) ++rows[c];
  const std::string digest = data::text_sha256(path);
  std::cout << use << " " << path.string() << "\n  rows " << table.rows << ":";
  for (std::size_t c = 0; c < rows.size(); ++c) {
    std::cout << " " << schema.classes()[c].name << " " << rows[c];
  }
  for (std::size_t k = 0; k < schema.categorical().size(); ++k) {
    std::size_t unknown = 0;
    for (std::size_t row = 0; row < table.rows; ++row) {
      unknown += table.categories_of(row)[k] == data::kUnknownCategory ? 1 : 0;
    }
    if (unknown == 0) continue;
    std::cout << "\n  " << schema.categorical_column(k).name << ": " << unknown
              << " rows of an unknown value, which becomes no input";
  }
  std::cout << "\n  sha256 " << digest;
  if (!expected.empty()) {
    std::cout << (digest == expected ? " (the published KDD'99 file)"
                                     : " (NOT the published KDD'99 file)");
  }
  std::cout << "\n";
}

void add_check(CLI::App& verb, Job& job) {
  const auto directory = std::make_shared<std::string>();
  const auto scenario = std::make_shared<std::string>();
  auto* check =
      verb.add_subcommand("check", "Read a training and a test file and show what they hold");
  check->add_option("DIR", *directory, "Folder of the files")->required();
  check->add_option("--scenario", *scenario,
                    "Scenario whose data.schema says what the columns are (default: KDD'99's)");
  check->footer("Example: blindsum data check data");
  check->callback([directory, scenario, &job] {
    job = [=] {
      if (!scenario->empty()) {
        const settings::Settings settings = load_scenario(*scenario);
        if (settings::has_schema(settings)) {
          const data::Schema schema = role::schema_of(settings);
          check_file("train", data::find_csv(*directory, "train.csv"), schema, "");
          check_file("test ", data::find_csv(*directory, "test.csv"), schema, "");
          return 0;
        }
      }
      const data::FileSet set = data::find_set(*directory).value_or(data::FileSet::kKdd99);
      const data::KddFiles files = data::find_kdd(*directory, set);
      const bool is_contest = set == data::FileSet::kKdd99;
      const data::Schema& schema = data::Schema::kdd99();
      check_file("train", files.train, schema, is_contest ? data::kTrainSha256 : "");
      check_file("test ", files.test, schema, is_contest ? data::kTestSha256 : "");
      if (is_contest && data::is_marked_synthetic(*directory, data::text_sha256(files.train),
                                                  data::text_sha256(files.test))) {
        std::cout << "SYNTHETIC DATA, no real traffic: "
                  << (std::filesystem::path(*directory) / data::kSyntheticMark).string()
                  << " names these files\n";
      }
      return 0;
    };
  });
}

struct FetchArguments {
  FetchOptions options;
  bool is_quiet = false;
};

int fetch_data(const FetchArguments& arguments) {
  catch_stop_signals();
  Progress progress(arguments.is_quiet ? Verbosity::kQuiet : Verbosity::kNormal);
  const bool is_done = fetch(arguments.options, kdd_files(), progress, stop_requested());
  progress.end();
  if (!is_done) {
    std::cerr << "blindsum: interrupted: the same command goes on where it stopped\n";
    return exit_code(Fault::kInterrupted);
  }
  progress.say("use them: blindsum run SCENARIO --data " + arguments.options.directory.string());
  return 0;
}

void add_fetch(CLI::App& verb, Job& job) {
  const auto arguments = std::make_shared<FetchArguments>();
  FetchOptions& options = arguments->options;
  auto* fetch_verb = verb.add_subcommand("fetch", "Download the two KDD files and check them");
  fetch_verb->add_option("DIR", options.directory, "Folder for the files")->required();
  fetch_verb->add_option("--url", options.url, "Folder of the files on a web server")
      ->capture_default_str();
  fetch_verb->add_option("--timeout", options.patience_s, "Longest silence of the server, seconds")
      ->check(CLI::Range(1.0, 3600.0))
      ->capture_default_str();
  fetch_verb->add_flag("--quiet", arguments->is_quiet, "Print errors alone");
  fetch_verb->footer("Example: blindsum data fetch data");
  fetch_verb->callback([arguments, &job] { job = [=] { return fetch_data(*arguments); }; });
}

const CLI::Range kRows(1, 5'000'000);

struct SynthArguments {
  std::string directory;
  std::uint64_t seed = 1;
  data::SyntheticSizes sizes;
  std::string table;
};

void add_synth(CLI::App& verb, Job& job) {
  const auto arguments = std::make_shared<SynthArguments>();
  auto* synth = verb.add_subcommand("synth", "Write a synthetic pair of KDD-like files");
  synth->add_option("DIR", arguments->directory, "Folder of the new files")->required();
  synth->add_option("--seed", arguments->seed, "Seed")->capture_default_str();
  synth->add_option("--train-rows", arguments->sizes.train_rows, "Rows of the training file")
      ->check(kRows)
      ->capture_default_str();
  synth->add_option("--test-rows", arguments->sizes.test_rows, "Rows of the test file")
      ->check(kRows)
      ->capture_default_str();
  synth->add_option("--table", arguments->table, "What 'data fit' wrote (default: built in)")
      ->check(CLI::ExistingFile);
  synth->footer("Example: blindsum data synth synthetic-data");
  synth->callback([arguments, &job] {
    job = [=] {
      std::filesystem::create_directories(arguments->directory);
      const std::string table =
          arguments->table.empty() ? "" : read_text_file(arguments->table, std::size_t{16} << 20);
      const std::string_view used = arguments->table.empty() ? data::synthetic_table() : table;
      data::write_synthetic(arguments->directory, arguments->seed, arguments->sizes, used);
      data::mark_synthetic(arguments->directory, arguments->seed, arguments->sizes, used);
      std::cout << "synthetic KDD-like files in " << arguments->directory << "\n";
      return 0;
    };
  });
}

struct FitArguments {
  std::string directory;
  std::string out;
};

void add_fit(CLI::App& verb, Job& job) {
  const auto arguments = std::make_shared<FitArguments>();
  auto* fit = verb.add_subcommand("fit", "Write the table that synthetic rows are drawn from");
  fit->add_option("DIR", arguments->directory, "Folder of the real files")->required();
  fit->add_option("--out", arguments->out, "File of the table")->required();
  fit->footer("Example: blindsum data fit data --out table.txt");
  fit->callback([arguments, &job] {
    job = [=] {
      const data::FileSet set =
          data::find_set(arguments->directory).value_or(data::FileSet::kKdd99);
      const data::KddFiles files = data::find_kdd(arguments->directory, set);
      const std::string table =
          data::fit_synthetic(data::read_kdd(files.train), data::read_kdd(files.test));
      write_file_atomic(arguments->out, table);
      std::cout << table.size() << " bytes about the attacks of " << arguments->directory << " in "
                << arguments->out << "\n";
      return 0;
    };
  });
}

}  // namespace

void add_data(CLI::App& app, Job& job) {
  auto* verb = app.add_subcommand(
      "data", "Download data files, check them, make synthetic ones, or fit these");
  verb->require_subcommand(1);
  verb->footer("Example: blindsum data fetch data && blindsum data check data");
  add_fetch(*verb, job);
  add_check(*verb, job);
  add_synth(*verb, job);
  add_fit(*verb, job);
}

}  // namespace blindsum::launcher
