#include "tests/fuzz/session_attack.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "shared/core/error.h"
#include "shared/wire/codec.h"
#include "shared/wire/delivery.h"
#include "tests/fuzz/flat_message.h"
#include "tests/fuzz/target.h"
#include "tests/support/federation.h"

namespace blindsum::fuzz {
namespace {

constexpr std::uint32_t kParties = 4;
constexpr std::uint32_t kQuorum = 3;
constexpr std::size_t kMaxSteps = 200;
constexpr std::size_t kMaxMessages =
    2000;                                 // on the way between honest roles, in answer to one step
constexpr std::size_t kMaxWaiting = 300;  // for the target: a queue's high-water mark
constexpr std::array<wire::TimeMs, 8> kWaits{1, 100, 300, 2100, 5000, 35'000, 121'000, 151'000};

// Program hands out the bytes of an input.
class Program {
 public:
  explicit Program(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] bool is_over() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::size_t word() {
    const std::size_t low = byte();
    return low | static_cast<std::size_t>(byte()) << 8;
  }
  Bytes bytes(std::size_t count) {
    const ByteView taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return {taken.begin(), taken.end()};
  }

 private:
  ByteView bytes_;
};

// CountingOpener tells `on_open` of every sum that is opened.
class CountingOpener : public crypto::UpdateOpener {
 public:
  CountingOpener(std::unique_ptr<crypto::UpdateOpener> opener, std::function<void()> on_open)
      : opener_(std::move(opener)), on_open_(std::move(on_open)) {}
  [[nodiscard]] crypto::PlaintextVector open(ByteView payload, std::size_t chunks) override {
    on_open_();
    return opener_->open(payload, chunks);
  }

 private:
  std::unique_ptr<crypto::UpdateOpener> opener_;
  std::function<void()> on_open_;
};

test::FederationOptions small_options() {
  test::FederationOptions options;
  options.parties = kParties;
  options.rounds = 2;
  options.modulus_bits = 2048;
  options.bits = 16;
  options.sizes = {16, 8};
  options.shape = {122, {1}, 5, model::Activation::kRelu};
  options.local.batch_rows = 2;
  options.keeps_records = false;
  return options;
}

// The same keys in every run: an input does the same again. INSECURE, as all that is fixed.
test::Cohort fixed_cohort() {
  test::Cohort cohort(kParties);
  for (std::uint32_t party = 0; party < kParties; ++party) {
    const auto fill = static_cast<std::uint8_t>(party + 1);
    cohort.signing[party] = SigningKey(Bytes(SigningKey::kSeedBytes, fill));
    std::ranges::fill(cohort.tag_keys[party].bytes(), fill);
  }
  std::ranges::fill(cohort.tag_secret.bytes(), std::uint8_t{9});
  return cohort;
}

struct Letter {
  wire::Peer from;
  Bytes bytes;
};

// What the target said, and what it would not hear.
struct Outcome {
  std::vector<Bytes> said;        // encoded, with the receiver in front
  std::set<std::size_t> refused;  // numbers of deliveries, without those that were answered
  bool has_timed_out = false;
};

// Arena drives one federation. Deliveries to the target are numbered from 0; those in `left_out`
// are not made.
class Arena {
 public:
  Arena(const wire::Peer& target, const std::set<std::size_t>& left_out)
      : target_(target), left_out_(left_out), federation_(options()) {
    add(wire::kCoordinatorPeer, federation_.coordinator());
    add(wire::kKeyHolderPeer, federation_.key_holder());
    for (std::uint32_t party = 0; party < kParties; ++party) {
      add(wire::party_peer(party), federation_.party(party));
    }
    for (auto& [peer, node] : nodes_) node.session->start(node);
    settle();
  }

  Outcome run(Program program) {
    for (std::size_t step = 0; step < kMaxSteps && !program.is_over() && !is_over(); ++step) {
      take_step(program);
      settle();
    }
    outcome_.has_timed_out = target().finished() && fault() == Fault::kDeadline;
    return std::move(outcome_);
  }

 private:
  struct Node : wire::MessageSink {
    Node(Arena& arena_in, wire::Peer self_in, wire::Session& session_in)
        : arena(&arena_in), self(self_in), session(&session_in) {}
    bool send(const wire::Peer& to, const wire::Body& body) override {
      return arena->send(self, to, body);
    }
    [[nodiscard]] wire::TimeMs now() const override { return arena->now_; }
    Arena* arena;
    wire::Peer self;
    wire::Session* session;
  };

  test::FederationOptions options() {
    static const test::FederationData data = test::make_data(small_options());
    test::FederationOptions options = small_options();
    options.data = &data;
    static const test::Cohort cohort = fixed_cohort();
    options.cohort = &cohort;
    options.replace_opener = [this](std::unique_ptr<crypto::UpdateOpener> opener) {
      return std::make_unique<CountingOpener>(std::move(opener), [this] { check_opening(); });
    };
    return options;
  }

  void add(const wire::Peer& peer, wire::Session& session) {
    nodes_.emplace(peer, Node(*this, peer, session));
  }

  [[nodiscard]] wire::Session& target() { return *nodes_.at(target_).session; }
  [[nodiscard]] Fault fault() {
    if (target_ == wire::kCoordinatorPeer) return federation_.coordinator().fault();
    if (target_ == wire::kKeyHolderPeer) return federation_.key_holder().fault();
    return federation_.party(target_.id).fault();
  }
  [[nodiscard]] bool is_over() { return has_failed_ || target().finished(); }

  bool send(const wire::Peer& from, const wire::Peer& to, const wire::Body& body) {
    const auto found = nodes_.find(to);
    if (found == nodes_.end() || found->second.session->finished()) return false;
    if (cut_off_.contains(from) || cut_off_.contains(to)) return false;
    if (to == target_ && waiting_.size() >= kMaxWaiting) return false;
    if (const auto* open = std::get_if<wire::RoundOpen>(&body)) open_round_ = open->round;
    if (const auto* made = std::get_if<wire::EncryptedAggregate>(&body)) made_.push_back(*made);
    Bytes bytes = wire::encode_within({}, federation_.run_id(), body);
    if (from == target_) {
      check_said(body);
      if (std::holds_alternative<wire::Abort>(body)) ++aborts_to_[to];
      outcome_.said.push_back(bytes);
      const std::string name = to_string(to);
      outcome_.said.back().insert(outcome_.said.back().begin(), name.begin(), name.end());
    }
    (to == target_ ? waiting_ : moving_).push_back({from, std::move(bytes)});
    if (to != target_) receivers_.push_back(to);
    return true;
  }

  // settle lets the honest roles hear all that is on the way to them.
  void settle() {
    for (std::size_t count = 0; !moving_.empty(); ++count) {
      require(count < kMaxMessages, "honest roles talk without end");
      const Letter letter = std::move(moving_.front());
      Node& node = nodes_.at(receivers_.front());
      moving_.pop_front();
      receivers_.pop_front();
      if (node.session->finished()) continue;
      try {
        (void)wire::deliver({}, federation_.run_id(), letter.from, letter.bytes, *node.session,
                            node);
      } catch (const IntegrityError&) {
        // An honest party may find that the attacked key-holder sends it impossible statistics.
      }
    }
  }

  void deliver(const wire::Peer& from, const Bytes& bytes) {
    if (is_over()) return;
    history_.push_back({from, bytes});
    const std::size_t number = deliveries_++;
    if (left_out_.contains(number)) return;
    note_heard(from, bytes);
    Node& node = nodes_.at(target_);
    const std::size_t said_before = outcome_.said.size();
    const std::size_t aborts_before = aborts_to_[from];
    try {
      if (wire::deliver({}, federation_.run_id(), from, bytes, *node.session, node)) {
        // The only answer may be why, to the sender, who then leaves.
        const std::size_t said = outcome_.said.size() - said_before;
        require(said == aborts_to_[from] - aborts_before,
                "a message that was refused has made the session speak");
        if (said == 0) outcome_.refused.insert(number);
      }
    } catch (const IntegrityError&) {
      // Statistics of the key-holder that cannot be: they end a party's run.
      require(target_.role == wire::Role::kParty, "an IntegrityError leaves a server's session");
      has_failed_ = true;
    }
    aggregate_ = nullptr;
    settle();
  }

  void take_step(Program& program) {
    switch (static_cast<Step>(program.byte() % static_cast<std::uint8_t>(Step::kCount))) {
      case Step::kDeliver:
        if (const auto letter = take_next()) deliver(letter->from, letter->bytes);
        break;
      case Step::kDeliverLast:
        if (!waiting_.empty()) {
          const Letter letter = std::move(waiting_.back());
          waiting_.pop_back();
          deliver(letter.from, letter.bytes);
        }
        break;
      case Step::kDrop:
        (void)take_next();
        break;
      case Step::kReplay:
        if (const Letter* old = from_history(program)) {
          const Letter letter = *old;
          deliver(letter.from, letter.bytes);
        }
        break;
      case Step::kForge:
        if (const Letter* old = from_history(program)) {
          const Bytes bytes = old->bytes;
          deliver(peer_from(program), bytes);
        }
        break;
      case Step::kEdit:
        if (!waiting_.empty()) {
          const Letter letter = waiting_.front();
          deliver(letter.from, edited(letter.bytes, program));
        }
        break;
      case Step::kEditOld:
        if (const Letter* old = from_history(program)) {
          const Letter letter = *old;
          deliver(letter.from, edited(letter.bytes, program));
        }
        break;
      case Step::kRaw: {
        const wire::Peer from = peer_from(program);
        const std::size_t length = program.byte();
        deliver(from, program.bytes(length));
        break;
      }
      case Step::kWait:
        wait(kWaits[program.byte() % kWaits.size()]);
        break;
      case Step::kCutOff: {
        const wire::Peer peer = peer_from(program);
        if (peer != target_ && cut_off_.erase(peer) == 0) cut_off_.insert(peer);
        break;
      }
      case Step::kWorkAhead:
        (void)target().work_ahead();
        break;
      case Step::kDeliverAll:
        for (int count = 0; count < 32; ++count) {
          const auto letter = take_next();
          if (!letter) break;
          deliver(letter->from, letter->bytes);
        }
        break;
      case Step::kCount:
        break;
    }
  }

  std::optional<Letter> take_next() {
    if (waiting_.empty()) return std::nullopt;
    Letter letter = std::move(waiting_.front());
    waiting_.pop_front();
    return letter;
  }

  const Letter* from_history(Program& program) {
    const std::size_t index = program.byte();
    return history_.empty() ? nullptr : &history_[index % history_.size()];
  }

  // Peers that are not enrolled are among them.
  static wire::Peer peer_from(Program& program) {
    const std::uint32_t index = program.byte() % (kParties + 3);
    if (index == 0) return wire::kCoordinatorPeer;
    if (index == 1) return wire::kKeyHolderPeer;
    return wire::party_peer(index - 2);
  }

  Bytes edited(const Bytes& bytes, Program& program) {
    FlatMessage message(bytes);
    Bytes flips;  // position, position, mask
    for (int count = 0; count < 8; ++count) {
      const auto edit = static_cast<Edit>(program.byte() % static_cast<std::uint8_t>(Edit::kCount));
      if (edit == Edit::kNone) break;
      const std::size_t index = edit == Edit::kFlipByte ? 0 : program.byte();
      switch (edit) {
        case Edit::kSetByte: {
          const std::size_t position = program.word();
          message.set(index, position, program.byte());
          break;
        }
        case Edit::kAdd: {
          const std::size_t position = program.word();
          message.add(index, position, static_cast<std::int8_t>(program.byte()));
          break;
        }
        case Edit::kResize:
          message.resize(index, static_cast<std::int8_t>(program.byte()));
          break;
        case Edit::kTake:
          if (const Letter* old = from_history(program)) {
            message.take(index, FlatMessage(old->bytes));
          }
          break;
        case Edit::kRemove:
          message.remove(index);
          break;
        case Edit::kRepeat:
          message.repeat(index);
          break;
        case Edit::kFlipByte:
          for (int i = 0; i < 3; ++i) flips.push_back(program.byte());
          break;
        case Edit::kNone:
        case Edit::kCount:
          break;
      }
    }
    Bytes result = message.encode();
    for (std::size_t i = 0; i < flips.size() && !result.empty(); i += 3) {
      const std::size_t position = flips[i] | static_cast<std::size_t>(flips[i + 1]) << 8;
      result[position % result.size()] ^= flips[i + 2];
    }
    return result;
  }

  void wait(wire::TimeMs duration) {
    const wire::TimeMs end = now_ + duration;
    for (std::size_t count = 0; count < kMaxMessages; ++count) {
      Node* next = nullptr;
      wire::TimeMs at = end;
      for (auto& [peer, node] : nodes_) {
        const auto deadline = node.session->next_deadline();
        if (node.session->finished() || !deadline || *deadline > at) continue;
        if (*deadline == at && next != nullptr) continue;
        at = *deadline;
        next = &node;
      }
      if (next == nullptr) {
        now_ = end;
        return;
      }
      now_ = std::max(now_, at);
      next->session->on_deadline(*next);
      settle();
      if (is_over()) return;
    }
    require(false, "deadlines without end");
  }

  // note_heard keeps what the target is told, before it hears it.
  void note_heard(const wire::Peer& from, const Bytes& bytes) {
    const auto message = accepted<DecodeError>([&] { return wire::decode(bytes, {}); });
    if (!message || message->run != federation_.run_id()) return;
    heard_ = message->body;
    if (const auto* update = std::get_if<wire::EncryptedUpdate>(&heard_);
        update != nullptr && from.role == wire::Role::kParty) {
      auto& payloads = updates_[{update->round, from.id}];
      if (std::ranges::find(payloads, update->payload) == payloads.end()) {
        payloads.push_back(update->payload);
      }
    }
    aggregate_ = std::get_if<wire::EncryptedAggregate>(&heard_);
  }

  static std::vector<std::uint32_t> contributors_of(const wire::EncryptedAggregate& aggregate) {
    std::vector<std::uint32_t> parties;
    for (const wire::Contribution& contribution : aggregate.contributions) {
      parties.push_back(contribution.party);
    }
    return parties;
  }

  static void require_quorum(const wire::EncryptedAggregate& aggregate) {
    const auto contributors = contributors_of(aggregate);
    require(std::set(contributors.begin(), contributors.end()).size() >= kQuorum,
            "a sum of fewer than the quorum");
    require(std::ranges::all_of(contributors, [](std::uint32_t id) { return id < kParties; }),
            "a sum with a stranger's update");
  }

  // check_opening: one sum a round is opened, and only one that was asked for, of a quorum.
  void check_opening() {
    if (target_ == wire::kKeyHolderPeer) {
      require(aggregate_ != nullptr, "a sum is opened that nobody brought");
      require_quorum(*aggregate_);
      require(aggregate_->round == open_round_, "a sum of another round is opened");
    }
    require(opened_.insert(open_round_).second, "two sums of one round are opened");
  }

  // check_progress: the key-holder goes on from sums that the honest coordinator has made alone.
  void check_progress(std::uint32_t rounds_over) {
    if (target_ != wire::kKeyHolderPeer || rounds_over <= rounds_over_) return;
    require(rounds_over == rounds_over_ + 1 && aggregate_ != nullptr,
            "the key-holder goes on without a sum");
    require(std::ranges::any_of(made_,
                                [&](const wire::EncryptedAggregate& made) {
                                  return made.round == rounds_over_ &&
                                         made.payload == aggregate_->payload &&
                                         contributors_of(made) == contributors_of(*aggregate_);
                                }),
            "the key-holder goes on from a sum that was tampered with");
    rounds_over_ = rounds_over;
  }

  void check_said(const wire::Body& body) {
    if (const auto* start = std::get_if<wire::RoundStart>(&body)) check_progress(start->round);
    if (const auto* finish = std::get_if<wire::Finish>(&body)) check_progress(finish->rounds + 1);
    const auto* aggregate = std::get_if<wire::EncryptedAggregate>(&body);
    if (aggregate == nullptr) return;
    require_quorum(*aggregate);
    require(is_sum(*aggregate), "an aggregate is not the sum of its contributors' updates");
  }

  // is_sum says whether some choice of one heard update for each contributor adds up to
  // `aggregate`.
  bool is_sum(const wire::EncryptedAggregate& aggregate) {
    std::vector<Bytes> sums{Bytes(aggregate.payload.size(), 0)};
    for (const std::uint32_t party : contributors_of(aggregate)) {
      std::vector<Bytes> longer;
      for (const Bytes& sum : sums) {
        for (const Bytes& payload : updates_[{aggregate.round, party}]) {
          constexpr std::size_t kMaxChoices = 256;
          if (longer.size() == kMaxChoices) return true;  // too many to tell
          if (payload.size() == sum.size()) longer.push_back(added(sum, payload));
        }
      }
      sums = std::move(longer);
    }
    return std::ranges::find(sums, aggregate.payload) != sums.end();
  }

  // added adds little-endian numbers of the plaintext's width, without cipher.
  static Bytes added(const Bytes& a, const Bytes& b) {
    constexpr std::size_t kWidth = 2048 / 8;
    Bytes sum(a.size());
    unsigned carry = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (i % kWidth == 0) carry = 0;
      carry += a[i] + unsigned{b[i]};
      sum[i] = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
    return sum;
  }

  wire::Peer target_;
  const std::set<std::size_t>& left_out_;
  Outcome outcome_;
  wire::TimeMs now_ = 1000;
  std::map<wire::Peer, Node> nodes_;
  std::deque<Letter> waiting_;  // for the target
  std::deque<Letter> moving_;   // to the others
  std::deque<wire::Peer> receivers_;
  std::vector<Letter> history_;  // all that was delivered to the target
  std::set<wire::Peer> cut_off_;
  std::size_t deliveries_ = 0;
  std::map<wire::Peer, std::size_t> aborts_to_;  // by the target
  bool has_failed_ = false;
  wire::Body heard_;
  const wire::EncryptedAggregate* aggregate_ = nullptr;  // that the target is being told
  std::uint32_t open_round_ = 0;
  std::set<std::uint32_t> opened_;
  std::vector<wire::EncryptedAggregate> made_;  // by the coordinator
  std::uint32_t rounds_over_ = 0;               // for the key-holder that is attacked
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<Bytes>> updates_;
  test::Federation federation_;
};

}  // namespace

void attack_session(const wire::Peer& target, ByteView program) {
  static const bool is_quiet = [] {
    spdlog::set_level(spdlog::level::off);
    return true;
  }();
  (void)is_quiet;
  const Outcome outcome = Arena(target, {}).run(Program(program));
  if (outcome.refused.empty()) return;
  // What was refused has left no trace: without it, the session says the same. It may wait longer,
  // though, for a peer that was heard of.
  const Outcome without = Arena(target, outcome.refused).run(Program(program));
  if (outcome.has_timed_out || without.has_timed_out) return;
  require(outcome.said == without.said, "a message that was refused has changed the session");
}

}  // namespace blindsum::fuzz
