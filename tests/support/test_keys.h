// Fixed key pairs for tests. INSECURE: anybody who reads this file can decrypt what is encrypted
// under them.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string_view>

#include "shared/core/bytes.h"
#include "shared/crypto/secret/secret_key.h"

namespace blindsum::test {

// InsecureTestKey is a pair of published safe primes, hexadecimal.
struct InsecureTestKey {
  std::size_t modulus_bits;
  std::string_view p;
  std::string_view q;
};

inline constexpr InsecureTestKey kInsecureTestKeys[] = {
    {512, "c8c25ca1cbddb2fa794d34dff7c06f2ec2f2c1dce2a111159765bdccd4e64817",
     "c07fa61a9e454b4a861dbe890659c2304596eecffb9682920277589fd03c9397"},
    {2048,
     "d9f8da24250124c0a3634242f6b3d98b121f6dc4d7243845da9567e86890d7003fdd2998b8ceac16f8d89e69"
     "c1629f61900fb21eb25c8fd299b0e825e0d37e542ea477519058edbe6aefcdc57513dae3d1a89325e972d4ad"
     "5852c6604da29a3ee19ba5a344346992445d3bc85afab89b7f6fca0ee8432f2e8e9b1f8cbe94001f",
     "c12206e99ccb542922414f495c5b08c8b9b72654b1711779b6321971cfb355868b5cb421cebcd8a72a363377"
     "3a111dcba50fcd10b47367b34c663ee96dc5bfed0e295f90d95daa17aba75b84f806bb6f759900f66d699cab"
     "9ef73eafb4ce8b991cc0dcf1e9a443ebbde542ad0798061156dd5a87b5063679239e89afc0a30eb3"},
    {3072,
     "e1b952bc1c0113b697d81f679412fff22244a1ad7407003642b05742cc4e26069848d95f20cf497629c68473"
     "482e087d08ecd41a91202baf83f0ab80e887895dac46b6daf6b974ed4e8bb43addcdec44c88837fb1c10d163"
     "431c9fc02214f9c9307b9caeb79db96921b42218acc5d19206387ed6a5bb1700f8ea060e88235458d10d4410"
     "1e2869c918bea53e8b95004f0d8d3ecbaa9a10822c7b216e9dee10a517dda283fb7f1594a3118f2cb915c1c8"
     "203a04e46b24c5051d3a1be338166513",
     "ca26f7bb097a5a7df5c6cf730673ef96f300f65f84908db903e0f327599b32d38e09c64b83475b5c27fa8190"
     "f5bd514f74489b98f4e6996e4ceea9405589394419c749bf6c561c4bb6a08a98522411b76c3edcae4e9449ed"
     "e48a6da24fd49ab86642c3efc7049febbeb544e1bd46b36ef7253de0a7bef37f8389f2f63a3231d76bbdbc94"
     "4eaa575eecc91d004fa82e13c7a9e0d9c7bd81021c5d13181caa053d420091356da7470740bf28fee18e0c37"
     "13dab5f021392c3267385c70baedd5df"},
};

// insecure_test_key returns the published key of 512, 2048 or 3072 bits.
inline crypto::SecretKey insecure_test_key(std::size_t modulus_bits) {
  for (const InsecureTestKey& key : kInsecureTestKeys) {
    if (key.modulus_bits == modulus_bits) {
      return crypto::SecretKey::from_primes(from_hex(key.p), from_hex(key.q),
                                            crypto::KeyPolicy::kInsecureTesting);
    }
  }
  throw std::invalid_argument("no test key of this size");
}

// key_2048 and key_3072 are the same keys, parsed once.
inline const crypto::SecretKey& key_2048() {
  static const crypto::SecretKey key = insecure_test_key(2048);
  return key;
}
inline const crypto::SecretKey& key_3072() {
  static const crypto::SecretKey key = insecure_test_key(3072);
  return key;
}

}  // namespace blindsum::test
