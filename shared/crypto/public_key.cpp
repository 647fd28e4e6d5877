#include "shared/crypto/public_key.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include <gmp.h>

#include "shared/core/error.h"
#include "shared/crypto/numbers.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

constexpr std::string_view kMagic = "BLINDSUM PUBLIC KEY 1\n";
constexpr std::string_view kBaseDomain = "blindsum/paillier-fixed-base/1";
constexpr std::size_t kMinTestingBits = 128;
constexpr std::size_t kMaxTestingBits = 8192;
constexpr std::size_t kMinSecureBits = 2048;
constexpr std::uint64_t kSmallFactorBound = 1 << 16;

void check_size(std::size_t bits, KeyPolicy policy) {
  const bool is_standard = bits == 2048 || bits == 3072 || bits == 4096;
  const std::size_t least = policy == KeyPolicy::kInteroperable ? kMinSecureBits : kMinTestingBits;
  const bool is_admitted =
      policy != KeyPolicy::kSecure && bits % 2 == 0 && bits >= least && bits <= kMaxTestingBits;
  if (!is_standard && !is_admitted) {
    throw KeyError("a modulus of " + std::to_string(bits) + " bits is not admitted: " +
                   (policy == KeyPolicy::kSecure ? "2048, 3072 or 4096"
                                                 : "an even size from " + std::to_string(least) +
                                                       " to " + std::to_string(kMaxTestingBits)));
  }
}

void check_factors(std::span<const std::uint64_t> n) {
  const auto size = static_cast<mp_size_t>(n.size());
  for (std::uint64_t divisor = 3; divisor < kSmallFactorBound; divisor += 2) {
    // Composite divisors cost time and change nothing.
    if (divisor % 3 == 0 && divisor != 3) continue;
    if (divisor % 5 == 0 && divisor != 5) continue;
    if (mpn_mod_1(n.data(), size, divisor) == 0) {
      throw KeyError("the modulus is divisible by " + std::to_string(divisor));
    }
  }
  if (mpn_perfect_square_p(n.data(), size) != 0) throw KeyError("the modulus is a square");
  mpz_t number;
  if (mpz_perfect_power_p(mpz_roinit_n(number, n.data(), size)) != 0) {
    throw KeyError("the modulus is a perfect power");
  }
  // Under a prime n anybody could decrypt. A composite fails the first round.
  constexpr int kRounds = 25;
  if (mpz_probab_prime_p(number, kRounds) != 0) throw KeyError("the modulus is prime");
}

}  // namespace

PublicKey PublicKey::from_modulus(ByteView modulus, KeyPolicy policy) {
  if (modulus.empty() || modulus.size() > kMaxTestingBits / 8) {
    throw KeyError("a modulus of " + std::to_string(modulus.size()) + " bytes is not admitted");
  }
  if (modulus[0] == 0) throw KeyError("the modulus has leading zeros");
  auto impl = std::make_shared<Impl>();
  impl->bits = 8 * (modulus.size() - 1) + static_cast<std::size_t>(std::bit_width(modulus[0]));
  check_size(impl->bits, policy);
  if (modulus.back() % 2 == 0) throw KeyError("the modulus is even");
  impl->modulus.assign(modulus.begin(), modulus.end());
  impl->n.resize((impl->bits + 63) / 64);
  copy_to(impl->n, from_big_endian(modulus));
  check_factors(impl->n);
  impl->n_squared.resize(2 * impl->n.size());
  mpn_sqr(impl->n_squared.data(), impl->n.data(), static_cast<mp_size_t>(impl->n.size()));
  impl->id = Sha256().update_field(kMagic).update_field(modulus).finish();
  impl->context = kernels::active_kernel().make_public(impl->n);
  return PublicKey(std::move(impl));
}

PublicKey PublicKey::parse(ByteView file, KeyPolicy policy) {
  const std::size_t overhead = kMagic.size() + 4 + sizeof(Digest);
  const ByteView magic = as_bytes(kMagic);
  if (file.size() < overhead || !std::equal(magic.begin(), magic.end(), file.begin())) {
    throw KeyError("not a Blindsum public key, version 1");
  }
  const std::size_t length = read_le32(file, kMagic.size());
  if (length != file.size() - overhead) {
    throw KeyError("a public key of " + std::to_string(file.size()) + " bytes, expected " +
                   std::to_string(overhead + length));
  }
  const ByteView body = file.first(file.size() - sizeof(Digest));
  const Digest check = sha256(body);
  if (!std::equal(check.begin(), check.end(), file.begin() + static_cast<long>(body.size()))) {
    throw KeyError("the public key's check hash does not match");
  }
  return from_modulus(body.subspan(kMagic.size() + 4), policy);
}

Bytes PublicKey::serialize() const {
  const ByteView magic = as_bytes(kMagic);
  Bytes file(magic.begin(), magic.end());
  append_le32(file, static_cast<std::uint32_t>(impl_->modulus.size()));
  file.insert(file.end(), impl_->modulus.begin(), impl_->modulus.end());
  const Digest check = sha256(file);
  file.insert(file.end(), check.begin(), check.end());
  return file;
}

