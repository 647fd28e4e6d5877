#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/data/synthetic.h"
#include "shared/data/synthetic_model.h"

namespace blindsum::data {
namespace {

using Rows = std::vector<std::uint32_t>;

constexpr std::size_t kMostAtoms = 8;       // a column with no more values is a list of them
constexpr double kAtomShare = 0.05;         // a value that so many rows share has a flat piece
constexpr std::size_t kSmallestAtom = 3;    // rows
constexpr double kCellShare = 0.005;        // a combination with so many rows has its own cell
constexpr double kMostCommunality = 0.995;  // what the factors may explain of a column
constexpr int kFactorSteps = 40;
constexpr double kNarrowShare = 0.01;  // between frequent values so few rows get three quantiles
constexpr std::array kFewLevels{0.0, 0.5, 1.0};
constexpr std::array kLevels{0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0};

// knots_of returns the quantile function of `sorted` values: a flat piece for every frequent value,
// and nine quantiles (or three) for the values between two of them.
std::vector<Column::Knot> knots_of(std::span<const double> sorted) {
  const std::size_t rows = sorted.size();
  std::size_t values = 1;
  for (std::size_t i = 1; i < rows; ++i) values += sorted[i] != sorted[i - 1] ? 1 : 0;
  const std::size_t atom_rows =
      values <= kMostAtoms
          ? 1
          : std::max(kSmallestAtom,
                     static_cast<std::size_t>(std::ceil(kAtomShare * static_cast<double>(rows))));
  std::vector<Column::Knot> knots;
  const auto add = [&](double position, double value) {
    const Column::Knot knot{static_cast<std::uint32_t>(
                                std::lround(Column::kWhole * position / static_cast<double>(rows))),
                            value, 0};
    // Of several knots at one share or of one value, the first and the last say all.
    if (knots.size() > 1) {
      const Column::Knot& first = knots[knots.size() - 2];
      const Column::Knot& middle = knots.back();
      if ((first.share == middle.share && middle.share == knot.share) ||
          (first.value == middle.value && middle.value == value)) {
        knots.pop_back();
      }
    }
    if (knots.empty() || knots.back().share != knot.share || knots.back().value != value) {
      knots.push_back(knot);
    }
  };
  std::size_t gap_begin = 0;
  const auto add_gap = [&](std::size_t gap_end) {
    if (gap_begin == gap_end) return;
    const auto size = static_cast<double>(gap_end - gap_begin);
    const auto first = static_cast<double>(gap_begin);
    const bool is_narrow = size < kNarrowShare * static_cast<double>(rows);
    for (const double level : is_narrow ? std::span<const double>(kFewLevels) : kLevels) {
      const auto at = static_cast<std::size_t>(std::lround(level * (size - 1)));
      add(first + level * size, sorted[gap_begin + at]);
    }
  };
  for (std::size_t begin = 0; begin < rows;) {
    std::size_t end = begin + 1;
    while (end < rows && sorted[end] == sorted[begin]) ++end;
    if (end - begin >= atom_rows) {
      add_gap(begin);
      add(static_cast<double>(begin), sorted[begin]);
      add(static_cast<double>(end), sorted[begin]);
      gap_begin = end;
    }
    begin = end;
  }
  add_gap(rows);
  return knots;
}

// Matrix is square and symmetric.
struct Matrix {
  explicit Matrix(std::size_t n) : size(n), values(n * n) {}
  double& at(std::size_t i, std::size_t j) { return values[i * size + j]; }
  [[nodiscard]] double at(std::size_t i, std::size_t j) const { return values[i * size + j]; }
  std::size_t size;
  std::vector<double> values;
};

// eigen_of turns `matrix` into its eigenvalues (on the diagonal) and returns the eigenvectors as
// columns (cyclic Jacobi rotations).
Matrix eigen_of(Matrix& matrix) {
  const std::size_t n = matrix.size;
  Matrix vectors(n);
  for (std::size_t i = 0; i < n; ++i) vectors.at(i, i) = 1;
  for (int sweep = 0; sweep < 30; ++sweep) {
    double off_diagonal = 0;
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double apq = matrix.at(p, q);
        off_diagonal += apq * apq;
        if (std::abs(apq) < 1e-14) continue;
        const double theta = (matrix.at(q, q) - matrix.at(p, p)) / (2 * apq);
        const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0);
        const double s = t * c;
        for (std::size_t k = 0; k < n; ++k) {
          const double kp = matrix.at(k, p);
          const double kq = matrix.at(k, q);
          matrix.at(k, p) = c * kp - s * kq;
          matrix.at(k, q) = s * kp + c * kq;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double pk = matrix.at(p, k);
          const double qk = matrix.at(q, k);
          matrix.at(p, k) = c * pk - s * qk;
          matrix.at(q, k) = s * pk + c * qk;
          const double vp = vectors.at(k, p);
          const double vq = vectors.at(k, q);
          vectors.at(k, p) = c * vp - s * vq;
          vectors.at(k, q) = s * vp + c * vq;
        }
      }
    }
    if (off_diagonal < 1e-18) break;
  }
  return vectors;
}

