// A federation in whole numbers against the same federation in floating point.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "party/key_holder/make.h"
#include "scenarios/launcher/baselines.h"
#include "scenarios/launcher/run.h"
#include "shared/data/synthetic.h"
#include "shared/role/learning.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;

const std::atomic<bool> kNeverStop{false};

// Precision is a width with its rounding, and how far it may move a run: in percent of the test
// records, and in percentage points of accuracy.
struct Precision {
  unsigned bits;
  std::string_view rounding;
  double differ_percent;
  double accuracy_points;
};

const std::vector<Precision> kPrecisions{{24, "nearest", 0.1, 0.05},
                                         {16, "nearest", 0.2, 0.1},
                                         {12, "stochastic", 0.2, 0.1},
                                         {8, "stochastic", 1, 0.5}};

// check_precisions runs `settings` on the files in `data` in floating point, and at each precision
// in whole numbers.
void check_precisions(settings::Settings settings, const std::filesystem::path& data) {
  settings.cipher = "none";
  settings.runtime = "memory";
  settings.evaluate_every = settings.rounds;
  const test::TempDir folder;
  Progress progress(Verbosity::kQuiet);
  const DataSource source = find_data(settings, data, "", [](const auto&) {});
  const Workload workload = load_workload(settings, source);
  const Training in_float = train_federated_float(settings, workload, progress, kNeverStop);
  REQUIRE(in_float.ending.fault == Fault::kNone);
  const model::Shape shape = role::shape_of(settings);
  const auto encoded = workload.test.encode(data::Scaler::from_statistics(in_float.statistics));
  const double accuracy = in_float.summary["final"]["accuracy"];
  CHECK(accuracy > 0.9);  // a model that has learnt nothing could not be moved
  ThreadPool pool(2);
  for (const Precision& precision : kPrecisions) {
    CAPTURE(precision.bits);
    RunOptions options;
    options.settings = settings;
    options.settings.fixed_point.bits = precision.bits;
    options.settings.fixed_point.rounding = precision.rounding;
    options.folder = folder.path() / std::to_string(precision.bits);
    options.data = source;
    options.stop = &kNeverStop;
    const RunResult run = run_scenario(options, progress);
    REQUIRE_MESSAGE(run.ending.fault == Fault::kNone, run.ending.reason);
    const auto whole = key_holder::load_model(options.folder / "model.safetensors", shape);
    CHECK(whole != in_float.parameters);
    std::uint64_t differ = 0, records = 0;
    for (const data::Dataset& attack : encoded) {
      differ += model::differing_predictions(shape, in_float.parameters, whole, attack, pool);
      records += attack.records();
    }
    const double percent = 100 * static_cast<double>(differ) / static_cast<double>(records);
    const double points = 100 * (run.summary["final"]["accuracy"].get<double>() - accuracy);
    MESSAGE(settings.algorithm << ", " << precision.bits << " bits, " << precision.rounding << ": "
                               << percent << " % of " << records << " predictions differ, accuracy "
                               << points << " pp from " << 100 * accuracy << " %");
    CHECK(percent <= precision.differ_percent);
    CHECK(std::abs(points) <= precision.accuracy_points);
  }
}

TEST_CASE("whole numbers predict as floating point does, whatever the algorithm") {
  const test::TempDir folder;
  data::write_synthetic(folder.path(), 3, {8000, 20'000});
  for (const char* algorithm :
       {"fedsgd", "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "scaffold"}) {
    settings::Settings settings;
    settings.algorithm = algorithm;
    settings::apply_algorithm(settings, [](std::string_view) { return false; });
    settings.rounds = 15;
    if (settings.algorithm == "fedsgd") settings.rounds = 40;    // one step a round
    if (settings.algorithm == "scaffold") settings.rounds = 60;  // short steps
    settings.model.hidden = {16};
    settings.local.batch_rows = 64;
    settings.local.steps = 10;
    settings.data.source = "kdd99";
    settings.data.partition.kind = "dirichlet";
    check_precisions(settings, folder.path());
  }
}

TEST_CASE("150 rounds on the contest's data predict in whole numbers as in floating point") {
  const char* directory = std::getenv("BLINDSUM_DATA");
  if (directory == nullptr || data::find_set(directory) != data::FileSet::kKdd99) {
    MESSAGE("BLINDSUM_DATA names no folder with the contest's files: skipped");
    return;
  }
  settings::Settings settings;  // fedsgd, ten parties, 150 rounds, 122-41-5
  settings.data.source = "kdd99";
  check_precisions(settings, directory);
}

}  // namespace
