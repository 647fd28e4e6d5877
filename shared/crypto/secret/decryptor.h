// Decryption by the Chinese remainder theorem mod p² and q² (Paillier 1999, section 7).
#pragma once

#include <memory>

#include "shared/core/thread_pool.h"
#include "shared/crypto/encrypted_number.h"
#include "shared/crypto/plaintext.h"
#include "shared/crypto/secret/secret_key.h"
#include "shared/crypto/update_cipher.h"

namespace blindsum::crypto {

// Decryptor decrypts under one secret key, which must outlive it, as must `pool`. Ciphertexts are
// blinded first.
class Decryptor {
 public:
  Decryptor(const SecretKey& key, ThreadPool& pool);
  ~Decryptor();
  Decryptor(Decryptor&&) noexcept;

  [[nodiscard]] PlaintextVector decrypt(const CiphertextVector& ciphertexts) const;
  // decrypt_small decrypts plaintexts below 2^bits in half the time, mod one prime alone where
  // `bits` leaves 80 bits of it free, else as decrypt. Throws CryptoError when one is not that
  // small: m mod p of a larger m would give p away, and none leaves this function but by a chance
  // of 2^-80.
  [[nodiscard]] PlaintextVector decrypt_small(const CiphertextVector& ciphertexts,
                                              std::size_t bits) const;
  // decrypt of a number throws CryptoError when it was encrypted under another key.
  [[nodiscard]] EncodedNumber decrypt(const EncryptedNumber& number) const;

 private:
  struct Impl;
  [[nodiscard]] PlaintextVector decrypt_mod(const CiphertextVector& ciphertexts,
                                            bool is_one_prime) const;
  std::unique_ptr<Impl> impl_;
};

// make_paillier_opener opens aggregates of `key`'s public key; both references must outlive the
// result.
[[nodiscard]] std::unique_ptr<UpdateOpener> make_paillier_opener(const SecretKey& key,
                                                                 ThreadPool& pool);

}  // namespace blindsum::crypto
