// The three ends of an update's payload: a party seals it, the coordinator adds, the key-holder
// opens the sum. Two forms: Paillier, and `none`, the identical integer path without encryption,
// for comparison runs.
#pragma once

#include <memory>

#include "shared/core/bytes.h"
#include "shared/core/thread_pool.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/plaintext.h"
#include "shared/crypto/public_key.h"

namespace blindsum::crypto {

enum class CipherKind { kPaillier, kNone };

[[nodiscard]] std::string_view to_string(CipherKind kind);           // "paillier", "none"
[[nodiscard]] CipherKind cipher_from_string(std::string_view name);  // Throws ConfigError.

// UpdateSealer turns the packed plaintexts of one update into its payload.
class UpdateSealer {
 public:
  virtual ~UpdateSealer() = default;
  [[nodiscard]] virtual Bytes seal(const PlaintextVector& plaintexts) = 0;
  // prepare does a small piece of what sealing `chunks` more plaintexts will need, and returns
  // whether there is more of it to do.
  virtual bool prepare(std::size_t chunks) = 0;
  [[nodiscard]] virtual TableInfo table() const = 0;
  [[nodiscard]] virtual std::size_t bytes_each() const = 0;  // payload bytes per plaintext
};

// UpdateAccumulator adds payloads. It holds one running sum.
class UpdateAccumulator {
 public:
  virtual ~UpdateAccumulator() = default;
  // reset starts an empty sum of `chunks` plaintexts.
  virtual void reset(std::size_t chunks) = 0;
  // add adds a payload; on a CryptoError the sum is unchanged, on any other exception it must be
  // reset. Throws CryptoError when the payload
  // is not valid.
  virtual void add(ByteView payload) = 0;
  // finish returns the payload of the sum, re-randomised where the cipher can. At least one payload
  // must have been added.
  [[nodiscard]] virtual Bytes finish() = 0;
  // prepare is UpdateSealer::prepare, for finishing a sum of `chunks` plaintexts.
  virtual bool prepare(std::size_t chunks) = 0;
};

// UpdateOpener opens the payload of a sum.
class UpdateOpener {
 public:
  virtual ~UpdateOpener() = default;
  // open throws CryptoError when the payload is not valid.
  [[nodiscard]] virtual PlaintextVector open(ByteView payload, std::size_t chunks) = 0;
};

// The Paillier forms. `pool` must outlive the result. (The opener needs the secret key:
// crypto/secret/decryptor.h.)
[[nodiscard]] std::unique_ptr<UpdateSealer> make_paillier_sealer(PublicKey key,
                                                                 Randomizer randomizer,
                                                                 ThreadPool& pool,
                                                                 const TableOptions& table = {});
[[nodiscard]] std::unique_ptr<UpdateAccumulator> make_paillier_accumulator(
    PublicKey key, Randomizer randomizer, ThreadPool& pool, const TableOptions& table = {});

// The forms without encryption. `plaintext_limbs` is the width that a key of the scenario's size
// would have.
[[nodiscard]] std::unique_ptr<UpdateSealer> make_plain_sealer(std::size_t plaintext_limbs);
[[nodiscard]] std::unique_ptr<UpdateAccumulator> make_plain_accumulator(
    std::size_t plaintext_limbs);
[[nodiscard]] std::unique_ptr<UpdateOpener> make_plain_opener(std::size_t plaintext_limbs);

}  // namespace blindsum::crypto
