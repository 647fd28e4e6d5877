#include "shared/data/synthetic.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"
#include "shared/core/seeded_random.h"
#include "shared/data/synthetic_model.h"

namespace blindsum::data {
namespace {

constexpr std::uint64_t kMostFloor = 8;

// draw returns an index with probability weights[i] / Σ weights.
template <class T>
std::size_t draw(const std::vector<T>& items, SeededRandom& random) {
  std::uint64_t total = 0;
  for (const T& item : items) total += item.rows;
  std::uint64_t left = random.below(total);
  std::size_t i = 0;
  while (left >= items[i].rows) left -= items[i++].rows;
  return i;
}

double quantile(const Column& column, double score) {
  const auto above =
      std::ranges::upper_bound(column.knots, score, std::less<>{}, &Column::Knot::score);
  if (above == column.knots.begin()) return column.knots.front().value;
  if (above == column.knots.end()) return column.knots.back().value;
  const Column::Knot& low = *(above - 1);
  if (low.value == above->value) return low.value;
  const double part = (score - low.score) / (above->score - low.score);
  if (is_rate(column.index)) return low.value + part * (above->value - low.value);
  const double low_log = std::log1p(low.value);
  return std::round(std::expm1(low_log + part * (std::log1p(above->value) - low_log)));
}

// RowWriter turns a cell into lines of the KDD schema.
class RowWriter {
 public:
  explicit RowWriter(SeededRandom& random) : random_(random) {}

  std::string line(const Cell& cell, std::string_view attack) {
    std::array<double, kFactors> factors{};
    for (double& factor : factors) factor = random_.normal();
    std::array<double, kNumericFeatures> values{};
    for (const Column& column : cell.columns) {
      values[column.index] = quantile(column, score(column, factors));
    }
    text_.clear();
    const Combination& traffic = cell.combinations[draw(cell.combinations, random_)];
    number(values[0], 0);
    word(protocols()[static_cast<std::size_t>(traffic.categories[0])]);
    word(services()[static_cast<std::size_t>(traffic.categories[1])]);
    word(flags()[static_cast<std::size_t>(traffic.categories[2])]);
    for (std::size_t j = 1; j < kNumericFeatures; ++j) number(values[j], is_rate(j) ? 2 : 0);
    text_.append(attack).append(".\n");
    return text_;
  }

 private:
  // score returns where a row stands among the rows of its cell: a standard normal variate that is
  // correlated with the other columns' over the factors (a Gaussian copula).
  double score(const Column& column, std::span<const double> factors) {
    if (column.knots.front().value == column.knots.back().value) return 0;
    double common = 0;
    double square = 0;
    for (std::size_t k = 0; k < column.loadings.size(); ++k) {
      const double loading = column.loadings[k] / 100.0;
      common += loading * factors[k];
      square += loading * loading;
    }
    const double own = 1 - std::min(square, 1.0);
    return (common + std::sqrt(own) * random_.normal()) / std::sqrt(square + own);
  }

  void word(std::string_view value) { text_.append(value) += ','; }
  void number(double value, int decimals) {
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                            std::chars_format::fixed, decimals);
    text_.append(digits.data(), end) += ',';
  }

