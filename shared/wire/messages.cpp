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
  static constexpr std::array<std::string_view, 6> kNames{"accepted",    "duplicate", "late",
                                                          "wrong_round", "mismatch",  "invalid"};
  return kNames.at(static_cast<std::size_t>(result));
}

std::string_view message_name(const Body& body) {
  static constexpr std::array<std::string_view, std::variant_size_v<Body>> kNames{
      "Hello",       "RoundStart",         "RoundOpen", "EncryptedUpdate",
      "UpdateReply", "EncryptedAggregate", "Finish",    "Abort"};
  return kNames.at(body.index());
}

}  // namespace blindsum::wire
