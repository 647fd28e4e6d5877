#include "scenarios/bench/engine.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <gmpxx.h>

#include "scenarios/bench/textbook.h"
#include "shared/core/error.h"
#include "shared/crypto/encryptor.h"
#include "shared/crypto/evaluator.h"
#include "shared/crypto/packing.h"
#include "shared/crypto/public_key_impl.h"
#include "shared/crypto/secret/decryptor.h"
#include "shared/crypto/secret/key_generator.h"
#include "shared/crypto/secret/natural.h"
#include "shared/crypto/update_cipher.h"

namespace blindsum::bench {
namespace {

using namespace crypto;
using kernels::Kernel;
using kernels::ScopedKernel;
using Call = std::function<void()>;

constexpr Randomizer kRandomizers[] = {Randomizer::kFull, Randomizer::kHalf, Randomizer::kShort};
constexpr unsigned kScalarBits[] = {24, 64};
constexpr std::size_t kTextbookBatch = 8;  // one number costs as much as the next

// Key is one key size: its primes, drawn when first needed, and what does not depend on a kernel.
struct Key {
  Key(std::size_t modulus_bits, const Workload& workload_, ThreadPool& pool_)
      : bits(modulus_bits),
        limbs((modulus_bits + 63) / 64),
        workload(workload_),
        pool(pool_),
        layout(PackingLayout::make(workload.value_bits, workload.parties, bits - 1)),
        encoder(layout, workload.values, limbs) {}

  // p and q: big-endian.
  struct Primes {
    SecretBytes p, q;
  };
  [[nodiscard]] const Primes& primes() {
    const std::size_t bytes = bits / 16;
    if (!primes_) {
      primes_ = {draw_prime(bits / 2).to_big_endian(bytes),
                 draw_prime(bits / 2).to_big_endian(bytes)};
    }
    return *primes_;
  }
  [[nodiscard]] const Textbook& textbook() {
    if (!textbook_) textbook_.emplace(primes().p.bytes(), primes().q.bytes());
    return *textbook_;
  }

  // random_plaintexts returns numbers below n, as wide as `bits_each`.
  [[nodiscard]] PlaintextVector random_plaintexts(std::size_t count, std::size_t bits_each) const {
    PlaintextVector result(count, limbs);
    for (std::size_t i = 0; i < count; ++i) {
      const auto number = Natural::random_bits(bits_each).to_limbs(limbs);
      std::copy(number.begin(), number.end(), result[i].begin());
    }
    return result;
  }
  [[nodiscard]] PlaintextVector random_plaintexts(std::size_t count) const {
    return random_plaintexts(count, bits - 1);
  }
  [[nodiscard]] std::vector<mpz_class> random_integers(std::size_t count,
                                                       std::size_t bits_each) const {
    const PlaintextVector numbers = random_plaintexts(count, bits_each);
    std::vector<mpz_class> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(integer_of(numbers[i]));
    return result;
  }
  // random_values returns the gradient values of one party.
  [[nodiscard]] std::vector<std::int64_t> random_values() const {
    const std::int64_t bound = (std::int64_t{1} << (workload.value_bits - 1)) - 1;
    std::vector<std::uint64_t> random(workload.values);
    fill_random({reinterpret_cast<std::uint8_t*>(random.data()), random.size() * 8});
    std::vector<std::int64_t> values(workload.values);
    std::transform(random.begin(), random.end(), values.begin(), [&](std::uint64_t x) {
      return static_cast<std::int64_t>(x % static_cast<std::uint64_t>(2 * bound + 1)) - bound;
    });
    return values;
  }

  const std::size_t bits;
  const std::size_t limbs;
  const Workload workload;
  ThreadPool& pool;
  const PackingLayout layout;
  const PackedEncoder encoder;

 private:
  std::optional<Primes> primes_;
  std::optional<Textbook> textbook_;
};

using SharedKey = std::shared_ptr<Key>;

// round_of returns the call that packs and seals every party's update, adds them up, opens and
// unpacks the sum, and checks it.
Call round_of(const SharedKey& key, const std::shared_ptr<UpdateSealer>& sealer,
              const std::shared_ptr<UpdateAccumulator>& accumulator,
              const std::shared_ptr<UpdateOpener>& opener) {
  std::vector<std::vector<std::int64_t>> updates;
  std::vector<std::int64_t> expected(key->workload.values);
  for (std::size_t party = 0; party < key->workload.parties; ++party) {
    updates.push_back(key->random_values());
    std::transform(expected.begin(), expected.end(), updates.back().begin(), expected.begin(),
                   std::plus<>());
  }
  return [=] {
    const std::size_t chunks = key->encoder.plaintexts();
    accumulator->reset(chunks);
    for (const auto& update : updates) {
      accumulator->add(sealer->seal(key->encoder.pack(update)));
    }
    const PlaintextVector sum = opener->open(accumulator->finish(), chunks);
    if (key->encoder.unpack_sum(sum, key->workload.parties) != expected) {
      throw IntegrityError("the round's sum is not the sum of its updates");
    }
  };
}

// Engine is one kernel at one key size. Everything happens while its kernel is the active one.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(const Kernel& kernel, SharedKey key) : kernel_(kernel), key_(std::move(key)) {}

