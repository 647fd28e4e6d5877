#include "scenarios/launcher/compose.h"

#include <iostream>
#include <memory>

#include "scenarios/launcher/kubernetes.h"
#include "scenarios/launcher/verbs/prepare.h"
#include "scenarios/launcher/verbs/verbs.h"
#include "shared/core/error.h"
#include "shared/core/file.h"

namespace blindsum::launcher {
namespace {

struct ComposeArguments {
  RunArguments run;
  std::string out = "compose", images, sources;
  bool is_kubernetes = false;

  void add_to(CLI::App& verb) {
    run.add_scenario_to(verb);
    verb.add_option("--out", out, "Folder of the files; it must be new or empty")
        ->capture_default_str();
    verb.add_option("--images", images,
                    "What stands before the images' names: registry.example/team/");
    auto* kubernetes =
        verb.add_flag("--kubernetes", is_kubernetes, "Write manifests for a Kubernetes cluster");
    verb.add_option("--prepare-inside", sources,
                    "Make keys and shards in the containers, and build the images from the sources "
                    "in this folder; writes docker-compose.yml alone")
        ->excludes(kubernetes);
  }
};

int write_compose(const ComposeArguments& arguments, const std::string& command) {
  const std::filesystem::path out = arguments.out;
  ContainerPlan plan;
  plan.settings = arguments.run.settings();
  plan.command = command;
  plan.images = arguments.images;
  const auto file = out / "docker-compose.yml";
  if (!arguments.sources.empty()) {
    std::filesystem::create_directories(out);
    const auto from_out = [&](const std::string& path) {
      return std::filesystem::relative(path, out).string();
    };
    write_file_atomic(file,
                      compose_with_volumes(plan, from_out(arguments.run.scenario),
                                           from_out(arguments.sources), arguments.run.overrides()));
    return 0;
  }
  if (std::filesystem::exists(out) && !std::filesystem::is_empty(out)) {
    throw ConfigError(out.string() +
                      ": holds something already; the keys and the files of a run "
                      "go into a new folder");
  }
  const int code = prepare_job(arguments.run, view_of_secrets(), out / "roles");
  if (code != 0) return code;
  if (arguments.is_kubernetes) {
    const auto manifests = out / "kubernetes.yaml";
    write_secret_file(manifests, as_bytes(kubernetes_manifests(plan, out / "roles")));
    std::cout << "kubectl apply -f " << manifests.string() << "\n";
    return 0;
  }
  std::filesystem::create_directories(out / "results");
  plan.user = container_user();
  give_to(plan.user, out / "roles");
  give_to(plan.user, out / "results");
  write_file_atomic(file, compose_with_secrets(plan));
  std::cout << "docker-compose -f " << file.string() << " up --exit-code-from supervisor\n";
  return 0;
}

}  // namespace

void add_compose(CLI::App& app, Job& job, const std::string& command) {
  const auto arguments = std::make_shared<ComposeArguments>();
  auto* verb = app.add_subcommand("compose", "Write the files that run a scenario in containers");
  arguments->add_to(*verb);
  verb->footer("Example: blindsum compose scenarios/kdd-iid-10.yaml -n 10 --out compose");
  verb->callback(
      [arguments, command, &job] { job = [=] { return write_compose(*arguments, command); }; });
}

}  // namespace blindsum::launcher
