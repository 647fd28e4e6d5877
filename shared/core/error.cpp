#include "shared/core/error.h"

#include <array>
#include <filesystem>
#include <string>

namespace blindsum {
namespace {

struct FaultRow {
  Fault fault;
  std::string_view name;
  int exit_code;
};

constexpr std::array<FaultRow, 11> kFaults{{
    {Fault::kNone, "done", 0},
    {Fault::kInternal, "internal_error", 1},
    {Fault::kUsage, "usage", 2},
    {Fault::kData, "data", 3},
    {Fault::kKeys, "keys", 4},
    {Fault::kRoleFailed, "role_failed", 5},
    {Fault::kQuorumLost, "quorum_lost", 6},
    {Fault::kIntegrity, "integrity", 7},
    {Fault::kDeadline, "deadline", 8},
    {Fault::kStorage, "storage", 9},
    {Fault::kInterrupted, "interrupted", 130},
}};

const FaultRow& row_of(Fault fault) { return kFaults.at(static_cast<std::size_t>(fault)); }

}  // namespace

std::string_view to_string(Fault fault) { return row_of(fault).name; }

int exit_code(Fault fault) { return row_of(fault).exit_code; }

Fault fault_from_string(std::string_view name) {
  for (const FaultRow& row : kFaults) {
    if (row.name == name) return row.fault;
  }
  throw DecodeError("no fault is named '" + std::string(name) + "'");
}

Fault fault_of(const std::exception& error) {
  if (dynamic_cast<const ConfigError*>(&error) != nullptr) return Fault::kUsage;
  if (dynamic_cast<const DataError*>(&error) != nullptr) return Fault::kData;
  if (dynamic_cast<const KeyError*>(&error) != nullptr) return Fault::kKeys;
  if (dynamic_cast<const IntegrityError*>(&error) != nullptr) return Fault::kIntegrity;
  if (dynamic_cast<const CryptoError*>(&error) != nullptr) return Fault::kIntegrity;
  if (dynamic_cast<const StorageError*>(&error) != nullptr) return Fault::kStorage;
  if (dynamic_cast<const Error*>(&error) != nullptr) return Fault::kRoleFailed;
  if (dynamic_cast<const std::filesystem::filesystem_error*>(&error) != nullptr) {
    return Fault::kUsage;
  }
  return Fault::kInternal;
}

}  // namespace blindsum
