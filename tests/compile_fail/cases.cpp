// Each case is a mistake that the types must refuse. Case 0 is right and compiles.
#include <utility>

#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum {

crypto::CiphertextVector encrypt(const crypto::Encryptor& encryptor,
                                 const crypto::PlaintextVector& plaintexts) {
  return encryptor.encrypt(plaintexts);
}

#if CASE == 1
// A secret key cannot be copied.
crypto::SecretKey copy(const crypto::SecretKey& key) { return key; }
#elif CASE == 2
// A ciphertext is not a plaintext.
crypto::CiphertextVector twice(const crypto::Encryptor& encryptor,
                               const crypto::CiphertextVector& ciphertexts) {
  return encryptor.encrypt(ciphertexts);
}
#elif CASE == 3
// A plaintext cannot be added as if it were encrypted.
crypto::CiphertextVector add(const crypto::Evaluator& evaluator, const crypto::CiphertextVector& a,
                             const crypto::PlaintextVector& m) {
  return evaluator.add(a, m);
}
#elif CASE == 4
// Secret bytes cannot be copied.
SecretBytes copy(const SecretBytes& bytes) { return bytes; }
#elif CASE == 5
// A public key does not come from nowhere.
crypto::PublicKey make() { return {}; }
#endif

}  // namespace blindsum
