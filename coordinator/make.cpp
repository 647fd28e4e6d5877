#include "coordinator/make.h"

#include "coordinator/compute_service.h"
#include "coordinator/detection_service.h"
#include "coordinator/tampering.h"
#include "shared/crypto/update_cipher.h"
#include "shared/role/codec.h"

namespace blindsum::coordinator {

std::unique_ptr<Coordinator> make_coordinator(const settings::RoleFile& role, ThreadPool& pool,
                                              report::RecordWriter& records) {
  const settings::Settings& settings = role.settings;
  const auto key = role::load_public_key(role);
  const crypto::UpdateCodec codec = role::codec_of(settings);

  CoordinatorConfig config;
  config.run = role.run;
  for (std::uint32_t party = 0; party < settings.parties; ++party) {
    config.parties.push_back(settings::enrolled(role, wire::party_peer(party)).signing);
  }
  config.rounds = settings.rounds;
  config.quorum = settings::quorum_of(settings.parties);
  config.gradient_quorum = settings::gradient_quorum_of(settings);
  config.first = settings.sampling.extra > 0 ? settings.sampling.parties : 0;
  config.key_id = role::key_id_of(key);
  config.codec_id = codec.id();
  config.statistics_chunks = static_cast<std::uint32_t>(codec.statistics().plaintexts());
  config.gradient_chunks = static_cast<std::uint32_t>(codec.gradient().plaintexts());
  config.idle_s = role::kGraceSeconds + settings.deadlines.start_s + settings.deadlines.round_s;
  const auto make_accumulator = [&] {
    return key ? crypto::make_paillier_accumulator(
                     *key, crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                     role::table_options_of(role))
               : crypto::make_plain_accumulator(codec.plaintext_limbs());
  };
  auto faults = settings::faults_of(settings.faults, to_string(role.self));
  if (faults.empty()) {
    return std::make_unique<Coordinator>(config, make_accumulator(), records);
  }
  auto sealer = key ? crypto::make_paillier_sealer(
                          *key, crypto::randomizer_from_string(settings.paillier.randomizer), pool,
                          role::table_options_of(role))
                    : crypto::make_plain_sealer(codec.plaintext_limbs());
  Tampering tampering(std::move(faults), codec.plaintext_limbs(), std::move(sealer),
                      make_accumulator());
  return std::make_unique<TamperingCoordinator>(std::move(tampering), records, config,
                                                make_accumulator());
}

role::RoleProgram make_program(const settings::RoleFile& role, ThreadPool& pool,
                               report::RecordWriter& records) {
  if (!settings::is_encrypted_inputs(role.settings)) {
    return role::program_of(make_coordinator(role, pool, records));
  }
  if (settings::is_detection(role.settings)) {
    auto session = make_detection_service(role, pool, records);
    const DetectionService* service = session.get();
    role::RoleProgram program = role::program_of(std::move(session));
    program.ending = [service] {
      const DetectionService::View& view = service->view();
      return role::Ending{service->fault(),
                          service->reason(),
                          {{"records", view.records},
                           {"messages", view.messages},
                           {"bytes", view.bytes},
                           {"begins_with", view.begins_with}}};
    };
    return program;
  }
  auto session = make_compute_service(role, pool, records);
  const ComputeService* service = session.get();
  role::RoleProgram program = role::program_of(std::move(session));
  program.ending = [service] {
    return role::Ending{service->fault(),
                        service->reason(),
                        {{"model_digest", digest_text(service->network().digest())},
                         {"clamped", service->network().clamped()}}};
  };
  return program;
}

}  // namespace blindsum::coordinator
