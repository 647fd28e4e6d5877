#include "scenarios/bench/timing_test.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include <gmpxx.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "scenarios/bench/engine.h"
#include "scenarios/bench/statistics.h"
#include "scenarios/bench/textbook.h"
#include "shared/crypto/public_key.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/natural.h"
#include "shared/crypto/secret/secret_context.h"

namespace blindsum::bench {
namespace {

using namespace crypto;
using kernels::Kernel;
using kernels::ScopedKernel;
using kernels::SecretContext;
using kernels::SecretLimbs;

constexpr double kPercentiles[] = {0.99, 0.95, 0.90, 0.75, 0.50};

double now() {
#ifdef __x86_64__
  unsigned processor = 0;
  _mm_lfence();
  const std::uint64_t ticks = __rdtscp(&processor);
  _mm_lfence();
  return static_cast<double>(ticks);
#else
  return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

std::vector<double> below(const std::vector<double>& sample, double bound) {
  std::vector<double> kept;
  std::copy_if(sample.begin(), sample.end(), std::back_inserter(kept),
               [bound](double x) { return x <= bound; });
  return kept;
}

// PerInput holds one thing for every class and input.
template <class Thing>
using PerInput = std::array<std::array<Thing, Subject::kInputs>, 2>;

template <class Make>
auto per_input(const Make& make) {
  auto things = std::make_shared<PerInput<decltype(make(0))>>();
  for (std::size_t c = 0; c < things->size(); ++c) {
    for (auto& thing : (*things)[c]) thing = make(c);
  }
  return things;
}

Natural minus_one(const Natural& number) {
  Natural result;
  mpz_sub_ui(result.get(), number.get(), 1);
  return result;
}

// exponent_of_weight returns the lightest exponent of `bits` bits for class 0 and the heaviest for
// class 1.
Natural exponent_of_weight(std::size_t c, std::size_t bits) {
  Natural result;
  mpz_setbit(result.get(), c == 0 ? bits - 1 : bits);
  return c == 0 ? result : minus_one(result);
}

// PowerSubjects makes the subjects of one kernel: powers mod s² of as many numbers as the kernel
// takes at once.
class PowerSubjects {
 public:
  PowerSubjects(const Kernel& kernel, std::size_t modulus_bits, const std::vector<Natural>& primes)
      : kernel_(kernel),
        prime_bits_(modulus_bits / 2),
        prime_limbs_((prime_bits_ + 63) / 64),
        n_limbs_((modulus_bits + 63) / 64),
        primes_(primes) {}

  [[nodiscard]] Subject base() const {
    const SecretLimbs fixed = random_bases();
    const auto bases = per_input([&](std::size_t c) { return c == 0 ? fixed : random_bases(); });
    return subject("one base", "random bases",
                   [context = context(primes_[0], minus_one(primes_[0])), bases,
                    count = kernel_.batch_grain(), out = results()](std::size_t c, std::size_t i) {
                     context->power((*bases)[c][i], count, *out);
                   });
  }

  [[nodiscard]] Subject prime() const {
    std::size_t next = 1;
    return contexts("one prime", "random primes", [&](std::size_t c) {
      const Natural& prime = primes_[c == 0 ? 0 : next++];
      return context(prime, minus_one(prime));
    });
  }

  [[nodiscard]] Subject weight() const {
    return contexts("exponent 100..0", "exponent 111..1", [&](std::size_t c) {
      return context(primes_[0], exponent_of_weight(c, prime_bits_));
    });
  }

 private:
  using SharedContext = std::shared_ptr<const SecretContext>;

  [[nodiscard]] SharedContext context(const Natural& prime, const Natural& exponent) const {
    const ScopedKernel scope(kernel_);
    return kernels::make_secret_context(prime.to_limbs(prime_limbs_),
                                        exponent.to_limbs(prime_limbs_), n_limbs_);
  }
  [[nodiscard]] SecretLimbs random_bases() const {
    return Natural::random_bits(kernel_.batch_grain() * n_limbs_ * 128)
        .to_limbs(kernel_.batch_grain() * n_limbs_ * 2);
  }
  // results holds what power writes.
  [[nodiscard]] std::shared_ptr<SecretLimbs> results() const {
    return std::make_shared<SecretLimbs>(kernel_.batch_grain() * 2 * prime_limbs_);
  }
  template <class Make>
  [[nodiscard]] Subject contexts(const char* class_a, const char* class_b, const Make& make) const {
    return subject(class_a, class_b,
                   [contexts = per_input(make), bases = random_bases(),
                    count = kernel_.batch_grain(), out = results()](std::size_t c, std::size_t i) {
                     (*contexts)[c][i]->power(bases, count, *out);
                   });
  }
  template <class Call>
  [[nodiscard]] Subject subject(const char* class_a, const char* class_b, Call call) const {
    return {.computation = "power",
            .kernel = std::string(kernel_.name()),
            .class_a = class_a,
            .class_b = class_b,
            .is_control = false,
            .call = std::move(call)};
  }

  const Kernel& kernel_;
  std::size_t prime_bits_, prime_limbs_, n_limbs_;
  const std::vector<Natural>& primes_;
};

// decryption_of is a whole decryption: of one ciphertext, or of random ones. It is blinded first.
Subject decryption_of(const Kernel& kernel, const Natural& p, const Natural& q, ThreadPool& pool) {
  const ScopedKernel scope(kernel);
  const std::size_t prime_bytes = (p.bits() + 7) / 8;
  auto key = std::make_shared<SecretKey>(
      SecretKey::from_primes(p.to_big_endian(prime_bytes).bytes(),
                             q.to_big_endian(prime_bytes).bytes(), KeyPolicy::kInsecureTesting));
  auto decryptor = std::make_shared<Decryptor>(*key, pool);
  const Encryptor encryptor(key->public_key(), Randomizer::kShort, pool);
  const std::size_t limbs = key->public_key().plaintext_limbs();
  const auto random_ciphertexts = [&] {
    PlaintextVector plaintexts(kernel.batch_grain(), limbs);
    for (std::size_t i = 0; i < plaintexts.size(); ++i) {
      std::ranges::copy(Natural::random_bits(key->public_key().plaintext_bits()).to_limbs(limbs),
                        plaintexts[i].begin());
    }
    return encryptor.encrypt(plaintexts);
  };
  const CiphertextVector fixed = random_ciphertexts();
  auto ciphertexts =
      per_input([&](std::size_t c) { return c == 0 ? fixed : random_ciphertexts(); });
  return {"decryption",
          std::string(kernel.name()),
          "one ciphertext",
          "random ciphertexts",
          false,
          [&kernel, key, decryptor, ciphertexts](std::size_t c, std::size_t i) {
            const ScopedKernel active(kernel);
            (void)decryptor->decrypt((*ciphertexts)[c][i]);
          }};
}

// control_of is a computation known to leak: the test must see it.
Subject control_of(const Natural& prime) {
  const std::size_t bits = prime.bits();
  const std::size_t limbs = (bits + 63) / 64;
  mpz_class square = integer_of(prime.to_limbs(limbs));
  square *= square;
  const mpz_class base = integer_of(Natural::random_bits(2 * bits - 1).to_limbs(2 * limbs));
  auto exponents = per_input(
      [&](std::size_t c) { return integer_of(exponent_of_weight(c, bits).to_limbs(limbs)); });
  return {"power",
          "gmp",
          "exponent 100..0",
          "exponent 111..1",
          true,
          [square, base, exponents](std::size_t c, std::size_t i) {
            mpz_class result;
            mpz_powm(result.get_mpz_t(), base.get_mpz_t(), (*exponents)[c][i].get_mpz_t(),
                     square.get_mpz_t());
          }};
}

}  // namespace

Comparison compare(const std::vector<double>& a, const std::vector<double>& b) {
  Comparison result;
  result.measurements = a.size() + b.size();
  result.t = result.worst_t = welch_t(a, b);
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  for (const double p : kPercentiles) {
    const double bound = percentile(all, p);
    const std::vector<double> cropped_a = below(a, bound);
    const std::vector<double> cropped_b = below(b, bound);
    if (cropped_a.size() < 2 || cropped_b.size() < 2) continue;
    const double t = welch_t(cropped_a, cropped_b);
    if (std::abs(t) <= std::abs(result.worst_t)) continue;
    result.worst_t = t;
    result.worst_percentile = p;
  }
  return result;
}

std::vector<Subject> subjects_of(std::size_t modulus_bits,
                                 const std::vector<const Kernel*>& kernels, ThreadPool& pool) {
  std::vector<Natural> primes;
  while (primes.size() < 1 + Subject::kInputs) {
    primes.push_back(draw_prime(modulus_bits / 2));
  }
  std::vector<Subject> subjects;
  for (const Kernel* kernel : kernels) {
    const PowerSubjects powers(*kernel, modulus_bits, primes);
    subjects.push_back(powers.base());
    subjects.push_back(powers.prime());
    subjects.push_back(powers.weight());
    subjects.push_back(decryption_of(*kernel, primes[0], primes[1], pool));
  }
  subjects.push_back(control_of(primes[0]));
  return subjects;
}

Comparison time_subject(const Subject& subject, std::size_t measurements) {
  std::vector<std::uint8_t> random(2 * measurements);
  fill_random(random);
  // Every input once, unmeasured, so that the first measurements are like the others.
  for (std::size_t i = 0; i < 2 * Subject::kInputs; ++i) subject.call(i % 2, i / 2);
  std::array<std::vector<double>, 2> times;
  for (std::size_t k = 0; k < measurements; ++k) {
    const std::size_t c = random[2 * k] % 2;
    const std::size_t i = random[2 * k + 1] % Subject::kInputs;
    const double start = now();
    subject.call(c, i);
    times[c].push_back(now() - start);
  }
  return compare(times[0], times[1]);
}

}  // namespace blindsum::bench
