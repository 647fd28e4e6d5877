// Who gains what: each party's recall alone against that of the federation.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/launcher/baselines.h"

namespace blindsum::launcher {

// gains_of makes "gains" of compare.json: one object a party with its recalls by class `alone` and
// `federated`, the classes that its shard lacks, and the attacks of the test set that its shard
// lacks while another party's has them, each with both recalls: the share of its test rows that get
// their right class. `federated` is the confusion by attack of the federated model.
[[nodiscard]] nlohmann::json gains_of(const data::Schema& schema,
                                      const std::vector<TestSet::Attack>& attacks,
                                      const std::vector<AloneParty>& parties,
                                      const std::vector<model::Confusion>& federated);

}  // namespace blindsum::launcher
