#include "scenarios/launcher/gains.h"

#include <algorithm>
#include <cstddef>

namespace blindsum::launcher {

using nlohmann::json;

json gains_of(const data::Schema& schema, const std::vector<TestSet::Attack>& attacks,
              const std::vector<AloneParty>& parties,
              const std::vector<model::Confusion>& federated) {
  const auto has = [](const AloneParty& party, const std::string& attack) {
    return std::ranges::binary_search(party.attacks, attack);
  };
  const auto recall_of = [](const TestSet::Attack& attack, const model::Confusion& confusion) {
    const std::size_t actual = attack.traffic_class;
    return static_cast<double>(confusion.counts[actual][actual]) / static_cast<double>(attack.rows);
  };
  const auto is_in_training = [&](const TestSet::Attack& attack) {
    return std::ranges::any_of(parties,
                               [&](const AloneParty& party) { return has(party, attack.name); });
  };
  std::vector<std::size_t> trained;  // indices of the attacks that some party has
  for (std::size_t i = 0; i < attacks.size(); ++i) {
    if (attacks[i].rows > 0 && is_in_training(attacks[i])) trained.push_back(i);
  }

  const auto recall_federated = model::metrics_of(sum_of(federated), schema).recall;
  json gains = json::array();
  for (std::size_t k = 0; k < parties.size(); ++k) {
    const AloneParty& party = parties[k];
    json unseen_classes = json::array();
    for (std::size_t c = 0; c < schema.classes().size(); ++c) {
      if (party.statistics.class_rows(c) == 0) {
        unseen_classes.push_back(schema.classes()[c].name);
      }
    }
    json unseen_attacks = json::array();
    for (const std::size_t i : trained) {
      if (has(party, attacks[i].name)) continue;
      unseen_attacks.push_back({{"attack", attacks[i].name},
                                {"class", schema.classes()[attacks[i].traffic_class].name},
                                {"test_rows", attacks[i].rows},
                                {"alone", recall_of(attacks[i], party.test[i])},
                                {"federated", recall_of(attacks[i], federated[i])}});
    }
    gains.push_back({{"party", k},
                     {"alone", model::metrics_of(sum_of(party.test), schema).recall},
                     {"federated", recall_federated},
                     {"unseen_classes", unseen_classes},
                     {"unseen_attacks", unseen_attacks}});
  }
  return gains;
}

}  // namespace blindsum::launcher
