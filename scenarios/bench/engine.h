// What is measured: every operation of the product on every kernel, and the textbook method, as
// calls to time.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/core/thread_pool.h"
#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/secret/natural.h"

namespace blindsum::bench {

inline constexpr std::string_view kTextbook = "textbook";

// Workload says how much one timed call does.
struct Workload {
  std::size_t batch = 64;      // numbers per call of a single operation
  std::uint32_t parties = 10;  // slots leave room for the sum of so many
  std::size_t values = 5253;   // gradient values of one party's update
  unsigned value_bits = 24;
};

// Case is one operation to time. Its name is operation/key_bits/mode/kernel, "-" where a part does
// not apply.
struct Case {
  std::string operation;
  std::size_t key_bits = 0;
  std::string mode;
  std::string kernel;
  std::string unit;        // what a time is given for: ciphertext, plaintext, round, key
  std::size_t units = 1;   // per call
  std::size_t values = 0;  // gradient values per call; 0 where the operation has none
  std::size_t bytes = 0;   // that one call puts on the wire; 0: nothing
  bool varies = false;     // key generation: every call takes another time, so one call at a time
  // prepare makes what the operation needs (a table, ciphertexts) and returns the call.
  std::function<std::function<void()>()> prepare;

  [[nodiscard]] std::string name() const {
    return operation + "/" + std::to_string(key_bits) + "/" + mode + "/" + kernel;
  }
};

// draw_prime returns a random prime with its top two bits set, for measurements alone: prime, not
// safe.
[[nodiscard]] crypto::Natural draw_prime(std::size_t bits);

// cases_of lists the cases of one key size: those of each kernel in `kernels`, of the textbook
// method, and those that need neither. Nothing is computed before a case is prepared; what cases
// share (keys, tables) lives as long as one of them. `pool` must outlive them.
[[nodiscard]] std::vector<Case> cases_of(std::size_t modulus_bits,
                                         const std::vector<const crypto::kernels::Kernel*>& kernels,
                                         const Workload& workload, ThreadPool& pool);

}  // namespace blindsum::bench
