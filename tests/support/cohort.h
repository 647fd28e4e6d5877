// The keys of a federation's roles, fresh for every test.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "party/key_holder/key_holder.h"
#include "party/party.h"
#include "shared/core/random.h"
#include "shared/core/signature.h"

namespace blindsum::test {

inline SecretBytes random_key() {
  SecretBytes key(std::size_t{32});
  fill_random(key.bytes());
  return key;
}

inline SecretBytes copy_of(const SecretBytes& secret) { return SecretBytes(secret.bytes()); }

// Cohort holds what each role would have read from its own identity.
struct Cohort {
  explicit Cohort(std::uint32_t parties) {
    for (std::uint32_t party = 0; party < parties; ++party) {
      signing.push_back(SigningKey::generate());
      tag_keys.push_back(random_key());
    }
  }

  [[nodiscard]] std::vector<SigningPublicKey> signing_keys() const {
    std::vector<SigningPublicKey> keys;
    for (const SigningKey& key : signing) keys.push_back(key.public_key());
    return keys;
  }
  [[nodiscard]] party::PartyKeys keys_of(std::uint32_t party) const {
    return {SigningKey(signing.at(party).seed().bytes()), copy_of(tag_keys.at(party))};
  }
  [[nodiscard]] std::vector<key_holder::PartyRecord> party_records() const {
    std::vector<key_holder::PartyRecord> records;
    for (std::size_t party = 0; party < signing.size(); ++party) {
      records.push_back({signing[party].public_key(), copy_of(tag_keys[party])});
    }
    return records;
  }

  // sign puts `party`'s signature on an update.
  void sign(wire::EncryptedUpdate& update, const wire::RunId& run, std::uint32_t party) const {
    update.signature = signing.at(party).sign(signed_bytes(statement_of(run, party, update)));
  }

  std::vector<SigningKey> signing;
  std::vector<SecretBytes> tag_keys;
  SecretBytes tag_secret = random_key();
};

}  // namespace blindsum::test
