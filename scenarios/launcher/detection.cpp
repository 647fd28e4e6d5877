#include "scenarios/launcher/detection.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/detector.h"
#include "party/key_holder/score_opener.h"
#include "party/record_owner.h"
#include "scenarios/launcher/encrypted_run.h"
#include "scenarios/launcher/result_text.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/model/network.h"
#include "shared/model/optimizer.h"
#include "shared/model/training.h"
#include "shared/role/detection.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using coordinator::Detector;
using nlohmann::json;
using role::DetectionInputs;
using role::DetectionPlan;

constexpr std::chrono::milliseconds kPollInterval{10};

// Model is the service's, in floating point.
struct Model {
  model::Shape shape;
  model::Parameters parameters;
};

Model train(const settings::Settings& settings, const data::Dataset& dataset,
            const data::Statistics& statistics, const std::atomic<bool>& stop) {
  const DetectionPlan plan = DetectionPlan::of(settings);
  Model model;
  model.shape.hidden.clear();
  if (!plan.is_linear()) model.shape.hidden.push_back(plan.hidden);
  model.shape.activation = model::Activation::kSquare;
  model.parameters = model::initial_parameters(model.shape, settings.seed);
  const auto weights = model::class_weights_from(role::class_weights_of(settings), statistics);
  model::Optimizer optimizer(role::optimizer_of(settings), model.parameters.size(),
                             settings.rounds);
  for (std::uint32_t step = 1; step <= settings.rounds && !stop; ++step) {
    const auto rows =
        model::batch_rows(dataset.rows, settings.local.batch_rows, settings.seed, 0, step);
    optimizer.step(
        model.parameters,
        model::gradient_of(model.shape, model.parameters, dataset, rows, weights).values);
  }
  return model;
}

// layer_of rounds a layer's weights and biases, scaled, to whole numbers; those of the first layer
// take records as role::DetectionInputs has them.
void layer_of(const model::Parameters& parameters, std::size_t at, std::size_t in, std::size_t out,
              double scale, double bias_scale, bool is_first, std::vector<std::int64_t>& weights,
              std::vector<std::int64_t>& biases) {
  weights.assign(in * out, 0);
  biases.assign(out, 0);
  for (std::size_t o = 0; o < out; ++o) {
    biases[o] = std::llround(bias_scale * static_cast<double>(parameters[at + in * out + o]));
    for (std::size_t i = 0; i < in; ++i) {
      const bool is_numeric = is_first && i >= DetectionInputs::kOneHot;
      const double each = is_numeric ? scale / DetectionInputs::kNumericScale : scale;
      std::int64_t& weight = weights[o * in + i];
      weight = std::llround(each * static_cast<double>(parameters[at + i * out + o]));
      if (is_numeric) biases[o] -= weight * DetectionInputs::kNumericZero;
    }
  }
}

// detector_of rounds the model to as many bits as its sums leave room for.
Detector detector_of(const Model& model) {
  constexpr int kMostBits = 14;
  constexpr int kLeastBits = 5;
  constexpr int kSecondBits = 8;
  const std::size_t hidden = model.shape.hidden.empty() ? 0 : model.shape.hidden[0];
  for (int bits = kMostBits;; --bits) {
    Detector detector;
    detector.hidden = hidden;
    const double scale = std::ldexp(1, bits);
    const std::size_t out = hidden == 0 ? DetectionInputs::kOutputs : hidden;
    layer_of(model.parameters, 0, DetectionInputs::kInputs, out, scale, scale, true, detector.first,
             detector.first_bias);
    if (hidden > 0) {
      const double second = std::ldexp(1, kSecondBits);
      layer_of(model.parameters, (DetectionInputs::kInputs + 1) * hidden, hidden,
               DetectionInputs::kOutputs, second, second * scale * scale, false, detector.second,
               detector.second_bias);
    }
    try {
      detector.check();
      return detector;
    } catch (const ConfigError&) {
      if (bits == kLeastBits) throw;
    }
  }
}

class Detection : public EncryptedRun {
 public:
  using EncryptedRun::EncryptedRun;

