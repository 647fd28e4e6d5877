#include "shared/crypto/evaluator.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

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

// slice returns the numbers [begin, end) of a, joined those of a and then of b.
CiphertextVector slice(const CiphertextVector& a, std::size_t begin, std::size_t end) {
  const std::size_t width = a.limbs_each();
  CiphertextVector part(end - begin, width);
  std::ranges::copy(a.limbs().subspan(begin * width, (end - begin) * width), part.limbs().begin());
  return part;
}
CiphertextVector joined(const CiphertextVector& a, const CiphertextVector& b) {
  CiphertextVector all(a.size() + b.size(), a.limbs_each());
  std::ranges::copy(a.limbs(), all.limbs().begin());
  std::ranges::copy(b.limbs(), all.limbs().subspan(a.limbs().size()).begin());
  return all;
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

// negate inverts all ciphertexts by one inversion (Montgomery's trick, over a tree so that products
// are made in batches): the inverse of a factor is that of the product times the other factor.
CiphertextVector Evaluator::negate(const CiphertextVector& a) const {
  check_ciphertexts(key_, a);
  if (a.size() == 0) return a;
  const NTL::ZZ n_squared = to_zz(key_.impl().n_squared);
  std::vector<CiphertextVector> levels{a};
  while (levels.back().size() > 1) {
    const CiphertextVector& level = levels.back();
    const std::size_t half = level.size() / 2;
    CiphertextVector products = add(slice(level, 0, half), slice(level, half, 2 * half));
    if (level.size() % 2 != 0) products = joined(products, slice(level, 2 * half, level.size()));
    levels.push_back(std::move(products));
  }
  NTL::ZZ inverse;
  if (InvModStatus(inverse, to_zz(std::as_const(levels.back())[0]), n_squared) != 0) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (InvModStatus(inverse, to_zz(a[i]), n_squared) != 0) {
        throw CryptoError("ciphertext " + std::to_string(i) + " is not a unit");
      }
    }
  }
  CiphertextVector inverses(1, key_.ciphertext_limbs());
  copy_to(inverses[0], inverse);
  levels.pop_back();
  for (; !levels.empty(); levels.pop_back()) {
    const CiphertextVector& level = levels.back();
    const std::size_t half = level.size() / 2;
    const CiphertextVector of_products = slice(inverses, 0, half);
    CiphertextVector next = add(joined(of_products, of_products),
                                joined(slice(level, half, 2 * half), slice(level, 0, half)));
    if (level.size() % 2 != 0) next = joined(next, slice(inverses, half, half + 1));
    inverses = std::move(next);
  }
  return inverses;
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

CiphertextVector Evaluator::linear_combinations(const CiphertextVector& a,
                                                std::span<const std::int64_t> weights,
                                                std::size_t rows) const {
  check_ciphertexts(key_, a);
  const bool matches = a.size() == 0
                           ? weights.empty()
                           : weights.size() % a.size() == 0 && weights.size() / a.size() == rows;
  if (!matches) {
    throw CryptoError(std::to_string(weights.size()) + " weights are not " + std::to_string(rows) +
                      " rows for " + std::to_string(a.size()) + " ciphertexts");
  }
  const bool has_negative = std::ranges::any_of(weights, [](std::int64_t w) { return w < 0; });
  const CiphertextVector inverses = has_negative ? negate(a) : CiphertextVector();
  CiphertextVector result(rows, key_.ciphertext_limbs());
  key_.impl().context->multi_exponentiate(a.limbs(), inverses.limbs(), weights, *pool_,
                                          result.limbs());
  return result;
}

CiphertextVector Evaluator::packed_combinations(const CiphertextVector& a,
                                                std::span<const std::int64_t> weights,
                                                std::size_t rows, std::size_t slots,
                                                unsigned slot_bits) const {
  check_ciphertexts(key_, a);
  if (a.size() == 0 || rows == 0 || slots == 0 || weights.size() != a.size() * slots * rows) {
    throw CryptoError(std::to_string(weights.size()) + " weights are not " + std::to_string(rows) +
                      " rows of " + std::to_string(slots) + " slots for " +
                      std::to_string(a.size()) + " ciphertexts");
  }
  const std::int64_t limit =
      std::int64_t{1} << std::clamp<int>(
          static_cast<int>(slot_bits) - int{kernels::PublicContext::kSlotMargin}, 0, 62);
  if (std::ranges::any_of(weights, [=](std::int64_t w) { return w <= -limit || w >= limit; })) {
    throw CryptoError("a weight is too large for slots of " + std::to_string(slot_bits) + " bits");
  }
  const CiphertextVector inverses = negate(a);
  CiphertextVector result(rows, key_.ciphertext_limbs());
  key_.impl().context->multi_exponentiate_slots(a.limbs(), inverses.limbs(), weights, slots,
                                                slot_bits, *pool_, result.limbs());
  return result;
}

}  // namespace blindsum::crypto