// loadings_of returns L (columns × kFactors) so that L Lᵀ is the correlation off the diagonal, as
// near as so few factors allow (iterated principal factors).
std::vector<std::array<double, kFactors>> loadings_of(const Matrix& correlation) {
  const std::size_t n = correlation.size;
  std::vector<std::array<double, kFactors>> loadings(n);
  std::vector<double> communality(n, 0.9);
  for (int step = 0; step < kFactorSteps; ++step) {
    Matrix reduced = correlation;
    for (std::size_t i = 0; i < n; ++i) reduced.at(i, i) = communality[i];
    const Matrix vectors = eigen_of(reduced);
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater<>{},
                             [&](std::size_t i) { return reduced.at(i, i); });
    for (std::size_t i = 0; i < n; ++i) {
      loadings[i].fill(0);
      double square = 0;
      for (std::size_t k = 0; k < std::min(kFactors, n); ++k) {
        const double value = std::max(0.0, reduced.at(order[k], order[k]));
        loadings[i][k] = std::sqrt(value) * vectors.at(i, order[k]);
        square += loadings[i][k] * loadings[i][k];
      }
      if (square > kMostCommunality) {
        for (double& loading : loadings[i]) loading *= std::sqrt(kMostCommunality / square);
      }
      communality[i] = std::min(square, kMostCommunality);
    }
  }
  // An eigenvector's sign is arbitrary: its largest part is positive.
  for (std::size_t k = 0; k < kFactors; ++k) {
    double largest = 0;
    for (const auto& row : loadings) {
      if (std::abs(row[k]) > std::abs(largest) + 1e-6) largest = row[k];
    }
    if (largest < 0) {
      for (auto& row : loadings) row[k] = -row[k];
    }
  }
  return loadings;
}

// scores_of returns the columns' normal scores, standardised: mid-ranks through Φ⁻¹.
std::vector<double> scores_of(std::span<const double> values,
                              std::span<const std::uint32_t> order) {
  const std::size_t rows = values.size();
  std::vector<double> scores(rows);
  double sum = 0;
  double square = 0;
  for (std::size_t begin = 0; begin < rows;) {
    std::size_t end = begin + 1;
    while (end < rows && values[order[end]] == values[order[begin]]) ++end;
    const double score =
        normal_score(static_cast<double>(begin + end) / (2 * static_cast<double>(rows)));
    for (std::size_t i = begin; i < end; ++i) scores[order[i]] = score;
    sum += score * static_cast<double>(end - begin);
    square += score * score * static_cast<double>(end - begin);
    begin = end;
  }
  const double mean = sum / static_cast<double>(rows);
  const double deviation = std::sqrt(square / static_cast<double>(rows) - mean * mean);
  for (double& score : scores) score = (score - mean) / deviation;
  return scores;
}

// combination_of is the protocol, service and flag of a row.
std::array<std::int16_t, 3> combination_of(const RecordTable& table, std::uint32_t row) {
  const auto categories = table.categories_of(row);
  return {categories[0], categories[1], categories[2]};
}

Cell cell_of(const RecordTable& table, const Rows& rows) {
  Cell cell;
  cell.rows = rows.size();
  std::map<std::array<std::int16_t, 3>, std::uint64_t> combinations;
  for (const std::uint32_t row : rows) ++combinations[combination_of(table, row)];
  for (const auto& [categories, count] : combinations) {
    cell.combinations.push_back({categories, count});
  }
  std::vector<std::vector<double>> scores;
  std::vector<std::size_t> varying;  // indices into cell.columns
  std::vector<double> values(rows.size());
  std::vector<double> sorted(rows.size());
  std::vector<std::uint32_t> order(rows.size());
  for (std::size_t j = 0; j < kNumericFeatures; ++j) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      values[i] = table.numeric_of(rows[i])[j];
    }
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::ranges::stable_sort(order, std::less<>{}, [&](std::uint32_t i) { return values[i]; });
    for (std::size_t i = 0; i < rows.size(); ++i) sorted[i] = values[order[i]];
    if (sorted.back() == 0) continue;
    cell.columns.push_back({j, knots_of(sorted), {}});
    if (sorted.front() != sorted.back()) {
      varying.push_back(cell.columns.size() - 1);
      scores.push_back(scores_of(values, order));
    }
  }
  if (varying.size() < 2) return cell;
  Matrix correlation(varying.size());
  for (std::size_t a = 0; a < varying.size(); ++a) {
    correlation.at(a, a) = 1;
    for (std::size_t b = 0; b < a; ++b) {
      correlation.at(a, b) = correlation.at(b, a) =
          std::inner_product(scores[a].begin(), scores[a].end(), scores[b].begin(), 0.0) /
          static_cast<double>(rows.size());
    }
  }
  const auto loadings = loadings_of(correlation);
  for (std::size_t a = 0; a < varying.size(); ++a) {
    std::vector<int>& hundredths = cell.columns[varying[a]].loadings;
    for (const double loading : loadings[a]) {
      hundredths.push_back(static_cast<int>(std::lround(100 * loading)));
    }
  }
  return cell;
}