 private:
  Ending work() override {
    const DetectionPlan plan = DetectionPlan::of(settings_);
    announce("private detection, " + std::to_string(plan.rows) + " records, " +
             std::to_string(plan.batch) + " together, " +
             (plan.is_linear() ? std::string("a linear detector")
                               : std::to_string(plan.hidden) + " hidden units, square"));
    for (const char* name : {"service", "owner"}) {
      std::filesystem::create_directories(folder_ / name);
      std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
    }
    make_detector();
    FederationPlan federation = federation_plan();
    federation.test = data_.test;
    const Ending ending = stream(federation, plan);
    if (ending.fault == Fault::kNone) compare(plan);
    return ending;
  }

  void describe(json& summary) const override {
    const auto& inputs = settings_.encrypted_inputs;
    summary["activation"] = inputs.activation;
    summary["records"] = inputs.test_rows;
  }

  // make_detector is what the service did before anybody asked it.
  void make_detector() {
    progress_.begin_phase("model", "the service trains a detector on the training set");
    const data::RecordTable table = data::read_kdd(data_.train);
    const data::Statistics statistics = data::statistics_of(table);
    scaler_ = data::Scaler::from_statistics(statistics);
    model_ = train(settings_, data::encode_onehot(table, scaler_), statistics, *options_.stop);
    check_stop();
    detector_ = detector_of(model_);
    coordinator::write_detector(detector_path(folder_), detector_);
    party::write_encoding(encoding_path(folder_), scaler_);
    progress_.end_phase("a detector trained on " + std::to_string(table.rows) + " records of " +
                        data_.name);
  }

  Ending stream(const FederationPlan& federation, const DetectionPlan& plan) {
    progress_.begin_phase("detect", "encrypted records to the service, encrypted scores back");
    const auto roles = start(federation);
    for (;;) {
      if (const auto ending = roles->poll()) {
        if (ending->fault == Fault::kNone) {
          progress_.end_phase(std::to_string(plan.rows) + " records scored");
        }
        return *ending;
      }
      if (*options_.stop) return {Fault::kInterrupted, "interrupted by the user"};
      std::this_thread::sleep_for(kPollInterval);
    }
  }

  // compare holds the owner's scores against those that the same integers have in the clear.
  void compare(const DetectionPlan& plan) {
    progress_.begin_phase("plain", "the same integers in the clear");
    const party::RecordSet records = party::detection_records(settings_, data_.test, scaler_);
    std::vector<key_holder::ScoreOpener::Scores> scores;
    const report::Stopwatch watch;
    for (std::size_t row = 0; row < records.rows; ++row) {
      scores.push_back(detector_.scores(
          std::span(records.inputs).subspan(row * records.inputs_each, records.inputs_each)));
    }
    const double plain_s = watch.seconds();
    const std::filesystem::path in_the_clear = folder_ / "owner" / "scores-in-the-clear.csv";
    key_holder::write_scores(in_the_clear, scores);
    const bool is_identical = read_text_file(in_the_clear) == read_text_file(scores_path(folder_));
    std::filesystem::remove(in_the_clear);
    const data::RecordTable test = data::read_kdd(data_.test);
    const data::Dataset drawn = data::encode_onehot(
        data::select(test, party::detection_rows(settings_, test.rows)), scaler_);
    ThreadPool pool(settings_.threads);
    const auto floating = model::metrics_of(
        model::evaluate(model_.shape, model_.parameters, drawn, pool), data::Schema::kdd99());
    summarise(plan, is_identical, plain_s, floating);
    summary_["views"]["owner"]["first_scores"] = scores.front();
    if (!is_identical) {
      throw IntegrityError("the opened scores are not those of the same integers in the clear");
    }
    progress_.end_phase("identical, every score");
  }

