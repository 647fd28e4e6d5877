#include "scenarios/launcher/compare.h"

#include <memory>

#include "scenarios/launcher/verbs/run_verb.h"
#include "scenarios/launcher/verbs/verbs.h"

namespace blindsum::launcher {

void add_compare(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<RunArguments>();
  auto* verb =
      app.add_subcommand("compare", "Run a scenario centralized, federated, and encrypted");
  arguments->add_to(*verb);
  verb->footer("Example: blindsum compare scenarios/kdd-quick.yaml --json");
  verb->callback([arguments, &job] {
    job = [=] {
      return run_job(*arguments, "-compare", compare,
                     [](const RunOptions&, const RunResult& result, const Terminal&) {
                       return comparison_table(result.summary);
                     });
    };
  });
}

}  // namespace blindsum::launcher
