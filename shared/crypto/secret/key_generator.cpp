#include "shared/crypto/secret/key_generator.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shared/core/error.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/primality.h"
#include "shared/crypto/secret/secret_key_impl.h"

namespace blindsum::crypto {
namespace {

// A sieve covers candidates s + 6·i, i < kSpan, for the p' of p = 2p' + 1. Both are prime only for
// p' = 5 mod 6.
constexpr std::size_t kSpan = std::size_t{1} << 19;
constexpr std::uint64_t kStep = 6;

// What is known of an interval tells its start mod small primes, so it is wiped.
template <class T>
using SecretVector = std::vector<T, kernels::WipingAllocator<T>>;
using Offsets = SecretVector<std::uint32_t>;

// sieve_bound returns B: the sieve takes the primes from 5 to below B. Beyond, a survivor is tested
// sooner than sieved away.
constexpr std::uint32_t sieve_bound(std::size_t prime_bits) {
  return prime_bits >= 1024 ? 1U << 22 : prime_bits >= 512 ? 1U << 18 : 1U << 12;
}

// sieving_primes returns the primes p, 5 <= p < bound.
std::vector<std::uint32_t> sieving_primes(std::uint32_t bound) {
  std::vector<char> is_composite(bound / 2);  // of 2i + 1
  std::vector<std::uint32_t> primes;
  for (std::uint32_t p = 3; p < bound; p += 2) {
    if (is_composite[p / 2] != 0) continue;
    if (p > 3) primes.push_back(p);
    for (std::uint64_t j = std::uint64_t{p} * p / 2; j < is_composite.size(); j += p) {
      is_composite[j] = 1;
    }
  }
  return primes;
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
        primes_(sieving_primes(sieve_bound(prime_bits))) {}

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

  // Strikes are, for each prime, the first i whose p' it divides, and the first i whose p.
  using Strikes = SecretVector<std::array<std::uint32_t, 2>>;

  // sieve returns the i whose p' = s + 6i and p = 2p' + 1 have no small factor.
  [[nodiscard]] Offsets sieve(const Natural& start) const {
    Strikes strikes(primes_.size());
    pool_.parallel_ranges(primes_.size(), 1, [&](std::size_t begin, std::size_t end) {
      find_strikes(start, begin, end, strikes);
    });
    SecretVector<char> is_composite(kSpan);
    pool_.parallel_ranges(kSpan, 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t j = 0; j < primes_.size(); ++j) {
        const std::size_t prime = primes_[j];
        for (std::size_t i : strikes[j]) {
          if (i < begin) i += (begin - i + prime - 1) / prime * prime;
          for (; i < end; i += prime) is_composite[i] = 1;
        }
      }
    });
    Offsets survivors;
    survivors.reserve(kSpan / 16);
    for (std::size_t i = 0; i < kSpan; ++i) {
      if (is_composite[i] == 0) survivors.push_back(static_cast<std::uint32_t>(i));
    }
    return survivors;
  }

  // find_strikes divides the start by products of primes below 2^63, and what remains by the
  // primes.
  void find_strikes(const Natural& start, std::size_t begin, std::size_t end,
                    Strikes& strikes) const {
    for (std::size_t j = begin; j < end;) {
      std::uint64_t product = 1;
      std::size_t last = j;
      for (; last < end && product < (std::uint64_t{1} << 63) / primes_[last]; ++last) {
        product *= primes_[last];
      }
      const std::uint64_t remainder = mpz_fdiv_ui(start.get(), product);
      for (; j < last; ++j) {
        const std::uint64_t prime = primes_[j];
        // 6i = −s strikes p', 6i = −s − 1/2 strikes p.
        const std::uint64_t inverse = prime % 6 == 1 ? (5 * prime + 1) / 6 : (prime + 1) / 6;
        const std::uint64_t minus_s = prime - remainder % prime;
        const std::uint64_t half = (prime + 1) / 2;
        strikes[j] = {static_cast<std::uint32_t>(minus_s * inverse % prime),
                      static_cast<std::uint32_t>((minus_s + prime - half) * inverse % prime)};
      }
    }
  }

  static void shuffle(Offsets& items) {
    kernels::SecretLimbs random(items.size());
    fill_random({reinterpret_cast<std::uint8_t*>(random.data()), random.size() * 8});
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[random[i - 1] % i]);  // biased by less than 2^-44
    }
  }

  // first_safe_prime tests a stretch of candidates at a time, in their order: all p', then the p of
  // those that passed, then the rounds that bound the error.
  [[nodiscard]] std::unique_ptr<Natural> first_safe_prime(const Natural& start,
                                                          const Offsets& survivors) {
    const std::size_t stretch = pool_.threads() * std::max<std::size_t>(16, 8 * primality_lanes());
    for (std::size_t begin = 0; begin < survivors.size(); begin += stretch) {
      std::vector<Natural> numbers;
      for (std::size_t i = begin; i < std::min(begin + stretch, survivors.size()); ++i) {
        Natural& number = numbers.emplace_back(start);
        mpz_add_ui(number.get(), number.get(), kStep * survivors[i]);
      }
      tested_ += numbers.size();
      keep_pseudoprimes(numbers);
      for (Natural& number : numbers) {
        mpz_mul_2exp(number.get(), number.get(), 1);
        mpz_add_ui(number.get(), number.get(), 1);
      }
      keep_pseudoprimes(numbers);
      report();
      for (const Natural& number : numbers) {
        if (is_safe_prime(number)) return std::make_unique<Natural>(number);
      }
    }
    return nullptr;
  }

  // keep_pseudoprimes removes what fails Fermat's test.
  void keep_pseudoprimes(std::vector<Natural>& numbers) const {
    const std::size_t lanes = primality_lanes();
    std::vector<unsigned> passed((numbers.size() + lanes - 1) / lanes);
    pool_.parallel_for(passed.size(), [&](std::size_t group) {
      const std::size_t first = group * lanes;
      passed[group] =
          passes_fermat(std::span(numbers).subspan(first, std::min(lanes, numbers.size() - first)));
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if ((passed[i / lanes] >> i % lanes & 1) != 0) std::swap(numbers[kept++], numbers[i]);
    }
    numbers.resize(kept);
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
