#include "tests/protocol/oracle.h"

#include <algorithm>
#include <string>
#include <utility>

#include "shared/wire/codec.h"

namespace blindsum::simulation {
namespace {

// add adds plain integers of many limbs, and returns whether the last limb overflowed.
bool add(crypto::PlaintextVector& sum, const crypto::PlaintextVector& term) {
  bool has_overflow = false;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const auto left = sum[i];
    const auto right = term[i];
    std::uint64_t carry = 0;
    for (std::size_t k = 0; k < left.size(); ++k) {
      const std::uint64_t with_carry = left[k] + carry;
      const std::uint64_t total = with_carry + right[k];
      carry = (with_carry < carry || total < with_carry) ? 1 : 0;
      left[k] = total;
    }
    has_overflow = has_overflow || carry != 0;
  }
  return has_overflow;
}

}  // namespace

class Oracle::Sealer : public crypto::UpdateSealer {
 public:
  Sealer(Oracle& oracle, const wire::Peer& party, std::unique_ptr<crypto::UpdateSealer> inner)
      : oracle_(oracle), party_(party), inner_(std::move(inner)) {}

  [[nodiscard]] Bytes seal(const crypto::PlaintextVector& plaintexts) override {
    oracle_.stage_->reach(party_, Point::kSealing);
    Bytes payload = inner_->seal(plaintexts);
    oracle_.sealed(payload, plaintexts);
    return payload;
  }
  bool prepare(std::size_t chunks) override { return inner_->prepare(chunks); }
  [[nodiscard]] crypto::TableInfo table() const override { return inner_->table(); }
  [[nodiscard]] std::size_t bytes_each() const override { return inner_->bytes_each(); }

 private:
  Oracle& oracle_;
  wire::Peer party_;
  std::unique_ptr<crypto::UpdateSealer> inner_;
};

class Oracle::Opener : public crypto::UpdateOpener {
 public:
  Opener(Oracle& oracle, std::unique_ptr<crypto::UpdateOpener> inner)
      : oracle_(oracle), inner_(std::move(inner)) {}

  [[nodiscard]] crypto::PlaintextVector open(ByteView payload, std::size_t chunks) override {
    oracle_.stage_->reach(wire::kKeyHolderPeer, Point::kOpening);
    crypto::PlaintextVector sum = inner_->open(payload, chunks);
    oracle_.opened(payload, sum);
    oracle_.stage_->reach(wire::kKeyHolderPeer, Point::kOpened);
    return sum;
  }

 private:
  Oracle& oracle_;
  std::unique_ptr<crypto::UpdateOpener> inner_;
};

Oracle::Oracle(Stage& stage, std::uint32_t quorum, TimeMs longest_round_ms)
    : stage_(&stage), quorum_(quorum), longest_round_ms_(longest_round_ms) {}

std::unique_ptr<crypto::UpdateSealer> Oracle::watch_sealer(
    const wire::Peer& party, std::unique_ptr<crypto::UpdateSealer> inner) {
  return std::make_unique<Sealer>(*this, party, std::move(inner));
}

std::unique_ptr<crypto::UpdateOpener> Oracle::watch_opener(
    std::unique_ptr<crypto::UpdateOpener> inner) {
  return std::make_unique<Opener>(*this, std::move(inner));
}

void Oracle::sealed(ByteView payload, const crypto::PlaintextVector& plaintexts) {
  sealed_[content_hash(payload)] = plaintexts;
}

void Oracle::kept(ByteView entry) {
  wire::Message message = wire::decode(entry, {});
  const auto& aggregate = std::get<wire::EncryptedAggregate>(message.body);
  aggregates_[content_hash(aggregate.payload)] = aggregate;
}

void Oracle::opened(ByteView payload, const crypto::PlaintextVector& sum) {
  ++openings_;
  const Digest id = content_hash(payload);
  const auto found = aggregates_.find(id);
  if (found == aggregates_.end()) {
    return stage_->violate("an aggregate was opened before it was in the journal");
  }
  const wire::EncryptedAggregate& aggregate = found->second;
  const std::string round = "round " + std::to_string(aggregate.round);
  const auto [first, is_first] = payload_of_round_.emplace(aggregate.round, id);
  if (!is_first) {
    stage_->count("opened again after a restart");
    if (first->second != id) stage_->violate(round + " was opened over two aggregates");
  }
  std::set<std::uint32_t> parties;
  for (const auto& contribution : aggregate.contributions) parties.insert(contribution.party);
  if (parties.size() < quorum_ || parties.size() != aggregate.contributions.size()) {
    stage_->violate(round + " was opened over " + std::to_string(parties.size()) +
                    " parties, the quorum is " + std::to_string(quorum_));
  }
  crypto::PlaintextVector expected(sum.size(), sum.limbs_each());
  bool is_right = true;
  for (const auto& contribution : aggregate.contributions) {
    const auto part = sealed_.find(contribution.payload_hash);
    if (part == sealed_.end()) return stage_->violate(round + " has a contribution of nobody");
    is_right = is_right && part->second.size() == expected.size() &&
               part->second.limbs_each() == expected.limbs_each() && !add(expected, part->second);
  }
  is_right = is_right && expected == sum;
  stage_->trace([&] {
    return round + " is opened over " + std::to_string(parties.size()) + " parties" +
           (is_right ? "" : ": not their sum");
  });
  if (is_right) {
    opened_[aggregate.round] = {parties.begin(), parties.end()};
  } else {
    is_wrong_sum_open_ = true;
  }
}

void Oracle::party_said(std::uint32_t party, std::uint32_t life, const wire::Body& body) {
  const auto* update = std::get_if<wire::EncryptedUpdate>(&body);
  if (update == nullptr) return;
  const Digest payload = content_hash(update->payload);
  const auto [first, is_first] = updates_.emplace(std::tuple(party, life, update->round), payload);
  if (is_first) return;
  stage_->count("update sent again");
  if (first->second != payload) {
    stage_->violate("party " + std::to_string(party) + " sent round " +
                    std::to_string(update->round) + " again with other ciphertexts");
  }
}

void Oracle::key_holder_said(std::uint32_t life, const wire::Body& body) {
  const auto* open = std::get_if<wire::RoundOpen>(&body);
  if (open == nullptr) return;
  if (!running_ || running_->life != life) {
    running_ = {life, open->round, stage_->now()};
  } else if (open->round == running_->round + 1) {
    running_ = {life, open->round, stage_->now()};
  } else if (open->round != running_->round) {
    stage_->violate("round " + std::to_string(open->round) + " follows round " +
                    std::to_string(running_->round));
  }
}

void Oracle::key_holder_returned(const std::optional<Ending>& ending, bool was_killed) {
  if (was_killed) running_.reset();
  if (running_ && stage_->now() - running_->begin > longest_round_ms_ && !ending) {
    stage_->violate("round " + std::to_string(running_->round) + " runs for more than " +
                    std::to_string(longest_round_ms_) + " ms");
    running_.reset();
  }
  if (!std::exchange(is_wrong_sum_open_, false)) return;
  ++refused_;
  if (!was_killed && (!ending || ending->fault != Fault::kIntegrity)) {
    stage_->violate("a sum that is not that of its contributors was accepted");
  }
}

}  // namespace blindsum::simulation
