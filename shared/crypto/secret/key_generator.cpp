#include "shared/crypto/secret/key_generator.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/secret_key_impl.h"

namespace blindsum::crypto {
namespace {

// A sieve covers candidates s + 6·i, i < kSpan, for the p' of p = 2p' + 1. Both are prime only for
// p' = 5 mod 6.
constexpr std::size_t kSpan = std::size_t{1} << 19;
constexpr std::uint64_t kStep = 6;

// Offsets of an interval that survive the sieve. They tell its start mod every small prime, so they
// are wiped.
using Offsets = std::vector<std::uint32_t, kernels::WipingAllocator<std::uint32_t>>;

std::vector<std::uint32_t> primes_below(std::uint32_t bound) {
  std::vector<bool> is_composite(bound);
  std::vector<std::uint32_t> primes;
  for (std::uint32_t i = 2; i < bound; ++i) {
    if (is_composite[i]) continue;
    primes.push_back(i);
    for (std::uint64_t j = std::uint64_t{i} * i; j < bound; j += i) is_composite[j] = true;
  }
  return primes;
}

std::uint64_t inverse_mod(std::uint64_t a, std::uint64_t prime) {
  std::int64_t old_r = static_cast<std::int64_t>(a);
  std::int64_t r = static_cast<std::int64_t>(prime);
  std::int64_t old_s = 1;
  std::int64_t s = 0;
  while (r != 0) {
    const std::int64_t quotient = old_r / r;
    old_r = std::exchange(r, old_r - quotient * r);
    old_s = std::exchange(s, old_s - quotient * s);
  }
  return static_cast<std::uint64_t>(old_s < 0 ? old_s + static_cast<std::int64_t>(prime) : old_s);
}

// Search looks for one safe prime after another. The distribution: a start s is uniform, the
// candidates of its interval that survive the sieve are tried in a uniformly random order, and the
// first safe prime is taken; when there is none a new start is drawn. A given p is reached only
// from the kSpan starts whose interval holds it, so its probability is at most kSpan / (number of
// starts): less than 3 bits of min-entropy below a uniform safe prime at 1536 bits, and no prime
// after a long gap is favoured, as it would be by taking the next one after a random start.
class Search {
 public:
  Search(std::size_t prime_bits, ThreadPool& pool, const KeyProgress& progress)
      : prime_bits_(prime_bits),
        pool_(pool),
        progress_(progress),
        // Beyond these bounds a survivor is tested sooner than sieved away.
        primes_(primes_below(prime_bits >= 1024  ? 1U << 22
                             : prime_bits >= 512 ? 1U << 18
                                                 : 1U << 12)) {}

  [[nodiscard]] Natural next() {
    for (;;) {
      const Natural start = random_start();
      Offsets survivors = sieve(start);
      shuffle(survivors);
      if (const auto found = first_safe_prime(start, survivors)) {
        ++found_;
        report();
        return *found;
      }
    }
  }

 private:
  // random_start returns s = 5 mod 6 of prime_bits − 1 bits, the top two set, so low that the whole
  // interval keeps them.
  [[nodiscard]] Natural random_start() const {
    for (;;) {
      Natural start = Natural::random_bits(prime_bits_ - 3);
      mpz_setbit(start.get(), prime_bits_ - 2);
      mpz_setbit(start.get(), prime_bits_ - 3);
      mpz_add_ui(start.get(), start.get(), kStep - 1 - mpz_fdiv_ui(start.get(), kStep));
      Natural end;
      mpz_add_ui(end.get(), start.get(), kStep * kSpan);
      if (end.bits() == prime_bits_ - 1) return start;
    }
  }

  // sieve returns the i whose p' = s + 6i and p = 2p' + 1 have no small factor.
  [[nodiscard]] Offsets sieve(const Natural& start) const {
    std::vector<char, kernels::WipingAllocator<char>> is_composite(kSpan);
    for (const std::uint64_t prime : primes_) {
      if (prime < 5) continue;
      const std::uint64_t residue = mpz_fdiv_ui(start.get(), prime);
      const std::uint64_t inverse = inverse_mod(kStep % prime, prime);
      // 6i = −s strikes p', 6i = −s − 1/2 strikes p.
      const std::uint64_t half = (prime + 1) / 2;
      for (const std::uint64_t target : {prime - residue, 2 * prime - residue - half}) {
        for (std::uint64_t i = target % prime * inverse % prime; i < kSpan; i += prime) {
          is_composite[i] = 1;
        }
      }
    }
    Offsets survivors;
    for (std::size_t i = 0; i < kSpan; ++i) {
      if (is_composite[i] == 0) survivors.push_back(static_cast<std::uint32_t>(i));
    }
    return survivors;
  }

