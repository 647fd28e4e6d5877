// Private detection: the detector, its three sessions together, and what each refuses.
#include <atomic>
#include <cstdlib>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "coordinator/detection_service.h"
#include "coordinator/detector.h"
#include "party/key_holder/score_opener.h"
#include "party/record_owner.h"
#include "shared/core/error.h"
#include "shared/core/file.h"
#include "shared/core/seeded_random.h"
#include "shared/wire/links.h"
#include "tests/support/recording_sink.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_keys.h"

namespace blindsum {
namespace {

using coordinator::DetectionService;
using coordinator::Detector;
using key_holder::ScoreOpener;
using role::DetectionInputs;
using role::DetectionPlan;
using role::Slots;
using test::insecure_test_key;
using test::RecordingSink;
using wire::RecordPart;

constexpr std::uint64_t kSeed = 20241123;
constexpr std::size_t kIn = DetectionInputs::kInputs;
constexpr std::size_t kOut = DetectionInputs::kOutputs;

std::int64_t between(SeededRandom& random, std::int64_t least, std::int64_t most) {
  return least +
         static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most - least + 1)));
}

Detector random_detector(std::size_t hidden, std::uint64_t index) {
  SeededRandom random(kSeed, "detector", {hidden, index});
  Detector detector;
  detector.hidden = hidden;
  const auto draw = [&](std::size_t count, std::int64_t most) {
    std::vector<std::int64_t> values(count);
    for (auto& value : values) value = between(random, -most, most);
    return values;
  };
  // Sums of 84 + 38·128 inputs stay below 2^23 and 2^22.
  detector.first = draw((hidden == 0 ? kOut : hidden) * kIn, hidden == 0 ? 1500 : 700);
  detector.first_bias = draw(hidden == 0 ? kOut : hidden, 100000);
  detector.second = draw(hidden * kOut, 300);
  detector.second_bias = draw(hidden == 0 ? 0 : kOut, std::int64_t{1} << 39);
  detector.check();
  return detector;
}

party::RecordSet random_records(std::size_t rows, std::uint64_t index) {
  SeededRandom random(kSeed, "records", {index});
  party::RecordSet set;
  set.rows = rows;
  set.inputs_each = kIn;
  for (std::size_t i = 0; i < rows * kIn; ++i) {
    const auto most = DetectionInputs::most(i % kIn);
    // The first record has the largest of everything, the second nothing.
    set.inputs.push_back(static_cast<std::uint8_t>(i < kIn       ? most
                                                   : i < 2 * kIn ? 0
                                                                 : between(random, 0, most)));
  }
  for (std::size_t i = 0; i < rows; ++i) {
    set.labels.push_back(static_cast<std::uint8_t>(random.below(kOut)));
  }
  return set;
}

// naive_scores is the detector by its formulas, in __int128.
ScoreOpener::Scores naive_scores(const Detector& detector, std::span<const std::uint8_t> x) {
  const auto row_sum = [&](std::size_t row) {
    role::Int128 sum = detector.first_bias[row];
    for (std::size_t i = 0; i < kIn; ++i) sum += role::Int128{detector.first[row * kIn + i]} * x[i];
    return sum;
  };
  ScoreOpener::Scores scores{};
  for (std::size_t k = 0; k < kOut; ++k) {
    role::Int128 z = detector.hidden == 0 ? row_sum(k) : role::Int128{detector.second_bias[k]};
    for (std::size_t j = 0; j < detector.hidden; ++j) {
      const role::Int128 a = row_sum(j);
      z += a * a * detector.second[k * detector.hidden + j];
    }
    scores[k] = static_cast<std::int64_t>(z);
  }
  return scores;
}

std::span<const std::uint8_t> row_of(const party::RecordSet& set, std::size_t row) {
  return std::span(set.inputs).subspan(row * kIn, kIn);
}

DetectionPlan plan_of(std::size_t hidden, std::uint32_t batch, std::uint32_t rows) {
  DetectionPlan plan;
  plan.hidden = hidden;
  plan.batch = batch;
  plan.rows = rows;
  return plan;
}

