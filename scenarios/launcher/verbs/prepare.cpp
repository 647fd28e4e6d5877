#include "scenarios/launcher/verbs/prepare.h"

#include <iostream>
#include <memory>

#include "scenarios/launcher/compose.h"
#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/log.h"

namespace blindsum::launcher {

int prepare_job(const RunArguments& arguments, const RoleView& view,
                const std::filesystem::path& roles, const std::filesystem::path& enrolment) {
  start_log("blindsum", "warn");
  RunOptions options = arguments.options();
  options.enrolment = enrolment;
  Progress progress(arguments.verbosity());
  const Ending ending = prepare_roles(options, view, roles, progress);
  progress.end();
  if (ending.fault != Fault::kNone) {
    std::cerr << "blindsum: " << to_string(ending.fault) << ": " << ending.reason << "\n";
  }
  return exit_code(ending.fault);
}

void add_prepare(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<RunArguments>();
  const auto roles = std::make_shared<std::string>();
  const auto enrolment = std::make_shared<std::string>();
  auto* verb =
      app.add_subcommand("prepare", "Make the role folders of a run whose roles start elsewhere");
  arguments->add_scenario_to(*verb);
  verb->add_option("--roles", *roles, "Folder of the role folders")->required();
  verb->add_option("--enrolment", *enrolment,
                   "Who the roles are (see 'blindsum keys enrol'): their owners keep the secrets");
  verb->footer("Example: blindsum prepare scenarios/kdd-compose-5.yaml --roles /roles");
  verb->callback([arguments, roles, enrolment, &job] {
    job = [=] { return prepare_job(*arguments, view_of_volumes(), *roles, *enrolment); };
  });
}

void add_supervise(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<RunArguments>();
  const auto roles = std::make_shared<std::string>();
  auto* verb =
      app.add_subcommand("supervise", "Follow a prepared run to its end and collect its results");
  verb->add_option("--roles", *roles, "Folder of the role folders")->required();
  arguments->add_output_to(*verb);
  verb->footer("Example: blindsum supervise --roles /roles --out /results");
  verb->callback([arguments, roles, &job] {
    job = [=] {
      arguments->scenario = (run_folder(*roles) / "scenario.yaml").string();
      return run_job(
          *arguments, "",
          [&](const RunOptions& options, Progress& progress) {
            return supervise(options, *roles, progress);
          },
          describe_run);
    };
  });
}

}  // namespace blindsum::launcher
