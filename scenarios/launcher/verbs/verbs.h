// The verbs of the blindsum command: one file each. A verb says what it takes and, once chosen,
// what it does.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace blindsum::launcher {

// Job is the work of the chosen verb. It returns the exit code of the program and may throw.
using Job = std::function<int()>;

// add_… adds a verb to the command line `app`. When `app` has parsed that verb, `job` is its work.
// Both references must outlive the parsing.
void add_run(CLI::App& app, Job& job);
void add_compare(CLI::App& app, Job& job);
void add_plan(CLI::App& app, Job& job);
void add_report(CLI::App& app, Job& job);
void add_prepare(CLI::App& app, Job& job);
void add_supervise(CLI::App& app, Job& job);
void add_keys(CLI::App& app, Job& job);
void add_data(CLI::App& app, Job& job);

// add_compose adds the verb that writes files for containers; `command` is the command line that
// was given, for their first line.
void add_compose(CLI::App& app, Job& job, const std::string& command);

// add_crypt adds the verbs for encrypted numbers; `arguments` are the words of the command line,
// handed on to blindsum-keyholder.
void add_crypt(CLI::App& app, Job& job, std::vector<std::string> arguments);

// add_completion adds the verb that prints a completion script for bash: of all verbs and options
// that `app` has when it is run.
void add_completion(CLI::App& app, Job& job);

}  // namespace blindsum::launcher
