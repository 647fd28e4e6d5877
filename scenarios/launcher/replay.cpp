#include "scenarios/launcher/replay.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/integer_network.h"
#include "party/key_holder/activation_opener.h"
#include "party/record_owner.h"
#include "scenarios/launcher/encrypted_run.h"
#include "scenarios/launcher/record_tail.h"
#include "scenarios/launcher/result_text.h"
#include "shared/role/encrypted_inputs.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;
using role::InputNetwork;

// StudyEpoch is a row of the study's tables: per cent, mean absolute error, seconds.
struct StudyEpoch {
  double train_accuracy, test_accuracy, loss, seconds;
};
constexpr std::array<StudyEpoch, 5> kStudyEncrypted{{{97.61, 88.6, 0.0193, 3884},
                                                     {98.51, 88.7, 0.0120, 4180},
                                                     {98.61, 88.6, 0.0108, 3879},
                                                     {98.69, 88.5, 0.0101, 3958},
                                                     {98.78, 88.5, 0.0096, 4051}}};
constexpr std::chrono::milliseconds kPollInterval{10};
constexpr double kStudyRows = 10000;
constexpr double kStudyEncryptionsPerS = 1740;  // 42 rows of 41 numbers, 256-bit key

// Outcome is what a replay came to: two with the same integers have the same one.
struct Outcome {
  std::string model_digest, trace;
  json epochs = json::array();  // as to_json(EpochScore) has them
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// replay_in_the_clear does on plain integers what the roles do on ciphertexts. `stop` ends it
// early, unfinished.
Outcome replay_in_the_clear(const settings::Settings& settings, const party::ReplayRecords& data,
                            double& train_s, const std::atomic<bool>& stop) {
  const auto rule = coordinator::gradient_rule_from_string(settings.encrypted_inputs.gradient);
  coordinator::IntegerNetwork network(settings.seed, rule, settings.server.rate);
  key_holder::SumTrace trace;
  Outcome outcome;
  const auto inputs_of = [](const party::RecordSet& set, std::size_t row) {
    const auto* first = &set.inputs[row * InputNetwork::kInputs];
    return std::vector<std::int64_t>(first, first + InputNetwork::kInputs);
  };
  for (std::uint32_t epoch = 0; epoch < settings.encrypted_inputs.epochs && !stop; ++epoch) {
    key_holder::EpochScore score;
    const report::Stopwatch watch;
    for (std::size_t row = 0; row < data.train.rows; ++row) {
      const auto inputs = inputs_of(data.train, row);
      const auto sums = network.apply(inputs);
      trace.take(sums);
      const auto errors = score.take_train(sums, data.train.labels[row]);
      const bool needs_inputs = rule == coordinator::GradientRule::kRight;
      network.step(errors, std::span(sums).subspan(InputNetwork::kOutputs),
                   std::span(inputs).first(needs_inputs ? inputs.size() : 0));
    }
    train_s += watch.seconds();
    for (std::size_t row = 0; row < data.test.rows; ++row) {
      const auto sums = network.apply(inputs_of(data.test, row));
      const auto outputs = std::span(sums).first(InputNetwork::kOutputs);
      trace.take(outputs);
      score.take_test(outputs, data.test.labels[row]);
    }
    outcome.epochs.push_back(to_json(score));
  }
  outcome.model_digest = digest_text(network.digest());
  outcome.trace = digest_text(trace.digest());
  return outcome;
}

class Replay : public EncryptedRun {
 public:
  using EncryptedRun::EncryptedRun;

 private:
  Ending work() override {
    const auto& inputs = settings_.encrypted_inputs;
    announce("encrypted inputs, " + std::to_string(inputs.train_rows) + " rows, " +
             std::to_string(inputs.epochs) + " epochs");
    begin_data();
    const Ending ending = train();
    if (ending.fault == Fault::kNone) compare();
    return ending;
  }

  void describe(json& summary) const override {
    summary["gradient"] = settings_.encrypted_inputs.gradient;
    summary["scaler"] = settings_.encrypted_inputs.scaler;
  }

  void begin_data() {
    progress_.begin_phase("data", "reading the records");
    records_ = party::ReplayRecords::read(settings_, data_.train, data_.test);
    check_stop();
    progress_.end_phase(data_.name + ": " + std::to_string(records_.train.rows) +
                        " training rows, " + std::to_string(records_.test.rows) + " test rows");
  }

