// The promises that are held against every simulated run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "party/key_holder/state_store.h"
#include "shared/core/hash.h"
#include "shared/crypto/update_cipher.h"
#include "shared/wire/messages.h"
#include "tests/protocol/faulty_session.h"
#include "tests/protocol/stage.h"

namespace blindsum::simulation {

// Oracle sees every plaintext that a party seals and every sum that the key-holder opens.
class Oracle {
 public:
  Oracle(Stage& stage, std::uint32_t quorum, TimeMs longest_round_ms);

  // watch_sealer and watch_opener put a witness between a session and its cipher.
  [[nodiscard]] std::unique_ptr<crypto::UpdateSealer> watch_sealer(
      const wire::Peer& party, std::unique_ptr<crypto::UpdateSealer> inner);
  [[nodiscard]] std::unique_ptr<crypto::UpdateOpener> watch_opener(
      std::unique_ptr<crypto::UpdateOpener> inner);

  // kept is told of every entry of the journal once it is durable.
  void kept(ByteView entry);

  // party_said: an update that is sent again in one life carries the same ciphertexts.
  void party_said(std::uint32_t party, std::uint32_t life, const wire::Body& body);

  // key_holder_said: rounds are begun in order and no round takes too long.
  void key_holder_said(std::uint32_t life, const wire::Body& body);

  // key_holder_returned: a wrong sum ends the run there and then.
  void key_holder_returned(const std::optional<Ending>& ending, bool was_killed);

  // opened maps each round to its contributors, for rounds whose sum was right.
  [[nodiscard]] const std::map<std::uint32_t, std::vector<std::uint32_t>>& opened() const {
    return opened_;
  }
  [[nodiscard]] std::uint64_t openings() const { return openings_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  class Sealer;
  class Opener;

  void sealed(ByteView payload, const crypto::PlaintextVector& plaintexts);
  void opened(ByteView payload, const crypto::PlaintextVector& sum);

  Stage* stage_;
  std::uint32_t quorum_;
  TimeMs longest_round_ms_;
  std::map<Digest, crypto::PlaintextVector> sealed_;       // by hash of the payload
  std::map<Digest, wire::EncryptedAggregate> aggregates_;  // of the journal, likewise
  std::map<std::uint32_t, Digest> payload_of_round_;       // that was opened
  std::map<std::uint32_t, std::vector<std::uint32_t>> opened_;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, Digest>
      updates_;  // by party, life and round
  std::uint64_t openings_ = 0;
  std::uint64_t refused_ = 0;
  bool is_wrong_sum_open_ = false;  // in the handler that runs
  struct Round {
    std::uint32_t life = 0;
    std::uint32_t round = 0;
    TimeMs begin = 0;
  };
  std::optional<Round> running_;
};

}  // namespace blindsum::simulation
