// Faults that a scenario asks for, to see what the federation makes of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace blindsum::settings {

// PlannedFault is one of them. It happens while `round` is going on.
//
// | kind      | whose                  | what                                               |
// |-----------|------------------------|----------------------------------------------------|
// | `kill`    | any role               | SIGKILL; it stays away                             |
// | `restart` | any role               | SIGKILL, and started again after `seconds`         |
// | `pause`   | any role               | SIGSTOP, and SIGCONT after `seconds`: a straggler  |
// | `tamper`  | the coordinator        | hands on another sum than it was sent, see `how`   |
// | `corrupt` | a party                | sends another update than it computed, see `how`   |
//
// The first three are done by the launcher, to processes that know nothing of it. The others are
// done by the role itself, when its role file says so and only then.
struct PlannedFault {
  std::string role;  // "coordinator", "keyholder", "party-3"
  std::uint32_t round = 0;
  std::string kind;
  double seconds = 1;  // restart, pause
  std::string how;     // tamper, corrupt

  friend bool operator==(const PlannedFault&, const PlannedFault&) = default;
};

// is_of_process says whether the launcher does it, to the role's process.
[[nodiscard]] bool is_of_process(const PlannedFault& fault);

// faults_of lists those that `role` does itself.
[[nodiscard]] std::vector<PlannedFault> faults_of(const std::vector<PlannedFault>& all,
                                                  const std::string& role);

// require_fits throws ConfigError when a federation of so many parties and rounds has no such role
// or round.
void require_fits(const PlannedFault& fault, std::uint32_t parties, std::uint32_t rounds);

// to_json and from_json are exact inverses and leave out what the kind does not use. from_json
// throws ConfigError naming the key and what is allowed.
void to_json(nlohmann::json& json, const PlannedFault& fault);
void from_json(const nlohmann::json& json, PlannedFault& fault);

}  // namespace blindsum::settings
