#include "scenarios/launcher/compare.h"

#include <memory>

#include "scenarios/launcher/verbs/run_verb.h"
#include "scenarios/launcher/verbs/verbs.h"

namespace blindsum::launcher {

void add_compare(CLI::App& app, Job& job) {
  const auto arguments = std::make_shared<RunArguments>();
  auto* verb =
      app.add_subcommand("compare", "Run a scenario centralized, alone, federated, and encrypted");
  arguments->add_to(*verb);
  const auto seeds = std::make_shared<std::uint32_t>(1);
  verb->add_option("--seeds", *seeds, "Repeat everything with as many seeds: mean ± deviation")
      ->check(CLI::Range(1U, 100U))
      ->capture_default_str();
  const auto baselines = std::make_shared<bool>(false);
  verb->add_flag("--baselines", *baselines,
                 "Only what needs no federation: centralized, and each party alone");
  verb->footer("Example: blindsum compare scenarios/kdd-quick.yaml --seeds 3");
  verb->callback([arguments, seeds, baselines, &job] {
    job = [=] {
      const auto work = [&](const RunOptions& options, Progress& progress) {
        return compare(options, progress, *seeds, *baselines ? Scope::kBaselines : Scope::kAll);
      };
      return run_job(*arguments, "-compare", work,
                     [](const RunOptions&, const RunResult& result, const Terminal&) {
                       return comparison_table(result.summary);
                     });
    };
  });
}

}  // namespace blindsum::launcher
