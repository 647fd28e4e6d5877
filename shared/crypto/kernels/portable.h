// The portable kernel: GMP's mpn functions, on any machine. The oracle of the others.
#pragma once

#include "shared/crypto/kernels/kernel.h"

namespace blindsum::crypto::kernels {

[[nodiscard]] const Kernel& portable_kernel();

}  // namespace blindsum::crypto::kernels
