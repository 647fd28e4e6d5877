// blindsum-bench: times the arithmetic, kernel by kernel, against the textbook method. See
// 'blindsum-bench --help'.
#include <iostream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "scenarios/bench/engine.h"
#include "scenarios/bench/measure.h"
#include "scenarios/bench/report.h"
#include "scenarios/bench/timing_test.h"
#include "shared/core/error.h"

namespace {

using namespace blindsum;
using namespace blindsum::bench;
using crypto::kernels::Kernel;

struct Options {
  std::vector<std::size_t> key_bits;
  std::vector<std::string> kernels;
  std::string filter;
  std::size_t threads = 1;
  int repetitions = 5;
  std::size_t measurements = 10000;
  bool has_keygen = false, is_timing_test = false, is_quick = false, is_json = false;

  void add_to(CLI::App& app) {
    app.add_option("--key-bits", key_bits, "Key sizes (default 2048 3072; with --quick 2048)")
        ->check(CLI::IsMember({2048, 3072, 4096}));
    app.add_option("--kernel", kernels, "Kernels (default: all that run here)");
    auto* filtered = app.add_option(
        "--filter", filter,
        "Measure only rows whose name operation/key/mode/kernel matches this regular expression, "
        "and the rows that their ratios need");
    auto* threaded = app.add_option("--threads", threads, "Threads, each on its own processor")
                         ->check(CLI::Range(1, 1024))
                         ->capture_default_str();
    auto* repeated =
        app.add_option("--repetitions", repetitions, "Repetitions of which the median is taken")
            ->check(CLI::Range(1, 1000))
            ->capture_default_str();
    auto* keygen = app.add_flag("--keygen", has_keygen, "Measure key generation as well (minutes)");
    auto* quick = app.add_flag("--quick", is_quick,
                               "A rough look: little work, two repetitions, 2048 bits alone")
                      ->excludes(repeated);
    auto* timing =
        app.add_flag("--timing-test", is_timing_test,
                     "Test instead whether the time of a decryption depends on its secrets")
            ->excludes(filtered)
            ->excludes(threaded)
            ->excludes(repeated)
            ->excludes(keygen)
            ->excludes(quick);
    app.add_option("--measurements", measurements, "Measurements of each timing test")
        ->check(CLI::Range(100, 100'000'000))
        ->needs(timing)
        ->capture_default_str();
    app.add_flag("--json", is_json, "Print JSON alone");
    app.footer("Example: blindsum-bench --filter '^(encrypt|decrypt)/3072'");
  }

