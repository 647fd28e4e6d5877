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
  return optimizer;
}

model::ClassWeights class_weights_of(const settings::Settings& settings) {
  return model::class_weights_from_string(settings.model.class_weights);
}

}  // namespace blindsum::role
