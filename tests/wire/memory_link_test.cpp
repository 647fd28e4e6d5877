#include <functional>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

#include "shared/wire/links.h"
#include "tests/wire/messages.h"
#include "tests/wire/script.h"

namespace blindsum::wire {
namespace {

using test::run_id;
using test::Script;
using test::update_of;

const std::atomic<bool> kNoStop{false};

// Pair is party 0 that says `count` updates at once and a coordinator that answers each; both end
// when `count` have arrived, or at their deadline of 1,000 ms.
struct Pair {
  explicit Pair(std::uint32_t count) : link(run_id(1)) {
    party.on_start = [count](MessageSink& sink) {
      for (std::uint32_t i = 0; i < count; ++i) sink.send(kCoordinatorPeer, update_of(i));
    };
    party.on_message = [this, count](const Peer&, const Body& body, MessageSink& sink) {
      log += "p" + std::to_string(std::get<UpdateReply>(body).round) + "@" +
             std::to_string(sink.now()) + " ";
      if (++party.heard == count) party.done = true;
    };
    coordinator.on_message = [this, count](const Peer& from, const Body& body, MessageSink& sink) {
      const std::uint32_t round = std::get<EncryptedUpdate>(body).round;
      log += "c" + std::to_string(round) + "@" + std::to_string(sink.now()) + " ";
      sink.send(from, UpdateReply{round, AcceptResult::kAccepted});
      if (++coordinator.heard == count) coordinator.done = true;
    };
    for (Script* session : {&party, &coordinator}) {
      session->deadline = 1000;
      session->on_time = [this, session](MessageSink& sink) {
        log += "deadline@" + std::to_string(sink.now()) + " ";
        session->done = true;
      };
    }
    link.add(party_peer(0), party);
    link.add(kCoordinatorPeer, coordinator);
  }

