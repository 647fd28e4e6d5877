#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "scenarios/launcher/compare.h"
#include "scenarios/launcher/result_text.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxParties = 12;  // of a table for people
constexpr std::size_t kMaxAttacks = 15;

// width_of counts code points: "±" and "→" take one place each.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

// Table aligns its columns: the first `left_columns` to the left, the others to the right.
class Table {
 public:
  explicit Table(std::size_t left_columns) : left_columns_(left_columns) {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()), 0);
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], width_of(row[i]));
      }
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string blanks(widths[i] - width_of(row[i]), ' ');
        if (i > 0) line += "  ";
        line += i < left_columns_ ? row[i] + blanks : blanks + row[i];
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  std::size_t left_columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string percent(const json& share, int digits = 1) {
  return fixed(100 * share.get<double>(), digits);
}

// Quality is one of the three numbers that a run is judged by, as people read it.
struct Quality {
  const char* key;
  const char* title;
  double unit;
  int digits;
};
constexpr std::array<Quality, 3> kQualities{
    {{"accuracy", "accuracy %", 100, 2}, {"macro_f1", "macro-F1", 1, 4}, {"cost", "cost", 1, 4}}};

constexpr std::array kRuns{"centralized", "local", "federated_float", "federated_integer",
                           "federated_encrypted"};

// data_line names the data of the runs, which is one.
std::string data_line(const json& comparison) {
  for (const char* name : kRuns) {
    if (!comparison.contains(name)) continue;
    const json data = comparison[name].value("data", json());
    if (data.is_string()) return "data: " + data_text(data.get<std::string>()) + "\n";
  }
  return "";
}

std::string runs_table(const json& comparison) {
  const bool has_spread = comparison.contains("seeds") && comparison["seeds"].size() > 1;
  Table table(1);
  std::vector<std::string> title{"run"};
  for (const Quality& quality : kQualities) title.emplace_back(quality.title);
  for (const char* text : {"train s", "s/round", "MB up/party", "model"}) title.emplace_back(text);
  table.add(std::move(title));
  for (const char* name : kRuns) {
    if (!comparison.contains(name) || comparison[name]["final"].is_null()) continue;
    const json& run = comparison[name];
    std::vector<std::string> row{name};
    for (const Quality& quality : kQualities) {
      if (has_spread) {
        const auto number = [&](const char* which) {
          return fixed(quality.unit * comparison[which][name][quality.key].get<double>(),
                       quality.digits);
        };
        row.push_back(number("mean") + " ± " + number("deviation"));
      } else {
        row.push_back(
            fixed(quality.unit * run["final"][quality.key].get<double>(), quality.digits));
      }
    }
    row.push_back(fixed(run["train_s"].get<double>(), 1));
    row.push_back(
        fixed(run["train_s"].get<double>() / std::max(1.0, run["rounds_done"].get<double>()), 4));
    row.push_back(fixed(run["bytes_up"].get<double>() / run["parties"].get<double>() / 1e6, 2));
    row.push_back(run["model_digest"].is_null()
                      ? "(mean of parties)"
                      : run["model_digest"].get<std::string>().substr(0, 7 + 10));
    table.add(std::move(row));
  }
  std::string rules;
  if (comparison.contains("sanity")) {
    for (const auto& [key, label] : {std::pair("study_network", "the study's network"),
                                     std::pair("decision_stump", "decision stump"),
                                     std::pair("majority_class", "majority class")}) {
      if (!comparison["sanity"].contains(key)) continue;
      const json& sanity = comparison["sanity"][key];
      std::vector<std::string> row{label};
      for (const Quality& quality : kQualities) {
        row.push_back(fixed(quality.unit * sanity[quality.key].get<double>(), quality.digits));
      }
      table.add(std::move(row));
      rules += std::string(label) + ": " + sanity["rule"].get<std::string>() + "\n";
    }
  }
  if (has_spread) {
    rules += "mean ± standard deviation over " + std::to_string(comparison["seeds"].size()) +
             " seeds; all else is of seed " +
             std::to_string(comparison["seeds"][0].get<std::uint64_t>()) + "\n";
  }
  return table.text() + rules;
}

// gain_of is by how much the mean recall over the classes rises.
double gain_of(const json& gain) {
  double sum = 0;
  const std::size_t classes = gain["alone"].size();
  for (std::size_t c = 0; c < classes; ++c) {
    sum += gain["federated"][c].get<double>() - gain["alone"][c].get<double>();
  }
  return sum / static_cast<double>(classes);
}

std::string gains_table(const json& comparison) {
  const json& gains = comparison["gains"];
  const json& classes = comparison["local"]["classes"];
  std::vector<const json*> shown;
  for (const json& gain : gains) shown.push_back(&gain);
  std::string text = "\nwho gains what: recall % by class, alone → federated; * none in its shard";
  if (shown.size() > kMaxParties) {
    std::ranges::stable_sort(shown, std::ranges::greater{},
                             [](const json* gain) { return gain_of(*gain); });
    shown.resize(kMaxParties);
    text += "\n(the " + std::to_string(kMaxParties) + " parties that gain most, of " +
            std::to_string(gains.size()) + ")";
  }
  Table table(1);
  std::vector<std::string> title{"party", "rows"};
  for (const json& name : classes) title.push_back(name.get<std::string>());
  table.add(std::move(title));
  for (const json* gain : shown) {
    const auto party = (*gain)["party"].get<std::size_t>();
    const json& unseen = (*gain)["unseen_classes"];
    std::vector<std::string> row{
        std::to_string(party),
        std::to_string(comparison["local"]["per_party"][party]["rows"].get<std::uint64_t>())};
    for (std::size_t c = 0; c < classes.size(); ++c) {
      const bool is_unseen = std::ranges::find(unseen, classes[c]) != unseen.end();
      row.push_back((is_unseen ? "*" : "") + percent((*gain)["alone"][c]) + " → " +
                    percent((*gain)["federated"][c]));
    }
    table.add(std::move(row));
  }
  return text + "\n" + table.text();
}

