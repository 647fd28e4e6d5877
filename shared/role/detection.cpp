#include "shared/role/detection.h"

#include <algorithm>

#include "shared/core/error.h"
#include "shared/role/encrypted_inputs.h"

namespace blindsum::role {
namespace {

// kSquareBatch: as many ciphertexts of scores as the vector kernels open at once.
constexpr std::uint32_t kSquareBatch = 8;

std::uint64_t mask_of(unsigned bits) { return bits == 64 ? ~0ULL : (1ULL << bits) - 1; }

}  // namespace

void Slots::put(std::span<std::uint64_t> plaintext, std::span<const std::int64_t> values) const {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value =
        static_cast<std::uint64_t>(values[i]) + (is_signed ? std::uint64_t{1} << (bits - 1) : 0);
    const std::size_t bit = i * bits;
    const bool goes_on = bit % 64 + bits > 64;
    if ((value & ~mask_of(bits)) != 0 || bit / 64 + (goes_on ? 1 : 0) >= plaintext.size()) {
      throw CryptoError("number " + std::to_string(i) + " does not fit its slot");
    }
    plaintext[bit / 64] |= value << (bit % 64);
    if (goes_on) plaintext[bit / 64 + 1] |= value >> (64 - bit % 64);
  }
}

std::vector<std::int64_t> Slots::get(std::span<const std::uint64_t> plaintext,
                                     std::size_t count) const {
  const std::size_t used = count * bits;
  for (std::size_t i = used / 64; i < plaintext.size(); ++i) {
    const std::uint64_t above = i == used / 64 ? plaintext[i] & ~mask_of(used % 64) : plaintext[i];
    if (above != 0) throw CryptoError("an opened plaintext has more in it than sums");
  }
  std::vector<std::int64_t> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bit = i * bits;
    std::uint64_t value = plaintext[bit / 64] >> (bit % 64);
    if (bit % 64 + bits > 64) value |= plaintext[bit / 64 + 1] << (64 - bit % 64);
    value &= mask_of(bits);
    values[i] = static_cast<std::int64_t>(value - (is_signed ? std::uint64_t{1} << (bits - 1) : 0));
  }
  return values;
}

DetectionPlan DetectionPlan::of(const settings::Settings& settings) {
  const auto& inputs = settings.encrypted_inputs;
  DetectionPlan plan;
  plan.hidden = inputs.activation == "square" ? inputs.hidden : 0;
  plan.rows = inputs.test_rows;
  // One bit less than the modulus has: a plaintext of full slots stays below it.
  const auto most = plan.is_linear() ? (settings.paillier.key_bits - 1) / kScoreBits : kSquareBatch;
  if (inputs.batch_rows > most) {
    throw ConfigError("encrypted_inputs.batch_rows: " + std::to_string(inputs.batch_rows) +
                      " is not allowed with a " + std::to_string(settings.paillier.key_bits) +
                      "-bit key and activation " + inputs.activation + "; use at most " +
                      std::to_string(most));
  }
  plan.batch = inputs.batch_rows == 0 ? most : inputs.batch_rows;
  return plan;
}

wire::CodecLimits detection_limits(const settings::Settings& settings) {
  constexpr std::size_t kHeaderBytes = 1024;
  const DetectionPlan plan = DetectionPlan::of(settings);
  const std::size_t records = plan.is_linear() ? 1 : plan.batch;
  const std::size_t ciphertexts = records * std::max(DetectionInputs::kInputs, plan.hidden);
  wire::CodecLimits limits;
  limits.max_message_bytes =
      kHeaderBytes + std::max<std::size_t>(ciphertexts * 2 * ((settings.paillier.key_bits + 7) / 8),
                                           kLabelsAtOnce);
  limits.max_parties = 1;
  return limits;
}

}  // namespace blindsum::role
