#include "tests/protocol/simulation.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "coordinator/coordinator.h"
#include "party/key_holder/key_holder.h"
#include "party/party.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/data/partition.h"
#include "shared/data/synthetic.h"
#include "shared/wire/links.h"
#include "tests/protocol/faulty_session.h"
#include "tests/protocol/oracle.h"
#include "tests/protocol/simulated_store.h"
#include "tests/protocol/stage.h"
#include "tests/support/cohort.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace blindsum::simulation {
namespace {

constexpr wire::RunId kRun{7};
constexpr std::uint32_t kMostParties = 16;
constexpr std::uint32_t kBatchRows = 16;
constexpr std::size_t kModulusBits = 512;
constexpr std::uint64_t kModelSeed = 1;
constexpr TimeMs kStartMs = 15'000;
constexpr TimeMs kRoundMs = 10'000;
constexpr TimeMs kIdleMs = kStartMs + kRoundMs + 10'000;
// Every round ends this long after its deadline, at the latest.
constexpr TimeMs kGraceMs = 5'000;
constexpr std::uint64_t kMostMessages = 100'000;

// World is what all runs have in common: data, and who the roles are.
struct World {
  World() {
    const test::TempDir folder;
    data::write_synthetic(folder.path(), kModelSeed, {640, 60});
    const data::KddFiles files = data::find_kdd(folder.path());
    const data::RecordTable train = data::read_kdd(files.train);
    test = data::read_kdd(files.test);
    const auto cut = data::partition(data::read_raw(files.train, data::Schema::kdd99()), {},
                                     kMostParties, kModelSeed);
    for (const auto& rows : cut) shards.push_back(data::select(train, rows));
  }

  std::vector<data::RecordTable> shards;
  data::RecordTable test;
  test::Cohort cohort{kMostParties};
  model::Shape shape{122, {2}, 5, model::Activation::kRelu};
  crypto::SecretKey key = test::insecure_test_key(kModulusBits);
};

const World& world() {
  static const World world;
  return world;
}

// Simulation is one run.
class Simulation {
 public:
  Simulation(const Schedule& schedule, bool is_traced);
  Outcome run();

 private:
  [[nodiscard]] static crypto::UpdateCodec codec_of(const Schedule& schedule);
  [[nodiscard]] party::LocalTrainer trainer_of(std::uint32_t party) const;
  [[nodiscard]] Digest key_id() const;
  [[nodiscard]] std::filesystem::path records_of_life(std::uint32_t life) const;
  [[nodiscard]] Life make_coordinator();
  [[nodiscard]] Life make_key_holder();
  [[nodiscard]] Life make_party(std::uint32_t party);
  void set_out();
  [[nodiscard]] std::optional<Ending> run_leg();
  void add(const wire::Peer& peer, FaultySession::Factory factory, FaultySession::Watch watch);
  [[nodiscard]] std::vector<wire::MemoryLink::Delivery> tamper(const wire::Peer& from,
                                                               const wire::Peer& to, Bytes bytes);
  [[nodiscard]] TimeMs latest_end() const;
  [[nodiscard]] std::vector<Digest> replay() const;
  void check_end(bool has_ended);
  void check_model();

