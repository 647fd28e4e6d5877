// Mode encrypted_inputs: the network, its three sessions together, and what each refuses.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "coordinator/compute_service.h"
#include "coordinator/integer_network.h"
#include "party/key_holder/activation_opener.h"
#include "party/record_owner.h"
#include "shared/core/seeded_random.h"
#include "shared/role/encrypted_inputs.h"
#include "shared/wire/links.h"
#include "tests/support/recording_sink.h"
#include "tests/support/test_keys.h"

namespace blindsum {
namespace {

using coordinator::ComputeService;
using coordinator::GradientRule;
using coordinator::IntegerNetwork;
using key_holder::ActivationOpener;
using party::RecordOwner;
using role::InputNetwork;
using role::SumLayout;
using test::insecure_test_key;
using test::RecordingSink;
using wire::RecordPart;

constexpr std::uint64_t kSeed = 20240611;
constexpr double kRate = 0.01;
constexpr std::size_t kIn = InputNetwork::kInputs;
constexpr std::size_t kOut = InputNetwork::kOutputs;

// nearest divides by 2^bits, halves up: another way than the product's.
std::int64_t nearest(std::int64_t value, unsigned bits) {
  return static_cast<std::int64_t>(
      std::floor(std::ldexp(static_cast<long double>(value), -static_cast<int>(bits)) + 0.5L));
}

// Oracle is the network by its formulas, one number at a time, parameters in 2^-32.
struct Oracle {
  std::map<std::pair<std::size_t, std::size_t>, std::int64_t> w1, w2;
  std::vector<std::int64_t> b1 = std::vector<std::int64_t>(kIn),
                            b2 = std::vector<std::int64_t>(kOut);
  GradientRule rule;

  explicit Oracle(GradientRule r) : rule(r) {
    SeededRandom random(kSeed, "integer-network");
    const auto draw = [&] {
      return static_cast<std::int64_t>(random.next_u64() >> 31) - (std::int64_t{1} << 32);
    };
    for (std::size_t i = 0; i < kIn; ++i) {
      for (std::size_t j = 0; j < kIn; ++j) w1[{i, j}] = draw();
    }
    for (std::size_t j = 0; j < kIn; ++j) {
      for (std::size_t k = 0; k < kOut; ++k) w2[{j, k}] = draw();
    }
  }

  // sums are z2 and a1 of one record.
  std::vector<std::int64_t> sums(std::span<const std::uint8_t> x) {
    std::vector<std::int64_t> result(kOut + kIn);
    for (std::size_t k = 0; k < kOut; ++k) {
      std::int64_t bias = b2[k] * 256;  // 2^-40
      for (std::size_t j = 0; j < kIn; ++j) bias += nearest(b1[j], 12) * nearest(w2[{j, k}], 12);
      result[k] = nearest(bias, 40 - 7 - 4);
      for (std::size_t i = 0; i < kIn; ++i) {
        std::int64_t weight = 0;
        for (std::size_t j = 0; j < kIn; ++j) {
          weight += nearest(w1[{i, j}], 12) * nearest(w2[{j, k}], 12);
        }
        result[k] += nearest(weight, 40 - 4) * x[i];
      }
    }
    for (std::size_t j = 0; j < kIn; ++j) {
      result[kOut + j] = nearest(b1[j], 32 - 7 - 6);
      for (std::size_t i = 0; i < kIn; ++i) {
        result[kOut + j] += nearest(w1[{i, j}], 32 - 6) * x[i];
      }
    }
    return result;
  }