  [[nodiscard]] Call encrypt(Randomizer randomizer) {
    const ScopedKernel scope(kernel_);
    return scoped([encryptor = encryptor(randomizer),
                   plaintexts = key_->random_plaintexts(key_->workload.batch)] {
      (void)encryptor->encrypt(plaintexts);
    });
  }

  [[nodiscard]] Call aggregate() {
    const ScopedKernel scope(kernel_);
    std::vector<CiphertextVector> updates;
    for (std::size_t i = 0; i < key_->workload.parties; ++i) updates.push_back(ciphertexts());
    std::shared_ptr<kernels::Product> product =
        public_key().impl().context->make_product(key_->workload.batch);
    return scoped([this, updates, product] {
      const std::size_t width = public_key().ciphertext_limbs();
      for (const CiphertextVector& update : updates) {
        key_->pool.parallel_ranges(
            update.size(), kernel_.batch_grain(), [&](std::size_t begin, std::size_t end) {
              product->multiply(begin, update.limbs().subspan(begin * width, (end - begin) * width),
                                end - begin);
            });
      }
    });
  }

  [[nodiscard]] Call parse() {
    const ScopedKernel scope(kernel_);
    return scoped([key = public_key(), blob = public_key().serialize_ciphertexts(ciphertexts()),
                   count = key_->workload.batch] { (void)key.parse_ciphertexts(blob, count); });
  }

  [[nodiscard]] Call decrypt() {
    const ScopedKernel scope(kernel_);
    auto decryptor = std::make_shared<Decryptor>(secret_key(), key_->pool);
    return scoped(
        [decryptor, ciphertexts = ciphertexts()] { (void)decryptor->decrypt(ciphertexts); });
  }

  [[nodiscard]] Call multiply_plain(unsigned scalar_bits) {
    const ScopedKernel scope(kernel_);
    return scoped([evaluator = std::make_shared<Evaluator>(public_key(), key_->pool),
                   ciphertexts = ciphertexts(),
                   scalars = key_->random_plaintexts(key_->workload.batch, scalar_bits)] {
      (void)evaluator->multiply_plain(ciphertexts, scalars);
    });
  }

  [[nodiscard]] Call generate() {
    return scoped([bits = key_->bits, &pool = key_->pool] { (void)generate_key(bits, pool); });
  }

  [[nodiscard]] Call round(Randomizer randomizer) {
    const ScopedKernel scope(kernel_);
    return scoped(round_of(key_, make_paillier_sealer(public_key(), randomizer, key_->pool),
                           make_paillier_accumulator(public_key(), randomizer, key_->pool),
                           make_paillier_opener(secret_key(), key_->pool)));
  }

 private:
  [[nodiscard]] const SecretKey& secret_key() {
    if (!secret_key_) {
      secret_key_ = SecretKey::from_primes(key_->primes().p.bytes(), key_->primes().q.bytes(),
                                           KeyPolicy::kInsecureTesting);
    }
    return *secret_key_;
  }
  [[nodiscard]] const PublicKey& public_key() { return secret_key().public_key(); }
  [[nodiscard]] std::shared_ptr<Encryptor> encryptor(Randomizer randomizer) {
    auto& slot = encryptors_[randomizer];
    if (!slot) slot = std::make_shared<Encryptor>(public_key(), randomizer, key_->pool);
    return slot;
  }
  [[nodiscard]] CiphertextVector ciphertexts() {
    return encryptor(Randomizer::kShort)->encrypt(key_->random_plaintexts(key_->workload.batch));
  }
  [[nodiscard]] Call scoped(Call call) {
    return [self = shared_from_this(), call = std::move(call)] {
      const ScopedKernel scope(self->kernel_);
      call();
    };
  }

