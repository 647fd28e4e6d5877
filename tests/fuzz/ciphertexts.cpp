// PublicKey::parse_ciphertexts against GMP: exactly the units below n² pass, and unchanged.
#include <algorithm>

#include <gmp.h>

#include "shared/core/error.h"
#include "shared/crypto/public_key.h"
#include "tests/fuzz/target.h"
#include "tests/support/test_keys.h"

namespace {

using namespace blindsum;

class Number {
 public:
  Number() { mpz_init(value_); }
  ~Number() { mpz_clear(value_); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  // read takes `bytes` in the given order: 1 big-endian, -1 little-endian.
  void read(ByteView bytes, int order) {
    mpz_import(value_, bytes.size(), order, 1, 0, 0, bytes.data());
  }
  [[nodiscard]] mpz_ptr get() { return value_; }

 private:
  mpz_t value_;
};

bool are_units(const crypto::PublicKey& key, ByteView blob, std::size_t count) {
  const std::size_t width = key.ciphertext_bytes();
  if (blob.size() != count * width) return false;
  Number n, bound, ciphertext, divisor;
  n.read(key.modulus(), 1);
  mpz_mul(bound.get(), n.get(), n.get());
  for (std::size_t i = 0; i < count; ++i) {
    ciphertext.read(blob.subspan(i * width, width), -1);
    mpz_gcd(divisor.get(), ciphertext.get(), n.get());
    if (mpz_cmp(ciphertext.get(), bound.get()) >= 0 || mpz_cmp_ui(divisor.get(), 1) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

// The first byte is how many ciphertexts are said to follow.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const crypto::PublicKey key = test::insecure_test_key(512).public_key();
  if (size == 0) return 0;
  const std::size_t count = data[0];
  const ByteView blob(data + 1, size - 1);
  const auto ciphertexts =
      fuzz::accepted<CryptoError>([&] { return key.parse_ciphertexts(blob, count); });
  fuzz::require(ciphertexts.has_value() == are_units(key, blob, count),
                ciphertexts ? "numbers that are no units were accepted" : "units were refused");
  if (ciphertexts) {
    fuzz::require(std::ranges::equal(key.serialize_ciphertexts(*ciphertexts), blob),
                  "ciphertexts were changed on the way in");
  }
  return 0;
}
