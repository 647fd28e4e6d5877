#include "coordinator/aggregator.h"

#include "shared/core/error.h"

namespace blindsum::coordinator {

Aggregator::Aggregator(std::uint32_t parties,
                       std::unique_ptr<crypto::UpdateAccumulator> accumulator)
    : accumulator_(std::move(accumulator)), counted_(parties, false) {}

void Aggregator::open(std::uint32_t chunks) {
  accumulator_->reset(chunks);
  counted_.assign(counted_.size(), false);
  count_ = 0;
}

wire::AcceptResult Aggregator::accept(std::uint32_t party, ByteView payload) {
  if (counted_.at(party)) return wire::AcceptResult::kDuplicate;
  try {
    accumulator_->add(payload);
  } catch (const CryptoError&) {
    return wire::AcceptResult::kInvalid;
  }
  counted_[party] = true;
  ++count_;
  return wire::AcceptResult::kAccepted;
}

std::vector<std::uint32_t> Aggregator::contributors() const {
  std::vector<std::uint32_t> parties;
  parties.reserve(count_);
  for (std::uint32_t party = 0; party < counted_.size(); ++party) {
    if (counted_[party]) parties.push_back(party);
  }
  return parties;
}

Bytes Aggregator::finish() { return accumulator_->finish(); }

}  // namespace blindsum::coordinator
