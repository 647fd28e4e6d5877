#include "shared/model/metrics.h"

#include <doctest/doctest.h>

namespace blindsum::model {
namespace {

TEST_CASE("the winner of KDD'99 scores what Elkan (2000) published") {
  // Its confusion matrix, in the order normal, dos, probe, r2l, u2r.
  const Confusion winner(std::vector<std::vector<std::uint64_t>>{{60262, 78, 243, 6, 4},
                                                                 {5299, 223226, 1328, 0, 0},
                                                                 {511, 184, 3471, 0, 0},
                                                                 {14527, 0, 294, 1360, 8},
                                                                 {168, 0, 20, 10, 30}});
  const Metrics metrics = metrics_of(winner, data::Schema::kdd99());
  CHECK(metrics.cost == 72500.0 / 311029);  // .2331
  CHECK(metrics.accuracy == 288349.0 / 311029);
  CHECK(metrics.recall[0] == doctest::Approx(0.995).epsilon(0.0005));
  CHECK(metrics.recall[1] == doctest::Approx(0.971).epsilon(0.0005));
  CHECK(metrics.recall[2] == doctest::Approx(0.833).epsilon(0.0005));
  CHECK(metrics.recall[3] == doctest::Approx(0.084).epsilon(0.0005));
  CHECK(metrics.recall[4] == doctest::Approx(0.132).epsilon(0.005));
  CHECK(metrics.macro_f1 == doctest::Approx(0.589).epsilon(0.001));
}

TEST_CASE("a class that is never there and never predicted has F1 and recall 0") {
  const Confusion confusion(std::vector<std::vector<std::uint64_t>>{{3, 1, 0, 0, 0},  //
                                                                    {2, 4, 0, 0, 0},
                                                                    {0, 0, 0, 0, 0},
                                                                    {0, 0, 1, 0, 0},
                                                                    {0, 0, 0, 0, 0}});
  const Metrics metrics = metrics_of(confusion, data::Schema::kdd99());
  CHECK(metrics.accuracy == 7.0 / 11);
  CHECK(metrics.recall[0] == 0.75);
  CHECK(metrics.recall[2] == 0);
  CHECK(metrics.recall[4] == 0);
  CHECK(metrics.macro_f1 == doctest::Approx((6.0 / 9 + 8.0 / 11) / 5));
  CHECK(metrics.cost == (1.0 * 2 + 2 * 2 + 1 * 2) / 11);
}

TEST_CASE("metrics of no rows are 0") {
  const Metrics metrics = metrics_of(Confusion(5), data::Schema::kdd99());
  CHECK(metrics.accuracy == 0);
  CHECK(metrics.macro_f1 == 0);
  CHECK(metrics.cost == 0);
}

}  // namespace
}  // namespace blindsum::model
