// Making a key-holder from its role file.
#pragma once

#include <memory>

#include "party/key_holder/key_holder.h"
#include "shared/role/run_role.h"
#include "shared/settings/role_file.h"

namespace blindsum::key_holder {

// make_key_holder loads the keys and the test set that the role file names. `pool` and `records`
// must outlive the result. Throws DataError, KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<KeyHolder> make_key_holder(const settings::RoleFile& role,
                                                         ThreadPool& pool,
                                                         report::RecordWriter& records);

// make_program makes the session that the mode of the settings asks for: a KeyHolder, which saves
// its model in the end, or an ActivationOpener. Its ending is complete with what the launcher
// reads.
[[nodiscard]] role::RoleProgram make_program(const settings::RoleFile& role, ThreadPool& pool,
                                             report::RecordWriter& records);

// save_model writes the parameters as model.safetensors: "layer0.weight" (inputs × outputs),
// "layer0.bias", …. Its metadata hold all that a prediction needs: activation, classes, input
// names, and how the numeric inputs are standardised (as JSON texts; see scenarios/README.md).
void save_model(const std::filesystem::path& path, const model::Shape& shape,
                const data::Schema& schema, const model::Parameters& parameters,
                const data::Scaler& scaler);

// load_model reads the parameters back. Throws DecodeError when they are not of this shape or not
// those of the digest in the file.
[[nodiscard]] model::Parameters load_model(const std::filesystem::path& path,
                                           const model::Shape& shape);

}  // namespace blindsum::key_holder