  const Schedule* schedule_;  // of the leg that runs
  Schedule second_leg_;
  Stage stage_;
  std::uint32_t quorum_;  // that the product is told
  Oracle oracle_;
  test::TempDir folder_;
  Disk disk_;
  ThreadPool pool_{1};
  crypto::UpdateCodec codec_;
  std::vector<std::unique_ptr<report::RecordWriter>> records_;
  std::map<wire::Peer, std::unique_ptr<FaultySession>> processes_;
  std::unique_ptr<wire::MemoryLink> link_;
  std::uint32_t key_holder_lives_ = 0;                                    // of all legs
  std::map<std::pair<wire::Peer, wire::Peer>, std::vector<Bytes>> said_;  // for replays
  std::set<Digest> finishes_;  // model digests that the key-holder has announced
  std::atomic<bool> stop_{false};
  std::uint64_t messages_ = 0;
};

std::uint32_t quorum_of(const Schedule& schedule) {
  return std::max(3U, (2 * schedule.parties + 2) / 3);
}

template <class Session>
Life life_of(std::unique_ptr<Session> session) {
  Session* const raw = session.get();
  return {std::move(session), [raw] { return raw->fault(); }, [raw] { return raw->reason(); }};
}

Simulation::Simulation(const Schedule& schedule, bool is_traced)
    : schedule_(&schedule),
      stage_(schedule, is_traced),
      quorum_(quorum_of(schedule) - (schedule.mistake == Schedule::Mistake::kLowQuorum ? 1 : 0)),
      oracle_(stage_, quorum_of(schedule), kRoundMs + kGraceMs),
      disk_(stage_, oracle_, schedule.has_file_store ? folder_.path() / "state" : "", kRun),
      codec_(codec_of(schedule)) {
  stage_.now = [this] { return link_->now(); };
  second_leg_ = schedule.without_faults();
}

// set_out makes the network and the processes of a leg.
void Simulation::set_out() {
  processes_.clear();
  said_.clear();
  link_ = std::make_unique<wire::MemoryLink>(kRun);
  link_->tamper = [this](const wire::Peer& from, const wire::Peer& to, Bytes bytes) {
    return tamper(from, to, std::move(bytes));
  };
  link_->on_rejected = [this](std::string_view from, std::string_view why) {
    stage_.trace([&] { return "refused from " + std::string(from) + ": " + std::string(why); });
  };
  add(wire::kCoordinatorPeer, [this] { return make_coordinator(); }, {});
  add(wire::kKeyHolderPeer, [this] { return make_key_holder(); },
      {[this](std::uint32_t /*life*/, const wire::Peer&, const wire::Body& body) {
         oracle_.key_holder_said(key_holder_lives_, body);
         if (const auto* finish = std::get_if<wire::Finish>(&body)) {
           finishes_.insert(finish->model_digest);
         }
       },
       [this](const std::optional<Ending>& ending, bool was_killed) {
         oracle_.key_holder_returned(ending, was_killed);
       }});
  const std::uint32_t first_life = schedule_ == &second_leg_ ? 1000 : 0;
  for (std::uint32_t party = 0; party < schedule_->parties; ++party) {
    add(wire::party_peer(party), [this, party] { return make_party(party); },
        {[this, party, first_life](std::uint32_t life, const wire::Peer&, const wire::Body& body) {
           oracle_.party_said(party, first_life + life, body);
         },
         {}});
  }
}

void Simulation::add(const wire::Peer& peer, FaultySession::Factory factory,
                     FaultySession::Watch watch) {
  auto process =
      std::make_unique<FaultySession>(peer, stage_, std::move(factory), std::move(watch));
  process->reachable = [this](const wire::Peer& to) {
    const auto found = processes_.find(to);
    return found != processes_.end() && found->second->accepts();
  };
  process->killed = [this](const Crash& crash, TimeMs now) {
    for (const wire::Peer& other : crash.others) processes_.at(other)->kill(crash, now);
  };
  link_->add(peer, *process);
  processes_.emplace(peer, std::move(process));
}

crypto::UpdateCodec Simulation::codec_of(const Schedule& schedule) {
  crypto::CodecSettings settings;
  settings.parties = schedule.parties;
  settings.modulus_bits = kModulusBits;
  settings.statistics = data::Statistics().values.size();
  settings.parameters = world().shape.parameters();
  return crypto::UpdateCodec(settings);
}

party::LocalTrainer Simulation::trainer_of(std::uint32_t party) const {
  party::TrainerSettings trainer;
  trainer.party = party;
  trainer.seed = kModelSeed;
  trainer.shape = world().shape;
  trainer.local.batch_rows = kBatchRows;
  return {trainer, world().shards.at(party)};
}

Digest Simulation::key_id() const {
  return schedule_->is_encrypted ? world().key.public_key().id() : Digest{};
}

std::filesystem::path Simulation::records_of_life(std::uint32_t life) const {
  return folder_.path() / ("keyholder-" + std::to_string(life) + ".jsonl");
}

Life Simulation::make_coordinator() {
  coordinator::CoordinatorConfig config;
  config.run = kRun;
  config.parties = world().cohort.signing_keys();
  config.parties.resize(schedule_->parties);
  config.quorum = quorum_;
  config.rounds = schedule_->rounds;
  config.key_id = key_id();
  config.codec_id = codec_.id();
  config.statistics_chunks = static_cast<std::uint32_t>(codec_.statistics().plaintexts());
  config.gradient_chunks = static_cast<std::uint32_t>(codec_.gradient().plaintexts());
  config.idle_s = static_cast<double>(kIdleMs) / 1000;
  records_.push_back(std::make_unique<report::RecordWriter>(std::filesystem::path{}));
  return life_of(std::make_unique<coordinator::Coordinator>(
      std::move(config),
      schedule_->is_encrypted ? crypto::make_paillier_accumulator(world().key.public_key(),
                                                                  crypto::Randomizer::kShort, pool_)
                              : crypto::make_plain_accumulator(codec_.plaintext_limbs()),
      *records_.back()));
}

Life Simulation::make_key_holder() {
  key_holder::KeyHolderConfig config;
  config.run = kRun;
  config.parties = world().cohort.party_records();
  config.parties.resize(schedule_->parties);
  config.tag_secret = test::copy_of(world().cohort.tag_secret);
  config.quorum = quorum_;
  config.rounds = schedule_->rounds;
  config.seed = kModelSeed;
  config.local.batch_rows = kBatchRows;
  config.shape = world().shape;
  config.evaluate_every = 2;
  config.round_s = static_cast<double>(kRoundMs) / 1000;
  config.start_s = static_cast<double>(kStartMs) / 1000;
  config.key_id = key_id();
  records_.push_back(std::make_unique<report::RecordWriter>(records_of_life(key_holder_lives_++)));
  return life_of(std::make_unique<key_holder::KeyHolder>(
      std::move(config), codec_,
      oracle_.watch_opener(schedule_->is_encrypted
                               ? crypto::make_paillier_opener(world().key, pool_)
                               : crypto::make_plain_opener(codec_.plaintext_limbs())),
      disk_.open(), world().test, pool_, *records_.back()));
}

Life Simulation::make_party(std::uint32_t party) {
  party::PartyConfig config;
  config.run = kRun;
  config.id = party;
  config.seed = kModelSeed;
  config.rounds = schedule_->rounds;
  config.key_id = key_id();
  config.idle_s = static_cast<double>(kIdleMs) / 1000;
  records_.push_back(std::make_unique<report::RecordWriter>(std::filesystem::path{}));
  return life_of(std::make_unique<party::Party>(
      config, world().cohort.keys_of(party), codec_, trainer_of(party),
      oracle_.watch_sealer(wire::party_peer(party),
                           schedule_->is_encrypted
                               ? crypto::make_paillier_sealer(world().key.public_key(),
                                                              crypto::Randomizer::kShort, pool_)
                               : crypto::make_plain_sealer(codec_.plaintext_limbs())),
      *records_.back()));
}

// tamper is the network.
std::vector<wire::MemoryLink::Delivery> Simulation::tamper(const wire::Peer& from,
                                                           const wire::Peer& to, Bytes bytes) {
  const std::string_view name = message_name(wire::decode(bytes, {}).body);
  const auto tell = [&](const std::string& what) {
    stage_.trace([&] {
      return to_string(from) + " -> " + to_string(to) + ' ' + std::string(name) + ": " + what;
    });
  };
  if (++messages_ > kMostMessages) {
    stage_.violate("more than " + std::to_string(kMostMessages) + " messages");
    stop_ = true;
    return {};
  }
  for (const Partition& partition : schedule_->partitions) {
    if (partition.when.has(link_->now()) &&
        partition.side.contains(from) != partition.side.contains(to)) {
      stage_.count("cut off");
      tell("cut off");
      return {};
    }
  }
  if (stage_.chance(schedule_->drop)) {
    stage_.count("drop");
    tell("dropped");
    return {};
  }
  SeededRandom& random = stage_.random();
  const auto up_to = [&](TimeMs most) {
    return static_cast<TimeMs>(random.below(static_cast<std::uint64_t>(most) + 1));
  };
  TimeMs delay = 1 + up_to(2 * schedule_->latency_ms - 1);
  if (stage_.chance(schedule_->reorder)) {
    stage_.count("reorder");
    delay += up_to(schedule_->reorder_ms);
  }
  if (stage_.chance(schedule_->delay)) {
    stage_.count("delay");
    delay += up_to(schedule_->delay_ms);
    tell("delayed by " + std::to_string(delay) + " ms");
  }
  std::vector<wire::MemoryLink::Delivery> arrivals;
  std::vector<Bytes>& old = said_[{from, to}];
  if (stage_.chance(schedule_->replay) && !old.empty()) {
    stage_.count("replay");
    tell("an old message is sent again beside it");
    arrivals.push_back({up_to(2000), old[random.below(old.size())]});
  }
  if (stage_.chance(schedule_->duplicate)) {
    stage_.count("duplicate");
    tell("doubled");
    arrivals.push_back({delay + up_to(500), bytes});
  }
  if (schedule_->replay > 0) old.push_back(bytes);
  if (stage_.chance(schedule_->corrupt)) {
    stage_.count("corrupt");
    for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
      // Half of the flips hit what is not payload.
      const std::size_t range =
          random.below(2) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 300);
      const std::size_t at = random.below(range);
      tell("byte " + std::to_string(at) + " of " + std::to_string(bytes.size()) + " corrupted");
      bytes[at] ^= static_cast<std::uint8_t>(1U << random.below(8));
    }
  }
  arrivals.push_back({delay, std::move(bytes)});
  return arrivals;
}

