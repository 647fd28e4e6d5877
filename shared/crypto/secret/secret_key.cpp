#include "shared/crypto/secret/secret_key.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "shared/core/error.h"
#include "shared/core/hash.h"
#include "shared/crypto/secret/primality.h"
#include "shared/crypto/secret/secret_key_impl.h"

namespace blindsum::crypto {
namespace {

constexpr std::string_view kMagic = "BLINDSUM SECRET KEY 1\n";

// One message for every defect of the secret part: which one it is would tell something about it.
[[noreturn]] void refuse() { throw KeyError("the secret key is not valid"); }

bool has_top_two_bits(const Natural& prime) {
  const std::size_t bits = prime.bits();
  return bits >= 2 && mpz_tstbit(prime.get(), bits - 2) != 0;
}

}  // namespace

bool are_far_apart(const Natural& p, const Natural& q) {
  Natural distance;
  mpz_sub(distance.get(), p.get(), q.get());
  mpz_abs(distance.get(), distance.get());
  return distance.bits() > p.bits() - std::min<std::size_t>(100, p.bits() / 2);
}

SecretKey SecretKey::from_primes(ByteView p_bytes, ByteView q_bytes, KeyPolicy policy) {
  constexpr std::size_t kMaxBytes = 512;
  if (p_bytes.size() > kMaxBytes || q_bytes.size() > kMaxBytes) refuse();
  const Natural p = Natural::from_big_endian(p_bytes);
  const Natural q = Natural::from_big_endian(q_bytes);
  const bool is_foreign =
      policy == KeyPolicy::kInteroperable || policy == KeyPolicy::kInsecureInteroperable;
  if (p.bits() != q.bits() || p.bits() < 64 ||
      (!is_foreign && (!has_top_two_bits(p) || !has_top_two_bits(q))) || !are_far_apart(p, q)) {
    refuse();
  }
  const auto is_admitted = [&](const Natural& prime) {
    return policy == KeyPolicy::kSecure ? is_safe_prime(prime)
                                        : is_probable_prime(prime, kPrimalityRounds);
  };
  if (!is_admitted(p) || !is_admitted(q)) refuse();
  Natural n;
  mpz_mul(n.get(), p.get(), q.get());
  const SecretBytes modulus = n.to_big_endian((n.bits() + 7) / 8);
  return SecretKey(
      std::make_unique<Impl>(Impl{PublicKey::from_modulus(modulus.bytes(), policy), p, q}));
}

SecretKey SecretKey::parse(ByteView file, KeyPolicy policy) {
  const std::size_t overhead = kMagic.size() + 4 + sizeof(Digest);
  const ByteView magic = as_bytes(kMagic);
  if (file.size() < overhead || !std::equal(magic.begin(), magic.end(), file.begin())) {
    throw KeyError("not a Blindsum secret key, version 1");
  }
  const std::size_t length = read_le32(file, kMagic.size());
  const std::size_t body_size = file.size() - sizeof(Digest);
  if (length % 2 != 0 || length != file.size() - overhead) refuse();
  const Digest check = sha256(file.first(body_size));
  if (!std::equal(check.begin(), check.end(), file.begin() + static_cast<long>(body_size))) {
    refuse();
  }
  const ByteView primes = file.subspan(kMagic.size() + 4, length);
  return from_primes(primes.first(length / 2), primes.subspan(length / 2), policy);
}

SecretBytes SecretKey::serialize() const {
  const std::size_t prime_bytes = (impl_->p.bits() + 7) / 8;
  SecretBytes file(kMagic.size() + 4 + 2 * prime_bytes + sizeof(Digest));
  Bytes header(kMagic.begin(), kMagic.end());
  append_le32(header, static_cast<std::uint32_t>(2 * prime_bytes));
  const SecretBytes p = impl_->p.to_big_endian(prime_bytes);
  const SecretBytes q = impl_->q.to_big_endian(prime_bytes);
  auto at = std::copy(header.begin(), header.end(), file.bytes().begin());
  at = std::copy(p.bytes().begin(), p.bytes().end(), at);
  at = std::copy(q.bytes().begin(), q.bytes().end(), at);
  const Digest check = sha256(ByteView(file.bytes()).first(file.size() - sizeof(Digest)));
  std::copy(check.begin(), check.end(), at);
  return file;
}

SecretKey::SecretKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SecretKey::~SecretKey() = default;
SecretKey::SecretKey(SecretKey&&) noexcept = default;
SecretKey& SecretKey::operator=(SecretKey&&) noexcept = default;

const PublicKey& SecretKey::public_key() const { return impl_->public_key; }

bool SecretKey::has_safe_primes() const {
  return is_safe_prime(impl_->p) && is_safe_prime(impl_->q);
}

}  // namespace blindsum::crypto
