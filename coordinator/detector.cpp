#include "coordinator/detector.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/core/file.h"

namespace blindsum::coordinator {
namespace {

using nlohmann::json;
using role::DetectionInputs;
using role::DetectionPlan;

constexpr std::int64_t kMostWeight = std::int64_t{1} << 40;

// largest returns what the sum of a row can reach in absolute value.
std::int64_t largest(std::span<const std::int64_t> row, std::int64_t bias) {
  std::int64_t sum = std::abs(bias);
  for (std::size_t i = 0; i < row.size(); ++i) sum += std::abs(row[i]) * DetectionInputs::most(i);
  return sum;
}

void require(bool is_right, const std::string& what) {
  if (!is_right) throw ConfigError("detector: " + what);
}

void require_weights(const std::vector<std::int64_t>& values, std::size_t count) {
  require(values.size() == count,
          std::to_string(values.size()) + " numbers, expected " + std::to_string(count));
  require(std::ranges::all_of(values,
                              [](std::int64_t v) { return v > -kMostWeight && v < kMostWeight; }),
          "a number is too large");
}

}  // namespace

std::array<std::int64_t, DetectionInputs::kOutputs> Detector::scores(
    std::span<const std::uint8_t> inputs) const {
  const auto apply = [&](std::size_t row) {
    std::int64_t sum = first_bias[row];
    for (std::size_t i = 0; i < DetectionInputs::kInputs; ++i) {
      sum += first[row * DetectionInputs::kInputs + i] * inputs[i];
    }
    return sum;
  };
  std::array<std::int64_t, DetectionInputs::kOutputs> result{};
  for (std::size_t k = 0; k < result.size(); ++k) {
    result[k] = hidden == 0 ? apply(k) : second_bias[k];
  }
  for (std::size_t j = 0; j < hidden; ++j) {
    const std::int64_t a = apply(j);
    for (std::size_t k = 0; k < result.size(); ++k) result[k] += second[k * hidden + j] * a * a;
  }
  return result;
}

void Detector::check() const {
  const bool is_linear = hidden == 0;
  const std::size_t rows = is_linear ? DetectionInputs::kOutputs : hidden;
  require_weights(first, rows * DetectionInputs::kInputs);
  require_weights(first_bias, rows);
  require_weights(second, hidden * DetectionInputs::kOutputs);
  require_weights(second_bias, is_linear ? 0 : DetectionInputs::kOutputs);
  const std::int64_t most =
      std::int64_t{1} << (is_linear ? DetectionPlan::kScoreBits - 1 : DetectionPlan::kHiddenBits);
  std::vector<role::Int128> squares;
  for (std::size_t j = 0; j < rows; ++j) {
    const std::int64_t reach =
        largest(std::span(first).subspan(j * DetectionInputs::kInputs, DetectionInputs::kInputs),
                first_bias[j]);
    require(reach < most, "a sum can reach " + std::to_string(reach) + ", allowed is less than " +
                              std::to_string(most));
    squares.push_back(role::Int128{reach} * reach);
  }
  constexpr std::int64_t kMostSecond = std::int64_t{1} << 20;
  require(std::ranges::all_of(second,
                              [](std::int64_t v) { return v > -kMostSecond && v < kMostSecond; }),
          "a weight of the second layer is too large");
  for (std::size_t k = 0; k < DetectionInputs::kOutputs && !is_linear; ++k) {
    role::Int128 sum = std::abs(second_bias[k]);
    for (std::size_t j = 0; j < hidden; ++j) sum += squares[j] * std::abs(second[k * hidden + j]);
    require(sum < (role::Int128{1} << (DetectionPlan::kSquareScoreBits - 1)),
            "a score can be too large");
  }
}

void write_detector(const std::filesystem::path& path, const Detector& detector) {
  const json object = {{"hidden", detector.hidden},
                       {"first", detector.first},
                       {"first_bias", detector.first_bias},
                       {"second", detector.second},
                       {"second_bias", detector.second_bias}};
  write_secret_file(path, as_bytes(object.dump()));
}

Detector read_detector(const std::filesystem::path& path) {
  constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
  try {
    const json object = json::parse(read_text_file(path, kMaxBytes));
    Detector detector;
    object.at("hidden").get_to(detector.hidden);
    object.at("first").get_to(detector.first);
    object.at("first_bias").get_to(detector.first_bias);
    object.at("second").get_to(detector.second);
    object.at("second_bias").get_to(detector.second_bias);
    detector.check();
    return detector;
  } catch (const json::exception& error) {
    throw ConfigError(path.string() + ": " + error.what());
  } catch (const ConfigError& error) {
    throw ConfigError(path.string() + ": " + error.what());
  }
}

}  // namespace blindsum::coordinator