  SeededRandom& random_;
  std::string text_;
};

// rows_per_attack deals `rows` to the attacks of all entries: see write_synthetic.
std::vector<std::uint64_t> rows_per_attack(const std::vector<Entry::Attack>& attacks,
                                           std::uint64_t rows) {
  std::uint64_t floor = kMostFloor;
  const auto floors = [&] {
    std::uint64_t sum = 0;
    for (const Entry::Attack& attack : attacks) sum += std::min(attack.rows, floor);
    return sum;
  };
  while (floor > 0 && floors() * 10 > rows) --floor;
  // The others share what the attacks at the floor leave, which may put more of them there.
  std::vector<std::uint64_t> dealt(attacks.size());
  std::vector<std::size_t> open(attacks.size());
  std::iota(open.begin(), open.end(), std::size_t{0});
  std::uint64_t left = rows;
  const auto total = [&] {
    std::uint64_t sum = 0;
    for (const std::size_t i : open) sum += attacks[i].rows;
    return sum;
  };
  for (bool has_changed = true; has_changed;) {
    const std::uint64_t all = total();
    const std::uint64_t shared = left;
    const auto below_floor = [&](std::size_t i) {
      return attacks[i].rows * shared < std::min(attacks[i].rows, floor) * all;
    };
    has_changed = false;
    for (const std::size_t i : open) {
      if (!below_floor(i)) continue;
      dealt[i] = std::min(attacks[i].rows, floor);
      left -= dealt[i];
      has_changed = true;
    }
    std::erase_if(open, below_floor);
  }
  const std::uint64_t all = total();
  std::uint64_t dealt_out = 0;
  for (const std::size_t i : open) dealt_out += dealt[i] = attacks[i].rows * left / all;
  // The largest remainders get the rows that rounding down has left.
  std::ranges::stable_sort(open, std::greater<>{},
                           [&](std::size_t i) { return attacks[i].rows * left % all; });
  for (std::size_t k = 0; dealt_out < left; ++k, ++dealt_out) ++dealt[open[k]];
  return dealt;
}

std::string synthetic_text(std::size_t rows, const std::vector<Entry>& entries,
                           SeededRandom random) {
  std::vector<Entry::Attack> attacks;
  std::vector<const Entry*> entry_of;
  for (const Entry& entry : entries) {
    attacks.insert(attacks.end(), entry.attacks.begin(), entry.attacks.end());
    entry_of.insert(entry_of.end(), entry.attacks.size(), &entry);
  }
  const std::vector<std::uint64_t> dealt = rows_per_attack(attacks, rows);
  std::vector<std::size_t> order;
  order.reserve(rows);
  for (std::size_t i = 0; i < attacks.size(); ++i) order.insert(order.end(), dealt[i], i);
  random.shuffle(std::span(order));
  RowWriter writer(random);
  std::string text;
  for (const std::size_t i : order) {
    const std::vector<Cell>& cells = entry_of[i]->cells;
    text += writer.line(cells[draw(cells, random)], attacks[i].name);
  }
  return text;
}

}  // namespace

void write_synthetic(const std::filesystem::path& directory, std::uint64_t seed,
                     const SyntheticSizes& sizes, std::string_view table) {
  const SyntheticModel model = parse_synthetic(table);
  std::filesystem::create_directories(directory);
  write_file_atomic(
      directory / "kddcup.data_10_percent",
      synthetic_text(sizes.train_rows, model.train, SeededRandom(seed, "synthetic train")));
  write_file_atomic(directory / "corrected", synthetic_text(sizes.test_rows, model.test,
                                                            SeededRandom(seed, "synthetic test")));
}

namespace {

// lines_of are the lines of a mark that name the files.
std::string lines_of(std::string_view train_sha256, std::string_view test_sha256) {
  return "train " + std::string(train_sha256) + "\ntest " + std::string(test_sha256) + "\n";
}

}  // namespace

void mark_synthetic(const std::filesystem::path& directory, std::uint64_t seed,
                    const SyntheticSizes& sizes, std::string_view table) {
  const KddFiles files = find_kdd(directory);
  write_file_atomic(directory / kSyntheticMark,
                    "SYNTHETIC DATA, made by blindsum and no real traffic: seed " +
                        std::to_string(seed) + ", " + std::to_string(sizes.train_rows) +
                        " training and " + std::to_string(sizes.test_rows) + " test rows, table " +
                        digest_text(sha256(as_bytes(table))) + "\n" +
                        lines_of(text_sha256(files.train), text_sha256(files.test)));
}

bool is_marked_synthetic(const std::filesystem::path& directory, std::string_view train_sha256,
                         std::string_view test_sha256) {
  constexpr std::size_t kMostBytes = 4096;
  std::string mark;
  try {
    mark = read_text_file(directory / kSyntheticMark, kMostBytes);
  } catch (const Error&) {
    return false;
  }
  return mark.ends_with("\n" + lines_of(train_sha256, test_sha256));
}

}  // namespace blindsum::data