std::size_t PublicKey::modulus_bits() const { return impl_->bits; }
std::size_t PublicKey::plaintext_limbs() const { return impl_->n.size(); }
std::size_t PublicKey::ciphertext_bytes() const { return 2 * impl_->modulus.size(); }
const Digest& PublicKey::id() const { return impl_->id; }
Bytes PublicKey::modulus() const { return impl_->modulus; }
std::span<const std::uint64_t> PublicKey::modulus_limbs() const { return impl_->n; }

bool PublicKey::Impl::has_common_factor(std::span<const std::uint64_t> numbers) const {
  const std::size_t width = n_squared.size();
  std::size_t count = numbers.size() / width;
  // A kernel with many lanes folds the numbers faster mod n² than one after the other mod n.
  std::vector<std::uint64_t> folded;
  if (const std::size_t lanes = kernels::active_kernel().batch_grain();
      lanes > 1 && count > lanes) {
    folded.assign(numbers.begin(), numbers.end());
    while (count > lanes) {
      const std::size_t half = count / 2;
      const std::span<std::uint64_t> low = std::span(folded).first(half * width);
      context->multiply(low, std::span(folded).subspan((count - half) * width, half * width), half,
                        low);
      count -= half;
    }
    numbers = folded;
  }
  const NTL::ZZ divisor = to_zz(n);
  NTL::ZZ product(1);
  for (std::size_t i = 0; i < count; ++i) {
    product = MulMod(product, to_zz(numbers.subspan(i * width, width)) % divisor, divisor);
  }
  return GCD(product, divisor) != 1;
}

CiphertextVector PublicKey::parse_ciphertexts(ByteView blob, std::size_t count) const {
  const std::size_t width = ciphertext_bytes();
  if (blob.size() % width != 0 || blob.size() / width != count) {
    throw CryptoError(std::to_string(blob.size()) + " bytes of ciphertexts, expected " +
                      std::to_string(count) + " of " + std::to_string(width));
  }
  CiphertextVector ciphertexts(count, ciphertext_limbs());
  const auto& bound = impl_->n_squared;
  for (std::size_t i = 0; i < count; ++i) {
    const auto limbs = ciphertexts[i];
    std::memcpy(limbs.data(), &blob[i * width], width);
    if (!std::lexicographical_compare(limbs.rbegin(), limbs.rend(), bound.rbegin(), bound.rend())) {
      throw CryptoError("ciphertext " + std::to_string(i) + " is not below the modulus");
    }
  }
  if (impl_->has_common_factor(ciphertexts.limbs())) {
    for (std::size_t i = 0; i < count; ++i) {
      if (impl_->has_common_factor(std::as_const(ciphertexts)[i])) {
        throw CryptoError("ciphertext " + std::to_string(i) + " is not a unit");
      }
    }
    throw CryptoError("a ciphertext is not a unit");
  }
  return ciphertexts;
}

Bytes PublicKey::serialize_ciphertexts(const CiphertextVector& ciphertexts) const {
  if (ciphertexts.size() > 0 && ciphertexts.limbs_each() != ciphertext_limbs()) {
    throw CryptoError("ciphertexts of another width than the key's");
  }
  const std::size_t width = ciphertext_bytes();
  Bytes blob(ciphertexts.size() * width);
  for (std::size_t i = 0; i < ciphertexts.size(); ++i) {
    std::memcpy(&blob[i * width], ciphertexts[i].data(), width);
  }
  return blob;
}

std::vector<std::uint64_t> fixed_base_root(const PublicKey& key) {
  const std::size_t wanted = (key.modulus_bits() + 128 + 7) / 8;
  Bytes stream;
  for (std::uint64_t block = 0; stream.size() < wanted; ++block) {
    const Digest digest =
        Sha256().update_field(kBaseDomain).update_field(key.modulus()).update_u64(block).finish();
    stream.insert(stream.end(), digest.begin(), digest.end());
  }
  stream.resize(wanted);
  const NTL::ZZ n = to_zz(key.modulus_limbs());
  const NTL::ZZ x = from_big_endian(stream) % n;
  const NTL::ZZ h = NegateMod(SqrMod(x, n), n);
  if (GCD(h, n) != 1 || h == 1 || h == n - 1) {
    throw KeyError("the modulus gives no fixed base: use another key");
  }
  std::vector<std::uint64_t> limbs(key.plaintext_limbs());
  copy_to(limbs, h);
  return limbs;
}

std::vector<std::uint64_t> fixed_base(const PublicKey& key) {
  std::vector<std::uint64_t> root = fixed_base_root(key);
  root.resize(key.ciphertext_limbs());
  std::vector<std::uint64_t> base(root.size());
  key.impl().context->power(root, key.modulus_limbs(), key.plaintext_limbs(), 1, base);
  return base;
}

std::string_view kernel_name() { return kernels::active_kernel().name(); }

}  // namespace blindsum::crypto
