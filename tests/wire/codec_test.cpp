#include "shared/wire/codec.h"

#include <functional>

#include <doctest/doctest.h>
#include <msgpack.hpp>

#include "tests/wire/messages.h"

namespace blindsum::wire {
namespace {

using test::kTypes;
using test::random_message;
using test::same;

constexpr std::uint64_t kSeed = 20240611;
const CodecLimits kLimits;

using Packer = msgpack::packer<msgpack::sbuffer>;

Bytes packed(const std::function<void(Packer&)>& write) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  write(packer);
  const ByteView view = as_bytes({buffer.data(), buffer.size()});
  return {view.begin(), view.end()};
}

void pack_bin(Packer& packer, ByteView bytes) {
  packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
  packer.pack_bin_body(reinterpret_cast<const char*>(bytes.data()),
                       static_cast<std::uint32_t>(bytes.size()));
}

void pack_header(Packer& packer, std::uint32_t fields, std::uint32_t type) {
  packer.pack_array(fields);
  packer.pack_uint32(kProtocolVersion);
  packer.pack_uint32(type);
  pack_bin(packer, test::run_id(7));
}

// An UpdateReply whose two fields `write` packs.
Bytes reply_with(const std::function<void(Packer&)>& write) {
  return packed([&](Packer& packer) {
    pack_header(packer, 5, 4);
    write(packer);
  });
}

Bytes aggregate_with(ByteView contributors) {
  return packed([&](Packer& packer) {
    pack_header(packer, 8, 5);
    packer.pack_uint32(3);
    packer.pack_uint32(1);
    pack_bin(packer, Digest{});
    pack_bin(packer, contributors);
    pack_bin(packer, {});
  });
}

Bytes abort_with(std::string_view fault, std::string_view reason) {
  return packed([&](Packer& packer) {
    pack_header(packer, 5, 7);
    packer.pack(std::string(fault));
    packer.pack(std::string(reason));
  });
}

Bytes le32(std::initializer_list<std::uint32_t> values) {
  Bytes bytes;
  for (const std::uint32_t value : values) append_le32(bytes, value);
  return bytes;
}

TEST_CASE("every message comes back as it was sent") {
  SeededRandom random(kSeed, "round trip");
  INFO("seed ", kSeed);
  for (std::size_t type = 0; type < kTypes; ++type) {
    for (int i = 0; i < 300; ++i) {
      const Message message = random_message(type, random, 2000);
      const Bytes bytes = encode(message);
      CAPTURE(type);
      CAPTURE(to_hex(bytes));
      REQUIRE(same(decode(bytes, kLimits), message));
      REQUIRE(encode(decode(bytes, kLimits)) == bytes);
    }
  }
}

TEST_CASE("a large payload comes back as it was sent") {
  CodecLimits limits;
  const Message message{test::run_id(1), test::update_of(3, 5'000'000)};
  CHECK(same(decode(encode(message), limits), message));
}

TEST_CASE("the bytes of a message are those of PROTOCOL.md") {
  const Message message{test::run_id(0xab), UpdateReply{300, AcceptResult::kLate}};
  CHECK(to_hex(encode(message)) ==
        "95"
        "02"
        "04"
        "c410"
        "abababababababababababababababab"
        "cd012c"
        "02");
  const Message abort{test::run_id(0), Abort{Fault::kDeadline, "slow"}};
  CHECK(to_hex(encode(abort)) ==
        "95"
        "02"
        "07"
        "c410"
        "00000000000000000000000000000000"
        "a8"
        "646561646c696e65"
        "a4"
        "736c6f77");
}

TEST_CASE("every truncation is a DecodeError") {
  SeededRandom random(kSeed, "truncation");
  INFO("seed ", kSeed);
  for (std::size_t type = 0; type < kTypes; ++type) {
    const Bytes bytes = encode(random_message(type, random, 300));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(type);
      CAPTURE(size);
      REQUIRE_THROWS_AS((void)decode(ByteView(bytes).first(size), kLimits), DecodeError);
    }
  }
}

