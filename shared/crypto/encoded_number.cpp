#include "shared/crypto/encoded_number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "shared/core/error.h"
#include "shared/crypto/encoded_number_impl.h"
#include "shared/crypto/encryptor_impl.h"
#include "shared/crypto/integer.h"

namespace blindsum::crypto {
namespace {

constexpr int kMantissaBits = std::numeric_limits<double>::digits;
constexpr int kBitsPerDigit = 4;  // of base 16
constexpr std::size_t kMaxDigits = 20000;

std::vector<std::uint64_t> limbs_of(const Integer& number) {
  std::vector<std::uint64_t> limbs((number.bits() + 63) / 64);
  number.copy_to(limbs);
  return limbs;
}

// floor_div rounds down, as exponents of 16 are rounded.
int floor_div(int a, int b) { return a / b - (a % b != 0 && a < 0 ? 1 : 0); }

// scaled returns magnitude · 2^shift as a whole number, rounded to nearest, ties to even, and
// whether it is exact. Takes magnitude.bits() + shift bits of memory: the caller bounds them.
std::pair<Integer, bool> scaled(const Integer& magnitude, long shift) {
  Integer result;
  if (shift >= 0) {
    mpz_mul_2exp(result.get(), magnitude.get(), static_cast<mp_bitcnt_t>(shift));
    return {std::move(result), true};
  }
  const auto drop = static_cast<mp_bitcnt_t>(-shift);
  if (magnitude.bits() == 0 || mpz_scan1(magnitude.get(), 0) >= drop) {
    mpz_fdiv_q_2exp(result.get(), magnitude.get(), drop);
    return {std::move(result), true};
  }
  mpz_fdiv_q_2exp(result.get(), magnitude.get(), drop);
  const bool is_half_or_more = mpz_tstbit(magnitude.get(), drop - 1) != 0;
  const bool is_half = is_half_or_more && mpz_scan1(magnitude.get(), 0) == drop - 1;
  if (is_half_or_more && (!is_half || mpz_odd_p(result.get()) != 0)) {
    mpz_add_ui(result.get(), result.get(), 1);
  }
  return {std::move(result), false};
}

struct Mantissa {
  Integer magnitude;
  bool is_negative = false;
};

// mantissa_of undoes the encoding of signs.
Mantissa mantissa_of(const EncodedNumber& number) {
  Mantissa mantissa{Integer(number.plaintext()[0]), false};
  const Integer limit = max_int(number.key());
  if (mpz_cmp(mantissa.magnitude.get(), limit.get()) <= 0) return mantissa;
  const Integer n(number.key().modulus_limbs());
  mpz_sub(mantissa.magnitude.get(), n.get(), mantissa.magnitude.get());
  mantissa.is_negative = true;
  if (mpz_cmp(mantissa.magnitude.get(), limit.get()) > 0) {
    throw CryptoError(
        "overflow: the number is in the middle third of the key's range, so a sum or product was "
        "too large for this key, or it was encrypted under another key");
  }
  return mantissa;
}

PlaintextVector plaintext_of(const PublicKey& key, const Integer& magnitude, bool is_negative) {
  PlaintextVector plaintext(1, key.plaintext_limbs());
  if (is_negative && magnitude.bits() != 0) {
    Integer wrapped;
    mpz_sub(wrapped.get(), Integer(key.modulus_limbs()).get(), magnitude.get());
    wrapped.copy_to(plaintext[0]);
  } else {
    magnitude.copy_to(plaintext[0]);
  }
  return plaintext;
}

[[noreturn]] void refuse_size(std::int32_t exponent) {
  throw CryptoError("a number does not fit: at exponent " + std::to_string(exponent) +
                    " it must be below 16^" + std::to_string(exponent) + " * n/3 in magnitude");
}

// fitting returns magnitude · 2^shift when it is at most max_int, and throws otherwise, before it
// takes memory.
std::pair<Integer, bool> fitting(const PublicKey& key, const Integer& magnitude, long shift,
                                 std::int32_t exponent) {
  if (magnitude.bits() == 0) return {Integer(), true};
  if (static_cast<long>(magnitude.bits()) + shift > static_cast<long>(key.modulus_bits())) {
    refuse_size(exponent);
  }
  auto result = scaled(magnitude, shift);
  if (mpz_cmp(result.first.get(), max_int(key).get()) > 0) refuse_size(exponent);
  return result;
}

}  // namespace

void check_exponent(std::int64_t exponent) {
  if (exponent < -kMaxExponent || exponent > kMaxExponent) {
    throw CryptoError("an exponent of " + std::to_string(exponent) + ": at most " +
                      std::to_string(kMaxExponent) + " in magnitude");
  }
}

Integer max_int(const PublicKey& key) {
  Integer third(key.modulus_limbs());
  mpz_fdiv_q_ui(third.get(), third.get(), 3);
  mpz_sub_ui(third.get(), third.get(), 1);
  return third;
}

PlainNumber::PlainNumber(std::int64_t value, Kind kind) : kind_(kind), is_negative_(value < 0) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value != 0) magnitude_ = {is_negative_ ? ~bits + 1 : bits};
}

