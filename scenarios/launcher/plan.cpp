#include "scenarios/launcher/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "scenarios/launcher/data_source.h"
#include "scenarios/launcher/quantisation.h"
#include "scenarios/launcher/result_text.h"
#include "shared/core/error.h"
#include "shared/core/random.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/update_cipher.h"
#include "shared/data/kdd.h"
#include "shared/data/synthetic.h"
#include "shared/model/network.h"
#include "shared/report/records.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;

constexpr double kBudgetS = 0.1;          // for measuring one operation
constexpr std::size_t kChunks = 16;       // plaintexts that are measured: full batches of a kernel
constexpr std::size_t kSampleRows = 512;  // rows that are measured

// Decryption of a ciphertext is two powers mod the squares of the primes: half as wide as n², so
// that a multiplication costs about a quarter, with exponents half as long as the n of a `full`
// obfuscator. Two of 1/4 · 1/2 make a quarter of it.
constexpr double kDecryptShare = 0.25;

// Rows of the data. The published test set has this many different records.
constexpr double kKddTrainRows = 494021, kKddTestRows = 311029, kKddDistinctTestRows = 77291;

// Bytes of a record as it is read (38 numbers, categories, label) and as inputs of the network.
constexpr double kRecordBytes = 38 * 8 + 3 * 2 + 2 + 1;
constexpr double kInputBytes = 122 * 4 + 5;

constexpr double kMib = 1024.0 * 1024.0;

// seconds_of is the mean time of `work` over as many runs as the budget allows, after one to warm
// up.
template <class Work>
double seconds_of(const Work& work) {
  report::Stopwatch watch;
  work();
  const double first = watch.restart();
  if (first > kBudgetS) return first;
  int runs = 0;
  do {
    work();
    ++runs;
  } while (watch.seconds() < kBudgetS);
  return watch.seconds() / runs;
}

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / kMib;
}

// random_key is the public key of a random modulus: good for measuring, and nobody knows its
// factors.
crypto::PublicKey random_key(std::size_t bits) {
  for (;;) {
    Bytes modulus(bits / 8);
    fill_random(modulus);
    modulus.front() |= 0x80;
    modulus.back() |= 1;
    try {
      return crypto::PublicKey::from_modulus(modulus);
    } catch (const KeyError&) {  // it has a small factor
    }
  }
}

// sample_rows are inputs as dense as encoded records: numbers, and one 1 for each category.
data::Dataset sample_rows(std::size_t rows, const data::Schema& schema) {
  data::Dataset dataset;
  dataset.rows = rows;
  dataset.inputs = schema.inputs();
  dataset.classes = schema.classes().size();
  dataset.features.resize(rows * dataset.inputs);
  for (std::size_t i = 0; i < rows; ++i) {
    float* row = &dataset.features[i * dataset.inputs];
    for (const std::size_t place : schema.categorical()) {
      const std::size_t values = schema.columns()[place].values.size();
      row[i % values] = 1;
      row += values;
    }
    for (std::size_t j = 0; j < schema.numeric().size(); ++j)
      row[j] = 0.01F * static_cast<float>((i * 7 + j * 13) % 200);
  }
  dataset.labels.resize(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    dataset.labels[i] = static_cast<std::uint8_t>(i % dataset.classes);
  }
  dataset.multiplicity.assign(rows, 1);
  return dataset;
}

// Costs are seconds on one thread.
struct Costs {
  double train = 0, encode = 0;                               // an update
  double encrypt = 0, add = 0, rerandomise = 0, decrypt = 0;  // a ciphertext
  double setup = 0;                                           // tables of a party
  double evaluate = 0;                                        // a row
  double table_mib = 0;
};

