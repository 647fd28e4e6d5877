#include "coordinator/aggregator.h"

#include "shared/core/error.h"

namespace blindsum::coordinator {

Aggregator::Aggregator(std::uint32_t parties,
                       std::unique_ptr<crypto::UpdateAccumulator> accumulator)
    : accumulator_(std::move(accumulator)), counted_(parties) {}

void Aggregator::open(std::uint32_t chunks) {
  accumulator_->reset(chunks);
  counted_.assign(counted_.size(), std::nullopt);
  count_ = 0;
}

wire::AcceptResult Aggregator::accept(const wire::Contribution& from, ByteView payload) {
  if (has(from.party)) return wire::AcceptResult::kDuplicate;
  try {
    accumulator_->add(payload);
  } catch (const CryptoError&) {
    return wire::AcceptResult::kInvalid;
  }
  counted_[from.party] = from;
  ++count_;
  return wire::AcceptResult::kAccepted;
}

std::vector<wire::Contribution> Aggregator::contributions() const {
  std::vector<wire::Contribution> contributions;
  contributions.reserve(count_);
  for (const auto& counted : counted_) {
    if (counted) contributions.push_back(*counted);
  }
  return contributions;
}

Bytes Aggregator::finish() { return accumulator_->finish(); }

}  // namespace blindsum::coordinator
