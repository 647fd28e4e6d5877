// Strangers and floods against the sockets of both listening roles, while an honest party is
// served.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <zmq.hpp>

#include "shared/core/seeded_random.h"
#include "tests/wire/raw_tcp.h"
#include "tests/wire/world.h"

namespace blindsum::wire {
namespace {

using namespace test;
using namespace std::chrono_literals;

const Bytes kUpdate = encode({run_id(1), update_of(0)});

// How long an honest exchange of a message and its answer may take while others misbehave. It takes
// less than a millisecond in peace.
constexpr int kLatencyMs = 1500;
// How long a connection may stay without having shown its key: handshake_ivl is 5 s.
constexpr auto kHandshakeLimit = 8s;

// is_promptly_served exchanges `updates` messages of an honest party, each in time.
bool is_promptly_served(const World& world, std::uint32_t party, std::uint32_t updates = 5) {
  ZmqLink link(world.client_config(party, world.party_keys[party]));
  Caller caller(updates, kPatienceMs, 5000, world.self);
  auto last = Clock::now();
  int slowest_ms = 0;
  const auto answer = caller.on_message;
  caller.on_message = [&](const Peer& from, const Body& body, MessageSink& sink) {
    slowest_ms = std::max(slowest_ms, elapsed_ms(last));
    last = Clock::now();
    answer(from, body, sink);
  };
  link.run(caller, kNoStop);
  CAPTURE(slowest_ms);
  CHECK(slowest_ms < kLatencyMs);
  return caller.served();
}

// for_both_roles runs `test`, which may not use REQUIRE, against a coordinator and a key-holder,
// side by side.
template <class Test>
void for_both_roles(Test test) {
  const auto run = [&](const Peer& role) {
    CAPTURE(to_string(role));
    World world(2, {.max_message_bytes = 100'000}, role);
    world.open();
    world.begin();
    test(world);
    world.halt();
    // Whatever happened, nobody but party 1, who is honest, was heard.
    CHECK(std::all_of(world.heard.begin(), world.heard.end(),
                      [](const Peer& peer) { return peer == party_peer(1); }));
  };
  std::thread other([&] { run(kKeyHolderPeer); });
  run(kCoordinatorPeer);
  other.join();
}

TEST_CASE("a stranger is refused by both listening roles: no key, a password, a wrong key") {
  for_both_roles([](World& world) {
    zmq::context_t context;
    const CurveKeyPair stranger = make_curve_key_pair();
    std::vector<std::unique_ptr<RawClient>> clients;
    // ZeroMQ's plain mechanism NULL, and one with a key that is not enrolled.
    clients.push_back(std::make_unique<RawClient>(context, world, nullptr, "party-1/x"));
    clients.push_back(std::make_unique<RawClient>(context, world, &stranger, "party-1/x"));
    for (const auto& client : clients) {
      client->send({});
      client->send(kUpdate);
    }
    // PLAIN: a name and a password, in the clear.
    zmq::socket_t plain(context, zmq::socket_type::dealer);
    plain.set(zmq::sockopt::linger, 0);
    plain.set(zmq::sockopt::routing_id, "party-1/x");
    plain.set(zmq::sockopt::plain_username, "party-1");
    plain.set(zmq::sockopt::plain_password, "secret");
    plain.connect(world.endpoint);
    plain.send(zmq::const_buffer(kUpdate.data(), kUpdate.size()), zmq::send_flags::none);
    // The right key of party 0, but taking the server for another.
    zmq::socket_t mistaken(context, zmq::socket_type::dealer);
    mistaken.set(zmq::sockopt::linger, 0);
    mistaken.set(zmq::sockopt::curve_serverkey, stranger.public_key);
    mistaken.set(zmq::sockopt::curve_publickey, world.party_keys[0].public_key);
    mistaken.set(zmq::sockopt::curve_secretkey, std::string(secret_of(world.party_keys[0])));
    mistaken.connect(world.endpoint);
    mistaken.send(zmq::const_buffer(kUpdate.data(), kUpdate.size()), zmq::send_flags::none);

    CHECK(is_promptly_served(world, 1));
    for (const auto& client : clients) CHECK_FALSE(client->receive(100));
    world.halt();
    CHECK(world.was_rejected("?: key " + stranger.public_key));
    CHECK(world.heard.size() == 5);
  });
}

TEST_CASE("an enrolled party that claims another's routing id is refused by both roles") {
  for_both_roles([](World& world) {
    zmq::context_t context;
    RawClient thief(context, world, &world.party_keys[0], "party-1/x");
    thief.send({});
    thief.send(kUpdate);
    CHECK(is_promptly_served(world, 1));
    CHECK_FALSE(thief.receive(200));
    world.halt();
    CHECK(world.was_rejected("party-0: a message under another peer's routing id"));
    CHECK(world.heard.size() == 5);
  });
}

TEST_CASE("older protocols, which know no keys, are refused by both roles") {
  for_both_roles([](World& world) {
    // ZMTP 1.0: a frame at once. 2.0: a greeting with its revision. 3.0 with NULL and PLAIN.
    Bytes update_1{static_cast<std::uint8_t>(kUpdate.size() + 1), 0};
    update_1.insert(update_1.end(), kUpdate.begin(), kUpdate.end());
    Bytes first{0x01, 0x00};  // an anonymous identity
    first.insert(first.end(), update_1.begin(), update_1.end());
    Bytes second{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 1, 5, 0, 0};
    second.insert(second.end(), update_1.begin(), update_1.end());
    for (const Bytes& bytes : {first, second, zmtp_greeting("NULL"), zmtp_greeting("PLAIN"),
                               zmtp_greeting("GSSAPI", 1), zmtp_greeting("", 1)}) {
      const RawTcp connection(world.endpoint);
      connection.send(bytes);
      connection.send(update_1);
      CHECK(connection.is_closed_within(kHandshakeLimit));
    }
    CHECK(is_promptly_served(world, 1));
  });
}

TEST_CASE("raw rubbish costs its sender the connection, and both roles go on") {
  for_both_roles([](World& world) {
    SeededRandom random(11, "rubbish");
    std::vector<RawTcp> connections;
    for (int i = 0; i < 64; ++i) {
      Bytes rubbish(1 + random.below(4000));
      for (std::uint8_t& byte : rubbish) byte = static_cast<std::uint8_t>(random.next_u64());
      if (i % 2 == 0) {  // rubbish after a good beginning
        const Bytes greeting = zmtp_greeting("CURVE", static_cast<std::uint8_t>(i / 2 % 2));
        rubbish.insert(rubbish.begin(), greeting.begin(), greeting.end());
      }
      connections.emplace_back(world.endpoint);
      connections.back().send(rubbish);
    }
    CHECK(is_promptly_served(world, 1));
    const auto since = Clock::now();
    for (const RawTcp& connection : connections) {
      CHECK(connection.is_closed_within(kHandshakeLimit));
    }
    CHECK(elapsed_ms(since) < std::chrono::milliseconds(kHandshakeLimit).count());
  });
}

TEST_CASE(
    "hundreds of unfinished handshakes, held open or dripping, keep nobody from being served") {
  for_both_roles([](World& world) {
    std::vector<RawTcp> connections;
    const Bytes greeting = zmtp_greeting("CURVE");
    // A CURVE HELLO (ZMQ RFC 26) is a command frame of 200 bytes.
    Bytes hello = greeting;
    hello.insert(hello.end(), {0x04, 200, 5, 'H', 'E', 'L', 'L', 'O', 1, 0});
    for (int i = 0; i < 400; ++i) {
      connections.emplace_back(world.endpoint);
      if (i % 4 == 1) connections.back().send(ByteView(greeting).first(10));
      if (i % 4 == 2) connections.back().send(greeting);
      if (i % 4 == 3) connections.back().send(hello);
    }
    const auto since = Clock::now();
    CHECK(is_promptly_served(world, 1));
    // The last one drips, a byte every now and then, and gains no time by it.
    RawTcp dripping(world.endpoint);
    std::size_t at = 0;
    bool is_closed = false;
    while (!is_closed && elapsed_ms(since) < 10'000 && at < hello.size()) {
      dripping.send(ByteView(hello).subspan(at++, 1));
      is_closed = dripping.is_closed_within(100ms);
    }
    CHECK(is_closed);
    for (const RawTcp& connection : connections) CHECK(connection.is_closed_within(5s));
    CHECK(elapsed_ms(since) < 12'000);
    CHECK(is_promptly_served(world, 1));
  });
}

TEST_CASE("a stranger's frame that claims to be huge ends the connection at once") {
  for_both_roles([](World& world) {
    for (const std::uint8_t flags : {0x02, 0x06}) {  // a long message, a long command
      for (const std::uint8_t high : {0x00, 0x40, 0xff}) {
        Bytes bytes = zmtp_greeting("CURVE");
        bytes.insert(bytes.end(), {flags, high, 0, 0, 1, 0, 0, 0, 0});  // 2^32 bytes and more
        const RawTcp connection(world.endpoint);
        connection.send(bytes);
        CHECK(connection.is_closed_within(1500ms));
      }
    }
    CHECK(is_promptly_served(world, 1));
  });
}

TEST_CASE("a flood of undecodable messages from an enrolled peer delays nobody else") {
  for_both_roles([](World& world) {
    std::atomic<bool> is_over{false};
    std::thread flood([&] {
      zmq::context_t context;
      RawClient hostile(context, world, &world.party_keys[0], "party-0/x");
      hostile.socket.set(zmq::sockopt::sndtimeo, 100);
      for (std::uint8_t i = 0; !is_over; ++i) {
        const Bytes rubbish(i, i);
        hostile.socket.send(zmq::const_buffer(rubbish.data(), rubbish.size()),
                            zmq::send_flags::none);
      }
    });
    std::this_thread::sleep_for(200ms);
    CHECK(is_promptly_served(world, 1, 200));
    is_over = true;
    flood.join();
    world.halt();
    CHECK(world.server->traffic().rejected > 100);
  });
}

TEST_CASE("a message without end costs its sender the connection, and others are served") {
  for_both_roles([](World& world) {
    zmq::context_t context;
    RawClient hostile(context, world, &world.party_keys[0], "party-0/x");
    zmq::socket_t monitor(context, zmq::socket_type::pair);
    zmq_socket_monitor(hostile.socket.handle(), "inproc://watch", ZMQ_EVENT_DISCONNECTED);
    monitor.connect("inproc://watch");
    // 100 MB in frames that are small enough each: ZeroMQ gathers them before it shows any.
    const Bytes frame(90'000, 1);
    for (int i = 0; i < 1100; ++i) hostile.send(frame, zmq::send_flags::sndmore);
    hostile.send(frame);
    monitor.set(zmq::sockopt::rcvtimeo, 10'000);
    zmq::message_t event;
    CHECK(monitor.recv(event, zmq::recv_flags::none).has_value());
    CHECK(is_promptly_served(world, 1, 20));
    world.halt();
    CHECK(world.was_rejected("?: more than may wait to be taken: the connection was closed"));
    CHECK_FALSE(world.was_rejected("?: a message of"));
  });
}

TEST_CASE("a peer that sends much and hangs up, or is taken over, does not end the process") {
  // libzmq 4.3 aborts when a connection whose queue is full breaks and is then read from, or when a
  // heartbeat (every 2 s, if it sends any) falls due on it.
  for_both_roles([](World& world) {
    world.coordinator.on_message = [&, first = true](const Peer& from, const Body& body,
                                                     MessageSink& sink) mutable {
      if (std::exchange(first, false)) std::this_thread::sleep_for(3s);  // nothing is taken
      world.heard.push_back(from);
      const auto* update = std::get_if<EncryptedUpdate>(&body);
      if (update != nullptr) sink.send(from, UpdateReply{update->round, AcceptResult::kAccepted});
    };
    {
      zmq::context_t context;
      RawClient busy(context, world, &world.party_keys[1], "party-1/x");
      busy.send(kUpdate);
      std::this_thread::sleep_for(300ms);  // the role is at it
      RawClient first(context, world, &world.party_keys[0], "party-0/same");
      const Bytes rubbish(100, 7);
      for (int i = 0; i < 300; ++i) first.send(rubbish);
      std::this_thread::sleep_for(200ms);
      RawClient second(context, world, &world.party_keys[0], "party-0/same");
      for (int i = 0; i < 300; ++i) second.send(rubbish);
      for (int i = 0; i < 300; ++i) first.send(rubbish);
      std::this_thread::sleep_for(200ms);
    }  // all hang up, with the queues full
    std::this_thread::sleep_for(3s);
    CHECK(is_promptly_served(world, 1));
  });
}

TEST_CASE("what an honest party may queue while the role is busy does not cost it the connection") {
  World world(1, {.max_message_bytes = 3'000'000});
  world.coordinator.on_message = [&](const Peer&, const Body&, MessageSink&) {
    // Busy for a while, with full queues behind it.
    if (++world.coordinator.heard == 1) std::this_thread::sleep_for(1s);
    world.coordinator.done = world.coordinator.heard == 16;
  };
  world.open();
  world.begin();
  zmq::context_t context;
  RawClient party(context, world, &world.party_keys[0], "party-0/x");
  const Bytes large = encode({run_id(1), update_of(0, 2'900'000)});
  for (int i = 0; i < 16; ++i) party.send(large);
  world.finish();
  CHECK(world.coordinator.heard == 16);
  CHECK(world.rejected == std::vector<std::string>{});
}

}  // namespace
}  // namespace blindsum::wire