  static void shuffle(Offsets& items) {
    kernels::SecretLimbs random(items.size());
    fill_random({reinterpret_cast<std::uint8_t*>(random.data()), random.size() * 8});
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[random[i - 1] % i]);  // biased by less than 2^-44
    }
  }

  [[nodiscard]] std::unique_ptr<Natural> first_safe_prime(const Natural& start,
                                                          const Offsets& survivors) {
    const std::size_t batch = 32 * pool_.threads();
    for (std::size_t begin = 0; begin < survivors.size(); begin += batch) {
      const std::size_t count = std::min(batch, survivors.size() - begin);
      std::atomic<std::size_t> first = count;
      pool_.parallel_for(count, [&](std::size_t i) {
        if (i > first || !is_safe_prime(start, survivors[begin + i])) return;
        std::size_t seen = first;
        while (i < seen && !first.compare_exchange_weak(seen, i)) {
        }
      });
      tested_ += count;
      report();
      if (first < count) {
        auto prime = std::make_unique<Natural>(candidate(start, survivors[begin + first]));
        mpz_mul_2exp(prime->get(), prime->get(), 1);
        mpz_add_ui(prime->get(), prime->get(), 1);
        return prime;
      }
    }
    return nullptr;
  }

  [[nodiscard]] static Natural candidate(const Natural& start, std::uint64_t i) {
    Natural number;
    mpz_add_ui(number.get(), start.get(), kStep * i);
    return number;
  }

  // is_safe_prime spends one power on most candidates: base 2 on p', then on p, then the rounds
  // that bound the error.
  [[nodiscard]] static bool is_safe_prime(const Natural& start, std::uint64_t i) {
    const Natural half = candidate(start, i);
    if (!is_probable_prime(half, 0)) return false;
    Natural prime;
    mpz_mul_2exp(prime.get(), half.get(), 1);
    mpz_add_ui(prime.get(), prime.get(), 1);
    return is_probable_prime(prime, 0) && is_probable_prime(half, kPrimalityRounds) &&
           is_probable_prime(prime, kPrimalityRounds);
  }

  void report() const {
    if (progress_ && !progress_(found_, tested_)) throw Error("key generation was interrupted");
  }

  std::size_t prime_bits_;
  ThreadPool& pool_;
  const KeyProgress& progress_;
  std::vector<std::uint32_t> primes_;
  int found_ = 0;
  std::uint64_t tested_ = 0;
};

// self_test encrypts, adds and decrypts, so that no key leaves here that cannot.
void self_test(const SecretKey& key, ThreadPool& pool) {
  const PublicKey& public_key = key.public_key();
  const Encryptor encryptor(public_key, Randomizer::kShort, pool);
  const Evaluator evaluator(public_key, pool);
  const Decryptor decryptor(key, pool);
  PlaintextVector numbers(2, public_key.plaintext_limbs());
  const auto n = public_key.modulus_limbs();
  std::copy(n.begin(), n.end(), numbers[0].begin());
  numbers[0][0] -= 1;  // n is odd
  numbers[1][0] = 3;
  const CiphertextVector ciphertexts = encryptor.encrypt(numbers);
  PlaintextVector expected(2, public_key.plaintext_limbs());  // −1 − 1 = n − 2 and 3 + 3
  std::copy(n.begin(), n.end(), expected[0].begin());
  mpn_sub_1(expected[0].data(), expected[0].data(), static_cast<mp_size_t>(n.size()), 2);
  expected[1][0] = 6;
  if (decryptor.decrypt(evaluator.add(ciphertexts, ciphertexts)) != expected) {
    throw KeyError("the new key failed its self-test");
  }
}

}  // namespace

SecretKey generate_key(std::size_t modulus_bits, ThreadPool& pool, KeyPolicy policy,
                       const KeyProgress& progress) {
  const bool is_standard = modulus_bits == 2048 || modulus_bits == 3072 || modulus_bits == 4096;
  const bool is_testing = policy == KeyPolicy::kInsecureTesting && modulus_bits % 2 == 0 &&
                          modulus_bits >= 128 && modulus_bits <= 8192;
  if (!is_standard && !is_testing) {
    throw KeyError("no keys of " + std::to_string(modulus_bits) + " bits: 2048, 3072 or 4096");
  }
  Search search(modulus_bits / 2, pool, progress);
  const Natural p = search.next();
  Natural q = search.next();
  while (!are_far_apart(p, q)) q = search.next();
  const std::size_t prime_bytes = (modulus_bits / 2 + 7) / 8;
  SecretKey key = SecretKey::from_primes(p.to_big_endian(prime_bytes).bytes(),
                                         q.to_big_endian(prime_bytes).bytes(), policy);
  self_test(key, pool);
  return key;
}

}  // namespace blindsum::crypto