// latest_end is when the last process must have come to its end.
TimeMs Simulation::latest_end() const {
  TimeMs down = 0;
  for (const auto& [peer, process] : processes_) down += process->down_ms();
  TimeMs slow = 0;
  for (const SlowReader& reader : schedule_->slow_readers) {
    slow += reader.when.end + 20 * reader.pause_ms;
  }
  const TimeMs lives = processes_.at(wire::kKeyHolderPeer)->lives();
  return lives * (kStartMs + kGraceMs) + (schedule_->rounds + 1 + lives) * (kRoundMs + kGraceMs) +
         down + slow + schedule_->delay_ms + schedule_->reorder_ms + 2000 + kIdleMs + kGraceMs;
}

// replay computes the model after each round from the contributors alone: plain integers, no
// packing, no cipher, no messages.
std::vector<Digest> Simulation::replay() const {
  std::vector<party::LocalTrainer> trainers;
  for (std::uint32_t party = 0; party < schedule_->parties; ++party) {
    trainers.push_back(trainer_of(party));
  }
  model::Parameters parameters = model::initial_parameters(world().shape, kModelSeed);
  model::Optimizer optimizer({}, parameters.size(), schedule_->rounds);
  data::Statistics joint;
  std::vector<Digest> digests;
  for (const auto& [round, contributors] : oracle_.opened()) {
    if (round != digests.size()) break;
    if (round == 0) {
      for (const std::uint32_t party : contributors) {
        const auto& own = trainers[party].statistics().values;
        for (std::size_t i = 0; i < own.size(); ++i) joint.values[i] += own[i];
      }
    } else {
      std::vector<std::int64_t> sum(parameters.size(), 0);
      std::int64_t rows = 0;
      for (const std::uint32_t party : contributors) {
        trainers[party].standardise(joint);
        const party::LocalUpdate update = trainers[party].train(parameters, round);
        const auto values =
            codec_.fixed_point().encode(update.weighted, kModelSeed, party, round).values;
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
        rows += update.rows;
      }
      std::vector<double> gradient(sum.size());
      const double weight = static_cast<double>(rows) / kBatchRows;
      for (std::size_t i = 0; i < sum.size(); ++i) {
        gradient[i] = codec_.fixed_point().decode(sum[i]) / weight;
      }
      optimizer.step(parameters, gradient);
    }
    digests.push_back(model::model_digest(parameters));
  }
  return digests;
}

