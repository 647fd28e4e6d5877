#include "shared/settings/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/settings/fields.h"

namespace blindsum::settings {
namespace {

using nlohmann::json;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();
constexpr std::size_t kMaxNameLength = 64;
constexpr std::size_t kMaxListLength = 8;
constexpr std::size_t kMaxItems = 1000;  // faults, columns, classes

// limit_text writes a limit of the table, without an exponent.
std::string limit_text(double number) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  return {text.data(), end.ptr};
}

std::string range_text(const Field& field) {
  if (field.most == kNoLimit) return "of at least " + limit_text(field.least);
  return "from " + limit_text(field.least) + " to " + limit_text(field.most);
}

[[noreturn]] void refuse(const Field& field, const json& value) {
  const std::string text = value.is_string()
                               ? "'" + value.get<std::string>() + "'"
                               : value.dump(-1, ' ', false, json::error_handler_t::replace);
  throw ConfigError(text + " is not allowed; use " + allowed_values(field));
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= kMaxNameLength && text.front() != '.' &&
         text.front() != '-' && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

template <class Whole>
bool is_whole(const Field& field, const json& value) {
  if (!value.is_number_unsigned()) return false;
  const auto number = value.get<std::uint64_t>();
  return number <= std::numeric_limits<Whole>::max() &&
         static_cast<double>(number) >= field.least && static_cast<double>(number) <= field.most;
}

bool is_allowed(const Field& field, const json& value) {
  return std::visit(
      [&](auto* place) {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (std::is_same_v<T, std::string>) {
          if (!value.is_string()) return false;
          const auto& text = value.get_ref<const std::string&>();
          return field.words.empty()
                     ? (field.is_plain ? is_plain_text(text) : is_name(text))
                     : std::find(field.words.begin(), field.words.end(), text) != field.words.end();
        } else if constexpr (std::is_same_v<T, double>) {
          if (!value.is_number()) return false;
          const auto number = value.get<double>();
          return std::isfinite(number) && number >= field.least && number <= field.most;
        } else if constexpr (std::is_same_v<T, std::vector<std::uint32_t>>) {
          return value.is_array() && !value.empty() && value.size() <= kMaxListLength &&
                 std::all_of(value.begin(), value.end(), [&](const json& item) {
                   return is_whole<std::uint32_t>(field, item);
                 });
        } else if constexpr (std::is_same_v<T, std::vector<PlannedFault>> ||
                             std::is_same_v<T, std::vector<SchemaColumn>> ||
                             std::is_same_v<T, std::vector<SchemaClass>>) {
          return value.is_array() && value.size() <= kMaxItems;
        } else {
          return is_whole<T>(field, value);
        }
      },
      field.value);
}

// require_beside throws for an item that cannot stand beside an earlier one.
void require_beside(const PlannedFault& other, const PlannedFault& fault) {
  if (other.role == fault.role && other.round == fault.round && other.kind == fault.kind) {
    throw ConfigError("role, round and kind are those of an earlier fault");
  }
}
template <class Named>
void require_beside(const Named& other, const Named& one) {
  if (other.name == one.name) throw ConfigError("name: '" + one.name + "' is an earlier one's");
}

// items_from_json reads a list of objects; `what` is what errors call one.
template <class Item>
std::vector<Item> items_from_json(const json& list, const char* what) {
  std::vector<Item> items;
  for (const json& object : list) {
    try {
      const auto item = object.get<Item>();
      for (const Item& other : items) require_beside(other, item);
      items.push_back(item);
    } catch (const ConfigError& error) {
      throw ConfigError(std::string(what) + " " + std::to_string(items.size() + 1) + ": " +
                        error.what());
    }
  }
  return items;
}

// Key sizes are numbers of which only three are allowed; words says which.
bool has_number_words(const Field& field) {
  return std::holds_alternative<std::uint32_t*>(field.value) && !field.words.empty();
}

json::json_pointer pointer_to(std::string_view key) {
  std::string pointer = "/" + std::string(key);
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  return json::json_pointer(pointer);
}

// refuse_unknown throws for a key of `object` that is neither a field nor a section.
void refuse_unknown(const json& object, const std::string& prefix,
                    const std::set<std::string, std::less<>>& known) {
  for (const auto& [name, value] : object.items()) {
    const std::string key = prefix + name;
    // The dots of a key are levels, never part of a name.
    if (name.find('.') != std::string::npos) throw ConfigError("unknown key '" + key + "'");
    if (known.contains(key)) continue;
    const auto section = known.lower_bound(key + ".");
    if (section == known.end() || !section->starts_with(key + ".")) {
      throw ConfigError("unknown key '" + key + "'");
    }
    if (!value.is_object()) throw ConfigError(key + ": an object is expected");
    refuse_unknown(value, key + ".", known);
  }
}

}  // namespace

std::vector<Field> fields_of(Settings& s) {
  return {
      {"name", &s.name, {}, 0, 0, "name of the run and of its result folder"},
      {"mode",
       &s.mode,
       {"federated", "encrypted_inputs"},
       0,
       0,
       "encrypted_inputs: one network trained on encrypted records: see [Encrypted "
       "inputs](#encrypted-inputs)"},
      {"seed", &s.seed, {}, 0, kNoLimit, "of data, shards, weights and batches; never of keys"},
      {"parties",
       &s.parties,
       {},
       1,
       1000,
       "organisations that train together: 3 or more; with encrypted_inputs 1"},
      {"rounds", &s.rounds, {}, 1, 100000, "gradient rounds"},
      {"data.source",
       &s.data.source,
       {"auto", "kdd99", "nsl_kdd", "csv", "synthetic"},
       0,
       0,
       "which files: see [Data](#data); auto: those that are there, else the synthetic set"},
      {"data.encoding",
       &s.data.encoding,
       {"onehot122", "onehot"},
       0,
       0,
       "onehot122: of KDD'99's columns; onehot: of the schema's; default by `data.schema`"},
      {"data.schema.label",
       &s.data.schema.label,
       {},
       0,
       0,
       "with columns: name of the label's column",
       true},
      {"data.schema.columns",
       &s.data.schema.columns,
       {},
       0,
       0,
       "csv alone: the features, see [Records of your own](#records-of-your-own)"},
      {"data.schema.classes",
       &s.data.schema.classes,
       {},
       0,
       0,
       "with columns: which labels make which class, the harmless one first"},
      {"data.partition.kind",
       &s.data.partition.kind,
       {"iid", "dirichlet", "quantity", "classes", "by_attack", "by_service", "by_time", "files"},
       0,
       0,
       "how the training rows are cut into shards: see [Data](#data)"},
      {"data.partition.alpha",
       &s.data.partition.alpha,
       {},
       0.001,
       1000,
       "dirichlet and quantity: concentration; small is skewed"},
      {"data.partition.classes",
       &s.data.partition.classes,
       {},
       1,
       32,
       "classes alone: how many a party has"},
      {"data.zero_day.attack",
       &s.data.zero_day.attack,
       {},
       0,
       0,
       "an attack that the training rows lack, such as smurf; none",
       true},
      {"data.zero_day.known_to",
       &s.data.zero_day.known_to,
       {},
       0,
       0,
       "nobody, or the one party that has all its rows: party-0"},
      {"model.hidden", &s.model.hidden, {}, 1, 4096, "widths of the hidden layers"},
      {"model.activation",
       &s.model.activation,
       {"relu", "sigmoid", "tanh", "square"},
       0,
       0,
       "of the hidden layers"},
      {"model.class_weights",
       &s.model.class_weights,
       {"none", "sqrt", "balanced"},
       0,
       0,
       "weight of a class in the loss: 1, 1/√count or 1/count"},
      {"algorithm",
       &s.algorithm,
       {"fedsgd", "fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "scaffold"},
       0,
       0,
       "local work and the key-holder's step: see [Algorithms](#algorithms)"},
      {"local.batch_rows", &s.local.batch_rows, {}, 1, 1000000, "rows per party and step"},
      {"local.steps", &s.local.steps, {}, 1, 10000, "local steps a round; all but fedsgd"},
      {"local.epochs",
       &s.local.epochs,
       {},
       0,
       1000,
       "passes over the shard a round, instead of `local.steps`; 0: none; all but fedsgd"},
      {"local.rate",
       &s.local.rate,
       {},
       0.000001,
       100,
       "of local steps; all but fedsgd; default by `algorithm`: 0.01 for scaffold"},
      {"local.schedule",
       &s.local.schedule,
       {"constant", "cosine"},
       0,
       0,
       "of `local.rate` over the rounds"},
      {"local.proximal", &s.local.proximal, {}, 0, 1000, "fedprox alone: the pull back, μ"},
      {"server.optimizer",
       &s.server.optimizer,
       {"sgd", "momentum", "adam", "yogi"},
       0,
       0,
       "the key-holder's step; default by `algorithm`"},
      {"server.rate", &s.server.rate, {}, 0.000001, 100, "learning rate; default by `algorithm`"},
      {"server.schedule",
       &s.server.schedule,
       {"constant", "cosine"},
       0,
       0,
       "of the learning rate over the rounds; default by `algorithm`"},
      {"sampling.parties",
       &s.sampling.parties,
       {},
       0,
       1000,
       "parties that a round asks, drawn anew; 0: all"},
      {"sampling.extra",
       &s.sampling.extra,
       {},
       0,
       1000,
       "asked beyond that: the first `sampling.parties` to come count, so the result varies"},
      {"stop.accuracy", &s.stop.accuracy, {}, 0, 1, "ends the run once reached; 0: off"},
      {"stop.patience",
       &s.stop.patience,
       {},
       0,
       100000,
       "ends the run after so many evaluations without a better macro-F1; 0: off"},
      {"stop.minutes", &s.stop.minutes, {}, 0, 100000, "ends the run after so long; 0: off"},
      {"fixed_point.bits", &s.fixed_point.bits, {}, 2, 32, "bits of a gradient value"},
      {"fixed_point.clip",
       &s.fixed_point.clip,
       {},
       0.000001,
       1000000,
       "values are clipped to ± this"},
      {"fixed_point.rounding",
       &s.fixed_point.rounding,
       {"nearest", "stochastic"},
       0,
       0,
       "stochastic is meant for fewer than 16 bits"},
      {"fixed_point.tolerance",
       &s.fixed_point.tolerance,
       {},
       0,
       1000000,
       "instead of `fixed_point.bits`: how far a mean gradient may be off: see [Fixed "
       "point](#fixed-point); 0: off"},
      {"privacy.noise",
       &s.privacy.noise,
       {},
       0,
       1000,
       "deviation of the noise in a round's sum, in multiples of what one record can change; 0: "
       "none"},
      {"privacy.clip",
       &s.privacy.clip,
       {},
       0.000001,
       1000000,
       "with noise: the gradient of a row is cut to this Euclidean norm"},
      {"privacy.delta",
       &s.privacy.delta,
       {},
       0.000000000001,
       0.5,
       "with noise: the δ of the (ε, δ) that the records state"},
      {"encrypted_inputs.task",
       &s.encrypted_inputs.task,
       {"replay", "detect"},
       0,
       0,
       "replay: train on encrypted records, one by one; detect: score encrypted records"},
      {"encrypted_inputs.activation",
       &s.encrypted_inputs.activation,
       {"none", "square"},
       0,
       0,
       "detect alone: none: a linear detector; square: with a hidden layer"},
      {"encrypted_inputs.hidden", &s.encrypted_inputs.hidden, {}, 1, 64, "square alone: its units"},
      {"encrypted_inputs.batch_rows",
       &s.encrypted_inputs.batch_rows,
       {},
       0,
       1000,
       "detect alone: records that go together; 0: as many as fit, 1: each as it comes"},
      {"encrypted_inputs.gradient",
       &s.encrypted_inputs.gradient,
       {"seed", "right"},
       0,
       0,
       "seed: the update of the study, with its two mistakes"},
      {"encrypted_inputs.scaler",
       &s.encrypted_inputs.scaler,
       {"seed", "train"},
       0,
       0,
       "seed: the test set scaled by its own ranges, the study's mistake; train: by those of the "
       "training set"},
      {"encrypted_inputs.epochs", &s.encrypted_inputs.epochs, {}, 1, 1000, "passes over the rows"},
      {"encrypted_inputs.train_rows",
       &s.encrypted_inputs.train_rows,
       {},
       1,
       100000,
       "replay alone: training rows, drawn by the seed"},
      {"encrypted_inputs.test_rows",
       &s.encrypted_inputs.test_rows,
       {},
       1,
       100000,
       "replay: the first of the test set; detect: drawn from it by the seed"},
      {"cipher",
       &s.cipher,
       {"paillier", "none"},
       0,
       0,
       "none: the same integers, NOT ENCRYPTED, for comparison"},
      {"paillier.key_bits",
       &s.paillier.key_bits,
       {"256", "2048", "3072", "4096"},
       256,
       4096,
       "2048: 112-bit security; 3072: 128-bit; 256: INSECURE, for the replay of a study alone"},
      {"paillier.randomizer",
       &s.paillier.randomizer,
       {"full", "half", "short"},
       0,
       0,
       "how ciphertexts are randomised; each rests on an assumption of its own"},
      {"runtime",
       &s.runtime,
       {"processes", "memory"},
       0,
       0,
       "memory: every role in the launcher's process; same result"},
      {"threads", &s.threads, {}, 0, 1024, "per role; 0: shared out over the processors"},
      {"evaluate_every",
       &s.evaluate_every,
       {},
       1,
       100000,
       "rounds between evaluations; the last is always evaluated"},
      {"deadlines.round_s", &s.deadlines.round_s, {}, 0.1, 86400, "seconds that a round may take"},
      {"deadlines.start_s",
       &s.deadlines.start_s,
       {},
       0.1,
       86400,
       "seconds until every party is ready"},
      {"faults", &s.faults, {}, 0, 0, "what goes wrong on purpose: see [Faults](#faults)"},
  };
}

std::string_view type_of(const Field& field) {
  if (std::holds_alternative<std::string*>(field.value))
    return field.words.empty() ? "text" : "word";
  if (std::holds_alternative<double*>(field.value)) return "number";
  if (std::holds_alternative<std::vector<std::uint32_t>*>(field.value)) return "list";
  if (std::holds_alternative<std::vector<PlannedFault>*>(field.value)) return "faults";
  if (std::holds_alternative<std::vector<SchemaColumn>*>(field.value)) return "columns";
  if (std::holds_alternative<std::vector<SchemaClass>*>(field.value)) return "classes";
  return "whole number";
}

std::string allowed_values(const Field& field) {
  if (!field.words.empty()) {
    std::string text;
    for (std::size_t i = 0; i < field.words.size(); ++i) {
      if (i > 0) text += i + 1 == field.words.size() ? " or " : ", ";
      text += field.words[i];
    }
    return text;
  }
  const std::string_view type = type_of(field);
  if (type == "text") {
    if (field.is_plain) return "1 to 64 characters without ',' and '\"'";
    return "1 to " + std::to_string(kMaxNameLength) + " letters, digits, '_', '-' or '.'";
  }
  if (type == "list") {
    return "a list of 1 to " + std::to_string(kMaxListLength) + " whole numbers " +
           range_text(field);
  }
  if (type == "faults") return "a list of {role: …, round: …, kind: …}";
  if (type == "columns") return "a list of {name: …, kind: number, log or category, …}";
  if (type == "classes") return "a list of {name: …, labels: […]}";
  return "a " + std::string(type) + " " + range_text(field);
}

json get(const Field& field) {
  return std::visit([](const auto* place) { return json(*place); }, field.value);
}

void set(const Field& field, const json& value) {
  if (!is_allowed(field, value)) refuse(field, value);
  if (has_number_words(field) &&
      std::find(field.words.begin(), field.words.end(), value.dump()) == field.words.end()) {
    refuse(field, value);
  }
  if (auto* const* faults = std::get_if<std::vector<PlannedFault>*>(&field.value)) {
    **faults = items_from_json<PlannedFault>(value, "fault");
    return;
  }
  if (auto* const* columns = std::get_if<std::vector<SchemaColumn>*>(&field.value)) {
    **columns = items_from_json<SchemaColumn>(value, "column");
    return;
  }
  if (auto* const* classes = std::get_if<std::vector<SchemaClass>*>(&field.value)) {
    **classes = items_from_json<SchemaClass>(value, "class");
    return;
  }
  std::visit([&](auto* place) { value.get_to(*place); }, field.value);
}

Dimensions dimensions_of(const Settings& settings) {
  if (!has_schema(settings)) return {122, 5, 82};  // KDD'99, 38 numeric columns of 41
  const Settings::Data::Schema& schema = settings.data.schema;
  std::size_t inputs = 0;
  std::size_t numeric = 0;
  for (const SchemaColumn& column : schema.columns) {
    inputs += std::max<std::size_t>(1, column.values.size());
    numeric += column.values.empty() ? 1 : 0;
  }
  return {inputs, schema.classes.size(), 1 + schema.classes.size() + 2 * numeric};
}

std::uint32_t quorum_of(std::uint32_t parties) { return std::max(3U, (2 * parties + 2) / 3); }

std::uint32_t gradient_quorum_of(const Settings& settings) {
  const std::uint32_t sample = settings.sampling.parties;
  return quorum_of(sample == 0 ? settings.parties : std::min(sample, settings.parties));
}

void apply_algorithm(Settings& settings, const std::function<bool(std::string_view)>& is_given) {
  Settings::Server server = settings.server;
  if (settings.algorithm == "fedavg" || settings.algorithm == "fedprox" ||
      settings.algorithm == "scaffold") {
    server = {"sgd", 1, "constant"};
  } else if (settings.algorithm == "fedavgm") {
    server = {"momentum", 0.1, "constant"};  // 1/(1 - .9): ways add up to the rate of fedavg
  } else if (settings.algorithm == "fedadam") {
    server = {"adam", 0.01, "constant"};
  } else if (settings.algorithm == "fedyogi") {
    server = {"yogi", 0.01, "constant"};
  }
  if (!is_given("server.optimizer")) settings.server.optimizer = server.optimizer;
  if (!is_given("server.rate")) settings.server.rate = server.rate;
  if (!is_given("server.schedule")) settings.server.schedule = server.schedule;
  // Corrections feed on the steps that they correct: these must be short (Karimireddy et al. 2020,
  // theorem I).
  if (settings.algorithm == "scaffold" && !is_given("local.rate")) settings.local.rate = 0.01;
}

void apply_schema(Settings& settings, const std::function<bool(std::string_view)>& is_given) {
  if (!is_given("data.encoding")) {
    settings.data.encoding = has_schema(settings) ? "onehot" : "onehot122";
  }
}

std::optional<std::uint32_t> zero_day_party_of(const Settings& settings) {
  const std::string& known_to = settings.data.zero_day.known_to;
  if (known_to == "nobody") return std::nullopt;
  constexpr std::string_view kPrefix = "party-";
  std::uint32_t party = 0;
  const char* end = known_to.data() + known_to.size();
  const bool has_prefix = known_to.starts_with(kPrefix);
  const auto read =
      std::from_chars(known_to.data() + (has_prefix ? kPrefix.size() : 0), end, party);
  if (!has_prefix || read.ec != std::errc() || read.ptr != end || party >= settings.parties) {
    throw ConfigError("data.zero_day.known_to: '" + known_to +
                      "' is not nobody or party-0 to party-" +
                      std::to_string(settings.parties - 1));
  }
  return party;
}

namespace {

// require_fits_mode throws for what belongs to the other mode, its key first.
void require_fits_mode(const Settings& settings) {
  if (is_encrypted_inputs(settings)) {
    if (settings.parties != 1) {
      throw ConfigError("parties: " + std::to_string(settings.parties) +
                        " is not allowed with mode encrypted_inputs; use 1, the owner of the "
                        "records");
    }
    if (settings.cipher == "none") {
      throw ConfigError(
          "cipher: 'none' is not allowed with mode encrypted_inputs, which compares itself with "
          "the "
          "same integers in the clear; use paillier");
    }
    if (!settings.faults.empty()) {
      throw ConfigError("faults: mode encrypted_inputs takes none; use []");
    }
    if (settings.encrypted_inputs.task == "detect" && settings.paillier.key_bits < 2048) {
      throw ConfigError("paillier.key_bits: " + std::to_string(settings.paillier.key_bits) +
                        " is for encrypted_inputs.task replay alone; use 2048, 3072 or 4096");
    }
    return;
  }
  if (settings.parties < 3) {
    throw ConfigError("parties: " + std::to_string(settings.parties) +
                      " is not allowed; use a whole number from 3 to 1000");
  }
  if (settings.paillier.key_bits < 2048) {
    throw ConfigError("paillier.key_bits: " + std::to_string(settings.paillier.key_bits) +
                      " is not allowed; use 2048, 3072 or 4096");
  }
}

}  // namespace

void require_consistent(const Settings& settings) {
  require_fits_mode(settings);
  (void)zero_day_party_of(settings);
  const auto require = [](bool is_right, const std::string& what) {
    if (!is_right) throw ConfigError(what);
  };
  const std::string& algorithm = settings.algorithm;
  const std::string wanted = algorithm == "fedavgm"   ? "momentum"
                             : algorithm == "fedadam" ? "adam"
                             : algorithm == "fedyogi" ? "yogi"
                                                      : "";
  require(wanted.empty() || settings.server.optimizer == wanted,
          "algorithm " + algorithm + " steps with server.optimizer " + wanted + ", not " +
              settings.server.optimizer);
  const Settings::Sampling& sampling = settings.sampling;
  require(sampling.parties == 0 || sampling.parties >= 3,
          "sampling.parties: a sum of fewer than 3 parties is never opened");
  require(sampling.parties + sampling.extra <= settings.parties,
          "sampling.parties and sampling.extra ask " +
              std::to_string(sampling.parties + sampling.extra) + " of " +
              std::to_string(settings.parties) + " parties");
  require(sampling.extra == 0 || sampling.parties > 0, "sampling.extra goes with sampling.parties");
  require(algorithm != "scaffold" || settings.local.epochs == 0,
          "algorithm scaffold goes with local.steps, not with local.epochs: its control variates "
          "need the same number of steps of every party; use local.epochs 0");
  require(settings.privacy.noise == 0 || algorithm == "fedsgd",
          "privacy.noise goes with algorithm fedsgd, not " + algorithm);
  const Settings::Data& data = settings.data;
  const bool are_files = data.partition.kind == "files";
  require(
      !are_files || ((data.source == "auto" || (data.source == "csv" && has_schema(settings))) &&
                     data.zero_day.attack == "none"),
      "data.partition.kind: files, the parties' own, goes without data.source and "
      "data.zero_day");
  require(data.schema.columns.empty() == data.schema.classes.empty(),
          "data.schema.columns and data.schema.classes go together");
  require(!has_schema(settings) || data.source == "csv" || are_files,
          "data.schema.columns goes with data.source csv, not " + data.source);
  require(!has_schema(settings) || !is_encrypted_inputs(settings),
          "data.schema.columns: mode encrypted_inputs takes KDD'99's records alone");
  require((data.encoding == "onehot") == has_schema(settings),
          "data.encoding: " + data.encoding +
              (has_schema(settings) ? " is of KDD'99's columns; use onehot with data.schema.columns"
                                    : " goes with data.schema.columns; use onehot122"));
  require(settings.fixed_point.tolerance == 0 || settings.privacy.noise == 0,
          "fixed_point.tolerance goes without privacy.noise, whose steps follow from its clip");
  require(settings.local.epochs > 0 ||
              std::uint64_t{settings.local.steps} * settings.local.batch_rows < (1U << 20) ||
              algorithm == "fedsgd",
          "local.steps times local.batch_rows: more than 2^20 rows in one update");
}

json to_json(const Settings& settings) {
  Settings copy = settings;
  json object = json::object();
  for (const Field& field : fields_of(copy)) object[pointer_to(field.key)] = get(field);
  return object;
}

Settings settings_from_json(const json& object) {
  if (!object.is_object()) throw ConfigError("settings: an object is expected");
  Settings settings;
  const std::vector<Field> fields = fields_of(settings);
  std::set<std::string, std::less<>> known;
  for (const Field& field : fields) known.emplace(field.key);
  refuse_unknown(object, "", known);
  for (const Field& field : fields) {
    const auto pointer = pointer_to(field.key);
    if (!object.contains(pointer)) throw ConfigError(std::string(field.key) + ": is missing");
    try {
      set(field, object.at(pointer));
    } catch (const ConfigError& error) {
      throw ConfigError(std::string(field.key) + ": " + error.what());
    }
  }
  require_consistent(settings);
  return settings;
}

}  // namespace blindsum::settings
