#include "party/make.h"

#include <cstdlib>
#include <string>
#include <utility>

#include <spdlog/spdlog.h>

#include "party/corruption.h"
#include "party/record_owner.h"
#include "shared/core/error.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"

namespace blindsum::party {
namespace {

// require_summable throws DataError for a column whose sums over the shard do not fit a slot.
void require_summable(const data::Statistics& statistics, const data::Schema& schema,
                      const crypto::UpdateCodec& codec) {
  const std::int64_t most = (std::int64_t{1} << (codec.statistics().layout().value_bits - 1)) - 1;
  const std::size_t columns = statistics.numeric_columns();
  for (std::size_t i = 1 + statistics.classes; i < statistics.values.size(); ++i) {
    if (std::abs(statistics.values[i]) <= most) continue;
    const data::Feature& column = schema.numeric_column((i - 1 - statistics.classes) % columns);
    throw DataError("column '" + column.name +
                    "': its values are too large to be summed; give it low and high, or kind log, "
                    "in data.schema.columns");
  }
}

}  // namespace

TrainerSettings trainer_settings_of(const settings::Settings& settings, std::uint32_t party) {
  TrainerSettings trainer;
  trainer.party = party;
  trainer.seed = settings.seed;
  trainer.shape = role::shape_of(settings);
  trainer.class_weights = role::class_weights_of(settings);
  trainer.local = role::local_of(settings);
  if (settings.privacy.noise > 0) {
    const crypto::FixedPoint fixed_point = role::codec_of(settings).fixed_point();
    trainer.privacy = {settings.privacy.noise, settings.privacy.clip,
                       settings.parties,       settings::gradient_quorum_of(settings),
                       fixed_point.scale(),    fixed_point.max_abs()};
  }
  return trainer;
}

std::unique_ptr<Party> make_party(const settings::RoleFile& role, ThreadPool& pool,
                                  report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto key = role::load_public_key(role);
  const crypto::UpdateCodec codec = role::codec_of(settings);

  PartyConfig config;
  config.run = role.run;
  config.id = role.self.id;
  config.seed = settings.seed;
  config.rounds = settings.rounds;
  config.key_id = role::key_id_of(key);
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  config.state = role.files.state;
  auto sealer = key ? crypto::make_paillier_sealer(
                          *key, crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                          role::table_options_of(role))
                    : crypto::make_plain_sealer(codec.plaintext_limbs());
  if (const crypto::TableInfo table = sealer->table(); table.bytes > 0) {
    spdlog::info("fixed-base table: {} windows, {} bytes, {}", table.windows, table.bytes,
                 table.file.empty() ? "of this process" : table.file.string());
  }
  settings::Identity identity = settings::load_identity(role);
  const auto& key_holder = settings::enrolled(role, wire::kKeyHolderPeer);
  PartyKeys keys{std::move(identity.signing), identity.agreement.agree(key_holder.agreement)};
  const data::Schema schema = role::schema_of(settings);
  LocalTrainer trainer(trainer_settings_of(settings, role.self.id),
                       data::read_records(role.files.shard, schema));
  require_summable(trainer.statistics(), schema, codec);
  if (auto faults = settings::faults_of(settings.faults, to_string(role.self)); !faults.empty()) {
    const auto corruption = std::make_shared<CorruptParty::Corruption>(
        CorruptParty::Corruption{std::move(faults), &records});
    sealer = CorruptParty::sealer_of(corruption, std::move(sealer));
    return std::make_unique<CorruptParty>(corruption, config, std::move(keys), codec,
                                          std::move(trainer), std::move(sealer), records);
  }
  return std::make_unique<Party>(config, std::move(keys), codec, std::move(trainer),
                                 std::move(sealer), records);
}

role::RoleProgram make_program(const settings::RoleFile& role, ThreadPool& pool,
                               report::RecordWriter& records) {
  if (!settings::is_encrypted_inputs(role.settings)) {
    return role::program_of(make_party(role, pool, records));
  }
  auto session = make_record_owner(role, pool, records);
  const RecordOwner* owner = session.get();
  role::RoleProgram program = role::program_of(std::move(session));
  program.ending = [owner] {
    return role::Ending{owner->fault(),
                        owner->reason(),
                        {{"encryptions", owner->encryptions()}, {"encrypt_s", owner->encrypt_s()}}};
  };
  return program;
}

}  // namespace blindsum::party
