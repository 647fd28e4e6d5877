// The party of mode encrypted_inputs: it owns the records and lets nobody else read them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/core/thread_pool.h"
#include "shared/crypto/encryptor.h"
#include "shared/data/encoder.h"
#include "shared/report/records.h"
#include "shared/settings/role_file.h"
#include "shared/wire/session.h"

namespace blindsum::party {

// RecordSet holds records as the network takes them, as whole numbers from 0 to 128, and the class.
struct RecordSet {
  std::size_t rows = 0;
  std::size_t inputs_each = 0;
  Bytes inputs;  // rows × inputs_each
  Bytes labels;
};

// ReplayRecords are the records of a replay, 41 min-max scaled inputs each: `train_rows` of the
// training file, drawn without repetition and in the order that the seed gives, and the first
// `test_rows` of the test file. Ranges are those of whole files: of the training file for both, or
// (scaler: seed) of each its own.
struct ReplayRecords {
  RecordSet train, test;
  // Throws DataError when a file cannot be read or has too few rows.
  [[nodiscard]] static ReplayRecords read(const settings::Settings& settings,
                                          const std::filesystem::path& train,
                                          const std::filesystem::path& test);
};

// detection_rows draws `test_rows` of `rows` without repetition, by the seed.
[[nodiscard]] std::vector<std::uint32_t> detection_rows(const settings::Settings& settings,
                                                        std::size_t rows);

// detection_records are those rows of a file, as role::DetectionInputs has them. Throws DataError
// when it cannot be read or has too few rows.
[[nodiscard]] RecordSet detection_records(const settings::Settings& settings,
                                          const std::filesystem::path& file,
                                          const data::Scaler& scaler);

// write_encoding and read_encoding: what a service tells those who want records scored, how numbers
// are standardised. JSON. read_encoding throws ConfigError that names the file.
void write_encoding(const std::filesystem::path& path, const data::Scaler& scaler);
[[nodiscard]] data::Scaler read_encoding(const std::filesystem::path& path);

struct OwnerConfig {
  Digest key_id{}, replay_id{};
  bool gives_inputs = false;       // the right update needs them
  std::uint32_t most_records = 0;  // in a message to the service
  unsigned slot_bits = 0;  // 0: one number a ciphertext; else one feature of all records, in slots
  double idle_s = 0;
};

// RecordOwner answers requests: to the compute service it sends records encrypted, one ciphertext a
// feature of a record, or of all records of the message, to the key-holder of its own side their
// labels, and the inputs of the training records if the update needs them. Every encryption is
// fresh, also when asked again.
class RecordOwner : public wire::Session {
 public:
  // `records` must outlive the session.
  RecordOwner(OwnerConfig config, ReplayRecords data, crypto::Encryptor encryptor,
              report::RecordWriter& records);

  void start(wire::MessageSink& sink) override;
  void handle(const wire::Peer& from, const wire::Body& body, wire::MessageSink& sink) override;
  [[nodiscard]] std::optional<wire::TimeMs> next_deadline() const override;
  void on_deadline(wire::MessageSink& sink) override;
  [[nodiscard]] bool finished() const override { return finished_; }

  [[nodiscard]] Fault fault() const { return fault_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

  // encryptions and encrypt_s are how many numbers were encrypted so far, and the seconds that
  // took.
  [[nodiscard]] std::uint64_t encryptions() const { return encryptions_; }
  [[nodiscard]] double encrypt_s() const { return encrypt_s_; }

 private:
  void say_hello(wire::MessageSink& sink);
  void on_request(const wire::Peer& from, const wire::RecordRequest& request,
                  wire::MessageSink& sink);
  void end(Fault fault, std::string reason);

  OwnerConfig config_;
  ReplayRecords data_;
  crypto::Encryptor encryptor_;
  report::RecordWriter* records_;
  std::uint64_t encryptions_ = 0;
  double encrypt_s_ = 0;
  wire::TimeMs hello_at_ = 0, idle_deadline_ = 0;
  Fault fault_ = Fault::kNone;
  std::string reason_;
  bool finished_ = false;
};

// make_record_owner loads the files and the public key that the role file names. Throws DataError,
// KeyError or ConfigError.
[[nodiscard]] std::unique_ptr<RecordOwner> make_record_owner(const settings::RoleFile& role,
                                                             ThreadPool& pool,
                                                             report::RecordWriter& records);

}  // namespace blindsum::party