TEST_CASE("numbers come out of slots as they went in, and what does not fit is refused") {
  INFO("seed ", kSeed);
  SeededRandom random(kSeed, "slots");
  for (const unsigned bits : {24U, 56U, 63U, 64U}) {
    for (const bool is_signed : {false, true}) {
      CAPTURE(bits);
      CAPTURE(is_signed);
      const Slots slots{bits, is_signed};
      const std::size_t count = 32 * 64 / bits;
      std::vector<std::int64_t> values(count);
      for (auto& value : values) {
        value = static_cast<std::int64_t>(random.next_u64() >> (65 - bits));
        if (is_signed && random.below(2) == 1) value = -value;
      }
      std::vector<std::uint64_t> plaintext(32);
      slots.put(plaintext, values);
      CHECK(slots.get(plaintext, count) == values);
      std::vector<std::uint64_t> small(32);
      slots.put(small, std::span(values).first(2));
      CHECK(slots.get(small, 2) == std::vector(values.begin(), values.begin() + 2));
      small[2 * bits / 64 + 1] |= 1;
      CHECK_THROWS_AS((void)slots.get(small, 2), CryptoError);
      std::vector<std::uint64_t> full(32);
      CHECK_THROWS_AS(slots.put(full, std::vector<std::int64_t>(32 * 64 / bits + 1, 1)),
                      CryptoError);
    }
  }
  std::vector<std::uint64_t> plaintext(4);
  CHECK_THROWS_AS((Slots{24, true}.put(plaintext, std::vector<std::int64_t>{1 << 23})),
                  CryptoError);
  CHECK_THROWS_AS((Slots{24, true}.put(plaintext, std::vector<std::int64_t>{-(1 << 23) - 1})),
                  CryptoError);
  CHECK_THROWS_AS((Slots{24, false}.put(plaintext, std::vector<std::int64_t>{-1})), CryptoError);
  Slots{24, true}.put(plaintext, std::vector<std::int64_t>{-(1 << 23), (1 << 23) - 1});
}

TEST_CASE("three sessions give each record the scores of the formulas, and only to its owner") {
  INFO("seed ", kSeed);
  ThreadPool pool(2);
  report::RecordWriter records("");
  struct Case {
    std::size_t hidden;
    std::uint32_t batch, rows;
  };
  for (const Case& c : {Case{0, 85, 200}, Case{0, 1, 3}, Case{0, 7, 15}, Case{1, 8, 3},
                        Case{3, 2, 5}, Case{8, 8, 9}}) {
    CAPTURE(c.hidden);
    CAPTURE(c.batch);
    const Detector detector = random_detector(c.hidden, c.batch);
    const party::RecordSet data = random_records(c.rows, c.batch);
    const DetectionPlan plan = plan_of(c.hidden, c.batch, c.rows);
    crypto::SecretKey secret = insecure_test_key(2048);
    const crypto::PublicKey key = secret.public_key();
    const auto encryptor = [&] { return crypto::Encryptor(key, crypto::Randomizer::kShort, pool); };
    party::RecordOwner owner(
        {key.id(), {}, false, plan.batch, plan.is_linear() ? DetectionPlan::kScoreBits : 0, 60},
        {{}, data}, encryptor(), records);
    DetectionService service({key.id(), {}, plan, 60}, detector, encryptor(), pool, records);
    ScoreOpener opener({key.id(), {}, plan, 60}, std::move(secret), encryptor(), pool, records);
    wire::MemoryLink link({});
    link.add(wire::kCoordinatorPeer, service);
    link.add(wire::kKeyHolderPeer, opener);
    link.add(wire::party_peer(0), owner);
    link.on_rejected = [&](std::string_view, std::string_view why) { FAIL(std::string(why)); };
    const std::atomic<bool> stop{false};
    REQUIRE(link.run(stop));
    CHECK(service.fault() == Fault::kNone);
    CHECK(opener.fault() == Fault::kNone);
    CHECK(owner.fault() == Fault::kNone);
    REQUIRE(opener.scores().size() == c.rows);
    std::uint64_t counted = 0;
    for (std::size_t row = 0; row < c.rows; ++row) {
      CHECK(opener.scores()[row] == naive_scores(detector, row_of(data, row)));
      CHECK(opener.scores()[row] == detector.scores(row_of(data, row)));
    }
    for (const auto& actual : opener.confusion()) {
      for (const std::uint64_t count : actual) counted += count;
    }
    CHECK(counted == c.rows);
    CHECK(service.view().records == c.rows);
    CHECK(service.view().messages == (c.rows + c.batch - 1) / c.batch);
  }
}

