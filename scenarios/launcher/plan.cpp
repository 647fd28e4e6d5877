#include "scenarios/launcher/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
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

// DataSize is how many rows the data of a run have, and how many of the test set differ.
struct DataSize {
  std::string source;  // as DataSource has it
  double train_rows = 0, test_rows = 0, distinct_test_rows = 0;
  bool is_assumed = false;  // the files are not there
};
const DataSize kKdd99{"kdd99", 494021, 311029, 77291};
const DataSize kNslKdd{"nsl_kdd", 125973, 22544, 22544};

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

// assumed takes the size of a published set for that of files which are not there.
DataSize assumed(std::string source, DataSize size) {
  size.source = std::move(source);
  size.is_assumed = true;
  return size;
}

void count_test(const std::filesystem::path& path, const data::Schema& schema, DataSize& size) {
  const data::RecordTable records = data::read_records(path, schema);
  size.test_rows = static_cast<double>(records.rows);
  size.distinct_test_rows = static_cast<double>(data::distinct_rows(records).rows.size());
}

// size_of_party_files counts the rows of the parties' own files.
DataSize size_of_party_files(const settings::Settings& settings,
                             const std::filesystem::path& directory) {
  const data::Schema schema = role::schema_of(settings);
  DataSize size{"party_files"};
  for (std::uint32_t party = 0; party < settings.parties; ++party) {
    const auto path = data::find_file(directory, shard_path({}, party).string());
    if (path.empty()) return assumed(size.source, kKdd99);
    size.train_rows += static_cast<double>(data::read_raw(path, schema).rows());
  }
  std::filesystem::path test;
  try {
    test = test_file_in(settings, directory);
  } catch (const DataError&) {
    return assumed(size.source, kKdd99);
  }
  count_test(test, schema, size);
  return size;
}

// size_of_data looks for the files as find_data does, and counts.
DataSize size_of_data(const settings::Settings& settings, const std::filesystem::path& named) {
  const std::filesystem::path directory = named.empty() ? "data" : named;
  if (settings.data.partition.kind == "files") return size_of_party_files(settings, directory);
  std::optional<data::FileSet> set;
  if (settings.data.source == "auto") {
    set = data::find_set(directory);
    if (!set && !named.empty()) set = data::FileSet::kKdd99;
  } else if (settings.data.source != "synthetic") {
    set = data::file_set_from_string(settings.data.source);
  }
  if (!set) {
    const data::SyntheticSizes sizes;
    const auto test_rows = static_cast<double>(sizes.test_rows);
    return {"synthetic", static_cast<double>(sizes.train_rows), test_rows, test_rows};
  }
  data::KddFiles files;
  try {
    files = files_in(settings, directory, *set);
  } catch (const DataError&) {
    return assumed(std::string(to_string(*set)), set == data::FileSet::kNslKdd ? kNslKdd : kKdd99);
  }
  DataSize size{std::string(to_string(*set))};
  if (set == data::FileSet::kKdd99) {
    if (data::text_sha256(files.train) == data::kTrainSha256 &&
        data::text_sha256(files.test) == data::kTestSha256) {
      return kKdd99;
    }
    size.source = "kdd99-modified";
  }
  const data::Schema schema = role::schema_of(settings);
  size.train_rows = static_cast<double>(data::read_raw(files.train, schema).rows());
  count_test(files.test, schema, size);
  return size;
}

// update_rows_of is how many rows a party goes through for an update, when it has its share of
// `train_rows`.
double update_rows_of(const settings::Settings& settings, double train_rows) {
  const double shard = std::ceil(train_rows / settings.parties);
  const bool has_steps = settings.algorithm != "fedsgd";
  if (has_steps && settings.local.epochs > 0) return settings.local.epochs * shard;
  return (has_steps ? settings.local.steps : 1) *
         std::min<double>(settings.local.batch_rows, shard);
}

