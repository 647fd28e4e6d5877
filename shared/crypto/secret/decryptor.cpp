#include "shared/crypto/secret/decryptor.h"

#include <algorithm>
#include <utility>

#include "shared/core/error.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/secret/secret_context.h"
#include "shared/crypto/secret/secret_key_impl.h"

namespace blindsum::crypto {
namespace {

// Blinding is a small part of decryption: a small table serves.
constexpr std::size_t kBlindingTableBytes = std::size_t{16} << 20;

// Branch decrypts mod one prime s of n = s·t: m mod s = L(c^(s−1) mod s²) · g⁻¹ mod s with L(u) =
// (u − 1)/s and g = L((1 + n)^(s−1)) = (s − 1)·t = −t mod s.
struct Branch {
  Natural prime;
  Natural factor;  // (−t)⁻¹ mod s
  std::size_t limbs;
  std::unique_ptr<const kernels::SecretContext> context;

  Branch(const Natural& s, const Natural& t, std::size_t n_limbs)
      : prime(s), limbs((s.bits() + 63) / 64) {
    mpz_neg(factor.get(), t.get());
    mpz_invert(factor.get(), factor.get(), s.get());
    Natural exponent;
    mpz_sub_ui(exponent.get(), s.get(), 1);
    context = kernels::make_secret_context(s.to_limbs(limbs), exponent.to_limbs(limbs), n_limbs);
  }

  // residue returns m mod s from c^(s−1) mod s².
  [[nodiscard]] Natural residue(std::span<const std::uint64_t> power) const {
    Natural m = Natural::from_limbs(power);
    mpz_sub_ui(m.get(), m.get(), 1);
    if (mpz_sgn(m.get()) < 0 || mpz_divisible_p(m.get(), prime.get()) == 0) {
      throw CryptoError("decryption failed");
    }
    mpz_divexact(m.get(), m.get(), prime.get());
    mpz_mul(m.get(), m.get(), factor.get());
    mpz_mod(m.get(), m.get(), prime.get());
    return m;
  }
};

}  // namespace

struct Decryptor::Impl {
  PublicKey key;
  ThreadPool* pool;
  ObfuscatorSource blinder;
  Branch p;
  Branch q;
  Natural q_inverse;  // q⁻¹ mod p

