#include "scenarios/launcher/encryption_proof.h"

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <gmp.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "party/key_holder/make.h"
#include "party/local_trainer.h"
#include "scenarios/launcher/needle_search.h"
#include "shared/core/file.h"
#include "shared/core/hash.h"
#include "shared/crypto/public_key.h"
#include "shared/crypto/secret/marker.h"
#include "shared/report/records.h"
#include "shared/role/codec.h"
#include "shared/role/learning.h"
#include "shared/settings/identity.h"
#include "shared/wire/codec.h"
#include "shared/wire/traffic_log.h"

namespace blindsum::launcher {
namespace {

using nlohmann::json;
using std::filesystem::path;

// How many parties' first gradients are recomputed, and how many rows of each shard are looked for.
constexpr std::uint32_t kGradientParties = 4;
constexpr std::size_t kRowsOfAShard = 64;

std::string count_text(std::uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// Number is an integer of GMP. The examination computes with GMP directly, as neither the roles'
// kernels nor their checks of ciphertexts do.
class Number {
 public:
  Number() { mpz_init(value_); }
  explicit Number(unsigned long value) { mpz_init_set_ui(value_, value); }
  ~Number() { mpz_clear(value_); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  [[nodiscard]] mpz_ptr get() { return value_; }
  [[nodiscard]] mpz_srcptr get() const { return value_; }
  void set_little_endian(ByteView bytes) {
    mpz_import(value_, bytes.size(), -1, 1, 0, 0, bytes.data());
  }
  void set_big_endian(ByteView bytes) {
    mpz_import(value_, bytes.size(), 1, 1, 0, 0, bytes.data());
  }

 private:
  mpz_t value_;
};

// Findings are the failures of one check: how many, and the first.
struct Findings {
  std::uint64_t count = 0;
  std::string first;

  void add(std::string what) {
    if (count++ == 0) first = std::move(what);
  }
  void put_into(ProofCheck& check) const {
    if (count == 0) return;
    check.verdict = Verdict::kFailed;
    check.detail = first + (count > 1 ? ", and " + std::to_string(count - 1) + " more" : "");
  }
};

using Fingerprint = std::array<std::uint8_t, 16>;

Fingerprint fingerprint_of(ByteView bytes) {
  const Digest digest = sha256(bytes);
  Fingerprint fingerprint;
  std::copy_n(digest.begin(), fingerprint.size(), fingerprint.begin());
  return fingerprint;
}

std::string update_text(std::uint32_t party, std::uint32_t round) {
  return "update of party " + std::to_string(party) + " in round " + std::to_string(round);
}

// CiphertextCheck examines the ciphertexts of updates and aggregates, in the order in which the
// coordinator saw them. It holds the updates of rounds that have not been summed yet.
class CiphertextCheck {
 public:
  explicit CiphertextCheck(const crypto::PublicKey& key) {
    const Bytes modulus = key.modulus();
    modulus_.set_big_endian(modulus);
    mpz_mul(square_.get(), modulus_.get(), modulus_.get());
    width_ = 2 * modulus.size();
  }

  void update(std::uint32_t party, const wire::EncryptedUpdate& update, std::size_t message_bytes) {
    ++updates_;
    const auto key = std::tuple(update.round, party);
    const Fingerprint print = fingerprint_of(update.payload);
    Sent& sent = sent_[key];
    if (!sent.prints.insert(print).second) {
      ++sent_again_;
      return;
    }
    const std::string name = update_text(party, update.round);
    if (const std::string why = why_invalid(update.payload); !why.empty()) {
      sent.problems.push_back(name + ": " + why);
      return;
    }
    remember(update.payload, name);
    sizes_.push_back({update.kind, update.round, party, message_bytes, update.payload.size()});
    sent.payloads.emplace(content_hash(update.payload), update.payload);
  }

  void reply(std::uint32_t party, const wire::UpdateReply& reply) {
    using enum wire::AcceptResult;
    if (reply.result == kInvalid || reply.result == kMismatch || reply.result == kWrongRound) {
      refused_.insert(std::tuple(reply.round, party));
    }
  }

  void aggregate(const wire::EncryptedAggregate& aggregate) {
    const std::string name = "aggregate of round " + std::to_string(aggregate.round);
    const Fingerprint print = fingerprint_of(aggregate.payload);
    if (!aggregates_.insert(std::tuple(aggregate.round, print)).second) {
      ++sent_again_;
      return;
    }
    if (const std::string why = why_invalid(aggregate.payload); !why.empty()) {
      invalid_.add(name + ": " + why);
      return;
    }
    remember(aggregate.payload, name);
    check_product(aggregate, name);
    for (auto& [key, sent] : sent_) {
      if (std::get<0>(key) < aggregate.round) sent.payloads.clear();
    }
  }

  // rounds returns of how many rounds an aggregate was seen.
  [[nodiscard]] std::size_t rounds() const {
    std::set<std::uint32_t> rounds;
    for (const auto& [round, print] : aggregates_) rounds.insert(round);
    return rounds.size();
  }

  [[nodiscard]] std::vector<ProofCheck> checks() {
    std::uint64_t refused = 0;
    for (const auto& [key, sent] : sent_) {
      for (const std::string& problem : sent.problems) {
        if (refused_.contains(key)) {
          ++refused;
        } else {
          invalid_.add(problem);
        }
      }
    }
    const std::string without = refused == 0 ? ""
                                             : "; " + count_text(refused, "update") +
                                                   " that the coordinator refused not judged";
    ProofCheck valid{"valid_ciphertexts",
                     "0 < c < n² and gcd(c, n) = 1, in " + count_text(updates_, "update") +
                         " and " + count_text(aggregates_.size(), "aggregate"),
                     ciphertexts_,
                     {},
                     without.empty() ? "" : without.substr(2)};
    invalid_.put_into(valid);
    if (ciphertexts_ == 0 && valid.verdict == Verdict::kPassed) {
      valid.verdict = Verdict::kNotChecked;
      valid.detail = "no ciphertext was recorded";
    }

    ProofCheck repeats{
        "no_repeats", "ciphertexts of all updates and aggregates, compared", prints_.size(),
        valid.verdict == Verdict::kNotChecked ? Verdict::kNotChecked : Verdict::kPassed,
        sent_again_ == 0
            ? ""
            : count_text(sent_again_, "message") + " sent again as it was, not counted"};
    repeats_found().put_into(repeats);

    ProofCheck products{"rerandomized", "aggregates, each against the product of its inputs mod n²",
                        products_, products_ == 0 ? Verdict::kNotChecked : Verdict::kPassed,
                        products_ == 0 ? "no aggregate with its inputs was recorded" : ""};
    plain_.put_into(products);

    ProofCheck sizes{"equal_sizes",
                     "bytes of the updates: of payloads over all rounds, of messages in a round",
                     sizes_.size(), sizes_.empty() ? Verdict::kNotChecked : Verdict::kPassed, ""};
    unequal_sizes().put_into(sizes);
    return {valid, repeats, products, sizes};
  }

 private:
  // Sent is what one party sent for one round.
  struct Sent {
    std::set<Fingerprint> prints;
    std::vector<std::string> problems;
    std::map<Digest, Bytes> payloads;  // valid ones, by hash, until the next round is summed
  };
  struct Size {
    wire::RoundKind kind;
    std::uint32_t round, party;
    std::size_t message, payload;
  };

  [[nodiscard]] std::size_t chunks_of(const Bytes& payload) const {
    return payload.size() / width_;
  }
  [[nodiscard]] ByteView chunk_of(const Bytes& payload, std::size_t i) const {
    return ByteView(payload).subspan(i * width_, width_);
  }

  // why_invalid says what is wrong with the ciphertexts of a payload; nothing when they are valid.
  [[nodiscard]] std::string why_invalid(const Bytes& payload) {
    if (payload.empty() || payload.size() % width_ != 0) {
      return std::to_string(payload.size()) + " bytes, not ciphertexts of " +
             std::to_string(width_) + " bytes";
    }
    // One gcd for all: their product has a common factor with n when one of them has.
    mpz_set_ui(product_.get(), 1);
    for (std::size_t i = 0; i < chunks_of(payload); ++i) {
      chunk_.set_little_endian(chunk_of(payload, i));
      if (mpz_sgn(chunk_.get()) == 0 || mpz_cmp(chunk_.get(), square_.get()) >= 0) {
        return "ciphertext " + std::to_string(i) + " is 0 or at least n²";
      }
      mpz_mod(rest_.get(), chunk_.get(), modulus_.get());
      mpz_mul(product_.get(), product_.get(), rest_.get());
      mpz_mod(product_.get(), product_.get(), modulus_.get());
    }
    mpz_gcd(rest_.get(), product_.get(), modulus_.get());
    if (mpz_cmp_ui(rest_.get(), 1) != 0) return "a ciphertext has a common factor with n";
    return "";
  }

  void remember(const Bytes& payload, const std::string& name) {
    names_.push_back(name);
    for (std::size_t i = 0; i < chunks_of(payload); ++i) {
      ++ciphertexts_;
      prints_.emplace_back(fingerprint_of(chunk_of(payload, i)),
                           static_cast<std::uint32_t>(names_.size() - 1));
    }
  }

  [[nodiscard]] Findings repeats_found() {
    Findings found;
    std::sort(prints_.begin(), prints_.end());
    for (std::size_t i = 1; i < prints_.size(); ++i) {
      if (prints_[i].first == prints_[i - 1].first) {
        found.add("the same ciphertext in the " + names_[prints_[i - 1].second] + " and the " +
                  names_[prints_[i].second]);
      }
    }
    return found;
  }

  void check_product(const wire::EncryptedAggregate& aggregate, const std::string& name) {
    std::vector<const Bytes*> inputs;
    for (const wire::Contribution& contribution : aggregate.contributions) {
      const Sent& sent = sent_[std::tuple(aggregate.round, contribution.party)];
      const auto input = sent.payloads.find(contribution.payload_hash);
      if (input == sent.payloads.end() || input->second.size() != aggregate.payload.size()) {
        plain_.add(name + ": the update that its contributor " +
                   std::to_string(contribution.party) + " signed was not recorded");
        return;
      }
      inputs.push_back(&input->second);
    }
    ++products_;
    for (std::size_t i = 0; i < chunks_of(aggregate.payload); ++i) {
      mpz_set_ui(product_.get(), 1);
      for (const Bytes* input : inputs) {
        chunk_.set_little_endian(chunk_of(*input, i));
        mpz_mul(product_.get(), product_.get(), chunk_.get());
        mpz_mod(product_.get(), product_.get(), square_.get());
      }
      chunk_.set_little_endian(chunk_of(aggregate.payload, i));
      if (mpz_cmp(product_.get(), chunk_.get()) == 0) {
        plain_.add(name + ": ciphertext " + std::to_string(i) +
                   " is the plain product of its inputs");
      }
    }
  }

  // unequal_sizes names the updates whose size is not the most frequent one among their like.
  [[nodiscard]] Findings unequal_sizes() const {
    Findings found;
    const auto compare = [&](auto group_of, std::size_t Size::*member, const char* what) {
      std::map<std::uint32_t, std::map<std::size_t, std::vector<const Size*>>> groups;
      for (const Size& size : sizes_) {
        if (refused_.contains(std::tuple(size.round, size.party))) continue;
        groups[group_of(size)][size.*member].push_back(&size);
      }
      for (const auto& [group, by_size] : groups) {
        const auto usual = std::max_element(
            by_size.begin(), by_size.end(),
            [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
        for (auto other = by_size.begin(); other != by_size.end(); ++other) {
          if (other == usual) continue;
          for (const Size* size : other->second) {
            found.add(update_text(size->party, size->round) + ": a " + what + " of " +
                      std::to_string(other->first) + " bytes, of others " +
                      std::to_string(usual->first));
          }
        }
      }
    };
    compare([](const Size& size) { return static_cast<std::uint32_t>(size.kind); }, &Size::payload,
            "payload");
    compare([](const Size& size) { return size.round; }, &Size::message, "message");
    return found;
  }

  Number modulus_, square_;
  std::size_t width_ = 0;
  Number chunk_, product_, rest_;                                  // at work
  std::map<std::tuple<std::uint32_t, std::uint32_t>, Sent> sent_;  // by round and party
  std::set<std::tuple<std::uint32_t, std::uint32_t>> refused_;
  std::set<std::tuple<std::uint32_t, Fingerprint>> aggregates_;
  std::vector<std::pair<Fingerprint, std::uint32_t>> prints_;  // of ciphertexts, and of whose
  std::vector<std::string> names_;
  std::vector<Size> sizes_;
  std::uint64_t updates_ = 0, ciphertexts_ = 0, sent_again_ = 0, products_ = 0;
  Findings invalid_, plain_;
};

// Kinds of needles.
enum Kind : std::size_t { kUpdates, kRecords, kWeights, kKeys, kControl, kKinds };

// Needles knows what must not be in the traffic.
class Needles {
 public:
  Needles(const ProofInput& input, const crypto::PublicKey& key) : input_(input) {
    search_.add(kControl, key.id());
  }

  // collect_data takes records, updates and weights. Returns false once `stop` is true.
  bool collect_data(const std::atomic<bool>& stop) {
    if (!input_.shards.empty() && !collect_updates(stop)) return false;
    const model::Shape shape = role::shape_of(input_.settings);
    add_floats(kWeights, model::initial_parameters(shape, input_.settings.seed));
    if (!input_.model.empty()) {
      add_floats(kWeights, key_holder::load_model(input_.model, shape));
    }
    return !stop;
  }

  void collect_keys() {
    if (!input_.secret_key.empty()) {
      const SecretBytes file = read_secret_file(input_.secret_key);
      // The file ends in p and q, big-endian, and a hash of 32 bytes.
      const std::size_t prime = input_.settings.paillier.key_bits / 16;
      const ByteView bytes = std::as_const(file).bytes();
      for (std::size_t i = 1; i <= 2 && bytes.size() >= 32 + 2 * prime; ++i) {
        add_number(kKeys, bytes.subspan(bytes.size() - 32 - i * prime, prime));
      }
    }
    for (const path& name : input_.identities) {
      const settings::Identity identity = settings::read_identity(name);
      const ByteView curve = identity.curve.secret_key.bytes();
      const SecretBytes decoded = z85_decoded(curve);
      search_.add(kKeys, curve);
      add_number(kKeys, decoded.bytes());
      add_number(kKeys, identity.signing.seed().bytes());
      add_number(kKeys, identity.agreement.secret());
    }
  }

  [[nodiscard]] NeedleSearch& search() { return search_; }

 private:
  bool collect_updates(const std::atomic<bool>& stop) {
    const crypto::UpdateCodec codec = role::codec_of(input_.settings);
    party::TrainerSettings trainer;
    trainer.seed = input_.settings.seed;
    trainer.shape = role::shape_of(input_.settings);
    trainer.class_weights = role::class_weights_of(input_.settings);
    trainer.local = role::local_of(input_.settings);

    const data::Schema schema = role::schema_of(input_.settings);
    data::Statistics joint(schema);
    std::vector<party::LocalTrainer> trainers;
    for (const path& shard : input_.shards) {
      if (stop) return false;
      add_rows(shard);
      trainer.party = static_cast<std::uint32_t>(&shard - input_.shards.data());
      party::LocalTrainer local(trainer, data::read_records(shard, schema));
      const std::vector<std::int64_t>& own = local.statistics().values;
      add_integers(own);
      add_plaintexts(codec.statistics(), codec.statistics().pack(own));
      for (std::size_t i = 0; i < own.size(); ++i) joint.values[i] += own[i];
      if (trainers.size() < kGradientParties) trainers.push_back(std::move(local));
    }
    const auto weights = model::initial_parameters(trainer.shape, trainer.seed);
    for (party::LocalTrainer& local : trainers) {
      if (stop) return false;
      local.standardise(joint);
      const party::LocalUpdate update = local.train(weights, 1);
      add_doubles(update.weighted);
      crypto::Quantised quantised =
          codec.fixed_point().encode(update.weighted, trainer.seed, local.settings().party, 1);
      add_integers(quantised.values);
      add_plaintexts(codec.gradient(),
                     codec.pack_gradient(std::move(quantised.values), update.rows));
    }
    return true;
  }

  // add_rows takes rows from all over a shard.
  void add_rows(const path& shard) {
    const std::string text = read_text_file(shard, std::size_t{1} << 30);
    const std::size_t step = std::max<std::size_t>(1, text.size() / kRowsOfAShard);
    for (std::size_t at = 0; at < text.size(); at += step) {
      const std::size_t begin = at == 0 ? 0 : text.rfind('\n', at) + 1;
      const std::size_t end = std::min(text.size(), text.find('\n', begin));
      search_.add(kRecords, as_bytes(std::string_view(text).substr(begin, end - begin)));
    }
  }

  // add_number takes a number's bytes in both orders.
  void add_number(Kind kind, ByteView bytes) {
    search_.add(kind, bytes);
    SecretBytes reversed(bytes);
    std::reverse(reversed.bytes().begin(), reversed.bytes().end());
    search_.add(kind, std::as_const(reversed).bytes());
  }

  // add_plaintexts takes what lies below the tag, which nobody but the party can compute.
  void add_plaintexts(const crypto::PackedEncoder& encoder,
                      const crypto::PlaintextVector& plaintexts) {
    for (std::size_t i = 0; i < plaintexts.size(); ++i) {
      Bytes bytes;
      for (const std::uint64_t limb : plaintexts[i]) append_le64(bytes, limb);
      bytes.resize(encoder.layout().tag_at() / 8);
      add_number(kUpdates, bytes);
    }
  }

  template <class Value, class Unsigned>
  void add_values(Kind kind, std::span<const Value> values) {
    static_assert(sizeof(Value) == sizeof(Unsigned));
    Bytes bytes;
    for (const Value value : values) {
      const auto bits = std::bit_cast<Unsigned>(value);
      for (std::size_t i = 0; i < sizeof bits; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
      }
    }
    add_number(kind, bytes);
  }
  void add_floats(Kind kind, const std::vector<float>& values) {
    add_values<float, std::uint32_t>(kind, values);
  }
  void add_doubles(const std::vector<double>& values) {
    add_values<double, std::uint64_t>(kUpdates, values);
    add_floats(kUpdates, {values.begin(), values.end()});
  }
  void add_integers(const std::vector<std::int64_t>& values) {
    add_values<std::int64_t, std::uint64_t>(kUpdates, values);
    const std::vector<std::int32_t> narrow(values.begin(), values.end());
    add_values<std::int32_t, std::uint32_t>(kUpdates, narrow);
  }

  // z85_decoded decodes five characters of Z85 (ZMQ RFC 32) to four bytes, as far as they go.
  static SecretBytes z85_decoded(ByteView text) {
    constexpr std::string_view kDigits =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    SecretBytes bytes(text.size() / 5 * 4);
    for (std::size_t i = 0; i + 5 <= text.size(); i += 5) {
      std::uint32_t word = 0;
      for (std::size_t k = 0; k < 5; ++k) {
        word = 85 * word + static_cast<std::uint32_t>(kDigits.find(static_cast<char>(text[i + k])));
      }
      for (std::size_t k = 0; k < 4; ++k) {
        bytes.bytes()[i / 5 * 4 + k] = static_cast<std::uint8_t>(word >> (24 - 8 * k));
      }
    }
    return bytes;
  }

  const ProofInput& input_;
  NeedleSearch search_;
};

constexpr std::array<std::pair<const char*, const char*>, kControl> kHidden{{
    {"updates_hidden",
     "statistics of every party and first gradients of some, as they would be "
     "encrypted and as plain numbers"},
    {"records_hidden", "rows from every shard, as text"},
    {"weights_hidden", "the first and the last weights, as float32"},
    {"keys_hidden", "p and q, and the secrets of the roles' identities"},
}};

// hidden_checks says for every kind of needle whether it was found.
std::vector<ProofCheck> hidden_checks(const NeedleSearch& search,
                                      const std::vector<std::uint64_t>& found,
                                      const std::string& absent) {
  std::vector<ProofCheck> checks;
  for (std::size_t kind = 0; kind < kHidden.size(); ++kind) {
    ProofCheck check{kHidden[kind].first, kHidden[kind].second, search.windows(kind), {}, ""};
    if (found[kind] > 0) {
      check.verdict = Verdict::kFailed;
      check.detail = "found in " + count_text(found[kind], "place") + " of the traffic";
    } else if (check.count == 0) {
      check.verdict = Verdict::kNotChecked;
      check.detail = absent;
    }
    checks.push_back(std::move(check));
  }
  return checks;
}

// detector_check plants a window of every kind in a copy of a message, and looks at what the search
// found of the key's id, which is there.
ProofCheck detector_check(NeedleSearch& search, std::uint64_t control_found, const Bytes& message) {
  ProofCheck check{"detector", "the key's id in the headers, and planted pieces of the above", 0,
                   Verdict::kPassed, ""};
  const auto expect = [&](bool is_found, const std::string& what) {
    ++check.count;
    if (is_found || check.verdict == Verdict::kFailed) return;
    check.verdict = Verdict::kFailed;
    check.detail = what + " was not found: this search finds nothing";
  };
  expect(control_found > 0, "the key's id");
  for (std::size_t kind = 0; kind < kHidden.size(); ++kind) {
    const Bytes needle = search.sample(kind);
    if (needle.empty()) continue;
    Bytes copy = message;
    copy.resize(std::max<std::size_t>(copy.size(), 64));
    std::copy(needle.begin(), needle.end(),
              copy.begin() + static_cast<std::ptrdiff_t>(copy.size() / 3));
    expect(search.count(copy)[kind] > 0, std::string("a piece planted for ") + kHidden[kind].first);
  }
  return check;
}

ProofCheck programs_check(const ProofInput& input) {
  const auto& programs = input.programs;
  ProofCheck check{"programs", "the program of every process, searched for secret arithmetic",
                   programs.size(), Verdict::kPassed, ""};
  Findings found;
  std::size_t by_kernel = 0;
  for (const auto& [peer, seen] : programs) {
    by_kernel += seen.by_kernel ? 1 : 0;
    const bool may_have = peer == wire::kKeyHolderPeer;
    if (seen.has_marker == may_have) continue;
    found.add(peer_name(peer) +
              (may_have ? ": no secret arithmetic found in " : ": secret arithmetic found in ") +
              seen.file);
  }
  found.put_into(check);
  if (check.verdict == Verdict::kFailed) return check;
  const std::size_t expected = input.settings.parties + std::size_t{2};
  if (programs.empty()) {
    check.verdict = Verdict::kNotChecked;
    check.detail = input.absent;
  } else if (programs.size() < expected) {
    check.verdict = Verdict::kNotChecked;
    check.detail = "seen of " + std::to_string(expected) + " processes only " +
                   std::to_string(programs.size());
  } else if (by_kernel < programs.size()) {
    check.detail = count_text(programs.size() - by_kernel, "program") +
                   " read from the file that was started, as /proc does not show it to this user";
  }
  return check;
}

// capture_check expects an aggregate of each of `expected` rounds.
ProofCheck capture_check(const wire::TrafficReader& reader, const Proof& proof, std::size_t rounds,
                         std::size_t expected) {
  ProofCheck check{"capture", "what the coordinator received and sent", proof.messages,
                   Verdict::kPassed, ""};
  if (!reader.is_whole()) {
    check.verdict = Verdict::kNotChecked;
    check.detail =
        "the recording is not whole: the disk was full, or the coordinator was killed or started "
        "again";
  } else if (reader.left_out() > 0) {
    check.verdict = Verdict::kNotChecked;
    check.detail = "the recording was full: the last " + count_text(reader.left_out(), "message") +
                   " were not looked at";
  } else if (rounds < expected) {
    check.verdict = Verdict::kNotChecked;
    check.detail = "only " + std::to_string(rounds) + " of " + std::to_string(expected) +
                   " rounds were recorded";
  }
  return check;
}

void conclude(Proof& proof) {
  proof.verdict = Verdict::kPassed;
  for (const ProofCheck& check : proof.checks) {
    if (check.verdict == Verdict::kFailed) {
      proof.verdict = Verdict::kFailed;
      proof.reason = check.name + ": " + check.detail;
      return;
    }
    if (check.verdict != Verdict::kPassed) proof.verdict = Verdict::kPartlyChecked;
  }
}

// has_marker says whether a program's file contains secret arithmetic.
bool has_marker(std::ifstream& file) {
  const std::string program{std::istreambuf_iterator<char>(file), {}};
  return program.find(crypto::kSecretMarker) != std::string::npos;
}

}  // namespace

namespace {

std::string identity_of(const struct stat& status) {
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" +
         std::to_string(status.st_mtim.tv_sec) + ":" + std::to_string(status.st_mtim.tv_nsec);
}

std::string own_identity() {
  struct stat status = {};
  return stat("/proc/self/exe", &status) == 0 ? identity_of(status) : "";
}

}  // namespace

void ProgramWatch::look(const std::map<wire::Peer, Federation::Program>& programs) {
  for (const auto& [peer, program] : programs) {
    if (const auto known = pids_.find(peer); known != pids_.end() && known->second == program.pid) {
      continue;
    }
    // A process that forbids core files hides from other users' eyes, and from its own user's.
    const std::string by_kernel = "/proc/" + std::to_string(program.pid) + "/exe";
    bool is_started = true;
    for (const std::string& name : {by_kernel, program.file.string()}) {
      std::ifstream file(name, std::ios::binary);
      struct stat status = {};
      if (!file || stat(name.c_str(), &status) != 0) continue;
      const std::string identity = identity_of(status);
      // A process that was started just now may still be this program's twin: what it is started
      // from counts until the next look.
      if (identity == own_identity()) {
        is_started = false;
        continue;
      }
      const auto known = known_.find(identity);
      const bool found = known != known_.end() ? known->second : has_marker(file);
      known_.emplace(identity, found);
      // One that was ever seen with it stays so.
      Seen& seen = seen_[peer];
      seen = {program.file.string(), name == by_kernel, seen.has_marker || found};
      if (is_started) pids_[peer] = program.pid;
      break;
    }
  }
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPassed:
      return "passed";
    case Verdict::kPartlyChecked:
      return "partly checked";
    case Verdict::kFailed:
      return "failed";
    case Verdict::kNotChecked:
      break;
  }
  return "not checked";
}

Proof prove_encryption(const ProofInput& input, const std::atomic<bool>& stop) {
  const report::Stopwatch watch;
  const auto key = crypto::PublicKey::parse(read_file(input.public_key));
  Needles needles(input, key);
  if (!needles.collect_data(stop)) return not_proved("interrupted");
  needles.collect_keys();

  Proof proof;
  CiphertextCheck ciphertexts(key);
  NeedleSearch& search = needles.search();
  std::vector<std::uint64_t> found(kKinds, 0);
  const wire::CodecLimits limits = role::limits_of(input.settings);
  Bytes specimen;
  std::uint64_t undecodable = 0;
  wire::TrafficReader reader(input.traffic);
  while (const auto message = reader.next()) {
    if (stop) return not_proved("interrupted");
    ++proof.messages;
    proof.bytes += message->bytes.size();
    const auto counts = search.count(message->bytes);
    std::transform(counts.begin(), counts.end(), found.begin(), found.begin(), std::plus<>());
    std::optional<wire::Message> decoded;
    try {
      decoded = wire::decode(message->bytes, limits);
    } catch (const DecodeError&) {
      ++undecodable;  // as the coordinator found, and dropped it
      continue;
    }
    const bool is_in = message->direction == wire::Direction::kIn;
    const wire::Body& body = decoded->body;
    if (const auto* update = std::get_if<wire::EncryptedUpdate>(&body); update && is_in) {
      ciphertexts.update(message->peer.id, *update, message->bytes.size());
      if (specimen.empty()) specimen.assign(message->bytes.begin(), message->bytes.end());
    } else if (const auto* reply = std::get_if<wire::UpdateReply>(&body); reply && !is_in) {
      ciphertexts.reply(message->peer.id, *reply);
    } else if (const auto* sum = std::get_if<wire::EncryptedAggregate>(&body); sum && !is_in) {
      ciphertexts.aggregate(*sum);
    }
  }
  proof.left_out = reader.left_out();
  const std::uint32_t rounds = input.rounds > 0 ? input.rounds : input.settings.rounds;
  proof.checks.push_back(
      capture_check(reader, proof, ciphertexts.rounds(), rounds + std::size_t{1}));
  if (undecodable > 0 && proof.checks[0].detail.empty()) {
    proof.checks[0].detail = count_text(undecodable, "message") + " that nobody could decode";
  }
  for (ProofCheck& check : ciphertexts.checks()) proof.checks.push_back(std::move(check));
  for (ProofCheck& check : hidden_checks(search, found, input.absent)) {
    proof.checks.push_back(std::move(check));
  }
  proof.checks.push_back(detector_check(search, found[kControl], specimen));
  proof.checks.push_back(programs_check(input));
  conclude(proof);
  proof.seconds = watch.seconds();
  return proof;
}

Proof not_proved(std::string reason) {
  Proof proof;
  proof.reason = std::move(reason);
  return proof;
}

json to_json(const Proof& proof) {
  json checks = json::array();
  for (const ProofCheck& check : proof.checks) {
    json entry = {{"name", check.name},
                  {"verdict", to_string(check.verdict)},
                  {"looked_at", check.looked_at},
                  {"count", check.count}};
    if (!check.detail.empty()) entry["detail"] = check.detail;
    checks.push_back(std::move(entry));
  }
  json object = {{"verdict", to_string(proof.verdict)},
                 {"messages", proof.messages},
                 {"bytes", proof.bytes},
                 {"messages_not_recorded", proof.left_out},
                 {"seconds", proof.seconds},
                 {"checks", std::move(checks)}};
  if (!proof.reason.empty()) object["reason"] = proof.reason;
  return object;
}

}  // namespace blindsum::launcher