  void step(std::span<const std::int64_t> errors, std::span<const std::int64_t> hidden,
            std::span<const std::uint8_t> x) {
    const std::int64_t rate = std::llround(kRate * (1 << 30));
    std::vector<std::int64_t> back(kIn), moves(kOut);
    for (std::size_t k = 0; k < kOut; ++k) moves[k] = nearest(errors[k] * rate, 16);  // 2^-30
    for (std::size_t j = 0; j < kIn; ++j) {
      for (std::size_t k = 0; k < kOut; ++k) back[j] += moves[k] * nearest(w2[{j, k}], 12);
      back[j] = nearest(back[j], 18);  // 2^-32
    }
    for (std::size_t j = 0; j < kIn; ++j) {
      for (std::size_t k = 0; k < kOut; ++k) w2[{j, k}] -= nearest(moves[k] * hidden[j], 11);
      b1[j] -= back[j];
      for (std::size_t i = 0; i < kIn; ++i) {
        // As the study has it, the step of hidden unit j goes to the weights of input j.
        if (rule == GradientRule::kSeed) w1[{j, i}] -= back[j];
        if (rule == GradientRule::kRight) w1[{i, j}] -= nearest(back[j] * x[i], 7);
      }
    }
    for (std::size_t k = 0; k < kOut; ++k) b2[k] -= moves[k] * 4;
  }
};

party::RecordSet random_records(std::size_t rows, std::uint64_t index) {
  SeededRandom random(kSeed, "records", {index});
  party::RecordSet set;
  set.rows = rows;
  set.inputs_each = kIn;
  for (std::size_t i = 0; i < rows * kIn; ++i) {
    const auto x = random.below(3) == 0 ? random.below(129) : 0;
    set.inputs.push_back(static_cast<std::uint8_t>(i < kIn ? 128 : x));
  }
  for (std::size_t i = 0; i < rows; ++i) {
    set.labels.push_back(static_cast<std::uint8_t>(random.below(kOut)));
  }
  return set;
}

std::span<const std::uint8_t> row_of(const party::RecordSet& set, std::size_t row) {
  return std::span(set.inputs).subspan(row * kIn, kIn);
}

struct Shape {
  std::uint32_t epochs = 2, train_rows = 11, test_rows = 9;
  GradientRule rule = GradientRule::kSeed;
};

coordinator::ServiceConfig service_config(const crypto::PublicKey& key, const Shape& shape) {
  return {key.id(), {}, shape.epochs, shape.train_rows, shape.test_rows, shape.rule, 60};
}
key_holder::OpenerConfig opener_config(const crypto::PublicKey& key, const Shape& shape) {
  return {key.id(),
          {},
          shape.epochs,
          shape.train_rows,
          shape.test_rows,
          shape.rule == GradientRule::kRight,
          60};
}

TEST_CASE("the integer network steps by its formulas, bit for bit") {
  INFO("seed ", kSeed);
  for (const GradientRule rule : {GradientRule::kSeed, GradientRule::kRight}) {
    IntegerNetwork network(kSeed, rule, kRate);
    Oracle oracle(rule);
    const party::RecordSet data = random_records(60, 0);
    SeededRandom random(kSeed, "errors");
    for (std::size_t row = 0; row < data.rows; ++row) {
      const auto x = row_of(data, row);
      const std::vector<std::int64_t> inputs(x.begin(), x.end());
      const auto sums = network.apply(inputs);
      REQUIRE(std::vector<std::int64_t>(sums.begin(), sums.end()) == oracle.sums(x));
      std::vector<std::int64_t> errors(kOut);
      for (auto& e : errors) e = static_cast<std::int64_t>(random.below(131073)) - 65536;
      const auto hidden = std::span(sums).subspan(kOut);
      network.step(errors, hidden, std::span(inputs).first(rule == GradientRule::kRight ? kIn : 0));
      oracle.step(errors, hidden, x);
    }
  }
}

TEST_CASE("a step that is out of range is refused and changes nothing") {
  IntegerNetwork network(kSeed, GradientRule::kRight, kRate);
  const Digest before = network.digest();
  const std::vector<std::int64_t> errors(kOut, 65536), hidden(kIn, -5), inputs(kIn, 128);
  const auto refused = [&](auto change) {
    auto e = errors, h = hidden, x = inputs;
    change(e, h, x);
    CHECK_THROWS_AS(network.step(e, h, x), ProtocolError);
    CHECK(network.digest() == before);
  };
  refused([](auto& e, auto&, auto&) { e[4] = 65537; });
  refused([](auto& e, auto&, auto&) { e.pop_back(); });
  refused([](auto&, auto& h, auto&) { h[40] = InputNetwork::kMaxSum + 1; });
  refused([](auto&, auto& h, auto&) { h.push_back(0); });
  refused([](auto&, auto&, auto& x) { x[0] = 129; });
  refused([](auto&, auto&, auto& x) { x[0] = -1; });
  refused([](auto&, auto&, auto& x) { x.clear(); });
  network.step(errors, hidden, inputs);
  CHECK(network.digest() != before);
}

TEST_CASE("three sessions on ciphertexts have the integers of the oracle at every step") {
  INFO("seed ", kSeed);
  ThreadPool pool(2);
  report::RecordWriter records("");
  for (const std::size_t bits : {512UL, 2048UL}) {
    for (const GradientRule rule : {GradientRule::kSeed, GradientRule::kRight}) {
      const Shape shape{2, bits == 512 ? 11U : 2U, 9, rule};
      crypto::SecretKey secret = insecure_test_key(bits);
      const crypto::PublicKey key = secret.public_key();
      const party::ReplayRecords data{random_records(shape.train_rows, 1),
                                      random_records(shape.test_rows, 2)};
      RecordOwner owner({key.id(), {}, rule == GradientRule::kRight, role::kRecordsAtOnce, 0, 60},
                        data, crypto::Encryptor(key, crypto::Randomizer::kShort, pool), records);
      ComputeService service(service_config(key, shape), key, IntegerNetwork(kSeed, rule, kRate),
                             pool, records);
      ActivationOpener opener(opener_config(key, shape), std::move(secret), pool, records);
      wire::MemoryLink link({});
      link.add(wire::kCoordinatorPeer, service);
      link.add(wire::kKeyHolderPeer, opener);
      link.add(wire::party_peer(0), owner);
      std::uint64_t rejected = 0;
      link.on_rejected = [&](std::string_view, std::string_view why) {
        MESSAGE(std::string(why));
        ++rejected;
      };
      const std::atomic<bool> stop{false};
      REQUIRE(link.run(stop));
      CHECK(service.fault() == Fault::kNone);
      CHECK(opener.fault() == Fault::kNone);
      CHECK(owner.fault() == Fault::kNone);
      CHECK(rejected == 0);

      Oracle oracle(rule);
      key_holder::SumTrace trace;
      for (std::uint32_t epoch = 0; epoch < shape.epochs; ++epoch) {
        std::uint64_t train_right = 0, test_right = 0;
        const auto is_right = [](const std::vector<std::int64_t>& sums, std::uint8_t label) {
          for (std::size_t k = 0; k < kOut; ++k) {
            if (sums[k] > sums[label] || (sums[k] == sums[label] && k < label)) return false;
          }
          return true;
        };
        for (std::size_t row = 0; row < data.train.rows; ++row) {
          const auto x = row_of(data.train, row);
          const auto sums = oracle.sums(x);
          trace.take(sums);
          train_right += is_right(sums, data.train.labels[row]) ? 1 : 0;
          std::vector<std::int64_t> errors(kOut);
          for (std::size_t k = 0; k < kOut; ++k) {
            const double output =
                1 / (1 + std::exp(-std::ldexp(static_cast<double>(sums[k]), -11)));
            errors[k] = std::llround((output - (k == data.train.labels[row] ? 1 : 0)) * 65536);
          }
          oracle.step(errors, std::span(sums).subspan(kOut), x);
        }
        for (std::size_t row = 0; row < data.test.rows; ++row) {
          auto sums = oracle.sums(row_of(data.test, row));
          sums.resize(kOut);
          trace.take(sums);
          test_right += is_right(sums, data.test.labels[row]) ? 1 : 0;
        }
        CHECK(opener.scores().at(epoch).train_right == train_right);
        CHECK(opener.scores().at(epoch).test_right == test_right);
      }
      CHECK(opener.trace() == trace.digest());
      CHECK(owner.encryptions() == kIn * (data.train.rows + data.test.rows));
    }
  }
}

// Opener is a key-holder that has its labels, with the service's questions made by hand.
struct Opener {
  ThreadPool pool{1};
  report::RecordWriter records{""};
  crypto::SecretKey secret = insecure_test_key(512);
  crypto::PublicKey key = secret.public_key();
  Shape shape{1, 2, 1};
  ActivationOpener session{opener_config(key, shape), insecure_test_key(512), pool, records};
  RecordingSink sink;

