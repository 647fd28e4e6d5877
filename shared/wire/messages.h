// The messages of the protocol. Plain values; the codec is in codec.h. PROTOCOL.md in this folder
// shows who sends which.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/core/bytes.h"
#include "shared/core/error.h"
#include "shared/core/hash.h"

namespace blindsum::wire {

inline constexpr std::uint32_t kProtocolVersion = 1;

// Peer names a process of the federation. Its text form is "coordinator", "keyholder" or "party-7".
enum class Role : std::uint8_t { kCoordinator = 0, kKeyHolder = 1, kParty = 2 };
struct Peer {
  Role role = Role::kParty;
  std::uint32_t id = 0;  // parties count from 0; 0 for the other roles
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 mistakes the defaulted operator
  friend auto operator<=>(const Peer&, const Peer&) = default;
};
inline constexpr Peer kCoordinatorPeer{Role::kCoordinator, 0};
inline constexpr Peer kKeyHolderPeer{Role::kKeyHolder, 0};
[[nodiscard]] inline Peer party_peer(std::uint32_t id) { return {Role::kParty, id}; }
[[nodiscard]] std::string to_string(const Peer& peer);
[[nodiscard]] Peer peer_from_string(std::string_view text);  // Throws DecodeError.

using RunId = std::array<std::uint8_t, 16>;

// RoundKind: what a round sums. Round 0 sums statistics, every later one gradients.
enum class RoundKind : std::uint8_t { kStatistics = 0, kGradient = 1 };

// Hello (party → coordinator, party → key-holder, key-holder → coordinator): the sender is ready;
// its settings must agree.
struct Hello {
  Digest key_id{};    // public key; zeros when cipher is none
  Digest codec_id{};  // quantisation and packing
};

// RoundStart (key-holder → party): begin round `round`. `weights` are the float32 parameters,
// little-endian, empty in round 0. `statistics` are what round 0 gave, as little-endian float64,
// sent with every gradient round; empty in round 0.
struct RoundStart {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest weights_hash{};
  Bytes weights;
  Bytes statistics;
};

// RoundOpen (key-holder → coordinator): collect updates for `round` until `participants` have come
// or `deadline_ms` have passed.
struct RoundOpen {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest weights_hash{};
  std::uint32_t participants =
      0;  // parties that were sent RoundStart: the round closes early when all have been counted
  std::uint32_t chunks = 0;       // plaintexts per update
  std::uint32_t deadline_ms = 0;  // from receipt
};

// EncryptedUpdate (party → coordinator). `payload` is chunks × fixed width.
struct EncryptedUpdate {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest key_id{};
  Digest codec_id{};
  Digest weights_hash{};
  Bytes payload;
};

// UpdateReply (coordinator → party): what became of its update.
enum class AcceptResult : std::uint8_t {
  kAccepted = 0,
  kDuplicate = 1,   // this party has already been counted in this round
  kLate = 2,        // the round is closed
  kWrongRound = 3,  // not the open round, or of another kind
  kMismatch = 4,    // another key, codec, or weights
  kInvalid = 5,     // the payload is not valid for the key
};
[[nodiscard]] std::string_view to_string(AcceptResult result);
struct UpdateReply {
  std::uint32_t round = 0;
  AcceptResult result = AcceptResult::kAccepted;
};

// EncryptedAggregate (coordinator → key-holder): the sum over `contributors`, ascending.
struct EncryptedAggregate {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest weights_hash{};
  std::vector<std::uint32_t> contributors;
  Bytes payload;
};

// Finish (key-holder → everyone): training has ended well.
struct Finish {
  std::uint32_t rounds = 0;
  Digest model_digest{};
};

// Abort (anyone → anyone): the run ends with this fault. `reason` is for people, at most 200
// characters.
struct Abort {
  Fault fault = Fault::kInternal;
  std::string reason;
};

using Body = std::variant<Hello, RoundStart, RoundOpen, EncryptedUpdate, UpdateReply,
                          EncryptedAggregate, Finish, Abort>;

// Message is a body with the run that it belongs to.
struct Message {
  RunId run{};
  Body body;
};

// message_name returns "Hello", "RoundStart", …
[[nodiscard]] std::string_view message_name(const Body& body);

}  // namespace blindsum::wire