PlainNumber::PlainNumber(double value) : kind_(Kind::kFloat) {
  if (!std::isfinite(value)) throw CryptoError("a number must be finite");
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);
  tail_exponent_ = exponent - kMantissaBits;
  if (value == 0.0) return;
  is_negative_ = value < 0;
  magnitude_ = {static_cast<std::uint64_t>(std::ldexp(fraction, kMantissaBits))};
  binary_exponent_ = tail_exponent_;
}

PlainNumber PlainNumber::parse(std::string_view text) {
  const auto refuse = [] [[noreturn]] (const char* what) {
    throw CryptoError(std::string("not a number: ") + what);
  };
  if (text.size() > kMaxDigits) refuse("more than 20,000 characters");
  const bool is_negative = text.starts_with('-');
  const std::string_view digits = text.substr(is_negative || text.starts_with('+') ? 1 : 0);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (digits.empty() || !(is_digit(digits[0]) || digits[0] == '.')) {
    refuse("digits are expected, such as -12 or 3.5e-7");
  }
  if (std::all_of(digits.begin(), digits.end(), is_digit)) {
    Integer value;
    mpz_set_str(value.get(), std::string(digits).c_str(), 10);
    PlainNumber number;
    number.magnitude_ = limbs_of(value);
    number.is_negative_ = is_negative && value.bits() != 0;
    return number;
  }
  double value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [last, error] = std::from_chars(digits.data(), end, value);
  if (error == std::errc::result_out_of_range) refuse("beyond the range of doubles");
  if (error != std::errc() || last != end) refuse("digits are expected, such as -12 or 3.5e-7");
  return {is_negative ? -value : value};
}

PlainNumber PlainNumber::operator-() const {
  PlainNumber negated = *this;
  negated.is_negative_ = !is_negative_ && !magnitude_.empty();
  return negated;
}

EncodedNumber EncodedNumber::encode(const PublicKey& key, const PlainNumber& number,
                                    const EncodingOptions& options) {
  std::int32_t exponent = 0;
  if (options.precision) {
    if (!std::isfinite(*options.precision) || *options.precision <= 0) {
      throw CryptoError("a precision must be positive and finite");
    }
    int above = 0;  // 2^(above − 1) <= precision < 2^above
    (void)std::frexp(*options.precision, &above);
    exponent = floor_div(above - 1, kBitsPerDigit);
  } else if (number.kind_ == PlainNumber::Kind::kFloat) {
    exponent = floor_div(number.tail_exponent_, kBitsPerDigit);
  }
  if (options.max_exponent) exponent = std::min(exponent, *options.max_exponent);
  return encode(key, number, FixedExponent{exponent, FixedExponent::Inexact::kRound});
}

EncodedNumber EncodedNumber::encode(const PublicKey& key, const PlainNumber& number,
                                    const FixedExponent& at) {
  check_exponent(at.exponent);
  const long shift = number.binary_exponent_ - static_cast<long>(kBitsPerDigit) * at.exponent;
  const auto [magnitude, is_exact] =
      fitting(key, Integer(std::span<const std::uint64_t>(number.magnitude_)), shift, at.exponent);
  if (!is_exact && at.inexact == FixedExponent::Inexact::kRefuse) {
    throw CryptoError("a number is no multiple of 16^" + std::to_string(at.exponent) +
                      ": take a lower exponent, or let it be rounded");
  }
  return {key, plaintext_of(key, magnitude, number.is_negative_), at.exponent};
}

