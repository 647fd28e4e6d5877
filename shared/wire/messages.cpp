#include "shared/wire/messages.h"

#include <charconv>

namespace blindsum::wire {
namespace {

constexpr std::string_view kPartyPrefix = "party-";

}  // namespace

std::string to_string(const Peer& peer) {
  switch (peer.role) {
    case Role::kCoordinator:
      return "coordinator";
    case Role::kKeyHolder:
      return "keyholder";
    case Role::kParty:
      break;
  }
  return std::string(kPartyPrefix) + std::to_string(peer.id);
}

Peer peer_from_string(std::string_view text) {
  if (text == "coordinator") return kCoordinatorPeer;
  if (text == "keyholder") return kKeyHolderPeer;
  if (text.starts_with(kPartyPrefix)) {
    std::uint32_t id = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + kPartyPrefix.size(), end, id);
    if (error == std::errc{} && stop == end && to_string(party_peer(id)) == text) {
      return party_peer(id);
    }
  }
  throw DecodeError("no peer is called '" + std::string(text.substr(0, 40)) + "'");
}

std::string_view to_string(AcceptResult result) {
  static constexpr std::array<std::string_view, 7> kNames{
      "accepted", "duplicate", "late", "wrong_round", "mismatch", "invalid", "missing"};
  return kNames.at(static_cast<std::size_t>(result));
}

Digest weights_hash_of(ByteView weights, ByteView statistics) {
  return Sha256().update_field(weights).update_field(statistics).finish();
}

Bytes signed_bytes(const UpdateStatement& statement) {
  constexpr std::string_view kLabel = "blindsum/update-statement/1";
  const ByteView label = as_bytes(kLabel);
  Bytes bytes(label.begin(), label.end());
  const auto append = [&](ByteView field) {
    bytes.insert(bytes.end(), field.begin(), field.end());
  };
  append(statement.run);
  append_le32(bytes, statement.round);
  append_le32(bytes, static_cast<std::uint32_t>(statement.kind));
  append_le32(bytes, statement.party);
  append(statement.key_id);
  append(statement.codec_id);
  append(statement.weights_hash);
  append(statement.payload_hash);
  return bytes;
}

UpdateStatement statement_of(const RunId& run, std::uint32_t party, const EncryptedUpdate& update) {
  return {run,           update.round,    update.kind,         party,
          update.key_id, update.codec_id, update.weights_hash, content_hash(update.payload)};
}

Digest round_context(const RunId& run, std::uint32_t round, RoundKind kind, const Digest& key_id,
                     const Digest& codec_id, const Digest& weights_hash) {
  Sha256 hash;
  hash.update_field("blindsum/round-context/1").update_field(run);
  hash.update_u64(round).update_u64(static_cast<std::uint64_t>(kind));
  hash.update_field(key_id).update_field(codec_id).update_field(weights_hash);
  return hash.finish();
}

std::string_view message_name(const Body& body) {
  static constexpr std::array<std::string_view, std::variant_size_v<Body>> kNames{
      "Hello",         "RoundStart",         "RoundOpen",    "EncryptedUpdate",
      "UpdateReply",   "EncryptedAggregate", "Finish",       "Abort",
      "RecordRequest", "EncryptedRecords",   "RecordLabels", "OpenSums",
      "OpenedSums"};
  return kNames.at(body.index());
}

}  // namespace blindsum::wire