  Ending train() {
    FederationPlan plan = federation_plan();
    plan.train = data_.train;
    plan.test = data_.test;
    progress_.begin_phase("encrypt", "the party encrypts its records");
    const auto federation = start(plan);
    RecordTail holder(records_path(folder_, wire::kKeyHolderPeer));
    RecordTail service(records_path(folder_, wire::kCoordinatorPeer));
    const auto& inputs = settings_.encrypted_inputs;
    const auto epoch_text = [&](std::size_t epoch) {
      return "epoch " + std::to_string(epoch + 1) + " of " + std::to_string(inputs.epochs) +
             ", one encrypted record at a time";
    };
    for (;;) {
      const auto ending = federation->poll();
      for (const report::RoundRecord& record : service.next()) {
        if (record.round != 0) {
          compute_s_.push_back(record.phase_s.at("compute"));
          continue;
        }
        progress_.end_phase(std::to_string(inputs.train_rows + inputs.test_rows) +
                            " records encrypted, " +
                            bytes_text(static_cast<double>(record.bytes_in)));
        progress_.begin_phase("train", epoch_text(0));
      }
      for (const report::RoundRecord& record : holder.next()) {
        epochs_.push_back(record);
        if (record.round < inputs.epochs) progress_.update_phase(epoch_text(record.round));
      }
      if (ending) {
        if (ending->fault == Fault::kNone) {
          progress_.end_phase(std::to_string(inputs.epochs) + " epochs on ciphertexts");
        }
        return *ending;
      }
      if (*options_.stop) return {Fault::kInterrupted, "interrupted by the user"};
      std::this_thread::sleep_for(kPollInterval);
    }
  }

  // compare holds the encrypted replay against the same integers in the clear.
  void compare() {
    const json holder = end_record_of(wire::kKeyHolderPeer);
    const json service = end_record_of(wire::kCoordinatorPeer);
    const json party = end_record_of(wire::party_peer(0));
    const Outcome encrypted{service.at("model_digest").get<std::string>(),
                            holder.at("trace").get<std::string>(), holder.at("epochs")};
    progress_.begin_phase("plain", "the same integers in the clear");
    double plain_s = 0;
    const Outcome plain = replay_in_the_clear(settings_, records_, plain_s, *options_.stop);
    check_stop();
    const double rows = settings_.encrypted_inputs.train_rows;
    const bool is_identical = plain == encrypted;
    summary_["identical"] = is_identical;
    summary_["model_digest"] = encrypted.model_digest;
    summary_["trace"] = encrypted.trace;
    summary_["clamped_weights"] = service.at("clamped");
    summary_["encryptions"] = party.at("encryptions");
    summary_["encrypt_s"] = party.at("encrypt_s");
    summary_["encryptions_per_s"] =
        party.at("encryptions").get<double>() / party.at("encrypt_s").get<double>();
    summary_["plain"] = {
        {"model_digest", plain.model_digest},
        {"trace", plain.trace},
        {"samples_per_s", rows * static_cast<double>(plain.epochs.size()) / plain_s}};
    summary_["epochs"] = json::array();
    for (std::size_t e = 0; e < encrypted.epochs.size() && e < epochs_.size(); ++e) {
      json epoch = encrypted.epochs[e];
      const auto& phases = epochs_[e].phase_s;
      epoch["train_s"] = phases.at("train");
      epoch["samples_per_s"] = rows / phases.at("train");
      epoch["decrypt_s"] = phases.at("decrypt");
      if (e < compute_s_.size()) epoch["compute_s"] = compute_s_[e];
      epoch["plain"] = plain.epochs[e];
      summary_["epochs"].push_back(std::move(epoch));
    }
    if (!is_identical) {
      throw IntegrityError(
          "the encrypted replay and the one in the clear do not agree bit for bit");
    }
    progress_.end_phase("identical bit for bit, at every step");
  }