// Service is a detection service that has one batch of records.
struct Service {
  ThreadPool pool{1};
  report::RecordWriter records{""};
  crypto::SecretKey secret = insecure_test_key(2048);
  crypto::PublicKey key = secret.public_key();
  crypto::Encryptor encryptor{key, crypto::Randomizer::kShort, pool};
  crypto::Decryptor decryptor{secret, pool};
  Detector detector;
  DetectionPlan plan;
  DetectionService session;
  RecordingSink sink;

  explicit Service(std::size_t hidden)
      : detector(random_detector(hidden, 1)),
        plan(plan_of(hidden, 2, 4)),
        session({key.id(), {}, plan, 60}, detector,
                crypto::Encryptor(key, crypto::Randomizer::kShort, pool), pool, records) {
    session.start(sink);
    from_party(wire::Hello{key.id(), {}, wire::kNoRound});
    from_holder(wire::Hello{key.id(), {}, wire::kNoRound});
  }
  void from_party(const wire::Body& body) { session.handle(wire::party_peer(0), body, sink); }
  void from_holder(const wire::Body& body) { session.handle(wire::kKeyHolderPeer, body, sink); }
  [[nodiscard]] Bytes zeros(std::size_t count) const {
    return key.serialize_ciphertexts(
        encryptor.encrypt(crypto::PlaintextVector(count, key.plaintext_limbs())));
  }
  // hidden_values decrypts what the service asks to have squared.
  [[nodiscard]] std::vector<std::uint64_t> hidden_values() {
    const auto open = sink.take_last<wire::OpenSums>();
    REQUIRE(open.has_value());
    const auto plaintexts = decryptor.decrypt(key.parse_ciphertexts(
        open->second.payload, open->second.count * plan.hidden_ciphertexts()));
    std::vector<std::uint64_t> values;
    for (std::size_t i = 0; i < plaintexts.size(); ++i) {
      values.push_back(plaintexts[i][0]);
      values.push_back(plaintexts[i][1]);
    }
    return values;
  }
};

TEST_CASE("hidden values that leave the service are blinded afresh") {
  // The same records twice: without blinds the same values.
  std::vector<std::vector<std::uint64_t>> seen;
  for (int i = 0; i < 2; ++i) {
    Service service(4);
    service.from_party(wire::EncryptedRecords{RecordPart::kTest, 0, service.zeros(2 * kIn)});
    seen.push_back(service.hidden_values());
  }
  REQUIRE(seen[0].size() == 8);
  std::size_t large = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(seen[0][i] != seen[1][i]);
    CHECK(seen[0][i] != seen[0][(i + 4) % 8]);  // of two equal records
    for (const auto& values : seen) {
      CHECK((values[i] >> 63) == 0);
      large += values[i] >> 50 != 0 ? 1 : 0;
    }
  }
  CHECK(large >= 12);  // of 16; each is with probability 1 − 2^-12
}

TEST_CASE("what the service sends is fresh each time, whatever it was sent") {
  Bytes sums[2];
  Service service(0);
  const Bytes records = service.zeros(kIn);
  for (Bytes& payload : sums) {
    Service again(0);
    again.from_party(wire::EncryptedRecords{RecordPart::kTest, 0, records});
    const auto open = again.sink.take_last<wire::OpenSums>();
    REQUIRE(open.has_value());
    payload = open->second.payload;
  }
  CHECK(sums[0] != sums[1]);
  // The same in the clear.
  CHECK(service.decryptor.decrypt(service.key.parse_ciphertexts(sums[0], kOut)) ==
        service.decryptor.decrypt(service.key.parse_ciphertexts(sums[1], kOut)));
}

