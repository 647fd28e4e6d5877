#include "shared/settings/faults.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"
#include "shared/wire/messages.h"

namespace blindsum::settings {
namespace {

using nlohmann::json;

constexpr double kLeastSeconds = 0.01;
constexpr double kMostSeconds = 86400;
constexpr std::uint32_t kFirstReplay = 2;

constexpr std::array<std::string_view, 5> kKinds{"kill", "restart", "pause", "tamper", "corrupt"};
constexpr std::array<std::string_view, 7> kTampering{"drop",  "double", "replay", "swap",
                                                     "scale", "alter",  "forge"};
constexpr std::array<std::string_view, 2> kCorruption{"invalid", "altered"};

std::span<const std::string_view> ways_of(std::string_view kind) {
  if (kind == "tamper") return kTampering;
  if (kind == "corrupt") return kCorruption;
  return {};
}

bool takes_seconds(std::string_view kind) { return kind == "restart" || kind == "pause"; }

[[noreturn]] void refuse(std::string_view key, const json& value, const std::string& allowed) {
  const std::string text = value.is_string()
                               ? "'" + value.get<std::string>() + "'"
                               : value.dump(-1, ' ', false, json::error_handler_t::replace);
  throw ConfigError(std::string(key) + ": " + text + " is not allowed; use " + allowed);
}

const json& take(const json& object, std::string_view key) {
  const auto found = object.find(key);
  if (found == object.end()) throw ConfigError(std::string(key) + ": is missing");
  return *found;
}

std::string word(const json& object, std::string_view key,
                 std::span<const std::string_view> allowed) {
  const json& value = take(object, key);
  if (value.is_string() && std::find(allowed.begin(), allowed.end(),
                                     value.get_ref<const std::string&>()) != allowed.end()) {
    return value.get<std::string>();
  }
  std::string text;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    if (i > 0) text += i + 1 == allowed.size() ? " or " : ", ";
    text += allowed[i];
  }
  refuse(key, value, text);
}

wire::Peer peer(const json& object) {
  const json& value = take(object, "role");
  try {
    if (value.is_string()) return wire::peer_from_string(value.get<std::string>());
  } catch (const DecodeError&) {
  }
  refuse("role", value, "coordinator, keyholder or party-<number>");
}

// require_role throws when the role cannot have a fault of this kind.
void require_role(const PlannedFault& fault, wire::Role role) {
  if (fault.kind == "tamper" && role != wire::Role::kCoordinator) {
    throw ConfigError("role: only the coordinator can tamper with a sum, not " + fault.role);
  }
  if (fault.kind == "corrupt" && role != wire::Role::kParty) {
    throw ConfigError("role: only a party can send a corrupt update, not the " + fault.role);
  }
}

}  // namespace

bool is_of_process(const PlannedFault& fault) { return ways_of(fault.kind).empty(); }

std::vector<PlannedFault> faults_of(const std::vector<PlannedFault>& all, const std::string& role) {
  std::vector<PlannedFault> own;
  std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const PlannedFault& fault) {
    return fault.role == role && !is_of_process(fault);
  });
  return own;
}

void require_fits(const PlannedFault& fault, std::uint32_t parties, std::uint32_t rounds) {
  const wire::Peer peer = wire::peer_from_string(fault.role);
  if (peer.role == wire::Role::kParty && peer.id >= parties) {
    throw ConfigError("role: there is no " + fault.role + "; the parties are party-0 to party-" +
                      std::to_string(parties - 1));
  }
  if (fault.round > rounds) {
    throw ConfigError("round: " + std::to_string(fault.round) + " never comes; the last is " +
                      std::to_string(rounds));
  }
}

void to_json(json& object, const PlannedFault& fault) {
  object = {{"role", fault.role}, {"round", fault.round}, {"kind", fault.kind}};
  if (takes_seconds(fault.kind)) object["seconds"] = fault.seconds;
  if (!is_of_process(fault)) object["how"] = fault.how;
}

void from_json(const json& object, PlannedFault& fault) {
  if (!object.is_object()) {
    throw ConfigError("a fault is {role: …, round: …, kind: …}, not " +
                      object.dump(-1, ' ', false, json::error_handler_t::replace));
  }
  PlannedFault read;
  const wire::Peer role = peer(object);
  read.role = to_string(role);
  const json& round = take(object, "round");
  if (!round.is_number_unsigned() ||
      round.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max()) {
    refuse("round", round, "a whole number of at least 0");
  }
  read.round = round.get<std::uint32_t>();
  read.kind = word(object, "kind", kKinds);
  require_role(read, role.role);
  for (const auto& [key, value] : object.items()) {
    if (key == "role" || key == "round" || key == "kind") continue;
    const bool is_used =
        key == "seconds" ? takes_seconds(read.kind) : key == "how" && !ways_of(read.kind).empty();
    if (!is_used) {
      throw ConfigError("unknown key '" + key + "' of a fault of kind " + read.kind);
    }
  }
  if (takes_seconds(read.kind) && object.contains("seconds")) {
    const json& seconds = object.at("seconds");
    if (!seconds.is_number() || !(seconds.get<double>() >= kLeastSeconds) ||
        seconds.get<double>() > kMostSeconds) {
      refuse("seconds", seconds, "a number from 0.01 to 86400");
    }
    read.seconds = seconds.get<double>();
  }
  if (!is_of_process(read)) read.how = word(object, "how", ways_of(read.kind));
  if (read.how == "replay" && read.round < kFirstReplay) {
    refuse("round", round, "at least 2 for a replay: gradients are first summed in round 1");
  }
  fault = std::move(read);
}

}  // namespace blindsum::settings
