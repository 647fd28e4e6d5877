#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

#include "shared/core/error.h"
#include "shared/crypto/kernels/kernel.h"
#include "shared/crypto/kernels/portable.h"
#ifdef BLINDSUM_HAS_IFMA
#include "shared/crypto/kernels/ifma.h"
#endif

namespace blindsum::crypto::kernels {
namespace {

std::atomic<const Kernel*> scoped_kernel = nullptr;

const Kernel& choose_kernel() {
  const char* const wanted = std::getenv("BLINDSUM_KERNEL");
  std::string names;
  for (const Kernel* kernel : all_kernels()) {
    if (wanted == nullptr || *wanted == '\0') {
      if (kernel->runs_here()) return *kernel;
      continue;
    }
    if (kernel->name() == wanted) {
      if (kernel->runs_here()) return *kernel;
      throw ConfigError("BLINDSUM_KERNEL=" + std::string(wanted) + ": this machine cannot run it");
    }
    names.append(names.empty() ? "" : ", ").append(kernel->name());
  }
  throw ConfigError("BLINDSUM_KERNEL=" + std::string(wanted == nullptr ? "" : wanted) +
                    ": unknown kernel, this build has " + names);
}

}  // namespace

std::span<const Kernel* const> all_kernels() {
  static const std::array kKernels{
#ifdef BLINDSUM_HAS_IFMA
      &ifma_kernel(),
#endif
      &portable_kernel(),
  };
  return kKernels;
}

const Kernel& active_kernel() {
  if (const Kernel* const scoped = scoped_kernel) return *scoped;
  static const Kernel& kernel = choose_kernel();
  return kernel;
}

ScopedKernel::ScopedKernel(const Kernel& kernel) : previous_(scoped_kernel.exchange(&kernel)) {}
ScopedKernel::~ScopedKernel() { scoped_kernel = previous_; }

}  // namespace blindsum::crypto::kernels