// Costs are seconds on one thread.
struct Costs {
  double train = 0;                                           // a row
  double encode = 0;                                          // an update
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
      static_cast<double>(rows.size());
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
      {"bytes",
       "computed, exact: payloads without message headers and transport, of a gradient round and a "
       "party that it asks"},
      {"rows",
       "counted in the files of the run, or, where they are assumed, those of the "
       "published set; the synthetic set's rows are taken to differ"},
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

json plan(const settings::Settings& settings, const std::filesystem::path& directory) {
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

  const DataSize rows = size_of_data(settings, directory);
  const double update_rows = update_rows_of(settings, rows.train_rows);
  // A round asks `asked` parties, and sums the updates of the first `counted`.
  const settings::Settings::Sampling& sampling = settings.sampling;
  const double counted = sampling.parties == 0 ? parties : sampling.parties;
  const double asked = counted + sampling.extra;
  const double vectors = settings.algorithm == "scaffold" ? 2 : 1;  // weights, and its c

  // Parties compute at the same time, each on its share of the processors, at least on one.
  const double share = std::max(1.0, std::floor(processors / parties));
  const double crowd = std::max(1.0, asked / processors);
  std::map<std::string, double> phases;
  phases["train"] = crowd * costs.train * update_rows;
  phases["encode"] = crowd * costs.encode;
  phases["encrypt"] = crowd * costs.encrypt * chunks / share;
  phases["aggregate"] = (counted * costs.add + costs.rerandomise) * chunks / processors;
  phases["decrypt"] = costs.decrypt * chunks / processors;
  phases["evaluate"] =
      costs.evaluate * rows.distinct_test_rows / processors / settings.evaluate_every;
  double round_s = 0;
  for (const auto& [phase, seconds] : phases) round_s += seconds;

  const double party_mib = base_mib + costs.table_mib +
                           (2 * kRecordBytes + kInputBytes) * rows.train_rows / parties / kMib;
  const double holder_mib =
      base_mib + (2 * kRecordBytes * rows.test_rows + kInputBytes * rows.distinct_test_rows) / kMib;
  const double coordinator_mib = base_mib + costs.table_mib + 3 * chunks * each / kMib;

  return {
      {"scenario", settings.name},
      {"parties", settings.parties},
      {"quorum", settings::gradient_quorum_of(settings)},
      {"rounds", settings.rounds},
      {"data", rows.source},
      {"rows",
       {{"train", rows.train_rows},
        {"test", rows.test_rows},
        {"distinct_test", rows.distinct_test_rows},
        {"are_assumed", rows.is_assumed},
        {"update", update_rows}}},
      {"asked", asked},
      {"counted", counted},
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
        {"down", vectors * 4 * parameters + 8.0 * static_cast<double>(codec.settings().statistics)},
        {"float32", 4 * parameters}}},
      {"headroom", headroom_of(settings)},
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
  const json& rows = plan.at("rows");
  line("data",
       fixed(number(rows.at("train")), 0) + " training rows, " + fixed(number(rows.at("test")), 0) +
           " test rows" +
           (rows.at("are_assumed").get<bool>() ? " (assumed: the files are not there)" : "") +
           "; an update takes " + fixed(number(rows.at("update")), 0) + " rows");
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
  const bool asks_all = number(plan.at("asked")) == number(plan.at("parties"));
  line("a party", (asks_all ? "sends "
                            : "when asked (" + fixed(number(plan.at("asked")), 0) + " of " +
                                  plan.at("parties").dump() + ") sends ") +
                      bytes_text(number(bytes.at("up"))) + " a round in " +
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
  line("", headroom_text(headroom) + ": no sum leaves its slot");
  line("fixed point", bound_text(plan.at("quantisation")));
  line("method", "bytes and headroom are exact; times are measured on one thread here and");
  line("", "divided over the processors; decrypt is 0.25 of a 'full' encryption; memory is an");
  line("", "estimate. --json says it number by number.");
  return text;
}

}  // namespace blindsum::launcher
