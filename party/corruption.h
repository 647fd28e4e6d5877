// A party that sends another update than it computed: what a scenario's faults of kind `corrupt`
// ask for.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "party/party.h"
#include "shared/settings/faults.h"

namespace blindsum::party {

// CorruptParty is a Party whose updates are wrong in the rounds of its faults, and properly signed
// all the same. `invalid`: one byte short, which no coordinator accepts. `altered`: other numbers
// than those that were tagged, properly encrypted, so that the sum is refused once it is opened. It
// is only ever made for a role file that has such faults; no message turns it on.
class CorruptParty : public Party {
 public:
  // Corruption is shared by the party, which knows the round, and its sealer.
  struct Corruption {
    std::vector<settings::PlannedFault> faults;
    report::RecordWriter* records;
    std::uint32_t round = 0;
  };

  // sealer_of wraps the party's sealer.
  [[nodiscard]] static std::unique_ptr<crypto::UpdateSealer> sealer_of(
      std::shared_ptr<const Corruption> corruption, std::unique_ptr<crypto::UpdateSealer> sealer);

  // `arguments` are those of Party, with a sealer of sealer_of.
  template <class... Arguments>
  explicit CorruptParty(std::shared_ptr<Corruption> corruption, Arguments&&... arguments)
      : Party(std::forward<Arguments>(arguments)...), corruption_(std::move(corruption)) {}

  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;

 private:
  std::shared_ptr<Corruption> corruption_;
};

}  // namespace blindsum::party