TEST_CASE("the service refuses records and answers that it did not ask for") {
  Service service(4);
  const Bytes record = service.zeros(2 * kIn);
  const Bytes squares = service.zeros(2 * 4);
  const auto refused = [&](auto&& call) { CHECK_THROWS_AS(call(), Error); };
  refused([&] { service.from_party(wire::EncryptedRecords{RecordPart::kTrain, 0, record}); });
  refused([&] { service.from_party(wire::EncryptedRecords{RecordPart::kTest, 2, record}); });
  refused([&] { service.from_party(wire::EncryptedRecords{RecordPart::kTest, 0, {}}); });
  refused([&] { service.from_party(wire::EncryptedRecords{RecordPart::kTest, 0, squares}); });
  refused([&] { service.from_holder(wire::EncryptedRecords{RecordPart::kTest, 0, record}); });
  refused([&] { service.from_holder(wire::OpenedSums{0, squares}); });
  refused([&] { service.from_party(wire::Hello{service.key.id(), Digest{1}, 0}); });
  service.from_party(wire::EncryptedRecords{RecordPart::kTest, 0, record});
  refused([&] { service.from_holder(wire::OpenedSums{1, squares}); });
  refused([&] { service.from_holder(wire::OpenedSums{0, {}}); });
  refused([&] { service.from_holder(wire::OpenedSums{0, Bytes(squares.size(), 0)}); });
  refused([&] { service.from_party(wire::OpenedSums{0, squares}); });
  service.from_holder(wire::OpenedSums{0, squares});
  refused([&] { service.from_holder(wire::OpenedSums{0, squares}); });
  refused([&] { service.from_holder(wire::OpenedSums{1, squares}); });
  service.from_holder(wire::OpenedSums{1, {}});
  CHECK_FALSE(service.session.finished());
  // It asks again when no answer comes, and ends when none has come for long.
  service.sink.sent.clear();
  service.sink.time += 3000;
  service.session.on_deadline(service.sink);
  CHECK(service.sink.take_last<wire::RecordRequest>().has_value());
  service.sink.time += 60000;
  service.session.on_deadline(service.sink);
  CHECK(service.session.finished());
  CHECK(service.session.fault() == Fault::kDeadline);
}