void measure_learning(const settings::Settings& settings, const crypto::UpdateCodec& codec,
                      ThreadPool& pool, Costs& costs) {
  const model::Shape shape = role::shape_of(settings);
  const model::Parameters parameters = model::initial_parameters(shape, settings.seed);
  const data::Dataset sample = sample_rows(kSampleRows, role::schema_of(settings));
  std::vector<std::uint32_t> rows(std::min<std::size_t>(settings.local.batch_rows, sample.rows));
  std::iota(rows.begin(), rows.end(), 0U);
  const std::vector<double> weights(sample.classes, 1.0);
  model::Gradient gradient;
  costs.train =
      seconds_of([&] { gradient = model::gradient_of(shape, parameters, sample, rows, weights); }) /
      static_cast<double>(rows.size()) * settings.local.batch_rows;
  costs.encode = seconds_of([&] {
    (void)codec.pack_gradient(codec.fixed_point().encode(gradient.values, 1, 0, 1).values, 1);
  });
  costs.evaluate =
      seconds_of([&] { (void)model::evaluate(shape, parameters, sample, pool); }) / kSampleRows;
}

void measure_cipher(const settings::Settings& settings, const crypto::UpdateCodec& codec,
                    ThreadPool& pool, Costs& costs) {
  const crypto::PlaintextVector plaintexts(kChunks, codec.plaintext_limbs());
  std::unique_ptr<crypto::UpdateSealer> sealer;
  std::unique_ptr<crypto::UpdateAccumulator> accumulator;
  if (settings.cipher == "none") {
    sealer = crypto::make_plain_sealer(codec.plaintext_limbs());
    accumulator = crypto::make_plain_accumulator(codec.plaintext_limbs());
    const auto opener = crypto::make_plain_opener(codec.plaintext_limbs());
    const Bytes payload = sealer->seal(plaintexts);
    costs.decrypt = seconds_of([&] { (void)opener->open(payload, kChunks); }) / kChunks;
  } else {
    const crypto::PublicKey key = random_key(settings.paillier.key_bits);
    const auto randomizer = crypto::randomizer_from_string(settings.paillier.randomizer);
    // The table that the roles of a run share, but in memory: it is of a key that nobody has.
    settings::RoleFile role;
    role.settings = settings;
    role.files.tables = "shared";
    crypto::TableOptions table = role::table_options_of(role);
    table.directory.clear();
    const report::Stopwatch watch;
    sealer = crypto::make_paillier_sealer(key, randomizer, pool, table);
    costs.setup = watch.seconds();
    costs.table_mib = static_cast<double>(sealer->table().bytes) / kMib;
    accumulator = crypto::make_paillier_accumulator(key, randomizer, pool, table);
    const crypto::Encryptor full(key, crypto::Randomizer::kFull, pool);
    costs.decrypt = kDecryptShare * seconds_of([&] { (void)full.encrypt(plaintexts); }) / kChunks;
  }
  Bytes payload;
  costs.encrypt = seconds_of([&] { payload = sealer->seal(plaintexts); }) / kChunks;
  accumulator->reset(kChunks);
  accumulator->add(payload);
  costs.add = seconds_of([&] { accumulator->add(payload); }) / kChunks;
  costs.rerandomise = seconds_of([&] {
                        accumulator->reset(kChunks);
                        accumulator->add(payload);
                        (void)accumulator->finish();
                      }) / kChunks -
                      costs.add;
}

json methods() {
  return {
      {"bytes", "computed, exact: payloads without message headers and transport"},
      {"headroom", "computed, exact: the inequality that the codec checks"},
      {"train, encode, encrypt, aggregate, evaluate",
       "measured here on one thread, times the work of all roles, over the processors; encrypt "
       "holds the obfuscators, which parties make ahead ('prepare' in the records)"},
      {"decrypt",
       "0.25 of a measured encryption with randomizer 'full' (two powers, each of half "
       "the width and half the exponent)"},
      {"round_s", "the sum of the phases; messages and the optimiser's step are not in it"},
      {"start_s", "the table of powers that the roles share, measured; reading data is not in it"},
      {"keygen_s", "not predicted: a random search"},
      {"memory_mib",
       "estimate: this program's own size, the table of powers (counted once in 'all'), and twice "
       "the "
       "records (vectors grow by doubling) and the network's inputs"}};
}

}  // namespace