  // recombine returns the m < n that is m_p mod p and m_q mod q.
  [[nodiscard]] Natural recombine(const Natural& m_p, const Natural& m_q) const {
    Natural m;
    mpz_sub(m.get(), m_p.get(), m_q.get());
    mpz_mul(m.get(), m.get(), q_inverse.get());
    mpz_mod(m.get(), m.get(), p.prime.get());
    mpz_mul(m.get(), m.get(), q.prime.get());
    mpz_add(m.get(), m.get(), m_q.get());
    return m;
  }
};

Decryptor::Decryptor(const SecretKey& key, ThreadPool& pool) {
  const PublicKey& public_key = key.public_key();
  const Natural& p = key.impl().p;
  const Natural& q = key.impl().q;
  Natural q_inverse;
  mpz_invert(q_inverse.get(), q.get(), p.get());
  impl_ = std::make_unique<Impl>(
      Impl{public_key, &pool,
           ObfuscatorSource(public_key, Randomizer::kShort, pool, {{}, 0, kBlindingTableBytes}),
           Branch(p, q, public_key.plaintext_limbs()), Branch(q, p, public_key.plaintext_limbs()),
           q_inverse});
}
Decryptor::~Decryptor() = default;
Decryptor::Decryptor(Decryptor&&) noexcept = default;

PlaintextVector Decryptor::decrypt(const CiphertextVector& ciphertexts) const {
  return decrypt_mod(ciphertexts, false);
}

PlaintextVector Decryptor::decrypt_small(const CiphertextVector& ciphertexts,
                                         std::size_t bits) const {
  constexpr std::size_t kFreeBits = 80;
  PlaintextVector plaintexts = decrypt_mod(ciphertexts, bits + kFreeBits < impl_->p.prime.bits());
  for (std::size_t i = 0; i < plaintexts.size(); ++i) {
    if (Natural::from_limbs(plaintexts[i]).bits() > bits) {
      throw CryptoError("a plaintext of more than " + std::to_string(bits) + " bits");
    }
  }
  return plaintexts;
}

// decrypt_mod returns the plaintexts, or what they are mod p.
PlaintextVector Decryptor::decrypt_mod(const CiphertextVector& ciphertexts,
                                       bool is_one_prime) const {
  // Decryption works on (m + s)·(a fresh obfuscator) with a uniform s < n: neither the powers nor
  // the recombined number depend on m. s is taken away at the end.
  const std::size_t limbs_each = impl_->key.plaintext_limbs();
  const Natural n = Natural::from_limbs(impl_->key.modulus_limbs());
  kernels::SecretLimbs masks(ciphertexts.size() * limbs_each);
  for (std::size_t i = 0; i < ciphertexts.size(); ++i) {
    const kernels::SecretLimbs mask = Natural::random_below(n).to_limbs(limbs_each);
    std::copy(mask.begin(), mask.end(), masks.begin() + static_cast<long>(i * limbs_each));
  }
  check_ciphertexts(impl_->key, ciphertexts);
  CiphertextVector blinded = ciphertexts;
  impl_->blinder.add_encrypted(blinded.limbs(), masks);
  const std::size_t width = blinded.limbs_each();
  PlaintextVector plaintexts(blinded.size(), impl_->key.plaintext_limbs());
  const Branch& p = impl_->p;
  const Branch& q = impl_->q;
  kernels::SecretLimbs p_powers(2 * p.limbs * blinded.size());
  kernels::SecretLimbs q_powers(is_one_prime ? 0 : 2 * q.limbs * blinded.size());
  const std::size_t grain = kernels::active_kernel().batch_grain();
  const std::size_t batches = (blinded.size() + grain - 1) / grain;
  const std::size_t primes = is_one_prime ? 1 : 2;
  impl_->pool->parallel_for(primes * batches, [&](std::size_t task) {
    const std::size_t begin = task / primes * grain;
    const std::size_t count = std::min(grain, blinded.size() - begin);
    const bool is_p = task % primes == 0;
    const Branch& branch = is_p ? p : q;
    kernels::SecretLimbs& powers = is_p ? p_powers : q_powers;
    branch.context->power(
        blinded.limbs().subspan(begin * width, count * width), count,
        std::span(powers).subspan(begin * 2 * branch.limbs, count * 2 * branch.limbs));
  });
  const auto recombine_range = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto power_of = [&](const Branch& branch, const kernels::SecretLimbs& powers) {
        return std::span(powers).subspan(i * 2 * branch.limbs, 2 * branch.limbs);
      };
      Natural m = p.residue(power_of(p, p_powers));
      if (!is_one_prime) m = impl_->recombine(m, q.residue(power_of(q, q_powers)));
      const Natural mask =
          Natural::from_limbs(std::span(masks).subspan(i * limbs_each, limbs_each));
      mpz_sub(m.get(), m.get(), mask.get());
      mpz_mod(m.get(), m.get(), is_one_prime ? p.prime.get() : n.get());
      const kernels::SecretLimbs limbs = m.to_limbs(plaintexts.limbs_each());
      std::copy(limbs.begin(), limbs.end(), plaintexts[i].begin());
    }
  };
  impl_->pool->parallel_ranges(blinded.size(), grain, recombine_range);
  return plaintexts;
}

EncodedNumber Decryptor::decrypt(const EncryptedNumber& number) const {
  if (!(number.key() == impl_->key)) {
    throw CryptoError("the number was encrypted under another key");
  }
  return {impl_->key, decrypt(number.unreleased_ciphertext()), number.exponent()};
}

namespace {

class PaillierOpener : public UpdateOpener {
 public:
  PaillierOpener(const SecretKey& key, ThreadPool& pool)
      : key_(key.public_key()), decryptor_(key, pool) {}

  [[nodiscard]] PlaintextVector open(ByteView payload, std::size_t chunks) override {
    return decryptor_.decrypt(key_.parse_ciphertexts(payload, chunks));
  }

 private:
  PublicKey key_;
  Decryptor decryptor_;
};

}  // namespace

std::unique_ptr<UpdateOpener> make_paillier_opener(const SecretKey& key, ThreadPool& pool) {
  return std::make_unique<PaillierOpener>(key, pool);
}

}  // namespace blindsum::crypto
