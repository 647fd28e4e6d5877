// KDD'99 described as a schema of one's own, against KDD'99 as it is built in.
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "scenarios/launcher/run.h"
#include "shared/core/file.h"
#include "shared/data/kdd.h"
#include "shared/data/synthetic.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace blindsum;
using namespace blindsum::launcher;

const std::atomic<bool> kNeverStop{false};

// described is the built-in schema in a scenario's words.
settings::Settings::Data::Schema described(const data::Schema& schema) {
  settings::Settings::Data::Schema out;
  out.label = "what it was";
  for (const data::Feature& feature : schema.columns()) {
    settings::SchemaColumn& column = out.columns.emplace_back();
    column.name = feature.name;
    column.kind = feature.kind == data::FeatureKind::kLog        ? "log"
                  : feature.kind == data::FeatureKind::kCategory ? "category"
                                                                 : "number";
    column.values = feature.values;
  }
  for (const data::RecordClass& one : schema.classes()) {
    out.classes.push_back({one.name, one.labels, one.costs});
  }
  return out;
}

// rewrite puts the label of each record in front, without its dot, and names the columns.
void rewrite(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::string text = "what it was";
  for (const std::string_view name : data::feature_names()) text += "," + std::string(name);
  text += "\n";
  const data::RawFile file = data::read_raw(from, data::Schema::kdd99());
  for (std::size_t row = 0; row < file.rows(); ++row) {
    std::string_view line = file.line(row);
    line.remove_suffix(2);  // ".\n"
    const std::size_t comma = line.rfind(',');
    text += std::string(line.substr(comma + 1)) + "," + std::string(line.substr(0, comma)) + "\n";
  }
  write_file_atomic(to, text);
}

nlohmann::json run(const settings::Settings& settings, const std::filesystem::path& folder,
                   const std::filesystem::path& data) {
  RunOptions options;
  options.settings = settings;
  options.folder = folder;
  options.data = find_data(settings, data, "", [](const auto&) {});
  options.stop = &kNeverStop;
  Progress progress(Verbosity::kQuiet);
  const RunResult result = run_scenario(options, progress);
  REQUIRE_MESSAGE(result.ending.fault == Fault::kNone, result.ending.reason);
  return result.summary;
}

TEST_CASE("KDD'99 as a schema of one's own trains the model of the built-in one, by partition") {
  const test::TempDir folder;
  const auto kdd = folder.path() / "kdd", own = folder.path() / "own";
  data::write_synthetic(kdd, 4, {3000, 2000});
  std::filesystem::create_directories(own);
  const data::KddFiles files = data::find_kdd(kdd);
  rewrite(files.train, own / "train.csv");
  rewrite(files.test, own / "test.csv");
  for (const char* kind :
       {"iid", "dirichlet", "quantity", "classes", "by_attack", "by_service", "by_time"}) {
    INFO(kind);
    settings::Settings settings;
    settings.parties = 5;
    settings.rounds = 4;
    settings.model.hidden = {6};
    settings.cipher = "none";
    settings.runtime = "memory";
    settings.data.source = "kdd99";
    settings.data.partition.kind = kind;
    const auto built_in = run(settings, folder.path() / "a" / kind, kdd);
    settings.data.source = "csv";
    settings.data.encoding = "onehot";
    settings.data.schema = described(data::Schema::kdd99());
    const auto described = run(settings, folder.path() / "b" / kind, own);
    for (const char* key : {"model_digest", "confusion", "classes", "final"}) {
      CHECK(described.at(key) == built_in.at(key));
    }
  }
}

}  // namespace
