// Errors and exit codes. A message carries facts: what, where, and what to do about it.
#pragma once

#include <exception>
#include <stdexcept>
#include <string_view>

namespace blindsum {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// ConfigError: a scenario, an option or a setting is wrong.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// DataError: a data file is missing or malformed.
class DataError : public Error {
 public:
  using Error::Error;
};

// DecodeError: bytes do not have the form they must have.
class DecodeError : public Error {
 public:
  using Error::Error;
};

// CryptoError: a value is not valid for its key, or an operation on it has no result.
class CryptoError : public Error {
 public:
  using Error::Error;
};

// KeyError: a key or a key file is missing, malformed, unprotected or of the wrong kind.
class KeyError : public CryptoError {
 public:
  using CryptoError::CryptoError;
};

// IntegrityError: a decrypted aggregate is not the sum that it claims to be.
class IntegrityError : public CryptoError {
 public:
  using CryptoError::CryptoError;
};

// StorageError: what must outlive a crash cannot be kept, or what was kept is damaged.
class StorageError : public Error {
 public:
  using Error::Error;
};

// ProtocolError: a peer said something that its role or the moment does not allow.
class ProtocolError : public Error {
 public:
  using Error::Error;
};

// Fault is how a run can end. Each has one name, used in records and messages, and one exit code;
// both are stable.
enum class Fault {
  kNone,         // "done", 0
  kInternal,     // "internal_error", 1: a mistake of ours
  kUsage,        // "usage", 2: command line or scenario
  kData,         // "data", 3
  kKeys,         // "keys", 4
  kRoleFailed,   // "role_failed", 5: a process died or could not start
  kQuorumLost,   // "quorum_lost", 6
  kIntegrity,    // "integrity", 7: tampering, or a result that differs
  kDeadline,     // "deadline", 8
  kStorage,      // "storage", 9: the state of a run cannot be kept, or is damaged
  kInterrupted,  // "interrupted", 130: the user pressed Ctrl-C
};

[[nodiscard]] std::string_view to_string(Fault fault);
[[nodiscard]] int exit_code(Fault fault);

// fault_from_string reads what to_string writes. Throws DecodeError for another name.
[[nodiscard]] Fault fault_from_string(std::string_view name);

// fault_of maps an exception to the fault that a program ends with. A filesystem_error, which names
// its path, is kUsage: the folders of a run are the user's choice.
[[nodiscard]] Fault fault_of(const std::exception& error);

}  // namespace blindsum