  [[nodiscard]] std::set<std::size_t> sizes() const {
    if (!key_bits.empty()) return {key_bits.begin(), key_bits.end()};
    return is_quick ? std::set<std::size_t>{2048} : std::set<std::size_t>{2048, 3072};
  }
};

std::vector<const Kernel*> kernels_of(const std::vector<std::string>& names) {
  std::vector<const Kernel*> kernels;
  std::set<std::string> unknown(names.begin(), names.end());
  std::string here;
  for (const Kernel* kernel : crypto::kernels::all_kernels()) {
    if (!kernel->runs_here()) continue;
    const std::string name(kernel->name());
    here += (here.empty() ? "" : ", ") + name;
    if (names.empty() || unknown.erase(name) > 0) kernels.push_back(kernel);
  }
  if (!unknown.empty()) {
    throw ConfigError("--kernel " + *unknown.begin() + ": this machine can run " + here);
  }
  return kernels;
}

// select keeps the cases that match, and the rows that their ratios need.
std::vector<Case> select(std::vector<Case> cases, const Options& options) {
  std::regex pattern;
  try {
    pattern = std::regex(options.filter, std::regex::extended);
  } catch (const std::regex_error&) {
    throw ConfigError("--filter '" + options.filter + "' is not a regular expression");
  }
  std::set<std::string> wanted;
  for (const Case& c : cases) {
    if (c.varies && !options.has_keygen) continue;
    if (!std::regex_search(c.name(), pattern)) continue;
    wanted.insert(c.name());
    for (std::string& name : references_of(c)) wanted.insert(std::move(name));
  }
  std::erase_if(cases, [&](const Case& c) { return !wanted.contains(c.name()); });
  return cases;
}

// settings_of is the part of a report that both kinds of run have.
nlohmann::json settings_of(const Options& options, const std::vector<int>& processors) {
  return {{"threads", options.threads}, {"processors", processors}, {"quick", options.is_quick}};
}

template <class Rows>
void show(const Options& options, const nlohmann::json& report, const Rows& rows,
          const std::string& explanation) {
  if (options.is_json) {
    std::cout << report.dump(2) << "\n";
  } else {
    std::cout << heading_of(report) << explanation << "\n" << table_of(rows);
  }
}

void say(const Options& options, const std::string& line) {
  if (!options.is_json) std::cerr << "blindsum-bench: " << line << "\n";
}

void run_benchmarks(const Options& options, const std::vector<const Kernel*>& kernels) {
  Workload workload;
  Effort effort{.repetitions = options.repetitions, .is_wall_clock = options.threads > 1};
  if (options.is_quick) {
    workload = {.batch = 8, .values = 500};
    effort.repetitions = 2;
    effort.seconds_each = 0.01;
  }
  const std::vector<int> processors = pin_to_processors(options.threads);
  ThreadPool pool(options.threads);
  nlohmann::json report = environment_of();
  std::vector<Row> rows;
  // One key size after the other: the tables of all of them would take gigabytes.
  for (const std::size_t bits : options.sizes()) {
    const auto cases = select(cases_of(bits, kernels, workload, pool), options);
    say(options, std::to_string(bits) + "-bit keys, " + std::to_string(cases.size()) + " rows, " +
                     std::to_string(effort.repetitions) + " repetitions");
    const auto more = rows_of(cases, measure(cases, effort), options.threads);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  if (rows.empty()) throw ConfigError("--filter '" + options.filter + "' matches no row");
  const std::string clock = effort.is_wall_clock ? "wall" : "cpu";
  report["settings"] = settings_of(options, processors);
  report["settings"].update({{"clock", clock},
                             {"repetitions", effort.repetitions},
                             {"seconds_each", effort.seconds_each},
                             {"batch", workload.batch},
                             {"parties", workload.parties},
                             {"values", workload.values},
                             {"value_bits", workload.value_bits}});
  report["rows"] = json_of(rows);
  show(options, report, rows,
       "medians of " + std::to_string(effort.repetitions) + ", " + clock + " time; " +
           std::to_string(workload.parties) + " parties, " + std::to_string(workload.values) +
           " values of " + std::to_string(workload.value_bits) + " bits each; " +
           std::to_string(workload.batch) + " numbers a call\n");
}

void run_timing_tests(const Options& options, const std::vector<const Kernel*>& kernels) {
  const std::vector<int> processors = pin_to_processors(options.threads);
  ThreadPool pool(options.threads);
  nlohmann::json report = environment_of();
  std::vector<TimingRow> rows;
  for (const std::size_t bits : options.sizes()) {
    const auto subjects = subjects_of(bits, kernels, pool);
    say(options, std::to_string(bits) + "-bit keys, " + std::to_string(subjects.size()) +
                     " subjects, " + std::to_string(options.measurements) + " measurements each");
    for (const Subject& subject : subjects) {
      rows.push_back({subject, bits, time_subject(subject, options.measurements)});
    }
  }
  report["settings"] = settings_of(options, processors);
  report["timing_tests"] = json_of(rows);
  show(options, report, rows,
       "Welch's t of two classes of secrets, of all times and the largest below some percentile of "
       "them;\n|t| above 4.5 is a difference that chance does not explain\n");
}

int run(int argc, char** argv) {
  CLI::App app{
      "Times Blindsum's arithmetic: every kernel that runs here and the textbook method, side by "
      "side."};
  Options options;
  options.add_to(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_code(Fault::kUsage);
  }
  const std::vector<const Kernel*> kernels = kernels_of(options.kernels);
  if (options.is_timing_test) {
    run_timing_tests(options, kernels);
  } else {
    run_benchmarks(options, kernels);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "blindsum-bench: " << error.what() << "\n";
    return exit_code(fault_of(error));
  }
}
