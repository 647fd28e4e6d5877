#include "shared/crypto/encryptor.h"

#include <algorithm>
#include <string>
#include <utility>

#include <gmp.h>

#include "shared/core/error.h"
#include "shared/core/random.h"
#include "shared/core/words.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

constexpr Words<Randomizer, 3> kRandomizers("randomizer", {"full", "half", "short"});

bool is_below(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

}  // namespace

std::string_view to_string(Randomizer randomizer) { return kRandomizers.word(randomizer); }

Randomizer randomizer_from_string(std::string_view name) { return kRandomizers.value(name); }

std::string_view assumption_of(Randomizer randomizer) {
  switch (randomizer) {
    case Randomizer::kFull:
      return "decisional composite residuosity";
    case Randomizer::kHalf:
      return "decisional composite residuosity, with half-length exponents of a hashed base "
             "(Damgard, Jurik, Nielsen 2010)";
    case Randomizer::kShort:
      return "decisional composite residuosity and short-exponent discrete logarithms in "
             "safe-prime groups";
  }
  return "?";
}

std::size_t random_bits(Randomizer randomizer, std::size_t modulus_bits) {
  if (randomizer == Randomizer::kFull) return modulus_bits;
  const std::size_t half = modulus_bits / 2;
  if (randomizer == Randomizer::kHalf) return half;
  if (modulus_bits >= 4096) return 352;
  if (modulus_bits >= 3072) return 320;
  if (modulus_bits >= 2048) return 288;
  return std::min<std::size_t>(half, 256);
}

void embed(const PublicKey& key, std::span<const std::uint64_t> m, std::span<std::uint64_t> out) {
  const std::size_t limbs = key.plaintext_limbs();
  for (std::size_t i = 0; i < m.size() / limbs; ++i) {
    mpn_mul_n(&out[2 * i * limbs], &m[i * limbs], key.modulus_limbs().data(),
              static_cast<mp_size_t>(limbs));
    mpn_add_1(&out[2 * i * limbs], &out[2 * i * limbs], static_cast<mp_size_t>(2 * limbs), 1);
  }
}

void check_plaintexts(const PublicKey& key, const PlaintextVector& plaintexts) {
  if (plaintexts.size() > 0 && plaintexts.limbs_each() != key.plaintext_limbs()) {
    throw CryptoError("plaintexts of " + std::to_string(plaintexts.limbs_each()) +
                      " limbs, expected " + std::to_string(key.plaintext_limbs()));
  }
  for (std::size_t i = 0; i < plaintexts.size(); ++i) {
    if (!is_below(plaintexts[i], key.modulus_limbs())) {
      throw CryptoError("plaintext " + std::to_string(i) + " is not below the modulus");
    }
  }
}

void check_ciphertexts(const PublicKey& key, const CiphertextVector& ciphertexts) {
  if (ciphertexts.size() > 0 && ciphertexts.limbs_each() != key.ciphertext_limbs()) {
    throw CryptoError("ciphertexts of " + std::to_string(ciphertexts.limbs_each()) +
                      " limbs, expected " + std::to_string(key.ciphertext_limbs()));
  }
}

ObfuscatorSource::ObfuscatorSource(PublicKey key, Randomizer randomizer, ThreadPool& pool,
                                   const TableOptions& table)
    : key_(std::move(key)),
      randomizer_(randomizer),
      pool_(&pool),
      random_bits_(random_bits(randomizer, key_.modulus_bits())) {
  if (randomizer != Randomizer::kFull) table_ = FixedBaseTable::of(key_, random_bits_, table, pool);
}

TableInfo ObfuscatorSource::table() const {
  return table_ == nullptr ? TableInfo{} : table_->info();
}

std::size_t ObfuscatorSource::random_limbs() const { return (random_bits_ + 63) / 64; }

kernels::SecretLimbs ObfuscatorSource::draw(std::size_t count) const {
  const std::size_t limbs = random_limbs();
  kernels::SecretLimbs r(count * limbs);
  const std::uint64_t top_mask = ~std::uint64_t{0} >> (limbs * 64 - random_bits_);
  const auto fill = [&](std::span<std::uint64_t> part) {
    fill_random({reinterpret_cast<std::uint8_t*>(part.data()), part.size_bytes()});
  };
  fill(r);
  for (std::size_t i = 0; i < count; ++i) {
    const auto one = std::span(r).subspan(i * limbs, limbs);
    one.back() &= top_mask;
    if (randomizer_ != Randomizer::kFull) continue;
    while (!is_below(one, key_.modulus_limbs()) ||
           std::all_of(one.begin(), one.end(), [](std::uint64_t limb) { return limb == 0; })) {
      fill(one);
      one.back() &= top_mask;
    }
  }
  return r;
}

