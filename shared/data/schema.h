// What a record is: its columns, its labels, and the classes that labels belong to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blindsum::data {

// FeatureKind says what a feature's values are and how they become inputs of the network.
//   kNumber    (x − low) / (high − low) where the column has a range, else x
//   kLog       sign(x) · ln(1 + |x|): bytes, times, counters
//   kCategory  one of `values`: one input each, 1 where it is this one
enum class FeatureKind : std::uint8_t { kNumber, kLog, kCategory };

struct Feature {
  std::string name;
  FeatureKind kind = FeatureKind::kNumber;
  std::vector<std::string> values = {};  // kCategory
  // kNumber: values beyond are taken for the end. It is public: it must not be looked up in data
  // that are not.
  struct Range {
    double low = 0, high = 1;
  };
  std::optional<Range> range = {};
};

// RecordClass is a class of records, what labels it has in a file, and what a record of it costs
// when it is taken for each class, in their order.
struct RecordClass {
  std::string name;
  std::vector<std::string> labels;
  std::vector<std::uint32_t> costs;
};

inline constexpr std::int16_t kUnknownCategory = -1;

// Schema is what a file's columns and labels mean. The first class is the harmless one. Immutable,
// cheap to copy, thread-safe.
class Schema {
 public:
  static constexpr std::size_t kMaxClasses = 32;
  static constexpr std::size_t kMaxColumns = 1024;
  static constexpr std::size_t kMaxInputs = 8192;

  // `columns` are the features; `label` names the column of the label. A class without costs costs
  // 1 for each other class. Throws ConfigError unless there are 2 to kMaxClasses classes, 1 to
  // kMaxColumns columns and at most kMaxInputs inputs, every name, label and value is there once,
  // every category has values, every range rises, and costs are one a class, 0 for its own.
  Schema(std::vector<Feature> columns, std::string label, std::vector<RecordClass> classes);

  // kdd99 is the schema of KDD Cup 1999: 41 features, the contest's classes and costs.
  [[nodiscard]] static const Schema& kdd99();
  [[nodiscard]] bool is_kdd99() const { return data_ == kdd99().data_; }

  [[nodiscard]] std::span<const Feature> columns() const { return data_->columns; }
  [[nodiscard]] const std::string& label() const { return data_->label; }
  [[nodiscard]] std::span<const RecordClass> classes() const { return data_->classes; }
  // numeric and categorical list the places of such columns, ascending.
  [[nodiscard]] std::span<const std::size_t> numeric() const { return data_->numeric; }
  [[nodiscard]] std::span<const std::size_t> categorical() const { return data_->categorical; }
  [[nodiscard]] const Feature& numeric_column(std::size_t k) const {
    return data_->columns[data_->numeric[k]];
  }
  [[nodiscard]] const Feature& categorical_column(std::size_t k) const {
    return data_->columns[data_->categorical[k]];
  }

  // onehot_inputs is the number of inputs for categories; the numeric columns' come behind them.
  [[nodiscard]] std::size_t onehot_inputs() const { return data_->onehot_inputs; }
  [[nodiscard]] std::size_t inputs() const { return onehot_inputs() + numeric().size(); }
  // input_names says what each input is: "protocol_type=tcp", …, "duration", ….
  [[nodiscard]] std::vector<std::string> input_names() const;

  // value_index is the index of a value of categorical column k, or kUnknownCategory.
  [[nodiscard]] std::int16_t value_index(std::size_t k, std::string_view value) const;
  // categorical_named is the k of the categorical column of that name.
  [[nodiscard]] std::optional<std::size_t> categorical_named(std::string_view name) const;

  // class_with_label is the index of the label's class, or nothing; class_of throws DataError then.
  [[nodiscard]] std::optional<std::size_t> class_with_label(std::string_view label) const;
  [[nodiscard]] std::size_t class_of(std::string_view label) const;
  [[nodiscard]] std::vector<std::string> class_names() const;
  // cost of a record of class `actual` that is taken for `predicted`.
  [[nodiscard]] std::uint32_t cost(std::size_t actual, std::size_t predicted) const {
    return data_->classes.at(actual).costs.at(predicted);
  }

 private:
  struct Entry {
    std::string text;
    std::size_t index;
  };
  struct Data {
    std::vector<Feature> columns;
    std::string label;
    std::vector<RecordClass> classes;
    std::vector<std::size_t> numeric, categorical;
    std::size_t onehot_inputs = 0;
    std::vector<std::vector<Entry>> values;  // by categorical column, sorted by text
    std::vector<Entry> labels;               // sorted by text; the index is a class
  };
  static std::vector<Entry> sorted(std::vector<Entry> entries, const std::string& what);
  static const Entry* find(const std::vector<Entry>& sorted, std::string_view text);

  std::shared_ptr<const Data> data_;
};

// in_quotes puts text of a file into an error message: short, and printable.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace blindsum::data
