// The sum of one round's encrypted updates.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/crypto/update_cipher.h"
#include "shared/wire/messages.h"

namespace blindsum::coordinator {

// Aggregator adds the encrypted updates of one round. Each party counts once; order does not
// matter. Not thread-safe: it belongs to the thread that runs the session.
class Aggregator {
 public:
  Aggregator(std::uint32_t parties, std::unique_ptr<crypto::UpdateAccumulator> accumulator);

  // open starts an empty sum of updates of `chunks` plaintexts each.
  void open(std::uint32_t chunks);

  // accept adds the payload of an update, or says why not: kDuplicate when its party is already
  // counted, kInvalid when the payload is not valid for the key. The sum is unchanged unless the
  // result is kAccepted. Cost: one multiplication mod n² and one mod n per ciphertext, and one gcd.
  [[nodiscard]] wire::AcceptResult accept(const wire::Contribution& from, ByteView payload);

  // contributions lists those of the counted parties, ascending.
  [[nodiscard]] std::vector<wire::Contribution> contributions() const;
  [[nodiscard]] bool has(std::uint32_t party) const { return counted_.at(party).has_value(); }
  [[nodiscard]] std::uint32_t count() const { return count_; }

  // finish returns the payload of the sum, re-randomised. At least one update must have been
  // accepted.
  [[nodiscard]] Bytes finish();

  // prepare does a small piece of what finishing a sum of `chunks` plaintexts will need, and
  // returns whether there is more of it to do.
  bool prepare(std::size_t chunks) { return accumulator_->prepare(chunks); }

 private:
  std::unique_ptr<crypto::UpdateAccumulator> accumulator_;
  std::vector<std::optional<wire::Contribution>> counted_;  // by party
  std::uint32_t count_ = 0;
};

}  // namespace blindsum::coordinator
