// A secret key that is accepted is written as it was read, and opens what its public key seals.
#include "shared/crypto/secret/secret_key.h"

#include <algorithm>
#include <string_view>

#include "shared/core/error.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  const ByteView input(data, size);
  const auto key = fuzz::accepted<KeyError>(
      [&] { return crypto::SecretKey::parse(input, crypto::KeyPolicy::kInsecureTesting); });
  if (key) {
    fuzz::require(std::ranges::equal(key->serialize().bytes(), input),
                  "a key was accepted that serialize would not write");
    const auto public_key = fuzz::accepted<KeyError>([&] {
      return crypto::PublicKey::parse(key->public_key().serialize(),
                                      crypto::KeyPolicy::kInsecureTesting);
    });
    fuzz::require(public_key && *public_key == key->public_key(),
                  "the public key of a secret key is not one");
  }
  return 0;
}

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  constexpr std::string_view kMagic = "BLINDSUM SECRET KEY 1\n";
  return blindsum::fuzz::mutate_sealed(kMagic.size(), data, size, max_size, seed);
}
