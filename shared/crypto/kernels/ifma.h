// The AVX-512 IFMA kernel: eight numbers at a time, 52 bits a digit.
#pragma once

#include "shared/crypto/kernels/kernel.h"

namespace blindsum::crypto::kernels {

[[nodiscard]] const Kernel& ifma_kernel();

}  // namespace blindsum::crypto::kernels