TEST_CASE("the key-holder opens in order alone, and refuses sums that are out of range") {
  ThreadPool pool(1);
  report::RecordWriter records("");
  const crypto::SecretKey secret = insecure_test_key(2048);
  const crypto::PublicKey key = secret.public_key();
  const crypto::Encryptor encryptor(key, crypto::Randomizer::kShort, pool);
  const DetectionPlan plan = plan_of(2, 1, 2);
  ScoreOpener opener({key.id(), {}, plan, 60}, insecure_test_key(2048),
                     crypto::Encryptor(key, crypto::Randomizer::kShort, pool), pool, records);
  RecordingSink sink;
  opener.start(sink);
  const auto sealed = [&](std::uint64_t low, std::uint64_t high, std::uint64_t stray = 0) {
    crypto::PlaintextVector plaintext(1, key.plaintext_limbs());
    plaintext[0][0] = low;
    plaintext[0][1] = high;
    plaintext[0][6] = stray;
    return key.serialize_ciphertexts(encryptor.encrypt(plaintext));
  };
  const auto open = [&](std::uint32_t step, std::uint32_t first, const Bytes& payload,
                        std::uint32_t count = 1) {
    opener.handle(wire::kCoordinatorPeer,
                  wire::OpenSums{step, RecordPart::kTest, first, count, payload}, sink);
  };
  CHECK_THROWS_AS(open(0, 0, sealed(5, 6)), ProtocolError);  // no labels yet
  CHECK_THROWS_AS(opener.handle(wire::party_peer(0),
                                wire::RecordLabels{RecordPart::kTest, 0, {1, 2, 3}, {}}, sink),
                  ProtocolError);
  opener.handle(wire::party_peer(0), wire::RecordLabels{RecordPart::kTest, 0, {1, 2}, {}}, sink);
  CHECK_THROWS_AS(open(1, 0, sealed(5, 6)), ProtocolError);
  CHECK_THROWS_AS(open(0, 1, sealed(5, 6)), ProtocolError);
  CHECK_THROWS_AS(open(0, 0, sealed(5, 6), 2), ProtocolError);
  CHECK_THROWS_AS(open(0, 0, sealed(5, 1ULL << 63)), CryptoError);
  CHECK_THROWS_AS(open(0, 0, sealed(5, 6, 1)), CryptoError);
  open(0, 0, sealed(5, 6));
  const auto squares = sink.take_last<wire::OpenedSums>();
  REQUIRE(squares.has_value());
  const crypto::Decryptor decryptor(secret, pool);
  const auto opened = decryptor.decrypt(key.parse_ciphertexts(squares->second.values, 2));
  CHECK(opened[0][0] == 25);
  CHECK(opened[1][0] == 36);
  open(0, 0, sealed(7, 7));  // said again: the same answer
  CHECK(sink.take_last<wire::OpenedSums>()->second.values == squares->second.values);
  CHECK_THROWS_AS(open(1, 0, sealed(5, 6, 1)), CryptoError);  // more than scores
  CHECK(opener.scores().empty());
  open(1, 0, sealed(0, 0));
  REQUIRE(opener.scores().size() == 1);
  CHECK(opener.scores()[0][0] == -(std::int64_t{1} << 55));
  opener.handle(wire::kCoordinatorPeer, wire::Finish{1, {}}, sink);
  CHECK(opener.fault() == Fault::kRoleFailed);  // before the last record
}

TEST_CASE("a detector reads back, and one whose sums could leave their slots is refused") {
  const test::TempDir folder;
  const auto path = folder.path() / "detector.json";
  for (const std::size_t hidden : {0UL, 5UL}) {
    const Detector detector = random_detector(hidden, 9);
    coordinator::write_detector(path, detector);
    const Detector read = coordinator::read_detector(path);
    CHECK(read.first == detector.first);
    CHECK(read.first_bias == detector.first_bias);
    CHECK(read.second == detector.second);
    CHECK(read.second_bias == detector.second_bias);
  }
  Detector detector = random_detector(0, 1);
  detector.first_bias[2] = 1 << 23;
  CHECK_THROWS_AS(detector.check(), ConfigError);
  detector = random_detector(3, 1);
  detector.first[kIn - 1] = 1 << 15;  // times 128
  CHECK_THROWS_AS(detector.check(), ConfigError);
  detector = random_detector(3, 1);
  detector.second[4] = std::int64_t{1} << 19;
  CHECK_THROWS_AS(detector.check(), ConfigError);
  detector = random_detector(3, 1);
  detector.second.pop_back();
  CHECK_THROWS_AS(detector.check(), ConfigError);
  write_file_atomic(path, std::string_view("{}"));
  CHECK_THROWS_WITH_AS((void)coordinator::read_detector(path), doctest::Contains("detector.json"),
                       ConfigError);
}

TEST_CASE("records that do not fit one ciphertext are refused with what fits") {
  settings::Settings settings;
  settings.mode = "encrypted_inputs";
  settings.encrypted_inputs.task = "detect";
  settings.paillier.key_bits = 2048;
  CHECK(DetectionPlan::of(settings).batch == 85);
  settings.encrypted_inputs.batch_rows = 86;
  CHECK_THROWS_WITH_AS((void)DetectionPlan::of(settings), doctest::Contains("use at most 85"),
                       ConfigError);
  settings.paillier.key_bits = 3072;
  CHECK(DetectionPlan::of(settings).batch == 86);
  settings.encrypted_inputs.activation = "square";
  CHECK_THROWS_WITH_AS((void)DetectionPlan::of(settings), doctest::Contains("use at most 8"),
                       ConfigError);
}

}  // namespace
}  // namespace blindsum