  Opener() { session.start(sink); }

  void tell_labels() {
    session.handle(wire::party_peer(0), wire::RecordLabels{RecordPart::kTrain, 0, {0, 4}, {}},
                   sink);
    session.handle(wire::party_peer(0), wire::RecordLabels{RecordPart::kTest, 0, {1}, {}}, sink);
  }

  // payload encrypts sums of one training record; `stray` is put above the last of them.
  Bytes payload(std::int64_t sum, std::uint64_t stray = 0) {
    const SumLayout layout = SumLayout::training();
    auto plaintexts =
        layout.offsets(std::vector<std::int64_t>(layout.sums, sum), key.plaintext_limbs());
    plaintexts[7][5] |= stray;
    const crypto::Encryptor encryptor(key, crypto::Randomizer::kShort, pool);
    return key.serialize_ciphertexts(encryptor.encrypt(plaintexts));
  }

  void open(const wire::OpenSums& open) { session.handle(wire::kCoordinatorPeer, open, sink); }
};

TEST_CASE("the key-holder opens in order alone, and the same request again has the same answer") {
  Opener opener;
  const Bytes payload = opener.payload(-3);
  CHECK_THROWS_AS(opener.open({0, RecordPart::kTrain, 0, 1, payload}), ProtocolError);
  opener.tell_labels();
  for (const wire::OpenSums& bad : {wire::OpenSums{1, RecordPart::kTrain, 0, 1, payload},
                                    wire::OpenSums{0, RecordPart::kTest, 0, 1, payload},
                                    wire::OpenSums{0, RecordPart::kTrain, 1, 1, payload},
                                    wire::OpenSums{0, RecordPart::kTrain, 0, 2, payload},
                                    wire::OpenSums{0, RecordPart::kTrain, 0, 0, {}}}) {
    CHECK_THROWS_AS(opener.open(bad), ProtocolError);
  }
  Bytes cut = payload;
  cut.pop_back();
  CHECK_THROWS_AS(opener.open({0, RecordPart::kTrain, 0, 1, cut}), CryptoError);
  CHECK_THROWS_AS(opener.open({0, RecordPart::kTrain, 0, 1, Bytes(payload.size(), 0)}),
                  CryptoError);
  CHECK_THROWS_AS(
      opener.open({0, RecordPart::kTrain, 0, 1, opener.payload(InputNetwork::kMaxSum + 1)}),
      CryptoError);
  CHECK_THROWS_AS(opener.open({0, RecordPart::kTrain, 0, 1, opener.payload(1, 1)}), CryptoError);
  CHECK_THROWS_AS(
      opener.session.handle(wire::kCoordinatorPeer,
                            wire::RecordLabels{RecordPart::kTrain, 0, {0}, {}}, opener.sink),
      ProtocolError);

  opener.open({0, RecordPart::kTrain, 0, 1, payload});
  const auto first = opener.sink.take_last<wire::OpenedSums>();
  REQUIRE(first.has_value());
  const auto values = role::values_from(first->second.values, InputNetwork::kSums);
  CHECK(values[kOut] == -3);
  opener.open({0, RecordPart::kTrain, 0, 1, opener.payload(9)});
  const auto again = opener.sink.take_last<wire::OpenedSums>();
  REQUIRE(again.has_value());
  CHECK(again->second.values == first->second.values);
  CHECK_THROWS_AS(opener.open({2, RecordPart::kTrain, 1, 1, payload}), ProtocolError);
  opener.open({1, RecordPart::kTrain, 1, 1, payload});
  CHECK(opener.session.scores().empty());
  CHECK_FALSE(opener.session.finished());
  opener.session.handle(wire::kCoordinatorPeer, wire::Finish{1, {}}, opener.sink);
  CHECK(opener.session.fault() == Fault::kRoleFailed);  // before the last epoch
}

TEST_CASE("labels that are out of range, too many or out of order are refused") {
  Opener opener;
  const auto tell = [&](const wire::RecordLabels& labels) {
    opener.session.handle(wire::party_peer(0), labels, opener.sink);
  };
  CHECK_THROWS_AS(tell({RecordPart::kTrain, 0, {0, 5}, {}}), ProtocolError);
  CHECK_THROWS_AS(tell({RecordPart::kTrain, 0, {0, 1, 2}, {}}), ProtocolError);
  CHECK_THROWS_AS(tell({RecordPart::kTrain, 1, {0}, {}}), ProtocolError);
  CHECK_THROWS_AS(tell({RecordPart::kTrain, 0, {}, {}}), ProtocolError);
  CHECK_THROWS_AS(tell({RecordPart::kTrain, 0, {0}, Bytes(kIn, 0)}), ProtocolError);
  CHECK_THROWS_AS(opener.session.handle(wire::party_peer(1), wire::Hello{}, opener.sink),
                  ProtocolError);
  CHECK_THROWS_AS(opener.session.handle(wire::party_peer(0), wire::Hello{}, opener.sink),
                  ProtocolError);
}

TEST_CASE("the service refuses records and sums that it did not ask for") {
  ThreadPool pool(1);
  report::RecordWriter records("");
  const crypto::SecretKey secret = insecure_test_key(512);
  const crypto::PublicKey key = secret.public_key();
  const Shape shape{1, 1, 1};
  ComputeService service(service_config(key, shape), key, IntegerNetwork(kSeed, shape.rule, kRate),
                         pool, records);
  RecordingSink sink;
  service.start(sink);
  const auto from_party = [&](const wire::Body& body) {
    service.handle(wire::party_peer(0), body, sink);
  };
  const crypto::Encryptor encryptor(key, crypto::Randomizer::kShort, pool);
  const Bytes record = key.serialize_ciphertexts(
      encryptor.encrypt(crypto::PlaintextVector(kIn, key.plaintext_limbs())));
  CHECK_THROWS_AS(from_party(wire::EncryptedRecords{RecordPart::kTrain, 0, record}), ProtocolError);
  CHECK_THROWS_AS(from_party(wire::Hello{key.id(), Digest{1}, 0}), ProtocolError);
  from_party(wire::Hello{key.id(), {}, wire::kNoRound});
  service.handle(wire::kKeyHolderPeer, wire::Hello{key.id(), {}, wire::kNoRound}, sink);
  CHECK_THROWS_AS(from_party(wire::EncryptedRecords{RecordPart::kTest, 0, record}), ProtocolError);
  CHECK_THROWS_AS(from_party(wire::EncryptedRecords{RecordPart::kTrain, 1, record}), ProtocolError);
  CHECK_THROWS_AS(from_party(wire::EncryptedRecords{RecordPart::kTrain, 0, {}}), CryptoError);
  CHECK_THROWS_AS(
      from_party(wire::EncryptedRecords{RecordPart::kTrain, 0, Bytes(record.size(), 0)}),
      CryptoError);
  from_party(wire::EncryptedRecords{RecordPart::kTrain, 0, record});
  from_party(wire::EncryptedRecords{RecordPart::kTest, 0, record});
  REQUIRE(sink.take_last<wire::OpenSums>().has_value());

  const auto answer = [&](std::uint32_t step, const Bytes& values) {
    service.handle(wire::kKeyHolderPeer, wire::OpenedSums{step, values}, sink);
  };
  Bytes values(4 * InputNetwork::kSums, 0);
  CHECK_THROWS_AS(answer(1, values), ProtocolError);
  CHECK_THROWS_AS(answer(0, Bytes(4)), ProtocolError);
  Bytes wild = values;
  wild[3] = 0x7f;
  CHECK_THROWS_AS(answer(0, wild), ProtocolError);
  CHECK_THROWS_AS(service.handle(wire::party_peer(0), wire::OpenedSums{0, values}, sink),
                  ProtocolError);
  answer(0, values);
  answer(1, {});
  CHECK(service.finished());
  CHECK(service.fault() == Fault::kNone);
}

TEST_CASE("the party gives the service ciphertexts alone, fresh each time, of records there are") {
  ThreadPool pool(1);
  report::RecordWriter records("");
  const crypto::SecretKey secret = insecure_test_key(512);
  const crypto::PublicKey key = secret.public_key();
  RecordOwner owner({key.id(), {}, false, role::kRecordsAtOnce, 0, 60},
                    {random_records(3, 1), random_records(2, 2)},
                    crypto::Encryptor(key, crypto::Randomizer::kShort, pool), records);
  RecordingSink sink;
  owner.start(sink);
  const auto ask = [&](const wire::Peer& from, const wire::RecordRequest& request) {
    owner.handle(from, request, sink);
  };
  for (const wire::RecordRequest& bad : {wire::RecordRequest{RecordPart::kTrain, 0, 4},
                                         wire::RecordRequest{RecordPart::kTrain, 3, 1},
                                         wire::RecordRequest{RecordPart::kTest, 0xffffffff, 2},
                                         wire::RecordRequest{RecordPart::kTest, 0, 0}}) {
    CHECK_THROWS_AS(ask(wire::kCoordinatorPeer, bad), ProtocolError);
    CHECK_THROWS_AS(ask(wire::kKeyHolderPeer, bad), ProtocolError);
  }
  CHECK_THROWS_AS(ask(wire::party_peer(1), {RecordPart::kTrain, 0, 1}), ProtocolError);
  ask(wire::kCoordinatorPeer, {RecordPart::kTrain, 1, 2});
  CHECK_FALSE(sink.take_last<wire::RecordLabels>().has_value());
  ask(wire::kCoordinatorPeer, {RecordPart::kTrain, 1, 2});
  const auto first = sink.take_last<wire::EncryptedRecords>();
  ask(wire::kCoordinatorPeer, {RecordPart::kTrain, 1, 2});
  const auto second = sink.take_last<wire::EncryptedRecords>();
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(first->second.payload != second->second.payload);
  CHECK(key.parse_ciphertexts(first->second.payload, 2 * kIn).size() == 2 * kIn);
}

}  // namespace
}  // namespace blindsum
