#include "scenarios/launcher/result_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

std::string heading(const Terminal& terminal, std::string name) {
  name.resize(12, ' ');
  return "  " + terminal.paint(Style::kDim, name);
}

std::string percent(double fraction) { return fixed(100 * fraction, 2) + " %"; }

std::string recall_text(const json& quality, const json& classes) {
  std::string text;
  for (const json& item : classes) {
    const auto name = item.get<std::string>();
    text += (text.empty() ? "" : "  ") + name + " " +
            percent(quality.at("recall").at(name).get<double>());
  }
  return text;
}

// phases_text gives the mean time of every phase in a round, the slowest role's.
std::string phases_text(const json& phases, double rounds) {
  std::string text;
  for (const char* name :
       {"train", "encode", "encrypt", "prepare", "aggregate", "decrypt", "step", "evaluate"}) {
    if (!phases.contains(name)) continue;
    if (!text.empty()) text += "  ";
    text +=
        std::string(name) + " " + fixed(1000 * phases.at(name).get<double>() / rounds, 1) + " ms";
  }
  return text;
}

// rounds_text says how many rounds a run did, and of how many when it stopped early.
std::string rounds_text(std::uint32_t done, std::uint32_t planned) {
  std::string text = std::to_string(done);
  if (done < planned) text += " of " + std::to_string(planned);
  return text + " rounds" + (done < planned ? " (stopped early)" : "");
}

// proof_text says in one line what the proof of encryption came to.
std::string proof_text(const json& proof, const Terminal& terminal) {
  const auto verdict = proof.at("verdict").get<std::string>();
  if (verdict == "not checked") return verdict + ": " + proof.at("reason").get<std::string>();
  std::string text = terminal.paint(verdict == "passed" ? Style::kGood : Style::kBad, verdict);
  text += "  " + std::to_string(proof.at("checks").size()) + " checks of " +
          std::to_string(proof.at("messages").get<std::uint64_t>()) + " messages, " +
          bytes_text(proof.at("bytes").get<double>()) + ", that the coordinator handled";
  std::string open;
  for (const json& check : proof.at("checks")) {
    if (check.at("verdict") == "not checked") {
      open += (open.empty() ? "; not checked: " : ", ") + check.at("name").get<std::string>();
    }
  }
  return text + open;
}

// zero_day_text says how the model meets an attack that hardly anybody has trained on.
std::string zero_day_text(const json& zero_day) {
  const auto attack = zero_day.at("attack").get<std::string>();
  const auto known_to = zero_day.at("known_to").get<std::string>();
  const auto rows = zero_day.at("test_rows").get<double>();
  std::string text = attack + ", which " + (known_to == "nobody" ? "nobody" : "only " + known_to) +
                     " had to train on: ";
  if (rows == 0) return text + "the test set has none of it";
  return text + percent(zero_day.at("taken_for_an_attack").get<double>() / rows) + " of " +
         std::to_string(zero_day.at("test_rows").get<std::uint64_t>()) +
         " test records taken for an attack, " +
         percent(zero_day.at("taken_for_its_class").get<double>() / rows) + " for its class";
}

}  // namespace

std::string data_text(const std::string& source) {
  if (source == "kdd99") return "KDD Cup 1999";
  if (source == "synthetic") return "SYNTHETIC data: the figures say nothing about real traffic";
  return source;
}

std::string security_text(const settings::Settings& settings) {
  if (settings.cipher == "none") return "NOT ENCRYPTED";
  if (settings.paillier.key_bits < 2048) {
    return "INSECURE: Paillier with " + std::to_string(settings.paillier.key_bits) +
           "-bit keys, which anybody can break, randomizer " + settings.paillier.randomizer;
  }
  const bool is_short_key = settings.paillier.key_bits < 3072;
  return "Paillier with " + std::to_string(settings.paillier.key_bits) + "-bit keys (" +
         (is_short_key ? "112" : "at least 128") + "-bit security), randomizer " +
         settings.paillier.randomizer;
}

std::string result_text(const settings::Settings& settings, const json& summary,
                        const std::filesystem::path& folder, const Terminal& terminal) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += heading(terminal, name) + value + "\n";
  };
  const auto seconds = [&](const char* key) { return summary.at(key).get<double>(); };
  const double parties = settings.parties;
  const auto rounds_done = summary.at("rounds_done").get<std::uint32_t>();
  const bool is_encrypted = settings.cipher != "none";

  text += terminal.paint(Style::kGood, "done") + "  " +
          terminal.paint(Style::kBold, settings.name) + "  " + std::to_string(settings.parties) +
          " parties, " + rounds_text(rounds_done, settings.rounds) + ", " +
          data_text(summary.at("data").get<std::string>()) + "\n";
  line("protection",
       is_encrypted ? terminal.paint(Style::kGood, "ENCRYPTED") + "  " + security_text(settings)
                    : terminal.paint(Style::kBad, "NOT ENCRYPTED") +
                          "  cipher none: every update was sent in the clear");
  if (summary.contains("encryption_proof")) {
    line("proof", proof_text(summary.at("encryption_proof"), terminal));
  }
  const json& final = summary.at("final");
  line("accuracy", terminal.paint(Style::kBold, percent(final.at("accuracy").get<double>())) +
                       "   macro-F1 " + fixed(final.at("macro_f1").get<double>(), 4) +
                       (settings::has_schema(settings) ? "   cost " : "   contest cost ") +
                       fixed(final.at("cost").get<double>(), 4));
  line("recall", recall_text(final, summary.at("classes")));
  if (summary.contains("zero_day")) {
    line("zero-day", zero_day_text(summary.at("zero_day")));
  }
  line("time",
       duration_text(seconds("wall_s")) + " in all: training " + duration_text(seconds("train_s")) +
           (seconds("keygen_s") > 0 ? ", key set " + duration_text(seconds("keygen_s")) : "") +
           ", data " + duration_text(seconds("data_s")));
  line("a round", phases_text(summary.at("phase_s"), std::max(1U, rounds_done)));
  const double up = seconds("bytes_up") / parties;
  const double plain = 4.0 * static_cast<double>(role::shape_of(settings).parameters()) *
                       seconds("updates_sent") / parties;
  line("traffic", "a party sent " + bytes_text(up) + ", " +
                      (plain > 0 ? fixed(up / plain, 1) + " times float32 (" + bytes_text(plain) +
                                       "), and received "
                                 : std::string("and received ")) +
                      bytes_text(seconds("bytes_down") / parties));
  if (const auto clipped = summary.at("clipped_values").get<std::uint64_t>(); clipped > 0) {
    std::string layers;
    for (const json& count : summary.at("clipped_by_layer")) {
      layers += (layers.empty() ? "" : ", ") + count.dump();
    }
    line("clipped",
         std::to_string(clipped) + " gradient values, to fixed_point.clip; by layer: " + layers);
  }
  if (summary.contains("privacy")) {
    const json& privacy = summary.at("privacy");
    std::ostringstream delta;
    delta << privacy.at("delta").get<double>();
    line("privacy", "every record: epsilon " + fixed(privacy.at("epsilon").get<double>(), 2) +
                        " at delta " + delta.str() +
                        ", for the gradient rounds (the sums of "
                        "round 0 are exact)");
  }
  line("model", summary.at("model_digest").get<std::string>());
  line("results", folder.string());
  return text;
}

}  // namespace blindsum::launcher
