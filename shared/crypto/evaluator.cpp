#include "shared/crypto/evaluator.h"

#include <string>
#include <utility>

#include "shared/core/error.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/numbers.h"
#include "shared/crypto/public_key_impl.h"

namespace blindsum::crypto {
namespace {

void check_sizes(std::size_t a, std::size_t b) {
  if (a != b) {
    throw CryptoError("vectors of " + std::to_string(a) + " and " + std::to_string(b) +
                      " numbers do not match");
  }
}

}  // namespace

Evaluator::Evaluator(PublicKey key, ThreadPool& pool) : key_(std::move(key)), pool_(&pool) {}

CiphertextVector Evaluator::add(const CiphertextVector& a, const CiphertextVector& b) const {
  CiphertextVector sum = a;
  add_inplace(sum, b);
  return sum;
}

void Evaluator::add_inplace(CiphertextVector& a, const CiphertextVector& b) const {
  check_ciphertexts(key_, a);
  check_ciphertexts(key_, b);
  check_sizes(a.size(), b.size());
  const std::size_t width = key_.ciphertext_limbs();
  pool_->parallel_ranges(a.size(), kernels::active_kernel().batch_grain(),
                         [&](std::size_t begin, std::size_t end) {
                           const auto out = a.limbs().subspan(begin * width, (end - begin) * width);
                           key_.impl().context->multiply(
                               out, b.limbs().subspan(begin * width, out.size()), end - begin, out);
                         });
}

CiphertextVector Evaluator::subtract(const CiphertextVector& a, const CiphertextVector& b) const {
  return add(a, negate(b));
}

CiphertextVector Evaluator::negate(const CiphertextVector& a) const {
  check_ciphertexts(key_, a);
  CiphertextVector result(a.size(), key_.ciphertext_limbs());
  const NTL::ZZ n_squared = to_zz(key_.impl().n_squared);
  pool_->parallel_for(a.size(), [&](std::size_t i) {
    NTL::ZZ inverse;
    if (InvModStatus(inverse, to_zz(a[i]), n_squared) != 0) {
      throw CryptoError("ciphertext " + std::to_string(i) + " is not a unit");
    }
    copy_to(result[i], inverse);
  });
  return result;
}

CiphertextVector Evaluator::add_plain(const CiphertextVector& a, const PlaintextVector& m) const {
  check_plaintexts(key_, m);
  CiphertextVector embedded(m.size(), key_.ciphertext_limbs());
  embed(key_, m.limbs(), embedded.limbs());
  add_inplace(embedded, a);
  return embedded;
}

CiphertextVector Evaluator::multiply_plain(const CiphertextVector& a,
                                           const PlaintextVector& m) const {
  check_ciphertexts(key_, a);
  check_plaintexts(key_, m);
  check_sizes(a.size(), m.size());
  const std::size_t width = key_.ciphertext_limbs();
  const std::size_t limbs = key_.plaintext_limbs();
  CiphertextVector result(a.size(), width);
  pool_->parallel_ranges(
      a.size(), kernels::active_kernel().batch_grain(), [&](std::size_t begin, std::size_t end) {
        const std::size_t count = end - begin;
        key_.impl().context->power(a.limbs().subspan(begin * width, count * width),
                                   m.limbs().subspan(begin * limbs, count * limbs), limbs, count,
                                   result.limbs().subspan(begin * width, count * width));
      });
  return result;
}

}  // namespace blindsum::crypto