  MemoryLink link;
  Script party, coordinator;
  std::string log;
};

TEST_CASE("messages are handled in the order they were sent, in no time") {
  Pair pair(3);
  CHECK(pair.link.run(kNoStop));
  CHECK(pair.log == "c0@0 c1@0 c2@0 p0@0 p1@0 p2@0 ");
  CHECK(pair.link.now() == 0);
}

TEST_CASE("both ends count the same messages and bytes") {
  Pair pair(5);
  CHECK(pair.link.run(kNoStop));
  const Traffic party = pair.link.traffic(party_peer(0));
  const Traffic coordinator = pair.link.traffic(kCoordinatorPeer);
  std::uint64_t up = 0, down = 0;
  for (std::uint32_t i = 0; i < 5; ++i) {
    up += encode({run_id(1), update_of(i)}).size();
    down += encode({run_id(1), UpdateReply{i, AcceptResult::kAccepted}}).size();
  }
  CHECK(party.messages_out == 5);
  CHECK(party.bytes_out == up);
  CHECK(party.bytes_in == down);
  CHECK(coordinator.messages_in == 5);
  CHECK(coordinator.bytes_in == up);
  CHECK(coordinator.bytes_out == down);
  CHECK(coordinator.rejected == 0);
  CHECK(pair.link.traffic(kKeyHolderPeer).messages_in == 0);
}

TEST_CASE("a lost message lets time jump to the deadline") {
  Pair pair(2);
  int sent = 0;
  pair.link.tamper = [&](const Peer&, const Peer&, Bytes bytes) {
    std::vector<MemoryLink::Delivery> result;
    if (sent++ != 1) result.push_back({0, std::move(bytes)});
    return result;
  };
  CHECK(pair.link.run(kNoStop));
  CHECK(pair.log == "c0@0 p0@0 deadline@1000 deadline@1000 ");
  CHECK(pair.link.now() == 1000);
}

TEST_CASE("messages may be doubled, delayed and overtaken") {
  Pair pair(2);
  pair.link.tamper = [&](const Peer& from, const Peer&, Bytes bytes) {
    std::vector<MemoryLink::Delivery> result;
    if (from == party_peer(0)) {
      const Message message = decode(bytes, {});
      const TimeMs delay = std::get<EncryptedUpdate>(message.body).round == 0 ? 40 : 10;
      result.push_back({delay, bytes});
      result.push_back({delay + 5, std::move(bytes)});
    } else {
      result.push_back({1, std::move(bytes)});
    }
    return result;
  };
  CHECK(pair.link.run(kNoStop));
  // The second copies find a coordinator that has finished.
  CHECK(pair.log == "c1@10 p1@11 c1@15 p1@16 ");
}

TEST_CASE("a corrupted message and one of another run are rejected and the run goes on") {
  Pair pair(3);
  std::vector<std::string> reasons;
  pair.link.on_rejected = [&](std::string_view peer, std::string_view why) {
    reasons.push_back(std::string(peer) + ": " + std::string(why));
  };
  int sent = 0;
  pair.link.tamper = [&](const Peer&, const Peer&, Bytes bytes) {
    ++sent;
    if (sent == 1) bytes.pop_back();
    if (sent == 2) bytes[5] ^= 1;  // within the run id
    std::vector<MemoryLink::Delivery> result;
    result.push_back({0, std::move(bytes)});
    return result;
  };
  CHECK(pair.link.run(kNoStop));
  CHECK(pair.log == "c2@0 p2@0 deadline@1000 deadline@1000 ");
  REQUIRE(reasons.size() == 2);
  CHECK(reasons[0].starts_with("party-0: not a message: truncated"));
  CHECK(reasons[1] == "party-0: EncryptedUpdate of run 00010101010101010101010101010101");
  CHECK(pair.link.traffic(kCoordinatorPeer).rejected == 2);
  CHECK(pair.link.traffic(kCoordinatorPeer).messages_in == 3);
}

TEST_CASE("a message that is too long for everyone ends the sender's run") {
  MemoryLink link(run_id(1), {.max_message_bytes = 500});
  Script party, coordinator;
  party.on_start = [](MessageSink& sink) { sink.send(kCoordinatorPeer, update_of(1, 500)); };
  link.add(party_peer(0), party);
  link.add(kCoordinatorPeer, coordinator);
  CHECK_THROWS_AS((void)link.run(kNoStop), ConfigError);
}

TEST_CASE("bad messages are the peer's fault, a broken aggregate or key ends the run") {
  const auto run_with = [](const std::function<void()>& thrower) {
    Pair pair(1);
    pair.coordinator.on_message = [&](const Peer&, const Body&, MessageSink&) { thrower(); };
    const bool finished = pair.link.run(kNoStop);
    CHECK(pair.link.traffic(kCoordinatorPeer).rejected == 1);
    return finished;
  };
  CHECK(run_with([] { throw ProtocolError("x"); }));
  CHECK(run_with([] { throw DecodeError("x"); }));
  CHECK(run_with([] { throw CryptoError("x"); }));
  CHECK_THROWS_AS((void)run_with([] { throw IntegrityError("x"); }), IntegrityError);
  CHECK_THROWS_AS((void)run_with([] { throw KeyError("x"); }), KeyError);
  CHECK_THROWS_AS((void)run_with([] { throw DataError("x"); }), DataError);
  CHECK_THROWS_AS((void)run_with([] { throw std::bad_alloc(); }), std::bad_alloc);
}

TEST_CASE("a send to a peer that is absent, finished or oneself is false") {
  MemoryLink link(run_id(1));
  Script party, coordinator;
  coordinator.done = true;
  party.on_start = [&](MessageSink& sink) {
    CHECK_FALSE(sink.send(kKeyHolderPeer, Hello{}));
    CHECK_FALSE(sink.send(kCoordinatorPeer, Hello{}));
    CHECK_FALSE(sink.send(party_peer(0), Hello{}));
    party.done = true;
  };
  link.add(party_peer(0), party);
  link.add(kCoordinatorPeer, coordinator);
  CHECK(link.run(kNoStop));
  CHECK(link.traffic(party_peer(0)).messages_out == 0);
  CHECK_THROWS_AS(link.add(party_peer(0), party), ConfigError);
}

TEST_CASE("run returns false when nothing can happen any more, or when it is stopped") {
  Script waiting;
  MemoryLink idle(run_id(1));
  idle.add(party_peer(0), waiting);
  CHECK_FALSE(idle.run(kNoStop));

  Script ticking;
  std::atomic<bool> stop{false};
  ticking.deadline = 10;
  MemoryLink clock(run_id(1));
  clock.add(party_peer(0), ticking);
  ticking.on_time = [&](MessageSink& sink) {
    ticking.deadline = sink.now() + 10;
    stop = sink.now() >= 100'000;
  };
  CHECK_FALSE(clock.run(stop));
  CHECK(clock.now() == 100'000);
}

TEST_CASE("deadlines come in order of time, each at its own") {
  MemoryLink link(run_id(1));
  Script sessions[3];
  std::string log;
  const TimeMs first[3] = {30, 10, 20};
  for (std::uint32_t i = 0; i < 3; ++i) {
    Script& session = sessions[i];
    session.deadline = first[i];
    session.on_time = [&log, &session, i](MessageSink& sink) {
      log += std::to_string(i) + "@" + std::to_string(sink.now()) + " ";
      session.deadline = sink.now() + 25;
      session.done = sink.now() >= 40;
    };
    link.add(party_peer(i), session);
  }
  CHECK(link.run(kNoStop));
  CHECK(log == "1@10 2@20 0@30 1@35 2@45 0@55 1@60 ");
}

TEST_CASE("a deadline that never moves is reported, not waited for") {
  MemoryLink link(run_id(1));
  Script stuck;
  stuck.deadline = 5;
  link.add(party_peer(0), stuck);
  CHECK_THROWS_AS((void)link.run(kNoStop), std::logic_error);
}

TEST_CASE("the same sessions and faults always run alike") {
  const std::uint64_t seed = 99;
  INFO("seed ", seed);
  const auto record = [&](std::uint64_t with) {
    SeededRandom random(with, "faults");
    Pair pair(40);
    pair.link.tamper = [&](const Peer&, const Peer&, const Bytes& bytes) {
      std::vector<MemoryLink::Delivery> result;
      for (std::uint64_t copies = random.below(3); copies > 0; --copies) {
        result.push_back({static_cast<TimeMs>(random.below(50)), bytes});
        if (random.below(4) == 0) result.back().bytes[random.below(bytes.size())] ^= 0x10;
      }
      return result;
    };
    (void)pair.link.run(kNoStop);
    return pair.log;
  };
  CHECK(record(seed) == record(seed));
  CHECK(record(seed) != record(seed + 1));
}

}  // namespace
}  // namespace blindsum::wire