// unseen_table sums, by attack, over the parties that never saw it.
std::string unseen_table(const json& gains) {
  struct Unseen {
    std::string attack, traffic_class;
    std::uint64_t test_rows = 0;
    std::size_t parties = 0;
    double alone = 0, federated = 0;
  };
  std::vector<Unseen> attacks;
  for (const json& gain : gains) {
    for (const json& attack : gain["unseen_attacks"]) {
      const auto name = attack["attack"].get<std::string>();
      auto found = std::ranges::find(attacks, name, &Unseen::attack);
      if (found == attacks.end()) {
        attacks.push_back({name, attack["class"].get<std::string>(),
                           attack["test_rows"].get<std::uint64_t>(), 0, 0,
                           attack["federated"].get<double>()});
        found = attacks.end() - 1;
      }
      ++found->parties;
      found->alone += attack["alone"].get<double>();
    }
  }
  if (attacks.empty()) return "";
  std::ranges::stable_sort(attacks, std::ranges::greater{}, &Unseen::test_rows);
  const std::size_t left_out = attacks.size() - std::min(attacks.size(), kMaxAttacks);
  attacks.resize(attacks.size() - left_out);
  Table table(2);
  table.add({"attack", "class", "test rows", "parties", "alone (mean)", "federated"});
  for (const Unseen& attack : attacks) {
    table.add({attack.attack, attack.traffic_class, std::to_string(attack.test_rows),
               std::to_string(attack.parties),
               fixed(100 * attack.alone / static_cast<double>(attack.parties), 1),
               fixed(100 * attack.federated, 1)});
  }
  return "\nattacks that parties never saw, while others did: % of their test rows given the right "
         "class\n" +
         table.text() +
         (left_out > 0 ? "(" + std::to_string(left_out) + " rarer ones in compare.json)\n" : "");
}

}  // namespace

namespace {

// pairs_table sets runs side by side, seed by seed.
std::string pairs_table(const json& comparison) {
  if (!comparison.contains("paired")) return "";
  Table table(2);
  std::vector<std::string> title{"difference, seed by seed", "against"};
  for (const Quality& quality : kQualities) title.emplace_back(quality.title);
  table.add(std::move(title));
  for (const json& pair : comparison["paired"]) {
    std::vector<std::string> row{pair["run"].get<std::string>(),
                                 pair["against"].get<std::string>()};
    for (const Quality& quality : kQualities) {
      const json& difference = pair[quality.key];
      const double mean = quality.unit * difference["difference"].get<double>();
      row.push_back(
          (mean > 0 ? "+" : "") + fixed(mean, quality.digits) + " ± " +
          fixed(quality.unit * difference["standard_error"].get<double>(), quality.digits) + " (" +
          difference["higher"].dump() + " of " + pair["seeds"].dump() + " higher" +
          (difference["p"].is_null() ? "" : ", p " + fixed(difference["p"].get<double>(), 3)) +
          ")");
    }
    table.add(std::move(row));
  }
  return "\n" + table.text() +
         "mean ± standard error; p: exact sign-flip test, which cannot be below 2^(1 − seeds)\n\n";
}

// min_cost_table shows what the minimum-cost rule makes of the same models.
std::string min_cost_table(const json& comparison) {
  if (!comparison.contains("minimum_cost")) return "";
  Table table(1);
  std::vector<std::string> title{"by the minimum-cost rule"};
  for (const Quality& quality : kQualities) title.emplace_back(quality.title);
  table.add(std::move(title));
  for (const char* run : {"centralized", "federated_encrypted"}) {
    if (!comparison["minimum_cost"].contains(run)) continue;
    const json& seeds = comparison["minimum_cost"][run];
    std::vector<std::string> row{run};
    for (const Quality& quality : kQualities) {
      double sum = 0;
      for (const json& seed : seeds) sum += seed[quality.key].get<double>();
      row.push_back(fixed(quality.unit * sum / static_cast<double>(seeds.size()), quality.digits));
    }
    table.add(std::move(row));
  }
  return table.text();
}

}  // namespace

std::string comparison_table(const json& comparison) {
  std::string text = data_line(comparison) + runs_table(comparison);
  if (comparison.contains("identical")) {
    const json difference = comparison.value("first_difference", json());
    if (comparison["identical"].get<bool>()) {
      text += "identical: encrypted and integer runs ended in the same model, bit for bit\n";
    } else {
      text += "MISMATCH: encrypted and integer runs ended in different models";
      if (!difference.is_null()) {
        text += ", from round " + std::to_string(difference.get<std::uint32_t>()) + " on";
      }
      text += "\n";
    }
  }
  text += pairs_table(comparison) + min_cost_table(comparison);
  if (comparison.contains("quantisation")) {
    double differing = 0, records = 0;
    for (const json& seed : comparison["quantisation"]) {
      differing += seed["predictions_differ"].get<double>();
      records += seed["records"].get<double>();
    }
    text += "quantisation: " + comparison["quantisation"][0]["bits"].dump() + " bits change " +
            fixed(100 * differing / records, 3) +
            " % of the predictions of the federation in floating point\n";
  }
  if (comparison.contains("gains")) {
    text += gains_table(comparison) + unseen_table(comparison["gains"]);
  }
  return text;
}

}  // namespace blindsum::launcher
