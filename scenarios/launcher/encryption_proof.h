// The proof of encryption: what the coordinator received and sent in a run, examined afterwards by
// other means than it was made with.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "scenarios/launcher/federation.h"
#include "shared/settings/settings.h"

namespace blindsum::launcher {

// ProgramWatch finds out what the processes of a run execute while they run, and whether it
// contains arithmetic on the secret key (see shared/crypto/secret/marker.h).
class ProgramWatch {
 public:
  struct Seen {
    std::string file;
    bool by_kernel = false;  // it was read through /proc; else from where the process was started
    bool has_marker = false;
  };

  // look examines those that it has not seen before. A process whose program cannot be read any
  // more is left out.
  void look(const std::map<wire::Peer, Federation::Program>& programs);

  [[nodiscard]] const std::map<wire::Peer, Seen>& seen() const { return seen_; }

 private:
  std::map<wire::Peer, pid_t> pids_;
  std::map<wire::Peer, Seen> seen_;
  std::map<std::string, bool> known_;  // marker, by the file's identity
};

// ProofInput is what a proof looks at. A path that is empty, or a list, makes its check
// "not checked"; `absent` says why that is.
struct ProofInput {
  settings::Settings settings;
  std::filesystem::path traffic;     // the coordinator's, see wire::TrafficLog
  std::filesystem::path public_key;  // Paillier
  std::string absent;
  std::vector<std::filesystem::path> shards;      // by party
  std::filesystem::path model;                    // what the run ended in
  std::filesystem::path secret_key;               // Paillier
  std::vector<std::filesystem::path> identities;  // the files of the roles' own secrets
  std::map<wire::Peer, ProgramWatch::Seen> programs;
  std::uint32_t rounds = 0;  // that the run did, when it ended before the settings' rounds
};

enum class Verdict : std::uint8_t { kPassed, kPartlyChecked, kFailed, kNotChecked };
[[nodiscard]] std::string_view to_string(Verdict verdict);  // "passed", "partly checked", …

// ProofCheck is one check: what it looked at, how much of it, and what came out (never
// kPartlyChecked).
struct ProofCheck {
  std::string name;
  std::string looked_at;
  std::uint64_t count = 0;
  Verdict verdict = Verdict::kPassed;
  std::string detail;  // what was found, or why nothing was checked
};

struct Proof {
  Verdict verdict = Verdict::kNotChecked;
  std::string reason;  // of kNotChecked, and of kFailed: "name of the check: detail"
  std::uint64_t messages = 0, bytes = 0;
  std::uint64_t left_out = 0;  // messages that were not recorded any more
  double seconds = 0;
  std::vector<ProofCheck> checks;
};

// prove_encryption examines the recorded traffic of a run that has ended well:
//   capture              the recording is whole
//   valid_ciphertexts    in every update and aggregate, 0 < c < n² and gcd(c, n) = 1
//   no_repeats           no ciphertext is there twice, but in an update that was sent again
//   rerandomized         no aggregate is the plain product of the updates that its contributors
//                        signed
//   equal_sizes          the updates of a kind have one size, whatever the data
//   updates_hidden       no bytes of the parties' statistics and first gradients, recomputed
//   records_hidden       no bytes of the shards
//   weights_hidden       no bytes of the first and last weights
//   keys_hidden          no bytes of a secret key
//   detector             what is there, or was planted, is found
//   programs             of the processes, the key-holder's alone can use the secret key
// An update that the coordinator refused is counted and not judged by the first five. The verdict
// is kPartlyChecked when nothing failed and something was not checked or not recorded.
// Ends early, with kNotChecked, once `stop` is true. Throws Error when the input cannot be read.
// Cost: about 20 µs a ciphertext.
[[nodiscard]] Proof prove_encryption(const ProofInput& input, const std::atomic<bool>& stop);

// not_proved is the proof of a run that has none, and why.
[[nodiscard]] Proof not_proved(std::string reason);

[[nodiscard]] nlohmann::json to_json(const Proof& proof);

}  // namespace blindsum::launcher