  const Kernel& kernel_;
  SharedKey key_;
  std::optional<SecretKey> secret_key_;
  std::map<Randomizer, std::shared_ptr<Encryptor>> encryptors_;
};

std::string scalar_mode(unsigned bits) { return std::to_string(bits) + "-bit"; }

void add_kernel_cases(std::vector<Case>& cases, const SharedKey& key, const Kernel& kernel) {
  const auto engine = std::make_shared<Engine>(kernel, key);
  const std::size_t batch = key->workload.batch;
  const std::size_t slots = key->layout.slots;
  const std::size_t ciphertext_bytes = key->bits / 4;
  const auto add = [&](std::string operation, std::string mode, std::size_t units,
                       std::function<Call()> prepare) -> Case& {
    return cases.emplace_back(Case{.operation = std::move(operation),
                                   .key_bits = key->bits,
                                   .mode = std::move(mode),
                                   .kernel = std::string(kernel.name()),
                                   .unit = "ciphertext",
                                   .units = units,
                                   .prepare = std::move(prepare)});
  };
  for (const Randomizer randomizer : kRandomizers) {
    Case& c = add("encrypt", std::string(to_string(randomizer)), batch,
                  [=] { return engine->encrypt(randomizer); });
    c.values = batch * slots;
    c.bytes = batch * ciphertext_bytes;
  }
  const std::size_t added = batch * key->workload.parties;
  add("aggregate", "-", added, [=] { return engine->aggregate(); }).values = added * slots;
  add("parse", "-", batch, [=] { return engine->parse(); }).values = batch * slots;
  add("decrypt", "-", batch, [=] { return engine->decrypt(); }).values = batch * slots;
  for (const unsigned bits : kScalarBits) {
    add("multiply_plain", scalar_mode(bits), batch, [=] { return engine->multiply_plain(bits); });
  }
  for (const Randomizer randomizer : kRandomizers) {
    Case& c = add("round", std::string(to_string(randomizer)), 1,
                  [=] { return engine->round(randomizer); });
    c.unit = "round";
    c.values = key->workload.values * key->workload.parties;
    c.bytes = key->encoder.plaintexts() * key->workload.parties * ciphertext_bytes;
  }
  Case& keygen = add("keygen", "-", 1, [=] { return engine->generate(); });
  keygen.unit = "key";
  keygen.varies = true;
}

void add_textbook_cases(std::vector<Case>& cases, const SharedKey& key) {
  const auto add = [&](std::string operation, std::string mode, std::function<Call()> prepare) {
    cases.push_back(Case{.operation = std::move(operation),
                         .key_bits = key->bits,
                         .mode = std::move(mode),
                         .kernel = std::string(kTextbook),
                         .unit = "ciphertext",
                         .units = kTextbookBatch,
                         .values = 0,
                         .prepare = std::move(prepare)});
  };
  const auto plaintexts = [key] { return key->random_integers(kTextbookBatch, key->bits - 1); };
  const auto ciphertexts = [key, plaintexts] {
    std::vector<mpz_class> result;
    for (const mpz_class& m : plaintexts()) result.push_back(key->textbook().encrypt(m));
    return result;
  };
  add("encrypt", "full", [=]() -> Call {
    return [key, m = plaintexts()] {
      for (const mpz_class& one : m) (void)key->textbook().encrypt(one);
    };
  });
  add("aggregate", "-", [=]() -> Call {
    return [key, sums = ciphertexts(), c = ciphertexts()]() mutable {
      for (std::size_t i = 0; i < c.size(); ++i) key->textbook().add_inplace(sums[i], c[i]);
    };
  });
  add("decrypt", "-", [=]() -> Call {
    return [key, c = ciphertexts()] {
      for (const mpz_class& one : c) (void)key->textbook().decrypt(one);
    };
  });
  for (const unsigned bits : kScalarBits) {
    add("multiply_plain", scalar_mode(bits), [=]() -> Call {
      return [key, c = ciphertexts(), m = key->random_integers(kTextbookBatch, bits)] {
        for (std::size_t i = 0; i < c.size(); ++i) {
          (void)key->textbook().multiply_plain(c[i], m[i]);
        }
      };
    });
  }
}

void add_plain_cases(std::vector<Case>& cases, const SharedKey& key) {
  const std::size_t chunks = key->encoder.plaintexts();
  const std::size_t values = key->workload.values;
  Case pack;
  pack.operation = "pack";
  pack.key_bits = key->bits;
  pack.mode = pack.kernel = "-";
  pack.unit = "plaintext";
  pack.units = chunks;
  pack.values = values;
  pack.prepare = [key]() -> Call {
    return [key, update = key->random_values()] { (void)key->encoder.pack(update); };
  };
  Case unpack = pack;
  unpack.operation = "unpack";
  unpack.prepare = [key]() -> Call {
    return [key, packed = key->encoder.pack(key->random_values())] {
      (void)key->encoder.unpack_sum(packed, 1);
    };
  };
  Case round = pack;
  round.operation = "round";
  round.mode = "none";
  round.units = 1;
  round.unit = "round";
  round.values = values * key->workload.parties;
  round.bytes = chunks * key->workload.parties * key->limbs * 8;
  round.prepare = [key] {
    return round_of(key, make_plain_sealer(key->limbs), make_plain_accumulator(key->limbs),
                    make_plain_opener(key->limbs));
  };
  for (Case* c : {&pack, &unpack, &round}) cases.push_back(std::move(*c));
}

}  // namespace

Natural draw_prime(std::size_t bits) {
  for (;;) {
    Natural prime = Natural::random_bits(bits);
    mpz_setbit(prime.get(), bits - 1);
    mpz_setbit(prime.get(), bits - 2);
    mpz_nextprime(prime.get(), prime.get());
    if (prime.bits() == bits) return prime;
  }
}

std::vector<Case> cases_of(std::size_t modulus_bits, const std::vector<const Kernel*>& kernels,
                           const Workload& workload, ThreadPool& pool) {
  const auto key = std::make_shared<Key>(modulus_bits, workload, pool);
  std::vector<Case> cases;
  add_textbook_cases(cases, key);
  for (const Kernel* kernel : kernels) add_kernel_cases(cases, key, *kernel);
  add_plain_cases(cases, key);
  return cases;
}

}  // namespace blindsum::bench
