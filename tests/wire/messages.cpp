#include "tests/wire/messages.h"

#include <set>

namespace blindsum::wire::test {
namespace {

void fill(std::span<std::uint8_t> bytes, SeededRandom& random) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next_u64());
}

Bytes random_bytes(SeededRandom& random, std::size_t max) {
  Bytes bytes(random.below(max + 1));
  fill(bytes, random);
  return bytes;
}

// Every length of integer on the wire turns up.
std::uint32_t random_u32(SeededRandom& random) {
  return static_cast<std::uint32_t>(random.next_u64()) >> random.below(32);
}

Digest random_digest(SeededRandom& random) {
  Digest digest;
  fill(digest, random);
  return digest;
}

RoundKind random_kind(SeededRandom& random) { return static_cast<RoundKind>(random.below(2)); }

std::string random_text(SeededRandom& random) {
  static const std::vector<std::string> kCharacters{"a", "Z", " ", "é", "Ж", "€", "日", "𝄞", "~"};
  std::string text;
  for (std::uint64_t i = random.below(64); i > 0; --i) {
    text += kCharacters[random.below(kCharacters.size())];
  }
  return text;
}

Signature random_signature(SeededRandom& random) {
  Signature signature;
  fill(signature, random);
  return signature;
}

std::vector<std::uint32_t> random_parties(SeededRandom& random) {
  std::set<std::uint32_t> parties;
  for (std::uint64_t i = random.below(50); i > 0; --i) {
    parties.insert(static_cast<std::uint32_t>(random.below(100'000)));
  }
  return {parties.begin(), parties.end()};
}

std::vector<Contribution> random_contributions(SeededRandom& random) {
  std::vector<Contribution> contributions;
  for (const std::uint32_t party : random_parties(random)) {
    contributions.push_back({party, random_digest(random), random_signature(random)});
  }
  return contributions;
}

}  // namespace

Body random_body(std::size_t index, SeededRandom& random, std::size_t max_payload) {
  const auto u32 = [&] { return random_u32(random); };
  const auto digest = [&] { return random_digest(random); };
  const auto kind = [&] { return random_kind(random); };
  const auto part = [&] { return static_cast<RecordPart>(random.below(2)); };
  const auto payload = [&] { return random_bytes(random, max_payload); };
  switch (index) {
    case 0:
      return Hello{digest(), digest(), u32()};
    case 1:
      return RoundStart{u32(), kind(), digest(), random_digest(random), payload(), payload()};
    case 2:
      return RoundOpen{u32(), kind(), digest(), u32(), u32(), random_parties(random)};
    case 3:
      return EncryptedUpdate{
          u32(), kind(), digest(), digest(), digest(), random_signature(random), payload()};
    case 4:
      return UpdateReply{u32(), static_cast<AcceptResult>(random.below(7))};
    case 5:
      return EncryptedAggregate{u32(), kind(), digest(), random_contributions(random), payload()};
    case 6:
      return Finish{u32(), digest()};
    case 7:
      return Abort{static_cast<Fault>(1 + random.below(10)), random_text(random)};
    case 8:
      return RecordRequest{part(), u32(), u32()};
    case 9:
      return EncryptedRecords{part(), u32(), payload()};
    case 10:
      return RecordLabels{part(), u32(), payload(), payload()};
    case 11:
      return OpenSums{u32(), part(), u32(), u32(), payload()};
    default:
      return OpenedSums{u32(), payload()};
  }
}

Message random_message(std::size_t index, SeededRandom& random, std::size_t max_payload) {
  Message message;
  fill(message.run, random);
  message.body = random_body(index, random, max_payload);
  return message;
}

RunId run_id(std::uint8_t fill_byte) {
  RunId run;
  run.fill(fill_byte);
  return run;
}

EncryptedUpdate update_of(std::uint32_t round, std::size_t size) {
  EncryptedUpdate update;
  update.round = round;
  update.kind = RoundKind::kGradient;
  update.payload.assign(size, 0x5a);
  return update;
}

namespace {

// Every member by name: an oracle that shares nothing with the codec.
bool equal(const Hello& a, const Hello& b) {
  return a.key_id == b.key_id && a.codec_id == b.codec_id && a.round == b.round;
}
bool equal(const RoundStart& a, const RoundStart& b) {
  return a.round == b.round && a.kind == b.kind && a.weights_hash == b.weights_hash &&
         a.tag_key == b.tag_key && a.weights == b.weights && a.statistics == b.statistics;
}
bool equal(const RoundOpen& a, const RoundOpen& b) {
  return a.round == b.round && a.kind == b.kind && a.weights_hash == b.weights_hash &&
         a.chunks == b.chunks && a.deadline_ms == b.deadline_ms && a.awaited == b.awaited;
}
bool equal(const EncryptedUpdate& a, const EncryptedUpdate& b) {
  return a.round == b.round && a.kind == b.kind && a.key_id == b.key_id &&
         a.codec_id == b.codec_id && a.weights_hash == b.weights_hash &&
         a.signature == b.signature && a.payload == b.payload;
}
bool equal(const UpdateReply& a, const UpdateReply& b) {
  return a.round == b.round && a.result == b.result;
}
bool equal(const EncryptedAggregate& a, const EncryptedAggregate& b) {
  return a.round == b.round && a.kind == b.kind && a.weights_hash == b.weights_hash &&
         a.contributions == b.contributions && a.payload == b.payload;
}
bool equal(const Finish& a, const Finish& b) {
  return a.rounds == b.rounds && a.model_digest == b.model_digest;
}
bool equal(const Abort& a, const Abort& b) { return a.fault == b.fault && a.reason == b.reason; }
bool equal(const RecordRequest& a, const RecordRequest& b) {
  return a.part == b.part && a.first == b.first && a.count == b.count;
}
bool equal(const EncryptedRecords& a, const EncryptedRecords& b) {
  return a.part == b.part && a.first == b.first && a.payload == b.payload;
}
bool equal(const RecordLabels& a, const RecordLabels& b) {
  return a.part == b.part && a.first == b.first && a.labels == b.labels && a.inputs == b.inputs;
}
bool equal(const OpenSums& a, const OpenSums& b) {
  return a.step == b.step && a.part == b.part && a.first == b.first && a.count == b.count &&
         a.payload == b.payload;
}
bool equal(const OpenedSums& a, const OpenedSums& b) {
  return a.step == b.step && a.values == b.values;
}

}  // namespace

bool same(const Message& a, const Message& b) {
  if (a.run != b.run || a.body.index() != b.body.index()) return false;
  return std::visit(
      [&](const auto& body) { return equal(body, std::get<std::decay_t<decltype(body)>>(b.body)); },
      a.body);
}

}  // namespace blindsum::wire::test