// cells_of cuts the rows of an entry: a cell for each frequent combination, then one for each
// protocol and flag, then one for the rest. None has fewer than kFewestRows rows, unless all have.
std::vector<Cell> cells_of(const RecordTable& table, const Rows& rows) {
  std::map<std::array<std::int16_t, 3>, Rows> by_combination;
  for (const std::uint32_t row : rows) by_combination[combination_of(table, row)].push_back(row);
  const std::size_t fewest = std::max(
      kFewestRows, static_cast<std::size_t>(kCellShare * static_cast<double>(rows.size())));
  std::vector<Rows> cells;
  std::map<std::pair<std::int16_t, std::int16_t>, Rows> by_flag;
  for (auto& [categories, members] : by_combination) {
    if (members.size() >= fewest) {
      cells.push_back(std::move(members));
    } else {
      Rows& all = by_flag[{categories[0], categories[2]}];
      all.insert(all.end(), members.begin(), members.end());
    }
  }
  Rows rest;
  for (auto& [key, members] : by_flag) {
    if (members.size() >= fewest) {
      cells.push_back(std::move(members));
    } else {
      rest.insert(rest.end(), members.begin(), members.end());
    }
  }
  std::ranges::stable_sort(cells, std::greater<>{}, &Rows::size);
  if (!rest.empty()) {
    if (rest.size() < kFewestRows && !cells.empty()) {
      rest.insert(rest.end(), cells.back().begin(), cells.back().end());
      cells.pop_back();
    }
    cells.push_back(std::move(rest));
  }
  std::vector<Cell> result;
  result.reserve(cells.size());
  for (const Rows& members : cells) result.push_back(cell_of(table, members));
  return result;
}

std::vector<Entry> entries_of(const RecordTable& table) {
  std::vector<Rows> by_attack(table.attack_names.size());
  for (std::uint32_t row = 0; row < table.rows; ++row) {
    if (std::ranges::count(table.categories_of(row), kUnknownCategory) == 0) {
      by_attack[table.attacks[row]].push_back(row);
    }
  }
  struct Draft {
    std::vector<Entry::Attack> attacks;
    Rows rows;
  };
  std::vector<Draft> drafts;
  std::map<TrafficClass, Draft> rare;
  for (std::size_t a = 0; a < by_attack.size(); ++a) {
    const Rows& rows = by_attack[a];
    if (rows.empty()) continue;
    const Entry::Attack attack{table.attack_names[a], rows.size()};
    if (rows.size() >= kFewestRows) {
      drafts.push_back({{attack}, rows});
    } else {
      Draft& draft = rare[class_of(attack.name)];
      draft.attacks.push_back(attack);
      draft.rows.insert(draft.rows.end(), rows.begin(), rows.end());
    }
  }
  for (auto& [traffic_class, draft] : rare) {
    if (draft.rows.size() >= kFewestRows) {
      drafts.push_back(std::move(draft));
      continue;
    }
    // Too few even together: the class's smallest other attack takes them in.
    Draft* smallest = nullptr;
    for (Draft& other : drafts) {
      if (class_of(other.attacks.front().name) == traffic_class &&
          (smallest == nullptr || other.rows.size() < smallest->rows.size())) {
        smallest = &other;
      }
    }
    if (smallest == nullptr) {
      throw DataError("class " + std::string(to_string(traffic_class)) + " has " +
                      std::to_string(draft.rows.size()) + " rows: a fit takes at least " +
                      std::to_string(kFewestRows) + " of a class, or none");
    }
    smallest->attacks.insert(smallest->attacks.end(), draft.attacks.begin(), draft.attacks.end());
    smallest->rows.insert(smallest->rows.end(), draft.rows.begin(), draft.rows.end());
  }
  std::ranges::stable_sort(drafts, std::greater<>{}, [](const Draft& d) { return d.rows.size(); });
  std::vector<Entry> entries;
  entries.reserve(drafts.size());
  for (const Draft& draft : drafts) entries.push_back({draft.attacks, cells_of(table, draft.rows)});
  return entries;
}

}  // namespace

std::string fit_synthetic(const RecordTable& train, const RecordTable& test) {
  return to_text({entries_of(train), entries_of(test)});
}

}  // namespace blindsum::data
