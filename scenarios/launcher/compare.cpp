#include "scenarios/launcher/compare.h"

#include <algorithm>
#include <array>
#include <vector>

#include <sys/resource.h>

#include "scenarios/launcher/summary.h"
#include "shared/core/file.h"
#include "shared/core/thread_pool.h"
#include "shared/data/encoder.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"
#include "shared/model/training.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr std::uint32_t kCentralizedParty = 0xffffffff;  // the batches of no party
constexpr const char* kCentralized = "centralized";
constexpr const char* kInteger = "federated_integer";
constexpr const char* kEncrypted = "federated_encrypted";

// Pile is all data of a run in one place, encoded.
struct Pile {
  data::Statistics statistics;
  data::Dataset train, test;
};

Pile load_pile(const DataSource& source) {
  Pile pile;
  data::Scaler scaler;
  {
    const data::RecordTable records = data::read_kdd(source.train);
    pile.statistics = data::statistics_of(records);
    scaler = data::Scaler::from_statistics(pile.statistics);
    pile.train = data::encode_onehot122(records, scaler);
  }
  pile.test = data::encode_onehot122(data::read_kdd(source.test), scaler, true);
  return pile;
}

report::Evaluation evaluation_of(const model::Confusion& confusion) {
  const model::Metrics metrics = model::metrics_of(confusion);
  return {metrics.accuracy, metrics.macro_f1, metrics.cost, metrics.recall, confusion.counts};
}

double peak_rss_mib() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::string padded(const std::string& text, std::size_t width, bool is_left = false) {
  const std::size_t missing = width > text.size() ? width - text.size() : 0;
  return is_left ? text + std::string(missing, ' ') : std::string(missing, ' ') + text;
}

}  // namespace

RunResult train_centralized(const settings::Settings& settings, const DataSource& data,
                            Progress& progress, const std::atomic<bool>& stop) {
  const report::Stopwatch wall;
  Figures figures;
  figures.data = data.name;
  const Pile pile = load_pile(data);
  figures.data_s = wall.seconds();

  const model::Shape shape = role::shape_of(settings);
  model::Parameters parameters = model::initial_parameters(shape, settings.seed);
  model::Optimizer optimizer(role::optimizer_of(settings), parameters.size(), settings.rounds);
  const auto class_weights =
      model::class_weights_from(role::class_weights_of(settings), pile.statistics);
  const std::size_t batch = std::size_t{settings.parties} * settings.local.batch_rows;
  ThreadPool pool(settings.threads);

  Records records;
  const report::Stopwatch train;
  progress.begin(settings.rounds);
  std::uint32_t round = 0;
  while (round < settings.rounds && !stop) {
    ++round;
    report::RoundRecord record;
    record.round = round;
    record.role = kCentralized;
    report::Stopwatch watch;
    const auto rows =
        model::batch_rows(pile.train.rows, batch, settings.seed, kCentralizedParty, round);
    optimizer.step(parameters,
                   model::gradient_of(shape, parameters, pile.train, rows, class_weights).values);
    record.phase_s["train"] = watch.restart();
    if (round == settings.rounds || round % settings.evaluate_every == 0) {
      record.evaluation = evaluation_of(model::evaluate(shape, parameters, pile.test, pool));
      record.phase_s["evaluate"] = watch.seconds();
    }
    progress.round({round, record.evaluation, record.phase_s, 0});
    records.rounds.push_back(std::move(record));
  }
  progress.end();
  figures.train_s = train.seconds();
  figures.wall_s = wall.seconds();
  records.ends.push_back({{"role", kCentralized},
                          {"peak_rss_mib", peak_rss_mib()},
                          {"model_digest", digest_text(model::model_digest(parameters))}});
  Ending ending;
  if (round < settings.rounds) ending = {Fault::kInterrupted, "interrupted by the user"};
  json summary = summary_of(settings, records, ending, figures);
  for (const char* key : {"cipher", "key_bits", "randomizer", "kernel"}) summary[key] = nullptr;
  return {ending, summary};
}

RunResult compare(const RunOptions& options, Progress& progress) {
  (void)role::limits_of(options.settings);  // before anything is trained
  std::filesystem::create_directories(options.folder);
  const DataSource data =
      find_data(options.settings, options.data_directory, options.folder / "data",
                [&](const std::string& text) { progress.warn(text); });
  json comparison = json::object();
  Ending ending;
  const auto keep = [&](const char* name, RunResult result) {
    comparison[name] = std::move(result.summary);
    if (ending.fault == Fault::kNone && result.ending.fault != Fault::kNone) {
      ending = {result.ending.fault, std::string(name) + ": " + result.ending.reason};
    }
    return ending.fault == Fault::kNone;
  };
  const auto federated = [&](const char* name, const char* cipher) {
    RunOptions run = options;
    run.settings.cipher = cipher;
    run.folder = options.folder / name;
    run.data = data;
    return keep(name, run_scenario(run, progress));
  };

  progress.say("centralized: all rows in one place");
  bool is_good =
      keep(kCentralized, train_centralized(options.settings, data, progress, *options.stop));
  is_good = is_good && federated(kInteger, "none");
  is_good = is_good && federated(kEncrypted, "paillier");
  if (is_good) {
    const bool is_identical =
        comparison[kInteger]["model_digest"] == comparison[kEncrypted]["model_digest"];
    comparison["identical"] = is_identical;
    if (!is_identical) {
      ending = {Fault::kIntegrity,
                "the encrypted run and the integer run ended in different models"};
    }
  }
  write_file_atomic(options.folder / "compare.json", json_text(comparison));
  return {ending, comparison};
}

std::string comparison_table(const json& comparison) {
  std::string text = padded("run", 20, true);
  for (const char* title : {"accuracy %", "macro-F1", "cost", "s/round", "MB up/party"}) {
    text += padded(title, 12);
  }
  text += "  model\n";
  for (const char* name : {kCentralized, kInteger, kEncrypted}) {
    if (!comparison.contains(name) || comparison[name]["final"].is_null()) continue;
    const json& run = comparison[name];
    const json& quality = run["final"];
    const double parties = run["parties"].get<double>();
    text += padded(name, 20, true);
    text += padded(fixed(100 * quality["accuracy"].get<double>(), 2), 12);
    text += padded(fixed(quality["macro_f1"].get<double>(), 4), 12);
    text += padded(fixed(quality["cost"].get<double>(), 4), 12);
    text += padded(fixed(run["train_s"].get<double>() / run["rounds"].get<double>(), 4), 12);
    text += padded(fixed(run["bytes_up"].get<double>() / parties / 1e6, 2), 12);
    text += "  " + run["model_digest"].get<std::string>().substr(0, 7 + 12) + "\n";
  }
  if (comparison.contains("identical")) {
    text += comparison["identical"].get<bool>()
                ? "encrypted and integer runs ended in the same model, bit for bit\n"
                : "MISMATCH: encrypted and integer runs ended in different models\n";
  }
  return text;
}

}  // namespace blindsum::launcher
