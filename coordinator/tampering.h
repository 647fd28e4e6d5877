// A coordinator that hands on another sum than it was sent: what a scenario's faults of kind
// `tamper` ask for, so that one can see it being found out.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "coordinator/coordinator.h"
#include "shared/settings/faults.h"

namespace blindsum::coordinator {

// Tampering changes aggregates. It knows what a coordinator knows: the updates and the public key.
//
// | how      | the sum that it hands on                                              |
// |----------|-----------------------------------------------------------------------|
// | `drop`   | lacks the update of the last contributor                              |
// | `double` | has that of the first twice                                           |
// | `replay` | has the first one's update of the round before in place of this one's |
// | `swap`   | has its first two ciphertexts exchanged                               |
// | `scale`  | is twice the sum                                                      |
// | `alter`  | is one more in its first slot                                         |
// | `forge`  | has an update of zeros, and its hash, in place of the first one's     |
class Tampering {
 public:
  // `sealer` and `accumulator` are a party's and a coordinator's own.
  Tampering(std::vector<settings::PlannedFault> faults, std::size_t plaintext_limbs,
            std::unique_ptr<crypto::UpdateSealer> sealer,
            std::unique_ptr<crypto::UpdateAccumulator> accumulator);

  // see keeps what the changes will need of an update.
  void see(std::uint32_t party, const wire::EncryptedUpdate& update);

  // fault_of returns the fault of this round, if any.
  [[nodiscard]] const settings::PlannedFault* fault_of(std::uint32_t round) const;

  // change returns `aggregate` as `fault` has it.
  [[nodiscard]] wire::EncryptedAggregate change(wire::EncryptedAggregate aggregate,
                                                const settings::PlannedFault& fault);

 private:
  [[nodiscard]] Bytes own_update(std::size_t chunks, std::uint64_t first_limb);
  [[nodiscard]] Bytes sum_of(const std::vector<const Bytes*>& payloads, std::size_t chunks);

  std::vector<settings::PlannedFault> faults_;
  std::size_t plaintext_limbs_;
  std::unique_ptr<crypto::UpdateSealer> sealer_;
  std::unique_ptr<crypto::UpdateAccumulator> accumulator_;
  std::map<std::uint32_t, std::map<std::uint32_t, Bytes>> payloads_;  // by round, then party
};

// TamperingCoordinator is a Coordinator with a Tampering between it and the key-holder. It is only
// ever made for a role file that has such faults; no message turns it on.
class TamperingCoordinator : public Coordinator {
 public:
  // `arguments` are those of Coordinator, whose last one are the records.
  template <class... Arguments>
  TamperingCoordinator(Tampering tampering, report::RecordWriter& records, Arguments&&... arguments)
      : Coordinator(std::forward<Arguments>(arguments)..., records),
        tampering_(std::move(tampering)),
        records_(&records) {}

  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  void on_deadline(wire::MessageSink& sink) override;

 private:
  class Sink;

  Tampering tampering_;
  report::RecordWriter* records_;
  std::int64_t last_told_ =
      -1;  // the last round of which the records say that it was tampered with
};

}  // namespace blindsum::coordinator