TEST_CASE("a changed byte is a DecodeError or another message in canonical form") {
  SeededRandom random(kSeed, "corruption");
  INFO("seed ", kSeed);
  for (std::size_t type = 0; type < kTypes; ++type) {
    const Bytes bytes = encode(random_message(type, random, 20));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int value = 0; value < 256; ++value) {
        Bytes changed = bytes;
        changed[i] = static_cast<std::uint8_t>(value);
        try {
          const Message message = decode(changed, kLimits);
          if (encode(message) != changed) FAIL("accepted ", to_hex(changed));
        } catch (const DecodeError&) {
          if (changed == bytes) FAIL("refused ", to_hex(changed));
        }
      }
    }
  }
}

TEST_CASE("random bytes after a valid start are a DecodeError or a canonical message") {
  SeededRandom random(kSeed, "random bytes");
  INFO("seed ", kSeed);
  for (int i = 0; i < 100'000; ++i) {
    Bytes bytes = encode(random_message(random.below(kTypes), random, 40));
    for (std::uint64_t edits = 1 + random.below(4); edits > 0; --edits) {
      const std::size_t at = random.below(bytes.size());
      const auto byte = static_cast<std::uint8_t>(random.next_u64());
      switch (random.below(3)) {
        case 0:
          bytes[at] = byte;
          break;
        case 1:
          bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), byte);
          break;
        default:
          if (bytes.size() > 1) bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    try {
      const Message message = decode(bytes, kLimits);
      if (encode(message) != bytes) FAIL("accepted ", to_hex(bytes));
    } catch (const DecodeError&) {
    }
  }
}

TEST_CASE("trailing bytes are a DecodeError") {
  Bytes bytes = encode({test::run_id(1), Hello{}});
  bytes.push_back(0);
  CHECK_THROWS_AS((void)decode(bytes, kLimits), DecodeError);
  bytes.back() = 0xc1;
  CHECK_THROWS_AS((void)decode(bytes, kLimits), DecodeError);
  Bytes twice = encode({test::run_id(1), Hello{}});
  twice.insert(twice.end(), twice.begin(), twice.end());
  CHECK_THROWS_AS((void)decode(twice, kLimits), DecodeError);
}

TEST_CASE("five bytes that ask for gigabytes are a DecodeError") {
  for (const char* hex : {"ddffffffff", "dfffffffff", "c6ffffffff", "dbffffffff", "c9ffffffff01",
                          "dcffff", "deffff", "95dd7fffffff", "9501c6ffffffff"}) {
    CAPTURE(hex);
    CHECK_THROWS_AS((void)decode(from_hex(hex), kLimits), DecodeError);
  }
}

TEST_CASE("nested arrays and maps are a DecodeError, however deep") {
  for (const std::uint8_t byte : {0x91, 0x9f, 0x81}) {
    CAPTURE(byte);
    CHECK_THROWS_AS((void)decode(Bytes(1'000'000, byte), kLimits), DecodeError);
  }
  const Bytes nested = reply_with([](Packer& packer) {
    packer.pack_array(1);
    packer.pack_uint32(1);
    packer.pack_uint32(0);
  });
  CHECK_THROWS_AS((void)decode(nested, kLimits), DecodeError);
}

TEST_CASE("fields of another type are a DecodeError") {
  const auto refuses = [](const std::function<void(Packer&)>& write) {
    CHECK_THROWS_AS((void)decode(reply_with(write), kLimits), DecodeError);
  };
  CHECK_NOTHROW((void)decode(reply_with([](Packer& p) { p.pack(5).pack(0); }), kLimits));
  refuses([](Packer& p) { p.pack_nil().pack(0); });
  refuses([](Packer& p) { p.pack_true().pack(0); });
  refuses([](Packer& p) { p.pack(-1).pack(0); });
  refuses([](Packer& p) { p.pack(5.5).pack(0); });
  refuses([](Packer& p) { p.pack(5.5f).pack(0); });
  refuses([](Packer& p) { p.pack(std::string("5")).pack(0); });
  refuses([](Packer& p) { p.pack_map(0).pack(0); });
  refuses([](Packer& p) { p.pack_array(0).pack(0); });
  refuses([](Packer& p) { p.pack_ext(1, 7).pack_ext_body("x", 1).pack(0); });
  refuses([](Packer& p) { p.pack(std::uint64_t{1} << 32).pack(0); });
  refuses([](Packer& p) { p.pack(5).pack(7); });  // no such AcceptResult
  refuses([](Packer& p) { p.pack(5); });          // one field short
}

