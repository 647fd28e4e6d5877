#include "shared/data/synthetic_model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <span>

#include "shared/core/error.h"

namespace blindsum::data {
namespace {

constexpr std::string_view kFirstLine = "blindsum-synthetic 1";
constexpr std::string_view kOrigin =
    "# Numbers about the attack types of KDD Cup 1999 (UCI KDD archive, CC BY 4.0), written by "
    "'blindsum data fit'.\n";

std::string whole_or_hundredths(double value, std::size_t column) {
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), is_rate(column) ? "%.4g" : "%.0f", value);
  return digits.data();
}

void append(std::string& text, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    for (const Entry::Attack& attack : entry.attacks) {
      text.append("attack ").append(attack.name) += ' ' + std::to_string(attack.rows) + '\n';
    }
    for (const Cell& cell : entry.cells) {
      text += "cell " + std::to_string(cell.rows) + '\n';
      for (const Combination& combination : cell.combinations) {
        const auto [protocol, service, flag] = combination.categories;
        text.append("traffic ").append(protocols()[static_cast<std::size_t>(protocol)]) += ' ';
        text.append(services()[static_cast<std::size_t>(service)]) += ' ';
        text.append(flags()[static_cast<std::size_t>(flag)]) +=
            ' ' + std::to_string(combination.rows) + '\n';
      }
      for (const Column& column : cell.columns) {
        text.append(numeric_name(column.index));
        for (const Column::Knot& knot : column.knots) {
          text += ' ' + std::to_string(knot.share) + ':' +
                  whole_or_hundredths(knot.value, column.index);
        }
        if (!column.loadings.empty()) text += " |";
        for (const int loading : column.loadings) text += ' ' + std::to_string(loading);
        text += '\n';
      }
    }
  }
}

