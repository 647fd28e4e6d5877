#include "scenarios/launcher/plan.h"

#include <iostream>
#include <memory>

#include <unistd.h>

#include "scenarios/launcher/summary.h"
#include "scenarios/launcher/verbs/run_verb.h"
#include "scenarios/launcher/verbs/verbs.h"

namespace blindsum::launcher {

void add_plan(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<RunArguments>();
  auto* verb = app.add_subcommand("plan", "Predict what a run will cost, before anything runs");
  verb->add_option("SCENARIO", arguments->scenario, "Scenario file (YAML)")->required();
  verb->add_option("--parties", arguments->parties, "Number of parties, instead of the scenario's");
  verb->add_option("--set", arguments->sets, "key=value, instead of the scenario's; repeatable")
      ->allow_extra_args(false);
  verb->add_option("--data", arguments->data,
                   "Folder of the data files (default: $BLINDSUM_DATA, else ./data)");
  verb->add_flag("--json", arguments->is_json, "Print the plan as JSON");
  verb->footer("Example: blindsum plan scenarios/kdd-iid-10.yaml --parties 100");
  verb->callback([arguments, &job] {
    job = [=] {
      const std::filesystem::path directory =
          arguments->data.empty() ? named_data_directory() : std::filesystem::path(arguments->data);
      const nlohmann::json predicted = plan(arguments->settings(), directory);
      std::cout << (arguments->is_json ? json_text(predicted)
                                       : plan_text(predicted, Terminal(STDOUT_FILENO)));
      return 0;
    };
  });
}

}  // namespace blindsum::launcher
