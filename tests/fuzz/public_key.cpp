// A public key that is accepted is written as it was read.
#include "shared/crypto/public_key.h"

#include <algorithm>
#include <string_view>

#include "shared/core/error.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  const ByteView input(data, size);
  const auto key = fuzz::accepted<KeyError>(
      [&] { return crypto::PublicKey::parse(input, crypto::KeyPolicy::kInsecureTesting); });
  const bool is_secure =
      fuzz::accepted<KeyError>([&] { return crypto::PublicKey::parse(input); }).has_value();
  fuzz::require(!is_secure || key, "the secure policy admits what the other refuses");
  if (key) {
    fuzz::require(std::ranges::equal(key->serialize(), input),
                  "a key was accepted that serialize would not write");
    fuzz::require(is_secure == (key->modulus_bits() == 2048 || key->modulus_bits() == 3072 ||
                                key->modulus_bits() == 4096),
                  "the secure policy admits other sizes than it says");
  }
  return 0;
}

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  constexpr std::string_view kMagic = "BLINDSUM PUBLIC KEY 1\n";
  return blindsum::fuzz::mutate_sealed(kMagic.size(), data, size, max_size, seed);
}
