#include <filesystem>
#include <iostream>
#include <memory>

#include "scenarios/launcher/detection.h"
#include "scenarios/launcher/html_report.h"
#include "scenarios/launcher/processes.h"
#include "scenarios/launcher/replay.h"
#include "scenarios/launcher/result_text.h"
#include "scenarios/launcher/resume.h"
#include "scenarios/launcher/summary.h"
#include "scenarios/launcher/verbs/run_verb.h"
#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/error.h"
#include "shared/core/log.h"

namespace blindsum::launcher {
namespace {

// require_utf8 refuses a path that the records and role files, which are JSON, could not name.
void require_utf8(const char* what, const std::filesystem::path& path) {
  const std::string text = std::filesystem::absolute(path).string();
  try {
    (void)nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    throw ConfigError(
        std::string(what) + ": " + text +
        ": the path is not UTF-8, as the records of a run must be; rename the folder");
  }
}

// add_report_to writes report.html beside the records. That it could not is no fault of the run.
void add_report_to(const std::filesystem::path& folder, Progress& progress) {
  try {
    progress.say("report: " + write_report(folder).string());
  } catch (const std::exception& error) {
    progress.warn(std::string("no report.html: ") + error.what());
  }
}

}  // namespace

void RunArguments::add_scenario_to(CLI::App& verb) {
  verb.add_option("SCENARIO", scenario, "Scenario file (YAML)")->required();
  verb.add_option("-n,--parties", parties, "Number of parties, instead of the scenario's");
  verb.add_option("--set", sets, "key=value, instead of the scenario's; repeatable")
      ->allow_extra_args(false);
  verb.add_option("--data", data, "Folder of the KDD files (default $BLINDSUM_DATA, else ./data)");
}

void RunArguments::add_output_to(CLI::App& verb) {
  verb.add_option("--out", out, "Folder in which the result folder is made")->capture_default_str();
  auto* quiet = verb.add_flag("--quiet", is_quiet, "Print errors alone");
  verb.add_flag("--json", is_json, "Print the summary alone, as JSON")->excludes(quiet);
}

void RunArguments::add_to(CLI::App& verb) {
  add_scenario_to(verb);
  add_output_to(verb);
  verb.add_option("--keys", keys,
                  "Key set to use instead of a new one ('blindsum keys' makes them)");
  verb.add_flag("--keep-traffic", keeps_traffic,
                "Keep what the coordinator received and sent, as traffic.log");
  verb.add_flag_callback(
      "--help-keys",
      [] {
        std::cout << key_table();
        throw CLI::Success();
      },
      "Print the keys of a scenario and exit");
}

settings::Settings RunArguments::settings() const {
  std::vector<Override> overrides;
  if (!parties.empty()) overrides.push_back({"--parties " + parties, "parties", parties});
  for (const std::string& set : sets) overrides.push_back(override_from_set(set));
  settings::Settings loaded = load_scenario(scenario, overrides);
  if (is_encrypted_inputs(loaded) && !takes_any_mode) {
    throw ConfigError(scenario + ": mode encrypted_inputs is for 'blindsum run' alone");
  }
  return loaded;
}

std::vector<std::string> RunArguments::overrides() const {
  std::vector<std::string> words;
  if (!parties.empty()) words.insert(words.end(), {"--parties", parties});
  for (const std::string& set : sets) words.insert(words.end(), {"--set", set});
  return words;
}

RunOptions RunArguments::options() const {
  RunOptions options;
  options.data_directory = data.empty() ? named_data_directory() : std::filesystem::path(data);
  options.keys = keys;
  require_utf8("--out", out);
  require_utf8("--data", options.data_directory.empty() ? "data" : options.data_directory);
  if (!options.keys.empty()) require_utf8("--keys", options.keys);
  options.keep_traffic = keeps_traffic;
  options.settings = settings();
  options.programs = programs_directory();
  options.stop = &stop_requested();
  catch_stop_signals();
  return options;
}

std::string describe_run(const RunOptions& options, const RunResult& result,
                         const Terminal& terminal) {
  if (result.ending.fault != Fault::kNone || result.summary["final"].is_null()) return "";
  return result_text(options.settings, result.summary, options.folder, terminal);
}

int finish_job(const RunArguments& arguments, const RunOptions& options, const RunResult& result,
               const Terminal& terminal, const Describe& describe) {
  if (arguments.is_json) {
    std::cout << json_text(result.summary);
  } else if (!arguments.is_quiet) {
    std::cout << describe(options, result, terminal);
  }
  if (result.ending.fault != Fault::kNone) {
    std::cerr << "blindsum: " << to_string(result.ending.fault) << ": " << result.ending.reason
              << " (records and logs: " << options.folder.string() << ")\n";
    if (result.can_resume) {
      std::cerr << "blindsum: to go on with it: blindsum run --resume " << options.folder.string()
                << "\n";
    }
  }
  if (result.ending.fault == Fault::kNone && !std::cout.flush()) {
    throw ConfigError("standard output cannot be written; the results are in " +
                      options.folder.string());
  }
  return exit_code(result.ending.fault);
}

namespace {

// work_in does `work` in a folder that is there, and finishes.
int work_in(const RunArguments& arguments, const RunOptions& options,
            const std::function<RunResult(const RunOptions&, Progress&)>& work,
            const Describe& describe) {
  Progress progress(arguments.verbosity());
  const RunResult result = work(options, progress);
  progress.end();
  if (!settings::is_encrypted_inputs(options.settings)) add_report_to(options.folder, progress);
  return finish_job(arguments, options, result, progress.terminal(), describe);
}

int resume_job(const RunArguments& arguments, const std::filesystem::path& folder) {
  start_log("blindsum", "warn");
  RunOptions options;
  options.folder = folder;
  options.settings = settings_of_run(folder);
  options.programs = programs_directory();
  options.stop = &stop_requested();
  catch_stop_signals();
  return work_in(arguments, options, resume_run, describe_run);
}

}  // namespace

int run_job(const RunArguments& arguments, const std::string& suffix,
            const std::function<RunResult(const RunOptions&, Progress&)>& work,
            const Describe& describe) {
  start_log("blindsum", "warn");
  RunOptions options = arguments.options();
  options.folder = make_result_folder(arguments.out, options.settings.name + suffix);
  return work_in(arguments, options, work, describe);
}

void add_run(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<RunArguments>();
  const auto old = std::make_shared<std::string>();
  auto* verb = app.add_subcommand("run", "Run a scenario");
  arguments->add_to(*verb);
  auto* resume = verb->add_option("--resume", *old, "Result folder of a run to go on with");
  resume->type_name("DIR");
  verb->get_option("SCENARIO")->required(false);
  for (CLI::Option* option : verb->get_options()) {
    const bool is_of_new_run = option->get_name() == "SCENARIO" || option->get_name() == "--set" ||
                               option->get_name() == "--parties" ||
                               option->get_name() == "--data" || option->get_name() == "--out" ||
                               option->get_name() == "--keys";
    if (is_of_new_run) resume->excludes(option);
  }
  verb->footer("Example: blindsum run scenarios/kdd-iid-10.yaml --parties 5 --set rounds=20");
  verb->callback([arguments, old, &job] {
    if (arguments->scenario.empty() && old->empty()) throw CLI::RequiredError("SCENARIO");
    if (old->empty()) {
      arguments->takes_any_mode = true;
      job = [=] {
        const settings::Settings settings = arguments->settings();
        return is_detection(settings) ? run_job(*arguments, "", run_detection, describe_detection)
               : is_encrypted_inputs(settings)
                   ? run_job(*arguments, "", run_replay, describe_replay)
                   : run_job(*arguments, "", run_scenario, describe_run);
      };
    } else {
      job = [=] { return resume_job(*arguments, *old); };
    }
  });
}

}  // namespace blindsum::launcher
