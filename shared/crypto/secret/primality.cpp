#include "shared/crypto/secret/primality.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "shared/crypto/kernels/kernel.h"
#ifdef BLINDSUM_HAS_IFMA
#include "shared/crypto/kernels/ifma.h"
#include "shared/crypto/kernels/ifma_secret.h"
#endif

namespace blindsum::crypto {
namespace {

bool has_lanes() {
#ifdef BLINDSUM_HAS_IFMA
  return &kernels::active_kernel() == &kernels::ifma_kernel();
#else
  return false;
#endif
}

std::size_t limbs_of(const Natural& number) { return (number.bits() + 63) / 64; }

// concatenate returns all numbers, `limbs` limbs each.
kernels::SecretLimbs concatenate(std::span<const Natural> numbers, std::size_t limbs) {
  kernels::SecretLimbs result(numbers.size() * limbs);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    mpz_export(&result[i * limbs], nullptr, -1, 8, 0, 0, numbers[i].get());
  }
  return result;
}

bool fermat(const Natural& number) {
  const Natural base(2);
  Natural power;
  mpz_sub_ui(power.get(), number.get(), 1);
  mpz_powm(power.get(), base.get(), power.get(), number.get());
  return power == Natural(1);
}

// passes_round is one round of Miller and Rabin for odd n > 2.
bool passes_round(const Natural& n, const Natural& base) {
  Natural minus_1;
  Natural odd;
  mpz_sub_ui(minus_1.get(), n.get(), 1);
  const mp_bitcnt_t twos = mpz_scan1(minus_1.get(), 0);
  mpz_fdiv_q_2exp(odd.get(), minus_1.get(), twos);
  Natural power;
  mpz_powm(power.get(), base.get(), odd.get(), n.get());
  if (power == Natural(1) || power == minus_1) return true;
  for (mp_bitcnt_t i = 1; i < twos; ++i) {
    mpz_powm_ui(power.get(), power.get(), 2, n.get());
    if (power == minus_1) return true;
  }
  return false;
}

// passes_rounds is one round for each of up to primality_lanes() bases below n.
bool passes_rounds(const Natural& n, std::span<const Natural> bases) {
#ifdef BLINDSUM_HAS_IFMA
  if (has_lanes()) {
    const std::size_t limbs = limbs_of(n);
    const unsigned passed =
        kernels::ifma_miller_rabin(n.to_limbs(limbs), concatenate(bases, limbs));
    return passed == (1U << bases.size()) - 1;
  }
#endif
  return std::ranges::all_of(bases, [&](const Natural& base) { return passes_round(n, base); });
}

}  // namespace

std::size_t primality_lanes() { return has_lanes() ? kernels::active_kernel().batch_grain() : 1; }

unsigned passes_fermat(std::span<const Natural> numbers) {
  assert(!numbers.empty() && numbers.size() <= primality_lanes());
#ifdef BLINDSUM_HAS_IFMA
  if (has_lanes()) {
    std::size_t limbs = 0;
    for (const Natural& number : numbers) limbs = std::max(limbs, limbs_of(number));
    return kernels::ifma_fermat(concatenate(numbers, limbs), limbs);
  }
#endif
  return fermat(numbers.front()) ? 1 : 0;
}

bool is_probable_prime(const Natural& number, int rounds) {
  if (mpz_cmp_ui(number.get(), 3) <= 0 || mpz_even_p(number.get())) {
    return number == Natural(2) || number == Natural(3);
  }
  if (!passes_round(number, Natural(2))) return false;
  Natural range;  // how many bases there are in [2, number − 2]
  mpz_sub_ui(range.get(), number.get(), 3);
  for (auto left = static_cast<std::size_t>(rounds); left > 0;) {
    std::vector<Natural> bases;
    while (bases.size() < std::min(primality_lanes(), left)) {
      bases.push_back(Natural::random_below(range));
      mpz_add_ui(bases.back().get(), bases.back().get(), 2);
    }
    if (!passes_rounds(number, bases)) return false;
    left -= bases.size();
  }
  return true;
}

bool is_safe_prime(const Natural& p) {
  if (mpz_cmp_ui(p.get(), 7) <= 0) return p == Natural(5) || p == Natural(7);
  if (mpz_even_p(p.get()) || mpz_divisible_ui_p(p.get(), 3)) return false;
  Natural half;
  mpz_fdiv_q_2exp(half.get(), p.get(), 1);
  return is_probable_prime(half, kPrimalityRounds) && passes_fermat(std::span(&p, 1)) == 1;
}

}  // namespace blindsum::crypto
