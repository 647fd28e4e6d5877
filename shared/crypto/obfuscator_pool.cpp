#include "shared/crypto/obfuscator_pool.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <pthread.h>

#include "shared/core/error.h"
#include "shared/core/random.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

// fork_generation is another number in every process that descends from this one by fork.
std::uint64_t fork_generation() {
  static std::atomic<std::uint64_t> generation{1};
  static const int registered = pthread_atfork(nullptr, nullptr, [] { ++generation; });
  if (registered != 0) throw CryptoError("no memory to watch for forks");
  return generation;
}

}  // namespace

ObfuscatorPool::~ObfuscatorPool() { drop(); }

std::size_t ObfuscatorPool::size() const {
  return generation_ == fork_generation() ? obfuscators_.size() / source_.key().ciphertext_limbs()
                                          : 0;
}

void ObfuscatorPool::drop() {
  wipe(obfuscators_.data(), obfuscators_.size() * 8);
  obfuscators_.clear();
}

bool ObfuscatorPool::prepare(std::size_t wanted) {
  if (generation_ != fork_generation()) {
    drop();
    generation_ = fork_generation();
  }
  const std::size_t held = size();
  if (held >= wanted) return false;
  const std::size_t width = source_.key().ciphertext_limbs();
  const std::size_t count = kernels::active_kernel().batch_grain() * source_.threads();
  const std::size_t most = (wanted + count) * width;
  if (obfuscators_.capacity() < most) {  // growing would leave copies behind
    std::vector<std::uint64_t> larger;
    larger.reserve(most);
    larger.assign(obfuscators_.begin(), obfuscators_.end());
    drop();
    obfuscators_ = std::move(larger);
  }
  const std::vector<std::uint64_t> zeros(count * source_.key().plaintext_limbs());
  kernels::SecretLimbs made(count * width);
  source_.encrypt(zeros, made);
  obfuscators_.insert(obfuscators_.end(), made.begin(), made.end());
  return held + count < wanted;
}

void ObfuscatorPool::multiply_by_taken(std::span<std::uint64_t> numbers) {
  const std::size_t width = source_.key().ciphertext_limbs();
  const auto taken = std::span(obfuscators_).last(numbers.size());
  source_.over_ranges(numbers.size() / width, [&](std::size_t begin, std::size_t count) {
    const auto out = numbers.subspan(begin * width, count * width);
    source_.key().impl().context->multiply(out, taken.subspan(begin * width, count * width), count,
                                           out);
  });
  wipe(taken.data(), taken.size_bytes());
  obfuscators_.resize(obfuscators_.size() - taken.size());
}

CiphertextVector ObfuscatorPool::encrypt(const PlaintextVector& plaintexts) {
  const PublicKey& key = source_.key();
  check_plaintexts(key, plaintexts);
  const std::size_t pooled = std::min(size(), plaintexts.size());
  CiphertextVector result(plaintexts.size(), key.ciphertext_limbs());
  const auto m = plaintexts.limbs();
  const std::size_t ready = pooled * key.plaintext_limbs();
  embed(key, m.first(ready), result.limbs().first(2 * ready));
  multiply_by_taken(result.limbs().first(2 * ready));
  source_.encrypt(m.subspan(ready), result.limbs().subspan(2 * ready));
  return result;
}

CiphertextVector ObfuscatorPool::rerandomize(const CiphertextVector& ciphertexts) {
  check_ciphertexts(source_.key(), ciphertexts);
  const std::size_t pooled = std::min(size(), ciphertexts.size());
  CiphertextVector result = ciphertexts;
  const std::vector<std::uint64_t> zeros((result.size() - pooled) *
                                         source_.key().plaintext_limbs());
  multiply_by_taken(result.limbs().first(pooled * result.limbs_each()));
  source_.add_encrypted(result.limbs().subspan(pooled * result.limbs_each()), zeros);
  return result;
}

}  // namespace blindsum::crypto
