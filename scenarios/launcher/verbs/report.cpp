#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "scenarios/launcher/html_report.h"
#include "scenarios/launcher/verbs/verbs.h"

namespace blindsum::launcher {

void add_report(CLI::App& app, Job& job) {
  const auto folder = std::make_shared<std::string>();
  auto* verb =
      app.add_subcommand("report", "Write report.html again, from the records of a result folder");
  verb->add_option("RUN_DIR", *folder, "Result folder of 'run' or 'compare'")->required();
  verb->footer("Example: blindsum report runs/kdd-quick-20260102T030405Z");
  verb->callback([folder, &job] {
    job = [folder] {
      std::cout << write_report(*folder).string() << "\n";
      return 0;
    };
  });
}

}  // namespace blindsum::launcher
