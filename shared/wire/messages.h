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
#include "shared/core/signature.h"

namespace blindsum::wire {

inline constexpr std::uint32_t kProtocolVersion = 2;

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

// Hello (party → coordinator and key-holder, key-holder → coordinator and party): the sender is at
// work and knows of `round`; its settings must agree. It is said again whenever there was silence
// for a while: so each tells what the other is missing, whatever was lost and whoever has come
// back.
inline constexpr std::uint32_t kNoRound = 0xffffffff;
struct Hello {
  Digest key_id{};                 // public key; zeros when cipher is none
  Digest codec_id{};               // quantisation and packing
  std::uint32_t round = kNoRound;  // that runs, or that the party was last started for
};

// RoundStart (key-holder → party): begin round `round`. `weights` are the float32 parameters,
// little-endian, empty in round 0. `statistics` are what round 0 gave, as little-endian float64,
// sent with every gradient round; empty in round 0. `tag_key` is what all parties derive the
// multipliers of the round's integrity tags from; the coordinator never learns it.
using TagKey = std::array<std::uint8_t, 32>;
struct RoundStart {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest weights_hash{};  // see weights_hash_of
  TagKey tag_key{};
  Bytes weights;
  Bytes statistics;
};

// weights_hash_of is SHA-256 over all that a round's updates are computed from: the weights and the
// statistics. It is in every update and its signature, so all contributors have computed from the
// same.
[[nodiscard]] Digest weights_hash_of(ByteView weights, ByteView statistics);

// RoundOpen (key-holder → coordinator): collect updates for `round` until all of `awaited` have
// come, and the quorum, or `deadline_ms` have passed. Said again, with who is awaited now, while
// the aggregate has not come.
struct RoundOpen {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest weights_hash{};
  std::uint32_t chunks = 0;            // plaintexts per update
  std::uint32_t deadline_ms = 0;       // from receipt
  std::vector<std::uint32_t> awaited;  // ascending; an update of any other party counts as well
};

// UpdateStatement is what a party signs of its update.
struct UpdateStatement {
  RunId run{};
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  std::uint32_t party = 0;
  Digest key_id{};
  Digest codec_id{};
  Digest weights_hash{};
  Digest payload_hash{};  // content_hash of the payload
};

// signed_bytes is the only form of a statement that is signed: a label and the fields, each of
// fixed length.
[[nodiscard]] Bytes signed_bytes(const UpdateStatement& statement);

// EncryptedUpdate (party → coordinator). `payload` is chunks × fixed width.
struct EncryptedUpdate {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest key_id{};
  Digest codec_id{};
  Digest weights_hash{};
  Signature signature{};  // the party's, on its statement
  Bytes payload;
};

// statement_of is what the signature of `party`'s update says in `run`.
[[nodiscard]] UpdateStatement statement_of(const RunId& run, std::uint32_t party,
                                           const EncryptedUpdate& update);

// UpdateReply (coordinator → party): what became of its update.
enum class AcceptResult : std::uint8_t {
  kAccepted = 0,
  kDuplicate = 1,   // this party has already been counted in this round
  kLate = 2,        // the round is closed
  kWrongRound = 3,  // not the open round, or of another kind
  kMismatch = 4,    // another key, codec, or weights
  kInvalid = 5,     // the payload is not valid for the key, or the signature not the party's
  kMissing = 6,     // none has come: please send it, again if need be
};
[[nodiscard]] std::string_view to_string(AcceptResult result);
struct UpdateReply {
  std::uint32_t round = 0;
  AcceptResult result = AcceptResult::kAccepted;
};

// Contribution is what a contributor of an aggregate has signed: the key-holder adds what it knows
// itself and has the statement.
struct Contribution {
  std::uint32_t party = 0;
  Digest payload_hash{};
  Signature signature{};
  friend bool operator==(const Contribution&, const Contribution&) = default;
};

// EncryptedAggregate (coordinator → key-holder): the sum over its contributors, ascending by party.
struct EncryptedAggregate {
  std::uint32_t round = 0;
  RoundKind kind = RoundKind::kStatistics;
  Digest weights_hash{};
  std::vector<Contribution> contributions;
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

// The messages of mode encrypted_inputs. RecordPart says of which set records are.
enum class RecordPart : std::uint8_t { kTrain = 0, kTest = 1 };

// RecordRequest (coordinator or key-holder → party): send the records [first, first + count). The
// coordinator gets them encrypted, the key-holder gets what belongs to them.
struct RecordRequest {
  RecordPart part = RecordPart::kTrain;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// EncryptedRecords (party → coordinator): one ciphertext a feature, record by record.
struct EncryptedRecords {
  RecordPart part = RecordPart::kTrain;
  std::uint32_t first = 0;
  Bytes payload;
};

// RecordLabels (party → key-holder): the class of each record, a byte each, and what the update
// needs of its inputs: nothing, or as many bytes for each record as it has features.
struct RecordLabels {
  RecordPart part = RecordPart::kTrain;
  std::uint32_t first = 0;
  Bytes labels;
  Bytes inputs;
};

// OpenSums (coordinator → key-holder): open these sums of the records [first, first + count).
// `step` counts requests from 0.
struct OpenSums {
  std::uint32_t step = 0;
  RecordPart part = RecordPart::kTrain;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  Bytes payload;
};

// OpenedSums (key-holder → coordinator): what the service is told of them, 32 bits a number; of
// test records nothing.
struct OpenedSums {
  std::uint32_t step = 0;
  Bytes values;
};

using Body = std::variant<Hello, RoundStart, RoundOpen, EncryptedUpdate, UpdateReply,
                          EncryptedAggregate, Finish, Abort, RecordRequest, EncryptedRecords,
                          RecordLabels, OpenSums, OpenedSums>;

// round_context identifies a round of a run: what the round's secrets are derived for.
[[nodiscard]] Digest round_context(const RunId& run, std::uint32_t round, RoundKind kind,
                                   const Digest& key_id, const Digest& codec_id,
                                   const Digest& weights_hash);

// Message is a body with the run that it belongs to.
struct Message {
  RunId run{};
  Body body;
};

// message_name returns "Hello", "RoundStart", …
[[nodiscard]] std::string_view message_name(const Body& body);

}  // namespace blindsum::wire
