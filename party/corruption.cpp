#include "party/corruption.h"

#include <spdlog/spdlog.h>

namespace blindsum::party {
namespace {

class CorruptSealer : public crypto::UpdateSealer {
 public:
  CorruptSealer(std::shared_ptr<const CorruptParty::Corruption> corruption,
                std::unique_ptr<crypto::UpdateSealer> sealer)
      : corruption_(std::move(corruption)), sealer_(std::move(sealer)) {}

  [[nodiscard]] Bytes seal(const crypto::PlaintextVector& plaintexts) override {
    for (const settings::PlannedFault& fault : corruption_->faults) {
      if (fault.round != corruption_->round) continue;
      spdlog::warn("round={} corrupt on purpose: {}", fault.round, fault.how);
      corruption_->records->note(report::event_now("fault_injected", fault.round, fault.role,
                                                   fault.role,
                                                   "sends a corrupt update: " + fault.how));
      if (fault.how == "altered") {
        crypto::PlaintextVector altered = plaintexts;
        altered[0][0] ^= 1;
        return sealer_->seal(altered);
      }
      Bytes payload = sealer_->seal(plaintexts);
      payload.pop_back();
      return payload;
    }
    return sealer_->seal(plaintexts);
  }
  bool prepare(std::size_t chunks) override { return sealer_->prepare(chunks); }
  [[nodiscard]] crypto::TableInfo table() const override { return sealer_->table(); }
  [[nodiscard]] std::size_t bytes_each() const override { return sealer_->bytes_each(); }

 private:
  std::shared_ptr<const CorruptParty::Corruption> corruption_;
  std::unique_ptr<crypto::UpdateSealer> sealer_;
};

}  // namespace

std::unique_ptr<crypto::UpdateSealer> CorruptParty::sealer_of(
    std::shared_ptr<const Corruption> corruption, std::unique_ptr<crypto::UpdateSealer> sealer) {
  return std::make_unique<CorruptSealer>(std::move(corruption), std::move(sealer));
}

void CorruptParty::handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) {
  if (const auto* start = std::get_if<wire::RoundStart>(&body);
      start != nullptr && from == wire::kKeyHolderPeer) {
    corruption_->round = start->round;
  }
  Party::handle(from, body, sink);
}

}  // namespace blindsum::party
