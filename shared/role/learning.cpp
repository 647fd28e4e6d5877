#include "shared/role/learning.h"

#include "shared/data/encoder.h"

namespace blindsum::role {

model::Shape shape_of(const settings::Settings& settings) {
  model::Shape shape;
  shape.inputs = data::inputs_of(data::encoding_from_string(settings.data.encoding));
  shape.hidden.assign(settings.model.hidden.begin(), settings.model.hidden.end());
  shape.outputs = data::kClasses;
  shape.activation = model::activation_from_string(settings.model.activation);
  return shape;
}

model::OptimizerSettings optimizer_of(const settings::Settings& settings) {
  model::OptimizerSettings optimizer;
  optimizer.kind = model::optimizer_from_string(settings.server.optimizer);
  optimizer.rate = settings.server.rate;
  optimizer.schedule = model::schedule_from_string(settings.server.schedule);
  // Reddi et al. 2021: the server's Adam and Yogi.
  if (settings.algorithm == "fedadam" || settings.algorithm == "fedyogi") {
    optimizer.beta2 = 0.99;
    optimizer.epsilon = 1e-3;
    optimizer.corrects_bias = false;
  }
  return optimizer;
}

model::LocalSettings local_of(const settings::Settings& settings) {
  model::LocalSettings local;
  local.algorithm = model::algorithm_from_string(settings.algorithm);
  local.batch_rows = settings.local.batch_rows;
  local.steps = settings.local.steps;
  local.epochs = settings.local.epochs;
  local.rate = settings.local.rate;
  local.schedule = model::schedule_from_string(settings.local.schedule);
  local.proximal = settings.local.proximal;
  local.rounds = settings.rounds;
  local.parties = settings.parties;
  return local;
}

model::ClassWeights class_weights_of(const settings::Settings& settings) {
  return model::class_weights_from_string(settings.model.class_weights);
}

}  // namespace blindsum::role
