// Settings drawn at random, made to go together.
#pragma once

#include <algorithm>

#include "shared/settings/settings.h"

namespace blindsum::test {

inline void make_consistent(settings::Settings& settings) {
  apply_algorithm(settings, [](std::string_view) { return false; });
  settings.parties = std::max(settings.parties, 6U);
  settings.sampling.parties = settings.sampling.parties % 2 == 0 ? 0 : 3 + settings.parties % 3;
  settings.sampling.extra = settings.sampling.parties > 0 ? settings.sampling.extra % 2 : 0;
  settings.local.steps = 1 + settings.local.steps % 10;
  settings.local.batch_rows = 1 + settings.local.batch_rows % 1000;
  settings.data.zero_day.known_to = settings.seed % 2 == 0 ? "nobody" : "party-5";
  if (settings.algorithm != "fedsgd") settings.privacy.noise = 0;
  if (settings.algorithm == "scaffold") settings.local.epochs = 0;
  settings.data.schema.classes.clear();
  if (has_schema(settings)) {
    settings.mode = "federated";
    settings.data.source = "csv";
    settings.data.schema.label = "the label";
    settings.data.schema.classes = {{"good", {"Good one", "ok"}, {0, 3, 1}},
                                    {"bad", {"#1: bad"}, {1, 0, 1}},
                                    {"odd", {"true", "7"}, {2, 1, 0}}};
  } else {
    settings.data.schema = {};
  }
  apply_schema(settings, [](std::string_view) { return false; });
  if (settings.data.partition.kind == "files" && !has_schema(settings)) {
    settings.data.source = "auto";
  }
  if (settings.data.partition.kind == "files") settings.data.zero_day = {};
  settings.fixed_point.tolerance = 0;  // would choose the bits
  settings.paillier.key_bits = std::max(settings.paillier.key_bits, 2048U);
  if (is_encrypted_inputs(settings)) {
    settings.parties = 1;
    settings.sampling = {};
    settings.data.zero_day.known_to = "nobody";
    settings.cipher = "paillier";
    settings.encrypted_inputs.batch_rows %= 9;
    settings.faults.clear();
  }
}

}  // namespace blindsum::test