  party::ReplayRecords records_;
  std::vector<report::RoundRecord> epochs_;  // of the key-holder
  std::vector<double> compute_s_;            // of the service, by epoch
};

std::string column(const std::string& text, std::size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

}  // namespace

RunResult run_replay(const RunOptions& options, Progress& progress) {
  return Replay(options, progress).go();
}

json study_network(const settings::Settings& settings, const DataSource& data,
                   std::size_t train_rows, std::size_t test_rows) {
  constexpr std::uint32_t kTrainRows = 10000;
  constexpr double kRate = 0.01;
  settings::Settings study = settings;
  study.encrypted_inputs = {};
  study.encrypted_inputs.train_rows =
      static_cast<std::uint32_t>(std::min<std::size_t>(kTrainRows, train_rows));
  study.encrypted_inputs.test_rows = static_cast<std::uint32_t>(test_rows);
  const auto records = party::ReplayRecords::read(study, data.train, data.test);
  coordinator::IntegerNetwork network(settings.seed, coordinator::GradientRule::kSeed, kRate);
  const auto sums_of = [&](const party::RecordSet& set, std::size_t row) {
    const auto* first = &set.inputs[row * InputNetwork::kInputs];
    return network.apply(std::vector<std::int64_t>(first, first + InputNetwork::kInputs));
  };
  key_holder::EpochScore score;
  for (std::uint32_t epoch = 0; epoch < study.encrypted_inputs.epochs; ++epoch) {
    for (std::size_t row = 0; row < records.train.rows; ++row) {
      const auto sums = sums_of(records.train, row);
      network.step(score.take_train(sums, records.train.labels[row]),
                   std::span(sums).subspan(InputNetwork::kOutputs), {});
    }
  }
  model::Confusion confusion(InputNetwork::kOutputs);
  for (std::size_t row = 0; row < records.test.rows; ++row) {
    const auto sums = sums_of(records.test, row);
    const auto best = std::max_element(sums.begin(), sums.begin() + InputNetwork::kOutputs);
    ++confusion.counts.at(records.test.labels[row])
          .at(static_cast<std::size_t>(best - sums.begin()));
  }
  json evaluation = report::to_json(role::evaluation_of(confusion, data::Schema::kdd99()));
  evaluation["rule"] = "41-41-5, " + std::to_string(study.encrypted_inputs.epochs) +
                       " epochs over " + std::to_string(records.train.rows) +
                       " rows, as in scenarios/seed-replay.md";
  return evaluation;
}

std::string describe_replay(const RunOptions& options, const RunResult& result,
                            const Terminal& terminal) {
  const json& summary = result.summary;
  if (result.ending.fault != Fault::kNone) return "";
  const auto cell = [](double value, int digits, std::size_t width) {
    return column(fixed(value, digits), width);
  };
  std::string text = "\n  " +
                     terminal.paint(Style::kBold,
                                    "epoch      train %   (study)     test %   (study)"
                                    "      loss   (study)   samples/s   (study)") +
                     "\n";
  const bool is_like_study = options.settings.encrypted_inputs.gradient == "seed";
  for (std::size_t e = 0; e < summary.at("epochs").size(); ++e) {
    const json& epoch = summary.at("epochs")[e];
    const auto number = [&](const char* key) { return epoch.at(key).get<double>(); };
    const bool has_study = e < kStudyEncrypted.size();
    const auto study = [&](double value, int digits, std::size_t width) {
      return has_study ? cell(value, digits, width) : column("–", width + 2);
    };
    const StudyEpoch then = has_study ? kStudyEncrypted[e] : StudyEpoch{0, 0, 0, 1};
    text += "  " + column(std::to_string(e), 5) + cell(100 * number("train_accuracy"), 2, 13) +
            study(then.train_accuracy, 2, 10) + cell(100 * number("test_accuracy"), 1, 11) +
            study(then.test_accuracy, 1, 10) + cell(number("train_loss"), 4, 10) +
            study(then.loss, 4, 10) + cell(number("samples_per_s"), 1, 12) +
            study(kStudyRows / then.seconds, 2, 10) + "\n";
  }
  text += "\n  encrypted = plain integers, bit for bit: " +
          terminal.paint(Style::kGood, summary.at("identical").get<bool>() ? "yes" : "no") +
          "   in the clear: " + fixed(summary.at("plain").at("samples_per_s").get<double>(), 0) +
          " samples/s\n  encryptions: " + fixed(summary.at("encryptions_per_s").get<double>(), 0) +
          " a second (study: " + fixed(kStudyEncryptionsPerS, 0) +
          " at 256 bits)\n  security: " + summary.at("security").get<std::string>() + "\n";
  if (!is_like_study) text += "  gradient: right; the study's figures are of gradient: seed\n";
  const auto data = summary.at("data").get<std::string>();
  if (data != "kdd99") {
    text += "  data: " + data + ": the study's figures are of KDD Cup 1999, these are not\n";
  }
  return text + "  the page that explains it: scenarios/seed-replay.md\n";
}

}  // namespace blindsum::launcher
