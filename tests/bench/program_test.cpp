// The real program: what it measures, and how it refuses.
#include "tests/support/program.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "shared/crypto/kernels/kernel.h"
#include "tests/support/temp_dir.h"

namespace blindsum {
namespace {

using nlohmann::json;
using test::Outcome;

Outcome bench(const std::vector<std::string>& arguments) {
  const test::TempDir dir;
  return test::run_program("blindsum-bench", arguments, dir.path());
}

json measured(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--quick", "--json"});
  const Outcome outcome = bench(arguments);
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  return json::parse(outcome.out);
}

std::set<std::string> names_of(const json& report) {
  std::set<std::string> names;
  for (const json& row : report["rows"]) names.insert(row["name"].get<std::string>());
  return names;
}

std::vector<std::string> kernels_here() {
  std::vector<std::string> names;
  for (const auto* kernel : crypto::kernels::all_kernels()) {
    if (kernel->runs_here()) names.emplace_back(kernel->name());
  }
  return names;
}

TEST_CASE("a quick run measures every operation on every kernel, and the textbook method") {
  const json report = measured({});
  std::set<std::string> expected{"encrypt/2048/full/textbook",
                                 "aggregate/2048/-/textbook",
                                 "decrypt/2048/-/textbook",
                                 "multiply_plain/2048/24-bit/textbook",
                                 "multiply_plain/2048/64-bit/textbook",
                                 "pack/2048/-/-",
                                 "unpack/2048/-/-",
                                 "round/2048/none/-"};
  for (const std::string& kernel : kernels_here()) {
    for (const char* row : {"encrypt/2048/full/", "encrypt/2048/half/", "encrypt/2048/short/",
                            "aggregate/2048/-/", "parse/2048/-/", "decrypt/2048/-/",
                            "multiply_plain/2048/24-bit/", "multiply_plain/2048/64-bit/",
                            "round/2048/full/", "round/2048/half/", "round/2048/short/"}) {
      expected.insert(row + kernel);
    }
  }
  CHECK(names_of(report) == expected);
  for (const json& row : report["rows"]) {
    CAPTURE(row["name"].get<std::string>());
    CHECK(row["median_s"].get<double>() > 0);
    CHECK(row["min_s"].get<double>() > 0);
    CHECK(row["min_s"].get<double>() <= row["median_s"].get<double>());
    CHECK(row["repetitions"] == 2);
    for (const char* figure :
         {"values_per_s", "bytes_per_value", "times_textbook", "times_portable", "cost_of_none"}) {
      CAPTURE(figure);
      CHECK((row[figure].is_null() || row[figure].get<double>() > 0));
    }
    const auto kernel = row["kernel"].get<std::string>();
    const auto operation = row["operation"].get<std::string>();
    if (kernel == "textbook") CHECK(row["times_textbook"] == 1);
    if (kernel == "portable") CHECK(row["times_portable"] == 1);
    if (operation == "encrypt") CHECK(row["times_textbook"].is_number());
    if (operation == "round") CHECK(row["cost_of_none"].is_number());
    if (operation == "encrypt" && kernel != "textbook") {
      // 2047 / (24 + 4 + 2) = 68 slots in 512 bytes.
      CHECK(row["bytes_per_value"].get<double>() == doctest::Approx(512.0 / 68));
      CHECK(row["values_per_s"].get<double>() ==
            doctest::Approx(68 / row["median_s"].get<double>()));
    }
  }
  CHECK(report["settings"]["threads"] == 1);
  CHECK(report["settings"]["clock"] == "cpu");
  CHECK(report["settings"]["processors"].size() == 1);
  CHECK(!report["gmp"]["version"].get<std::string>().empty());
  CHECK(!report["machine"]["cpu"].get<std::string>().empty());
}

TEST_CASE("a filter keeps the rows that match and those that their ratios need") {
  const json report = measured({"--filter", "^encrypt/2048/short/portable$"});
  CHECK(names_of(report) ==
        std::set<std::string>{"encrypt/2048/short/portable", "encrypt/2048/full/textbook"});
}

TEST_CASE("one kernel and one key size can be asked for") {
  const json report =
      measured({"--kernel", "portable", "--key-bits", "3072", "--filter", "aggregate"});
  CHECK(names_of(report) ==
        std::set<std::string>{"aggregate/3072/-/portable", "aggregate/3072/-/textbook"});
}

TEST_CASE("the table has a line a row and says on what it was measured") {
  const Outcome outcome = bench({"--quick", "--filter", "pack"});
  CHECK(outcome.exit_code == 0);
  for (const char* word : {"GMP ", "1 thread on processor ", "operation", "\npack ", "\nunpack "}) {
    CAPTURE(word);
    CHECK(outcome.out.find(word) != std::string::npos);
  }
}

TEST_CASE("a timing test compares every kernel's secret powers, and sees that GMP's leak") {
  const Outcome outcome =
      bench({"--timing-test", "--key-bits", "2048", "--measurements", "200", "--json"});
  CAPTURE(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const json tests = json::parse(outcome.out)["timing_tests"];
  CHECK(tests.size() == 4 * kernels_here().size() + 1);
  for (const json& test : tests) {
    CHECK(test["measurements"] == 200);
    CHECK(test["threshold"] == 4.5);
    CHECK(test["has_leak"].get<bool>() == (std::abs(test["worst_t"].get<double>()) > 4.5));
    if (test["is_control"].get<bool>()) CHECK(test["has_leak"].get<bool>());
  }
}

TEST_CASE("wrong options end with exit code 2 and say what is wrong") {
  struct Wrong {
    std::vector<std::string> arguments;
    std::string said;
  };
  const std::vector<Wrong> wrongs{
      {{"--no-such-option"}, "--no-such-option"},
      {{"extra"}, "extra"},
      {{"--key-bits", "1024"}, "--key-bits"},
      {{"--kernel", "abacus"}, "--kernel abacus"},
      {{"--filter", "("}, "not a regular expression"},
      {{"--quick", "--filter", "no such row"}, "matches no row"},
      {{"--threads", "0"}, "--threads"},
      {{"--threads", "1024"}, "processors"},
      {{"--repetitions", "0"}, "--repetitions"},
      {{"--quick", "--repetitions", "9"}, "--repetitions"},
      {{"--measurements", "1000"}, "--timing-test"},
      {{"--timing-test", "--filter", "decrypt"}, "--filter"},
      {{"--timing-test", "--threads", "2"}, "--threads"},
  };
  for (const Wrong& wrong : wrongs) {
    CAPTURE(wrong.said);
    const Outcome outcome = bench(wrong.arguments);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.find(wrong.said) != std::string::npos);
  }
}

TEST_CASE("help names every option") {
  const Outcome outcome = bench({"--help"});
  CHECK(outcome.exit_code == 0);
  for (const char* option : {"--key-bits", "--kernel", "--filter", "--threads", "--repetitions",
                             "--keygen", "--timing-test", "--measurements", "--quick", "--json"}) {
    CHECK(outcome.out.find(option) != std::string::npos);
  }
}

}  // namespace
}  // namespace blindsum