  void summarise(const DetectionPlan& plan, bool is_identical, double plain_s,
                 const model::Metrics& floating) {
    const json holder = end_record_of(wire::kKeyHolderPeer);
    const json service = end_record_of(wire::kCoordinatorPeer);
    const json party = end_record_of(wire::party_peer(0));
    const double compute_s = compute_seconds();
    const double rows = plan.rows;
    const auto messages = service.at("messages").get<double>();
    const double stream_s = holder.at("stream_s").get<double>();
    const model::Confusion confusion(
        holder.at("confusion").get<std::vector<std::vector<std::uint64_t>>>());
    const model::Metrics metrics = model::metrics_of(confusion, data::Schema::kdd99());
    const auto of_record = [&](double seconds) { return 1e6 * seconds / rows; };
    summary_["identical"] = is_identical;
    summary_["accuracy"] = metrics.accuracy;
    summary_["macro_f1"] = metrics.macro_f1;
    summary_["cost"] = metrics.cost;
    summary_["confusion"] = confusion.counts;
    summary_["in_floating_point"] = {
        {"accuracy", floating.accuracy}, {"macro_f1", floating.macro_f1}, {"cost", floating.cost}};
    summary_["batch_rows"] = plan.batch;
    summary_["records_per_s"] = rows / stream_s;
    summary_["batch_latency_ms"] = 1000 * stream_s / messages;
    summary_["us_per_record"] = {{"encrypt", of_record(party.at("encrypt_s").get<double>())},
                                 {"compute", of_record(compute_s)},
                                 {"open", of_record(holder.at("open_s").get<double>())},
                                 {"in_the_clear", of_record(plain_s)}};
    summary_["numbers_encrypted_per_s"] =
        rows * DetectionInputs::kInputs / party.at("encrypt_s").get<double>();
    summary_["bytes_per_record"] = service.at("bytes").get<double>() / rows;
    summary_["views"] = {{"service",
                          {{"records", service.at("records")},
                           {"messages", service.at("messages")},
                           {"bytes", service.at("bytes")},
                           {"first_record_begins_with", service.at("begins_with")}}},
                         {"owner", {{"scores", scores_path(folder_).string()}}}};
  }

  [[nodiscard]] double compute_seconds() const {
    for (const json& line : report::read_records(records_path(folder_, wire::kCoordinatorPeer))) {
      if (line.contains("phase_s")) return line.at("phase_s").at("compute").get<double>();
    }
    throw Error("the compute service left no record");
  }

  data::Scaler scaler_;
  Model model_;
  Detector detector_;
};

}  // namespace

RunResult run_detection(const RunOptions& options, Progress& progress) {
  return Detection(options, progress).go();
}

std::string describe_detection(const RunOptions& options, const RunResult& result,
                               const Terminal& terminal) {
  if (result.ending.fault != Fault::kNone) return "";
  const json& summary = result.summary;
  const auto number = [&](const char* key) { return summary.at(key).get<double>(); };
  const auto cost = [&](const char* key) {
    return fixed(summary.at("us_per_record").at(key).get<double>(), 1);
  };
  const json& floating = summary.at("in_floating_point");
  const json& service = summary.at("views").at("service");
  std::string scores;
  for (const json& score : summary.at("views").at("owner").at("first_scores")) {
    scores += (scores.empty() ? "" : " ") + std::to_string(score.get<std::int64_t>());
  }
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += "  " + terminal.paint(Style::kBold, name) + value + "\n";
  };
  text += "\n";
  line("accuracy   ", fixed(100 * number("accuracy"), 2) + " %   macro-F1 " +
                          fixed(number("macro_f1"), 4) + "   contest cost " +
                          fixed(number("cost"), 4) + "   (in floating point " +
                          fixed(100 * floating.at("accuracy").get<double>(), 2) + " %, " +
                          fixed(floating.at("macro_f1").get<double>(), 4) + ", " +
                          fixed(floating.at("cost").get<double>(), 4) + ")");
  line("identical  ", std::string("every score is that of the same integers in the clear: ") +
                          terminal.paint(Style::kGood, "yes"));
  line("speed      ", fixed(number("records_per_s"), 0) + " records a second, " +
                          fixed(number("batch_latency_ms"), 1) + " ms for " +
                          std::to_string(summary.at("batch_rows").get<int>()) + " together");
  line("a record   ", "µs: encrypt " + cost("encrypt") + ", compute " + cost("compute") +
                          ", open " + cost("open") + "; in the clear " + cost("in_the_clear") +
                          "; " + bytes_text(number("bytes_per_record")) + " up");
  line("service    ", "saw " + std::to_string(service.at("messages").get<std::uint64_t>()) +
                          " messages, " + bytes_text(service.at("bytes").get<double>()) +
                          ", that begin " +
                          service.at("first_record_begins_with").get<std::string>() + "…");
  line("owner      ",
       "read the scores, of the first record " + scores +
           ", and of the model what they tell: " + scores_path(options.folder).string());
  line("security   ", summary.at("security").get<std::string>());
  return text;
}

}  // namespace blindsum::launcher
