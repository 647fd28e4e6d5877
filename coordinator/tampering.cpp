#include "coordinator/tampering.h"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace blindsum::coordinator {
Tampering::Tampering(std::vector<settings::PlannedFault> faults, std::size_t plaintext_limbs,
                     std::unique_ptr<crypto::UpdateSealer> sealer,
                     std::unique_ptr<crypto::UpdateAccumulator> accumulator)
    : faults_(std::move(faults)),
      plaintext_limbs_(plaintext_limbs),
      sealer_(std::move(sealer)),
      accumulator_(std::move(accumulator)) {}

const settings::PlannedFault* Tampering::fault_of(std::uint32_t round) const {
  const auto found =
      std::find_if(faults_.begin(), faults_.end(),
                   [&](const settings::PlannedFault& fault) { return fault.round == round; });
  return found == faults_.end() ? nullptr : &*found;
}

void Tampering::see(std::uint32_t party, const wire::EncryptedUpdate& update) {
  // Two rounds are enough: this one, and the one before for a replay.
  if (fault_of(update.round) == nullptr && fault_of(update.round + 1) == nullptr) return;
  payloads_[update.round].emplace(party, update.payload);
  while (payloads_.size() > 2) payloads_.erase(payloads_.begin());
}

Bytes Tampering::own_update(std::size_t chunks, std::uint64_t first_limb) {
  crypto::PlaintextVector plaintexts(chunks, plaintext_limbs_);
  plaintexts[0][0] = first_limb;
  return sealer_->seal(plaintexts);
}

Bytes Tampering::sum_of(const std::vector<const Bytes*>& payloads, std::size_t chunks) {
  accumulator_->reset(chunks);
  for (const Bytes* payload : payloads) accumulator_->add(*payload);
  return accumulator_->finish();
}

wire::EncryptedAggregate Tampering::change(wire::EncryptedAggregate aggregate,
                                           const settings::PlannedFault& fault) {
  const std::size_t bytes_each = sealer_->bytes_each();
  const std::size_t chunks = aggregate.payload.size() / bytes_each;
  auto& updates = payloads_[aggregate.round];
  std::vector<const Bytes*> addends;
  for (const auto& contribution : aggregate.contributions) {
    addends.push_back(&updates.at(contribution.party));
  }
  const std::uint32_t first = aggregate.contributions.front().party;

  if (fault.how == "drop") {
    addends.pop_back();
    aggregate.payload = sum_of(addends, chunks);
  } else if (fault.how == "double") {
    addends.push_back(addends.front());
    aggregate.payload = sum_of(addends, chunks);
  } else if (fault.how == "replay") {
    const auto before = payloads_.find(aggregate.round - 1);
    if (before == payloads_.end() || !before->second.contains(first)) {
      throw Error("round " + std::to_string(aggregate.round) + ": nothing to replay of party " +
                  std::to_string(first));
    }
    addends.front() = &before->second.at(first);
    aggregate.payload = sum_of(addends, chunks);
  } else if (fault.how == "swap") {
    if (chunks < 2) throw ConfigError("faults: a sum of one ciphertext has nothing to swap");
    std::swap_ranges(aggregate.payload.begin(), aggregate.payload.begin() + bytes_each,
                     aggregate.payload.begin() + bytes_each);
  } else if (fault.how == "scale") {
    aggregate.payload = sum_of({&aggregate.payload, &aggregate.payload}, chunks);
  } else if (fault.how == "alter") {
    const Bytes one = own_update(chunks, 1);
    aggregate.payload = sum_of({&aggregate.payload, &one}, chunks);
  } else {
    const Bytes zeros = own_update(chunks, 0);
    addends.front() = &zeros;
    aggregate.contributions.front().payload_hash = content_hash(zeros);
    aggregate.payload = sum_of(addends, chunks);
  }
  return aggregate;
}

// Sink passes messages on, aggregates as the faults have them.
class TamperingCoordinator::Sink : public wire::MessageSink {
 public:
  Sink(TamperingCoordinator& coordinator, wire::MessageSink& sink)
      : coordinator_(&coordinator), sink_(&sink) {}

  bool send(const wire::Peer& to, const wire::Body& body) override {
    const auto* aggregate = std::get_if<wire::EncryptedAggregate>(&body);
    const settings::PlannedFault* fault =
        aggregate == nullptr ? nullptr : coordinator_->tampering_.fault_of(aggregate->round);
    if (fault == nullptr) return sink_->send(to, body);
    if (coordinator_->last_told_ < std::int64_t{fault->round}) {
      coordinator_->last_told_ = fault->round;
      spdlog::warn("round={} tampering on purpose: {}", fault->round, fault->how);
      coordinator_->records_->note(report::event_now("fault_injected", fault->round, fault->role,
                                                     fault->role,
                                                     "tampers with the sum: " + fault->how));
    }
    return sink_->send(to, coordinator_->tampering_.change(*aggregate, *fault));
  }
  [[nodiscard]] wire::TimeMs now() const override { return sink_->now(); }

 private:
  TamperingCoordinator* coordinator_;
  wire::MessageSink* sink_;
};

void TamperingCoordinator::handle(const wire::Peer& from, const wire::Body& body,
                                  wire::MessageSink& sink) {
  const auto* update = std::get_if<wire::EncryptedUpdate>(&body);
  if (update != nullptr && from.role == wire::Role::kParty) tampering_.see(from.id, *update);
  Sink own(*this, sink);
  Coordinator::handle(from, body, own);
}

void TamperingCoordinator::on_deadline(wire::MessageSink& sink) {
  Sink own(*this, sink);
  Coordinator::on_deadline(own);
}

}  // namespace blindsum::coordinator
