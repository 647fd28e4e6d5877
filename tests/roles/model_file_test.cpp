#include <algorithm>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "party/key_holder/make.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "tests/support/temp_dir.h"

namespace blindsum::key_holder {
namespace {

using nlohmann::json;

const model::Shape kShape{122, {6, 4}, 5, model::Activation::kTanh};

TEST_CASE("a saved model is loaded back bit for bit, and no other") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  const model::Parameters parameters = model::initial_parameters(kShape, 3);
  save_model(path, kShape, data::Schema::kdd99(), parameters, {});
  CHECK(load_model(path, kShape) == parameters);

  model::Shape wider = kShape;
  wider.hidden = {6, 5};
  model::Shape deeper = kShape;
  deeper.hidden = {6, 4, 4};
  model::Shape swapped = kShape;
  swapped.hidden = {4, 6};
  for (const model::Shape& other : {wider, deeper, swapped}) {
    CHECK_THROWS_AS((void)load_model(path, other), DecodeError);
  }
  Bytes file = read_file(path);
  file.back() ^= 1;  // one bit of the last bias
  write_file_atomic(path, ByteView(file));
  CHECK_THROWS_AS((void)load_model(path, kShape), DecodeError);
}

TEST_CASE("a model file says how records become inputs") {
  const test::TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  data::Scaler scaler = data::Scaler::unscaled(data::Schema::kdd99());
  scaler.mean[5] = 0.1;
  scaler.deviation[37] = 1e-9;
  const model::Parameters parameters = model::initial_parameters(kShape, 3);
  save_model(path, kShape, data::Schema::kdd99(), parameters, scaler);
  auto metadata = report::read_safetensors(path).metadata;
  CHECK(metadata["activation"] == "tanh");
  CHECK(metadata["encoding"] == "onehot122");
  CHECK(metadata["model_digest"] == digest_text(model::model_digest(parameters)));
  CHECK(json::parse(metadata["mean"]) == json(scaler.mean));
  CHECK(json::parse(metadata["deviation"]) == json(scaler.deviation));
  CHECK(json::parse(metadata["inputs"]).size() == 122);
  CHECK(json::parse(metadata["columns"]).size() == 41);
  CHECK(json::parse(metadata["classes"]) == json({"normal", "dos", "probe", "r2l", "u2r"}));
  CHECK(json::parse(metadata["scale"]) == 4096);
  CHECK(json::parse(metadata["clip"]) == 5);
  const json logged = json::parse(metadata["log1p"]);
  CHECK(std::ranges::find(logged, json("src_bytes")) != logged.end());
  CHECK(std::ranges::find(logged, json("serror_rate")) == logged.end());
}

}  // namespace
}  // namespace blindsum::key_holder