json plan(const settings::Settings& settings) {
  (void)role::limits_of(settings);  // whether bits, parties, key size and network fit
  const crypto::UpdateCodec codec = role::codec_of(settings);
  const bool is_encrypted = settings.cipher != "none";
  const double base_mib = resident_mib();
  ThreadPool pool(1);
  Costs costs;
  measure_cipher(settings, codec, pool, costs);
  measure_learning(settings, codec, pool, costs);

  const double parties = settings.parties;
  const double processors = std::max(1U, std::thread::hardware_concurrency());
  const auto chunks = static_cast<double>(codec.gradient().plaintexts());
  const auto each = static_cast<double>(is_encrypted ? 2 * ((settings.paillier.key_bits + 7) / 8)
                                                     : 8 * codec.plaintext_limbs());
  const auto parameters = static_cast<double>(codec.settings().parameters);

  const bool is_synthetic =
      settings.data.source == "synthetic" ||
      (settings.data.source == "auto" && named_data_directory().empty() && !data::find_set("data"));
  const data::SyntheticSizes synthetic;
  const double train_rows =
      is_synthetic ? static_cast<double>(synthetic.train_rows) : kKddTrainRows;
  const double test_rows = is_synthetic ? static_cast<double>(synthetic.test_rows) : kKddTestRows;
  const double distinct_rows = is_synthetic ? test_rows : kKddDistinctTestRows;

  // Parties compute at the same time, each on its share of the processors, at least on one.
  const double share = std::max(1.0, std::floor(processors / parties));
  const double crowd = std::max(1.0, parties / processors);
  std::map<std::string, double> phases;
  phases["train"] = crowd * costs.train;
  phases["encode"] = crowd * costs.encode;
  phases["encrypt"] = crowd * costs.encrypt * chunks / share;
  phases["aggregate"] = (parties * costs.add + costs.rerandomise) * chunks / processors;
  phases["decrypt"] = costs.decrypt * chunks / processors;
  phases["evaluate"] = costs.evaluate * distinct_rows / processors / settings.evaluate_every;
  double round_s = 0;
  for (const auto& [phase, seconds] : phases) round_s += seconds;

  const auto& layout = codec.gradient().layout();
  const double largest = parties * (std::ldexp(1.0, static_cast<int>(layout.value_bits)) - 1);
  const double limit = std::ldexp(1.0, static_cast<int>(layout.slot_bits));
  const double party_mib =
      base_mib + costs.table_mib + (2 * kRecordBytes + kInputBytes) * train_rows / parties / kMib;
  const double holder_mib =
      base_mib + (2 * kRecordBytes * test_rows + kInputBytes * distinct_rows) / kMib;
  const double coordinator_mib = base_mib + costs.table_mib + 3 * chunks * each / kMib;

  return {{"scenario", settings.name},
          {"parties", settings.parties},
          {"quorum", settings::gradient_quorum_of(settings)},
          {"rounds", settings.rounds},
          {"data", is_synthetic ? "synthetic" : "kdd99"},
          {"protection", security_text(settings)},
          {"security_bits", !is_encrypted                       ? json()
                            : settings.paillier.key_bits < 3072 ? json(112)
                                                                : json(128)},
          {"assumption", is_encrypted ? json(crypto::assumption_of(crypto::randomizer_from_string(
                                            settings.paillier.randomizer)))
                                      : json()},
          {"kernel", is_encrypted ? json(crypto::kernel_name()) : json()},
          {"processors", processors},
          {"parameters", parameters},
          {"bytes",
           {{"ciphertexts", chunks},
            {"up", chunks * each},
            {"down", 4 * parameters + 8.0 * static_cast<double>(codec.settings().statistics)},
            {"float32", 4 * parameters}}},
          {"headroom",
           {{"value_bits", layout.value_bits},
            {"slot_bits", layout.slot_bits},
            {"slots", layout.slots},
            {"largest_sum", largest},
            {"limit", limit},
            {"holds", largest < limit}}},
          {"quantisation", quantisation_of(settings)},
          {"phase_s", phases},
          {"round_s", round_s},
          {"start_s", costs.setup},
          {"keygen_s", nullptr},
          {"train_s", round_s * settings.rounds},
          {"memory_mib",
           {{"coordinator", coordinator_mib},
            {"keyholder", holder_mib},
            {"party", party_mib},
            {"all", coordinator_mib + holder_mib + parties * (party_mib - costs.table_mib)}}},
          {"method", methods()}};
}