TEST_CASE("integers in another form than the shortest are a DecodeError") {
  const std::string header = "950204c410" + std::string(32, '0');
  CHECK_NOTHROW((void)decode(from_hex(header + "0500"), kLimits));
  CHECK_NOTHROW((void)decode(from_hex(header + "cd010000"), kLimits));
  for (const char* fields : {"cc0500", "cd000500", "ce0000000500", "cf000000000000000500", "d00500",
                             "d1000500", "05cc00", "d1010000", "ce0000010000"}) {
    CAPTURE(fields);
    CHECK_THROWS_AS((void)decode(from_hex(header + fields), kLimits), DecodeError);
  }
}

TEST_CASE("another version, type or number of fields is a DecodeError that says so") {
  Bytes bytes = encode({test::run_id(1), UpdateReply{}});
  bytes[1] = 1;
  CHECK_THROWS_WITH_AS((void)decode(bytes, kLimits), "protocol version 1, expected 2", DecodeError);
  bytes[1] = 2;
  bytes[2] = kTypes;
  CHECK_THROWS_WITH_AS((void)decode(bytes, kLimits), "message of unknown type 13", DecodeError);
  bytes[2] = 3;
  CHECK_THROWS_WITH_AS((void)decode(bytes, kLimits), "EncryptedUpdate of 5 fields, expected 10",
                       DecodeError);
  CHECK_THROWS_AS((void)decode(from_hex("90"), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(from_hex("9102"), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(from_hex("01"), kLimits), DecodeError);
}

Bytes contributions_of(std::initializer_list<std::uint32_t> parties) {
  Bytes bytes;
  for (const std::uint32_t party : parties) {
    append_le32(bytes, party);
    bytes.resize(bytes.size() + kContributionBytes - 4, static_cast<std::uint8_t>(party));
  }
  return bytes;
}

TEST_CASE("contributors must be ascending, distinct, enrolled and whole") {
  const auto decoded = [](const Bytes& contributions, const CodecLimits& limits) {
    return std::get<EncryptedAggregate>(decode(aggregate_with(contributions), limits).body);
  };
  const auto three = decoded(contributions_of({0, 3, 99'999}), kLimits).contributions;
  REQUIRE(three.size() == 3);
  CHECK(three[1].party == 3);
  CHECK(three[1].payload_hash[31] == 3);
  CHECK(three[1].signature[63] == 3);
  CHECK(decoded({}, kLimits).contributions.empty());
  for (const Bytes& bad : {contributions_of({3, 3}), contributions_of({3, 1}),
                           contributions_of({100'000}), Bytes{1, 0, 0, 0, 2}}) {
    CHECK_THROWS_AS((void)decoded(bad, kLimits), DecodeError);
  }
  Bytes cut = contributions_of({1, 2});
  cut.pop_back();
  CHECK_THROWS_AS((void)decoded(cut, kLimits), DecodeError);
  CHECK_THROWS_AS((void)decoded(contributions_of({2}), {.max_parties = 2}), DecodeError);
}

TEST_CASE("awaited parties must be ascending, distinct, enrolled and whole") {
  const auto open_with = [](ByteView awaited) {
    return packed([&](Packer& packer) {
      pack_header(packer, 9, 2);
      packer.pack_uint32(3);
      packer.pack_uint32(1);
      pack_bin(packer, Digest{});
      packer.pack_uint32(1);
      packer.pack_uint32(5000);
      pack_bin(packer, awaited);
    });
  };
  CHECK_NOTHROW((void)decode(open_with(le32({0, 3, 99'999})), kLimits));
  CHECK_NOTHROW((void)decode(open_with({}), kLimits));
  for (const Bytes& bad : {le32({3, 3}), le32({3, 1}), le32({100'000}), Bytes{1, 0, 0, 0, 2}}) {
    CHECK_THROWS_AS((void)decode(open_with(bad), kLimits), DecodeError);
  }
}

TEST_CASE("a message longer than the limit is a DecodeError") {
  const Bytes bytes = encode({test::run_id(1), test::update_of(1, 1000)});
  CHECK_NOTHROW((void)decode(bytes, {.max_message_bytes = bytes.size()}));
  CHECK_THROWS_AS((void)decode(bytes, {.max_message_bytes = bytes.size() - 1}), DecodeError);
}

TEST_CASE("a reason is cut, and shows no control characters or broken UTF-8") {
  const auto sent = [](std::string reason) {
    const Bytes bytes = encode({test::run_id(1), Abort{Fault::kData, std::move(reason)}});
    return std::get<Abort>(decode(bytes, kLimits).body).reason;
  };
  CHECK(sent("") == "");
  CHECK(sent(std::string(1000, 'x')) == std::string(200, 'x'));
  std::string hearts;
  for (int i = 0; i < 100; ++i) hearts += "♥";
  CHECK(sent(hearts) == hearts.substr(0, 85 * 3));
  CHECK(sent("a\nb\x1b[31m\x7f") == "a?b?[31m?");
  CHECK(sent("a\xc2\x9b"
             "b") == "a?b");  // C1 control
  CHECK(sent("\xff\xc3(") ==
        "?"
        "?(");                                     // no start, no continuation
  CHECK(sent("\xc0\xaf\xe0\x80\xaf") == "?????");  // overlong
  CHECK(sent("\xed\xa0\x80") == "???");            // surrogate
  CHECK(sent("\xf4\x90\x80\x80\xf5") == "?????");  // beyond U+10FFFF
  CHECK(sent("\xe2\x99") == "??");                 // cut short
  CHECK(sent("Größe 日本 𝄞") == "Größe 日本 𝄞");
}

TEST_CASE("a reason that encode would not write is a DecodeError") {
  CHECK_NOTHROW((void)decode(abort_with("data", "all is lost"), kLimits));
  CHECK_THROWS_AS((void)decode(abort_with("data", "a\nb"), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(abort_with("data", "\xff"), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(abort_with("data", std::string(201, 'x')), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(abort_with("data", std::string(300, 'x')), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(abort_with("bored", ""), kLimits), DecodeError);
  CHECK_THROWS_AS((void)decode(abort_with("done", ""), kLimits), DecodeError);
}

TEST_CASE("a peer is read as it is written, and in no other way") {
  for (const Peer peer :
       {kCoordinatorPeer, kKeyHolderPeer, party_peer(0), party_peer(12), party_peer(0xffffffffu)}) {
    CHECK(peer_from_string(to_string(peer)) == peer);
  }
  CHECK(to_string(party_peer(7)) == "party-7");
  for (const char* text : {"", "party", "party-", "party-01", "party--1", "party-+1", "party-1 ",
                           "Party-1", "party-4294967296", "coordinator ", "keyholder-0"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)peer_from_string(text), DecodeError);
  }
}

TEST_CASE("names are those of the protocol") {
  CHECK(message_name(Hello{}) == "Hello");
  CHECK(message_name(EncryptedAggregate{}) == "EncryptedAggregate");
  CHECK(message_name(Abort{}) == "Abort");
  CHECK(to_string(AcceptResult::kAccepted) == "accepted");
  CHECK(to_string(AcceptResult::kInvalid) == "invalid");
}

}  // namespace
}  // namespace blindsum::wire
