// blindsum: runs, compares and prepares federations. One verb each; see 'blindsum --help'.
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/role/run_role.h"

namespace {

using namespace blindsum;

std::string command_line(int argc, char** argv) {
  std::string line = "blindsum";
  for (int i = 1; i < argc; ++i) line += std::string(" ") + argv[i];
  return line;
}

int run(int argc, char** argv) {
  CLI::App app{"Blindsum trains one model on the records of several organisations, encrypted."};
  app.require_subcommand(1);
  app.set_version_flag("--version", "blindsum " BLINDSUM_VERSION, "Print the version and exit");
  app.footer(
      "Examples: blindsum data fetch data                         get the KDD files\n"
      "          blindsum run scenarios/kdd-quick.yaml            a first run\n"
      "          blindsum compare scenarios/kdd-iid-10.yaml       against training in one place\n"
      "          source <(blindsum completion bash)               complete words in bash\n"
      "Every verb has its own help: blindsum run --help. Exit codes: scenarios/README.md.");
  launcher::Job job;
  launcher::add_run(app, job);
  launcher::add_compare(app, job);
  launcher::add_plan(app, job);
  launcher::add_report(app, job);
  launcher::add_compose(app, job, command_line(argc, argv));
  launcher::add_prepare(app, job);
  launcher::add_supervise(app, job);
  launcher::add_keys(app, job);
  launcher::add_crypt(app, job, {argv + 1, argv + argc});
  launcher::add_data(app, job);
  launcher::add_completion(app, job);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool is_asked_for = app.exit(error) == 0;  // --help and the like
    if (!std::cout.flush()) throw ConfigError("standard output cannot be written");
    return is_asked_for ? 0 : exit_code(Fault::kUsage);
  }
  const int code = job();
  if (code == 0 && !std::cout.flush()) throw ConfigError("standard output cannot be written");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    open_standard_streams();
    role::forbid_core_files();  // it makes the transport keys, and in memory runs every role
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "blindsum: " << error.what() << "\n";
    return exit_code(fault_of(error));
  }
}
