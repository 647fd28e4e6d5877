#include "shared/role/encrypted_inputs.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "shared/core/error.h"

namespace blindsum::role {
namespace {

constexpr std::int64_t kOffset = std::int64_t{1} << (SumLayout::kSlotBits - 1);

// add_at adds `value` << bit to a number; the slots do not overlap.
void put(std::span<std::uint64_t> limbs, std::size_t bit, std::uint64_t value) {
  limbs[bit / 64] |= value << (bit % 64);
  if (bit % 64 + SumLayout::kSlotBits > 64) limbs[bit / 64 + 1] |= value >> (64 - bit % 64);
}

std::uint64_t get(std::span<const std::uint64_t> limbs, std::size_t bit) {
  std::uint64_t value = limbs[bit / 64] >> (bit % 64);
  if (bit % 64 + SumLayout::kSlotBits > 64) value |= limbs[bit / 64 + 1] << (64 - bit % 64);
  return value & ((std::uint64_t{1} << SumLayout::kSlotBits) - 1);
}

}  // namespace

std::vector<std::int64_t> SumLayout::padded(std::span<const std::int64_t> weights) const {
  std::vector<std::int64_t> rows(weights.begin(), weights.end());
  rows.resize(ciphertexts * slots * InputNetwork::kInputs);
  return rows;
}

crypto::PlaintextVector SumLayout::offsets(std::span<const std::int64_t> biases,
                                           std::size_t limbs_each) const {
  crypto::PlaintextVector plaintexts(ciphertexts, limbs_each);
  for (std::size_t i = 0; i < sums; ++i) {
    put(plaintexts[i / slots], i % slots * kSlotBits,
        static_cast<std::uint64_t>(biases[i] + kOffset));
  }
  return plaintexts;
}

std::vector<std::int64_t> SumLayout::read(const crypto::PlaintextVector& plaintexts,
                                          std::size_t first) const {
  std::vector<std::int64_t> values(sums);
  for (std::size_t i = 0; i < sums; ++i) {
    values[i] =
        static_cast<std::int64_t>(get(plaintexts[first + i / slots], i % slots * kSlotBits)) -
        kOffset;
    if (std::abs(values[i]) > InputNetwork::kMaxSum) {
      throw CryptoError("opened sum " + std::to_string(i) + " is out of range");
    }
  }
  // What was read is all there is: the same numbers give the same plaintexts.
  const crypto::PlaintextVector again = offsets(values, plaintexts.limbs_each());
  for (std::size_t i = 0; i < ciphertexts; ++i) {
    if (!std::ranges::equal(again[i], plaintexts[first + i])) {
      throw CryptoError("an opened plaintext has more in it than sums");
    }
  }
  return values;
}

void append_values(Bytes& out, std::span<const std::int64_t> values) {
  for (const std::int64_t value : values) append_le32(out, static_cast<std::uint32_t>(value));
}

std::vector<std::int64_t> values_from(ByteView bytes, std::size_t count) {
  if (bytes.size() != 4 * count) {
    throw ProtocolError(std::to_string(bytes.size()) + " bytes are not " + std::to_string(count) +
                        " values");
  }
  std::vector<std::int64_t> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<std::int32_t>(read_le32(bytes, 4 * i));
  }
  return values;
}

Digest replay_id(const settings::Settings& settings) {
  const auto all = settings::to_json(settings);
  const nlohmann::json agreed = {{"label", "blindsum/encrypted-inputs/1"},
                                 {"inputs", all.at("encrypted_inputs")},
                                 {"seed", settings.seed},
                                 {"rate", settings.server.rate}};
  return sha256(as_bytes(agreed.dump()));
}

wire::CodecLimits replay_limits(const settings::Settings& settings) {
  constexpr std::size_t kHeaderBytes = 1024;
  const std::size_t ciphertext = 2 * ((settings.paillier.key_bits + 7) / 8);
  wire::CodecLimits limits;
  limits.max_message_bytes =
      kHeaderBytes + std::max<std::size_t>(kRecordsAtOnce * InputNetwork::kInputs * ciphertext,
                                           kLabelsAtOnce * (1 + InputNetwork::kInputs));
  limits.max_parties = 1;
  return limits;
}

}  // namespace blindsum::role
