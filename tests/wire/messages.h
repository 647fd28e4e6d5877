// Messages for the tests of the wire.
#pragma once

#include <cstddef>

#include "shared/core/seeded_random.h"
#include "shared/wire/messages.h"

namespace blindsum::wire::test {

inline constexpr std::size_t kTypes = std::variant_size_v<Body>;

// random_body returns a body of type `index` that decode must accept; payloads have up to
// `max_payload` bytes.
[[nodiscard]] Body random_body(std::size_t index, SeededRandom& random, std::size_t max_payload);
[[nodiscard]] Message random_message(std::size_t index, SeededRandom& random,
                                     std::size_t max_payload);

[[nodiscard]] RunId run_id(std::uint8_t fill);

// update_of returns an EncryptedUpdate of `round` with `size` bytes of payload.
[[nodiscard]] EncryptedUpdate update_of(std::uint32_t round, std::size_t size = 100);

// same compares every field.
[[nodiscard]] bool same(const Message& a, const Message& b);

}  // namespace blindsum::wire::test