EncodedNumber::EncodedNumber(PublicKey key, PlaintextVector plaintext, std::int32_t exponent)
    : key_(std::move(key)), plaintext_(std::move(plaintext)), exponent_(exponent) {
  if (plaintext_.size() != 1) throw CryptoError("an encoded number is one plaintext");
  check_plaintexts(key_, plaintext_);
  check_exponent(exponent);
}

double EncodedNumber::to_double() const {
  const Mantissa mantissa = mantissa_of(*this);
  if (mantissa.magnitude.bits() == 0) return 0.0;
  const long binary_exponent = static_cast<long>(kBitsPerDigit) * exponent_;
  const long top = static_cast<long>(mantissa.magnitude.bits()) + binary_exponent;
  using Limits = std::numeric_limits<double>;
  const long tail = std::max<long>(top, Limits::min_exponent) - kMantissaBits;
  double value = Limits::infinity();
  if (top <= Limits::max_exponent) {
    const Integer rounded = scaled(mantissa.magnitude, binary_exponent - tail).first;
    value = std::ldexp(mpz_get_d(rounded.get()), static_cast<int>(tail));
  }
  if (!std::isfinite(value)) throw CryptoError("the number is too large for a double");
  return mantissa.is_negative ? -value : value;
}

std::string EncodedNumber::to_decimal() const {
  const Mantissa mantissa = mantissa_of(*this);
  const std::string sign = mantissa.is_negative ? "-" : "";
  const long places = std::max<long>(0, -static_cast<long>(kBitsPerDigit) * exponent_);
  Integer digits;  // value · 10^places
  if (places == 0) {
    mpz_mul_2exp(digits.get(), mantissa.magnitude.get(),
                 kBitsPerDigit * static_cast<mp_bitcnt_t>(exponent_));
    return sign + digits.to_decimal();
  }
  // m / 2^places = m · 5^places / 10^places
  mpz_ui_pow_ui(digits.get(), 5, static_cast<unsigned long>(places));
  mpz_mul(digits.get(), digits.get(), mantissa.magnitude.get());
  std::string text = digits.to_decimal();
  const auto width = static_cast<std::size_t>(places);
  if (text.size() <= width) text.insert(0, width + 1 - text.size(), '0');
  const std::string whole = text.substr(0, text.size() - width);
  std::string fraction = text.substr(text.size() - width);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return sign + (fraction.empty() ? whole : whole + "." + fraction);
}

bool EncodedNumber::is_whole() const {
  const Mantissa mantissa = mantissa_of(*this);
  if (mantissa.magnitude.bits() == 0 || exponent_ >= 0) return true;
  return mpz_scan1(mantissa.magnitude.get(), 0) >=
         kBitsPerDigit * static_cast<mp_bitcnt_t>(-exponent_);
}

EncodedNumber EncodedNumber::decrease_exponent_to(std::int32_t exponent) const {
  check_decrease(exponent_, exponent);
  const Mantissa mantissa = mantissa_of(*this);
  const long shift = static_cast<long>(kBitsPerDigit) * (static_cast<long>(exponent_) - exponent);
  const Integer magnitude = fitting(key_, mantissa.magnitude, shift, exponent).first;
  return {key_, plaintext_of(key_, magnitude, mantissa.is_negative), exponent};
}

EncodedNumber EncodedNumber::operator-() const {
  const Mantissa mantissa = mantissa_of(*this);
  return {key_, plaintext_of(key_, mantissa.magnitude, !mantissa.is_negative), exponent_};
}

void check_decrease(std::int32_t from, std::int32_t to) {
  check_exponent(to);
  if (to > from) {
    throw CryptoError("an exponent of " + std::to_string(from) + " cannot be raised to " +
                      std::to_string(to) + " without decrypting");
  }
}

}  // namespace blindsum::crypto