void Simulation::check_model() {
  const std::vector<Digest> digests = replay();
  for (std::uint32_t life = 0; life < key_holder_lives_; ++life) {
    for (const auto& json : report::read_records(records_of_life(life))) {
      const report::RoundRecord record = report::round_record_from_json(json);
      const std::string round = "round " + std::to_string(record.round);
      if (record.round >= digests.size()) {
        stage_.violate(round + " is in the records and was not opened rightly");
        continue;
      }
      if (record.contributors != oracle_.opened().at(record.round)) {
        stage_.violate(round + ": the record names other contributors than were summed");
      }
      if (record.model_digest != digest_text(digests[record.round])) {
        stage_.violate(round + ": the model is not that of an honest run over its contributors");
      }
    }
  }
  const bool has_all = digests.size() == schedule_->rounds + 1;
  for (const Digest& digest : finishes_) {
    if (!has_all || digest != digests.back()) {
      stage_.violate("Finish announces a model that no honest run over the contributors gives");
    }
  }
}

void Simulation::check_end(bool has_ended) {
  if (!has_ended && !stop_) stage_.violate("somebody waits for ever");
  if (link_->now() > latest_end()) {
    stage_.violate("the last one ended at " + std::to_string(link_->now()) + " ms, not before " +
                   std::to_string(latest_end()) + " ms");
  }
  const bool is_corrupt = stage_.counts().contains("corrupt");
  const auto& ending = processes_.at(wire::kKeyHolderPeer)->ending();
  // A round whose sum was refused can never be opened over another: the run is lost.
  const bool is_spoilt =
      schedule_ == &second_leg_ && is_corrupt && ending && ending->fault == Fault::kIntegrity;
  for (const auto& [peer, process] : processes_) {
    if (!process->ending()) continue;
    const auto& [fault, reason] = *process->ending();
    const bool is_expected = fault == Fault::kNone || fault == Fault::kQuorumLost ||
                             fault == Fault::kDeadline ||
                             (fault == Fault::kStorage && !schedule_->full_disks.empty()) ||
                             (is_corrupt && (fault == Fault::kIntegrity || fault == Fault::kUsage));
    if (!is_expected) {
      stage_.violate(to_string(peer) + " ended with " + std::string(to_string(fault)) + ": " +
                     reason);
    }
    if (schedule_->is_faultless() && fault != Fault::kNone && !is_spoilt) {
      stage_.violate(to_string(peer) + " ended with " + std::string(to_string(fault)) +
                     " and nothing had gone wrong: " + reason);
    }
  }
  if (ending && ending->fault == Fault::kNone && finishes_.empty()) {
    stage_.violate("the key-holder finished and did not say so");
  }
  if (schedule_->is_faultless() && schedule_ != &second_leg_) {
    for (const auto& [round, contributors] : oracle_.opened()) {
      if (contributors.size() != schedule_->parties) {
        stage_.violate("round " + std::to_string(round) + " lacks a party without need");
      }
    }
  }
}