void ObfuscatorSource::encrypt_range(std::span<const std::uint64_t> plaintexts,
                                     std::span<const std::uint64_t> r,
                                     std::span<std::uint64_t> out) const {
  const std::size_t limbs = key_.plaintext_limbs();
  const std::size_t count = plaintexts.size() / limbs;
  if (table_ != nullptr) {
    table_->context().encrypt(table_->base(), plaintexts, r, count, out);
    return;
  }
  const kernels::PublicContext& context = *key_.impl().context;
  kernels::SecretLimbs bases(out.size());
  kernels::SecretLimbs powers(out.size());
  std::vector<std::uint64_t> exponents(count * limbs);
  for (std::size_t i = 0; i < count; ++i) {
    std::copy_n(&r[i * limbs], limbs, &bases[2 * i * limbs]);
    std::copy_n(key_.modulus_limbs().data(), limbs, &exponents[i * limbs]);
  }
  context.power(bases, exponents, limbs, count, powers);
  embed(key_, plaintexts, out);
  context.multiply(out, powers, count, out);
}

void ObfuscatorSource::over_ranges(
    std::size_t count, const std::function<void(std::size_t, std::size_t)>& work) const {
  pool_->parallel_ranges(count, kernels::active_kernel().batch_grain(),
                         [&](std::size_t begin, std::size_t end) { work(begin, end - begin); });
}

CiphertextVector ObfuscatorSource::encrypt_with(std::span<const std::uint64_t> plaintexts,
                                                std::span<const std::uint64_t> r) const {
  const std::size_t limbs = key_.plaintext_limbs();
  CiphertextVector result(plaintexts.size() / limbs, 2 * limbs);
  over_ranges(result.size(), [&](std::size_t begin, std::size_t count) {
    encrypt_range(plaintexts.subspan(begin * limbs, count * limbs),
                  r.subspan(begin * random_limbs(), count * random_limbs()),
                  result.limbs().subspan(2 * begin * limbs, 2 * count * limbs));
  });
  return result;
}

void ObfuscatorSource::encrypt(std::span<const std::uint64_t> plaintexts,
                               std::span<std::uint64_t> out) const {
  const std::size_t limbs = key_.plaintext_limbs();
  over_ranges(plaintexts.size() / limbs, [&](std::size_t begin, std::size_t count) {
    encrypt_range(plaintexts.subspan(begin * limbs, count * limbs), draw(count),
                  out.subspan(2 * begin * limbs, 2 * count * limbs));
  });
}

void ObfuscatorSource::add_encrypted(std::span<std::uint64_t> ciphertexts,
                                     std::span<const std::uint64_t> plaintexts) const {
  const std::size_t limbs = key_.plaintext_limbs();
  over_ranges(plaintexts.size() / limbs, [&](std::size_t begin, std::size_t count) {
    kernels::SecretLimbs factors(2 * count * limbs);
    encrypt_range(plaintexts.subspan(begin * limbs, count * limbs), draw(count), factors);
    const auto out = ciphertexts.subspan(2 * begin * limbs, 2 * count * limbs);
    key_.impl().context->multiply(out, factors, count, out);
  });
}

struct Encryptor::Impl {
  ObfuscatorSource source;
};

Encryptor::Encryptor(PublicKey key, Randomizer randomizer, ThreadPool& pool,
                     const TableOptions& table)
    : impl_(
          std::make_unique<Impl>(Impl{ObfuscatorSource(std::move(key), randomizer, pool, table)})) {
}
Encryptor::~Encryptor() = default;
Encryptor::Encryptor(Encryptor&&) noexcept = default;
Encryptor& Encryptor::operator=(Encryptor&&) noexcept = default;

const PublicKey& Encryptor::key() const { return impl_->source.key(); }
Randomizer Encryptor::randomizer() const { return impl_->source.randomizer(); }
TableInfo Encryptor::table() const { return impl_->source.table(); }

CiphertextVector Encryptor::encrypt(const PlaintextVector& plaintexts) const {
  check_plaintexts(key(), plaintexts);
  CiphertextVector result(plaintexts.size(), key().ciphertext_limbs());
  impl_->source.encrypt(plaintexts.limbs(), result.limbs());
  return result;
}

CiphertextVector Encryptor::rerandomize(const CiphertextVector& ciphertexts) const {
  check_ciphertexts(key(), ciphertexts);
  CiphertextVector result = ciphertexts;
  const std::vector<std::uint64_t> zeros(ciphertexts.size() * key().plaintext_limbs());
  impl_->source.add_encrypted(result.limbs(), zeros);
  return result;
}

}  // namespace blindsum::crypto