std::string plan_text(const json& plan, const Terminal& terminal) {
  std::string text;
  const auto line = [&](std::string name, const std::string& value) {
    name.resize(12, ' ');
    text += "  " + terminal.paint(Style::kDim, name) + value + "\n";
  };
  const auto number = [](const json& value) { return value.get<double>(); };
  const json& bytes = plan.at("bytes");
  const json& headroom = plan.at("headroom");
  const json& memory = plan.at("memory_mib");
  text += terminal.paint(Style::kBold, plan.at("scenario").get<std::string>()) + "  " +
          plan.at("parties").dump() + " parties (quorum " + plan.at("quorum").dump() + "), " +
          plan.at("rounds").dump() + " rounds, " + plan.at("data").get<std::string>() +
          " data, nothing has run yet\n";
  line("protection", plan.at("protection").get<std::string>());
  if (!plan.at("assumption").is_null()) line("", plan.at("assumption").get<std::string>());
  std::string phases;
  for (const char* phase : {"train", "encode", "encrypt", "aggregate", "decrypt", "evaluate"}) {
    phases += (phases.empty() ? "" : "  ") + std::string(phase) + " " +
              fixed(1000 * number(plan.at("phase_s").at(phase)), 1) + " ms";
  }
  line("a round", "about " + fixed(1000 * number(plan.at("round_s")), 0) + " ms on " +
                      fixed(number(plan.at("processors")), 0) + " processors: " + phases);
  line("time", "training about " + duration_text(number(plan.at("train_s"))) + ", start " +
                   duration_text(number(plan.at("start_s"))) +
                   "; a new key set and reading the data come on top");
  line("a party", "sends " + bytes_text(number(bytes.at("up"))) + " a round in " +
                      fixed(number(bytes.at("ciphertexts")), 0) + " pieces, " +
                      fixed(number(bytes.at("up")) / number(bytes.at("float32")), 1) +
                      " times float32 (" + bytes_text(number(bytes.at("float32"))) +
                      "), and receives " + bytes_text(number(bytes.at("down"))));
  line("memory", "about " + fixed(number(memory.at("party")), 0) + " MiB a party, " +
                     fixed(number(memory.at("keyholder")), 0) + " key-holder, " +
                     fixed(number(memory.at("coordinator")), 0) + " coordinator, " +
                     fixed(number(memory.at("all")), 0) + " in all");
  line("headroom",
       headroom.at("slots").dump() + " slots of " + headroom.at("slot_bits").dump() +
           " bits for values of " + headroom.at("value_bits").dump() +
           " bits: the largest sum fills " +
           fixed(100 * number(headroom.at("largest_sum")) / number(headroom.at("limit")), 1) +
           " % of a slot");
  std::ostringstream proof;
  proof.precision(12);
  proof << plan.at("parties").get<int>() << " · (2^" << headroom.at("value_bits").get<int>()
        << " − 1) = " << number(headroom.at("largest_sum")) << " < 2^"
        << headroom.at("slot_bits").get<int>() << " = " << number(headroom.at("limit"))
        << ": no sum leaves its slot";
  line("", proof.str());
  const json& quantised = plan.at("quantisation");
  std::ostringstream bound;
  bound.precision(3);
  bound << quantised.at("bits").get<int>() << " bits, clip ± " << number(quantised.at("clip"))
        << ", " << quantised.at("rounding").get<std::string>()
        << ": a mean of full batches is off by at most " << number(quantised.at("bound"));
  if (number(quantised.at("tolerance")) > 0) {
    bound << " (tolerance " << number(quantised.at("tolerance")) << ")";
  }
  line("fixed point", bound.str());
  line("method", "bytes and headroom are exact; times are measured on one thread here and");
  line("", "divided over the processors; decrypt is 0.25 of a 'full' encryption; memory is an");
  line("", "estimate. --json says it number by number.");
  return text;
}

}  // namespace blindsum::launcher