// Parser reads the table line by line.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  SyntheticModel parse() {
    if (!next_line() || line_ != kFirstLine) fail("expected '" + std::string(kFirstLine) + "'");
    SyntheticModel model;
    while (next_line()) {
      const std::string_view word = next_word();
      if (word == "set") {
        start_set(model);
      } else if (word == "attack") {
        read_attack();
      } else if (word == "cell") {
        if (entries_ == nullptr || entries_->empty()) fail("a cell before an attack");
        entries_->back().cells.push_back({.rows = next_count(), .combinations = {}, .columns = {}});
      } else if (word == "traffic") {
        read_traffic();
      } else {
        read_column(word);
      }
      if (!rest_.empty()) fail("too many words");
    }
    finish_set();
    if (model.train.empty() || model.test.empty()) fail("a set without attacks");
    return model;
  }

 private:
  // next_line goes to the next line that says something.
  bool next_line() {
    while (!text_.empty()) {
      const std::size_t end = text_.find('\n');
      line_ = text_.substr(0, end);
      text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
      ++number_;
      if (!line_.empty() && line_.front() != '#') {
        rest_ = line_;
        return true;
      }
    }
    return false;
  }

  std::string_view next_word(char separator = ' ') {
    const std::size_t end = rest_.find(separator);
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (word.empty()) fail("a word is missing");
    return word;
  }

  template <class T>
  T next_number(T low, T high, char separator = ' ') {
    const std::string_view word = next_word(separator);
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size() ||
        !(value >= low && value <= high)) {
      fail("'" + std::string(word) + "' is not a number from " + std::to_string(low) + " to " +
           std::to_string(high));
    }
    return value;
  }

  std::uint64_t next_count() { return next_number<std::uint64_t>(1, 1'000'000'000); }

  void start_set(SyntheticModel& model) {
    const std::string_view name = next_word();
    if (name != "train" && name != "test") fail("a set is 'train' or 'test'");
    finish_set();
    entries_ = name == "train" ? &model.train : &model.test;
    if (!entries_->empty()) fail("a set given twice");
  }

  void finish_set() {
    if (entries_ == nullptr) return;
    for (const Entry& entry : *entries_) {
      if (entry.cells.empty()) fail("attack '" + entry.attacks.front().name + "' has no cell");
      for (const Cell& cell : entry.cells) {
        if (cell.combinations.empty()) {
          fail("a cell of attack '" + entry.attacks.front().name + "' has no traffic");
        }
      }
    }
  }

  void read_attack() {
    if (entries_ == nullptr) fail("an attack before a set");
    Entry::Attack attack{std::string(next_word()), 0};
    (void)class_of(attack.name);
    attack.rows = next_count();
    if (entries_->empty() || !entries_->back().cells.empty()) entries_->emplace_back();
    entries_->back().attacks.push_back(std::move(attack));
  }

  Cell& cell() {
    if (entries_ == nullptr || entries_->empty() || entries_->back().cells.empty()) {
      fail("this line belongs to a cell");
    }
    return entries_->back().cells.back();
  }

  std::int16_t next_category(std::span<const std::string_view> names) {
    const std::string_view word = next_word();
    const auto found = std::ranges::find(names, word);
    if (found == names.end()) fail("unknown traffic '" + std::string(word) + "'");
    return static_cast<std::int16_t>(found - names.begin());
  }

  void read_traffic() {
    Combination combination;
    combination.categories = {next_category(protocols()), next_category(services()),
                              next_category(flags())};
    combination.rows = next_count();
    cell().combinations.push_back(combination);
  }

  void read_column(std::string_view name) {
    Column column;
    while (column.index < kNumericFeatures && numeric_name(column.index) != name) ++column.index;
    if (column.index == kNumericFeatures) fail("unknown column '" + std::string(name) + "'");
    for (const Column& other : cell().columns) {
      if (other.index == column.index) fail("a column given twice");
    }
    const double high = is_rate(column.index) ? 1 : 1e10;
    Column::Knot last;
    while (!rest_.empty() && rest_.front() != '|') {
      Column::Knot knot;
      knot.share = next_number<std::uint32_t>(last.share, Column::kWhole, ':');
      knot.value = next_number<double>(last.value, high);
      knot.score = normal_score(std::clamp(knot.share, 1U, Column::kWhole - 1) /
                                static_cast<double>(Column::kWhole));
      column.knots.push_back(knot);
      last = knot;
    }
    if (column.knots.empty() || column.knots.front().share != 0 || last.share != Column::kWhole) {
      fail("the shares of a column go from 0 to 100000");
    }
    if (!rest_.empty()) {
      (void)next_word();
      int square = 0;
      for (std::size_t k = 0; k < kFactors; ++k) {
        column.loadings.push_back(next_number<int>(-100, 100));
        square += column.loadings.back() * column.loadings.back();
      }
      if (square > 101 * 101) fail("the loadings' squares add up to more than 1");
    }
    cell().columns.push_back(std::move(column));
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError("table of synthetic data, line " + std::to_string(number_) + ": " + what +
                    "; 'blindsum data fit' writes such a table");
  }

  std::string_view text_, line_, rest_;
  std::size_t number_ = 0;
  std::vector<Entry>* entries_ = nullptr;
};

}  // namespace

double normal_score(double share) {
  // Abramowitz and Stegun 26.2.23, within 4.5e-4, and a step of Newton's.
  const double tail = std::min(share, 1 - share);
  const double t = std::sqrt(-2 * std::log(tail));
  const double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                           (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  const double density = std::exp(-z * z / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  const double refined = z + (0.5 * std::erfc(z / std::numbers::sqrt2) - tail) / density;
  return share < 0.5 ? -refined : refined;
}

std::string_view numeric_name(std::size_t column) {
  return feature_names()[column == 0 ? 0 : column + 3];
}

std::string to_text(const SyntheticModel& model) {
  std::string text = std::string(kFirstLine) + '\n' + std::string(kOrigin) + "set train\n";
  append(text, model.train);
  text += "set test\n";
  append(text, model.test);
  return text;
}

SyntheticModel parse_synthetic(std::string_view text) { return Parser(text).parse(); }

}  // namespace blindsum::data
