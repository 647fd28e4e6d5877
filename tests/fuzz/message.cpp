// wire::decode accepts exactly what encode writes.
#include <algorithm>

#include "shared/core/error.h"
#include "shared/wire/codec.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace blindsum;
  const ByteView input(data, size);
  const auto message = fuzz::accepted<DecodeError>([&] { return wire::decode(input, {}); });
  if (message) {
    fuzz::require(std::ranges::equal(wire::encode(*message), input),
                  "a message was accepted that encode would not write");
  }
  return 0;
}