std::optional<Ending> Simulation::run_leg() {
  set_out();
  const bool has_ended = link_->run(stop_);
  check_end(has_ended);
  return processes_.at(wire::kKeyHolderPeer)->ending();
}

Outcome Simulation::run() {
  const std::optional<Ending> ending = run_leg();
  Outcome outcome;
  outcome.ending = ending ? std::string(to_string(ending->fault)) : "killed";
  outcome.reason = ending ? ending->reason : "";
  outcome.end_ms = link_->now();
  for (const auto& [peer, process] : processes_) {
    const bool has_heard = process->ending() && process->ending()->fault == Fault::kNone;
    if (outcome.ending == to_string(Fault::kNone) && !has_heard) ++outcome.unaware;
  }
  if (!ending || ending->fault != Fault::kNone) {
    stage_.trace([] { return std::string("everything is started again, without faults"); });
    schedule_ = &second_leg_;
    stage_.set_schedule(second_leg_);
    const std::optional<Ending> second = run_leg();
    outcome.is_resumed = second && second->fault == Fault::kNone;
    outcome.end_ms += link_->now();
  }
  check_model();
  outcome.faults = stage_.counts();
  outcome.violations = stage_.violations();
  outcome.messages = messages_;
  outcome.openings = oracle_.openings();
  outcome.refused = oracle_.refused();
  outcome.rounds = oracle_.opened().size();
  return outcome;
}

}  // namespace

Outcome simulate(const Schedule& schedule, bool is_traced) {
  return Simulation(schedule, is_traced).run();
}

}  // namespace blindsum::simulation
