// The coordinator's session among honest roles, with an attacker on its links.
#include "tests/fuzz/session_attack.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  blindsum::fuzz::attack_session(blindsum::wire::kCoordinatorPeer, {data, size});
  return 0;
}
