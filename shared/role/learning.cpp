#include "shared/role/learning.h"

#include <utility>
#include <vector>

#include "shared/core/error.h"
namespace blindsum::role {

data::Schema schema_of(const settings::Settings& settings) {
  if (!settings::has_schema(settings)) return data::Schema::kdd99();
  std::vector<data::Feature> columns;
  for (const settings::SchemaColumn& column : settings.data.schema.columns) {
    data::Feature feature{column.name};
    if (column.kind == "log") feature.kind = data::FeatureKind::kLog;
    if (column.kind == "category") feature.kind = data::FeatureKind::kCategory;
    feature.values = column.values;
    if (column.low) feature.range = {*column.low, column.high.value()};
    columns.push_back(std::move(feature));
  }
  std::vector<data::RecordClass> classes;
  for (const settings::SchemaClass& one : settings.data.schema.classes) {
    classes.push_back({one.name, one.labels, one.costs});
  }
  try {
    return {std::move(columns), settings.data.schema.label, std::move(classes)};
  } catch (const ConfigError& error) {
    throw ConfigError(std::string("data.schema.columns: ") + error.what());
  }
}

model::Shape shape_of(const settings::Settings& settings) {
  const data::Schema schema = schema_of(settings);
  model::Shape shape;
  shape.inputs = schema.inputs();
  shape.hidden.assign(settings.model.hidden.begin(), settings.model.hidden.end());
  shape.outputs = schema.classes().size();
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

report::Evaluation evaluation_of(const model::Confusion& confusion, const data::Schema& schema) {
  const model::Metrics metrics = model::metrics_of(confusion, schema);
  return {metrics.accuracy,     metrics.macro_f1, metrics.cost,
          schema.class_names(), metrics.recall,   confusion.counts};
}

}  // namespace blindsum::role
