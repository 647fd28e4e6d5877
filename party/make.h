// Making a party from its role file.
#pragma once

#include <memory>

#include "party/party.h"
#include "shared/core/thread_pool.h"
#include "shared/role/run_role.h"
#include "shared/settings/role_file.h"

namespace blindsum::party {

// trainer_settings_of is what the settings say of the local work of party `party`.
[[nodiscard]] TrainerSettings trainer_settings_of(const settings::Settings& settings,
                                                  std::uint32_t party);

// make_party loads the shard and the public key that the role file names. `pool` and `records` must
// outlive the result. When its settings have faults of its own, it is a CorruptParty. Throws
// DataError, KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<Party> make_party(const settings::RoleFile& role, ThreadPool& pool,
                                                report::RecordWriter& records);

// make_program makes the session that the mode of the settings asks for: a Party or a RecordOwner.
// Its ending is complete with what the launcher reads.
[[nodiscard]] role::RoleProgram make_program(const settings::RoleFile& role, ThreadPool& pool,
                                             report::RecordWriter& records);

}  // namespace blindsum::party
