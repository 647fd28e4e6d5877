#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <zmq.hpp>

#include "shared/wire/links.h"
#include "tests/wire/tcp_proxy.h"
#include "tests/wire/world.h"

namespace blindsum::wire {
namespace {

using namespace test;

const Bytes kUpdate = encode({run_id(1), update_of(0)});

TEST_CASE("three parties are served and every byte is counted at both ends") {
  World world(3);
  world.enough = 3 * 40;
  world.open();
  world.begin();
  std::vector<std::unique_ptr<ZmqLink>> links;
  std::vector<std::unique_ptr<Caller>> callers;
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 3; ++i) {
    links.push_back(std::make_unique<ZmqLink>(world.client_config(i, world.party_keys[i])));
    callers.push_back(std::make_unique<Caller>(40, kPatienceMs, 1000 * i));
    threads.emplace_back(
        [link = links[i].get(), caller = callers[i].get()] { link->run(*caller, kNoStop); });
  }
  for (std::thread& thread : threads) thread.join();
  world.finish();

  Traffic sum;
  std::uint64_t up = 0, down = 0;
  for (std::uint32_t i = 0; i < 3; ++i) {
    CHECK(callers[i]->served());
    const Traffic traffic = links[i]->traffic();
    CHECK(traffic.messages_out == 40);
    CHECK(traffic.messages_in == 40);
    CHECK(traffic.rejected == 0);
    sum.bytes_in += traffic.bytes_in;
    sum.bytes_out += traffic.bytes_out;
    for (std::uint32_t round = 0; round < 40; ++round) {
      up += encode({run_id(1), update_of(round, 1000 * i)}).size();
      down += encode({run_id(1), UpdateReply{round, AcceptResult::kAccepted}}).size();
    }
  }
  const Traffic server = world.server->traffic();
  CHECK(server.messages_in == 120);
  CHECK(server.messages_out == 120);
  CHECK(server.bytes_in == up);
  CHECK(server.bytes_out == down);
  CHECK(sum.bytes_out == up);
  CHECK(sum.bytes_in == down);
  CHECK(server.rejected == 0);
}

TEST_CASE("a stranger never gets through and is counted") {
  World world(1);
  world.open();
  world.begin();
  const CurveKeyPair stranger = make_curve_key_pair();
  ZmqLink link(world.client_config(0, stranger));
  Caller caller(1, 800);
  link.run(caller, kNoStop, 0);
  CHECK(caller.sent);  // queued for ever
  CHECK_FALSE(caller.served());
  CHECK(is_served(world, 0));
  world.halt();
  CHECK(world.heard == std::vector<Peer>(3, party_peer(0)));
  CHECK(world.was_rejected("?: key " + stranger.public_key));
  CHECK(world.server->traffic().rejected == world.rejected.size());
}

TEST_CASE("a client without CURVE never gets through") {
  World world(1);
  world.open();
  world.begin();
  zmq::context_t context;
  RawClient plain(context, world, nullptr, "party-0/x");
  plain.send(kUpdate);
  CHECK_FALSE(plain.receive(500));
  CHECK(is_served(world, 0));
  world.halt();
  CHECK(world.heard.size() == 3);
}

TEST_CASE("a client does not talk to a coordinator with another key") {
  World world(1);
  world.open();
  world.begin();
  ZmqConfig config = world.client_config(0, world.party_keys[0]);
  config.servers[0].public_key = make_curve_key_pair().public_key;
  ZmqLink link(std::move(config));
  Caller caller(1, 500);
  link.run(caller, kNoStop, 0);
  CHECK_FALSE(caller.served());
  world.halt();
  CHECK(world.heard.empty());
}

TEST_CASE("a party cannot speak under, or take over, another party's routing id") {
  World world(2);
  world.open();
  world.begin();
  ZmqLink victim(world.client_config(1, world.party_keys[1]));
  Caller caller(200);
  std::thread thread([&] { victim.run(caller, kNoStop); });
  zmq::context_t context;
  for (const char* claim : {"party-1/x", "party-1", "coordinator/x", "x"}) {
    RawClient thief(context, world, &world.party_keys[0], claim);
    thief.send({});  // as if announcing itself
    thief.send(kUpdate);
    CHECK_FALSE(thief.receive(200));
  }
  thread.join();
  CHECK(caller.served());
  world.halt();
  CHECK(world.heard == std::vector<Peer>(200, party_peer(1)));
  CHECK(world.server->traffic().rejected == 8);
  CHECK(world.was_rejected("party-0: a message under another peer's routing id"));
}

TEST_CASE("malformed messages are rejected and counted, and others are still served") {
  World world(2, {.max_message_bytes = 100'000});
  world.open();
  world.begin();
  zmq::context_t context;
  RawClient hostile(context, world, &world.party_keys[0], "party-0/x");
  hostile.send({});
  hostile.send(as_bytes("rubbish"));
  hostile.send(Bytes(100'010, 1));  // above the limit by less than what CURVE adds
  hostile.send(kUpdate, zmq::send_flags::sndmore);
  hostile.send(kUpdate);
  for (int i = 0; i < 9; ++i) hostile.send(kUpdate, zmq::send_flags::sndmore);
  hostile.send(kUpdate);
  hostile.send(encode({run_id(2), update_of(0)}));
  hostile.send(kUpdate);
  CHECK(hostile.receive(kPatienceMs));  // the only good one is answered
  CHECK(is_served(world, 1));
  world.halt();
  CHECK(world.heard.size() == 4);
  CHECK(world.server->traffic().rejected == 5);
  CHECK(world.was_rejected("party-0: not a message"));
  CHECK(world.was_rejected("party-0: message of 100010 bytes, limit 100000"));
  CHECK(world.was_rejected("?: a message of 3 frames, expected 2"));
  CHECK(world.was_rejected("?: a message of 11 frames, expected 2"));
  CHECK(world.was_rejected("party-0: EncryptedUpdate of run 0202"));
}

TEST_CASE("an oversized message costs its sender the connection, and others are still served") {
  World world(2, {.max_message_bytes = 100'000});
  world.open();
  world.begin();
  zmq::context_t context;
  RawClient hostile(context, world, &world.party_keys[0], "party-0/x");
  hostile.send(Bytes(5'000'000, 1));
  CHECK_FALSE(hostile.receive(300));
  CHECK(is_served(world, 1));
  CHECK(is_served(world, 0));
  world.halt();
  CHECK(world.heard.size() == 6);
  CHECK(world.server->traffic().bytes_in < 100'000);
}

TEST_CASE("a restarted party takes over from its former self, even when that is still connected") {
  World world(1);
  world.open();
  world.begin();
  zmq::context_t context;
  RawClient former(context, world, &world.party_keys[0], "party-0/former");
  former.send({});
  former.send(kUpdate);
  CHECK(former.receive(kPatienceMs));
  CHECK(is_served(world, 0));
  CHECK_FALSE(former.receive(0));
  CHECK(is_served(world, 0));
  world.halt();
  CHECK(world.heard.size() == 7);
}

TEST_CASE("a new connection takes over its own routing id from one that hangs") {
  World world(1);
  world.open();
  world.begin();
  zmq::context_t context;
  std::vector<std::unique_ptr<RawClient>> clients;  // all stay connected
  for (int i = 0; i < 3; ++i) {
    clients.push_back(
        std::make_unique<RawClient>(context, world, &world.party_keys[0], "party-0/same"));
    clients.back()->send({});
    clients.back()->send(kUpdate);
    CHECK(clients.back()->receive(5000));
    clients.back()->send(kUpdate);
    CHECK(clients.back()->receive(5000));
  }
  world.halt();
  CHECK(world.heard.size() == 6);
}

TEST_CASE("a party whose connection is cut is reached again without speaking first") {
  World world(1);
  test::TcpProxy* proxy_seen = nullptr;
  // The coordinator sends until the party, cut off three times, has heard it on a fourth
  // connection.
  world.coordinator.on_message = [&](const Peer&, const Body& body, MessageSink& sink) {
    world.coordinator.deadline = sink.now();
    world.coordinator.done = std::holds_alternative<Finish>(body);
  };
  world.coordinator.on_time = [&](MessageSink& sink) {
    world.coordinator.deadline = sink.now() + 10;
    sink.send(party_peer(0),
              UpdateReply{static_cast<std::uint32_t>(proxy_seen->connections()), {}});
  };
  world.open();
  test::TcpProxy proxy(world.endpoint);
  proxy_seen = &proxy;
  world.endpoint = proxy.endpoint();
  world.begin();
  ZmqLink link(world.client_config(0, world.party_keys[0]));
  Script party;
  std::uint32_t connection = 0;
  party.on_start = [&](MessageSink& sink) {
    party.deadline = sink.now() + kPatienceMs;
    sink.send(kCoordinatorPeer, Hello{});
  };
  party.on_message = [&](const Peer&, const Body& body, MessageSink& sink) {
    const std::uint32_t sent_on = std::get<UpdateReply>(body).round;
    if (sent_on == connection) return;
    connection = sent_on;
    if (connection < 4) return proxy.cut();
    sink.send(kCoordinatorPeer, Finish{});
    party.done = true;
  };
  party.on_time = [&](MessageSink&) { party.done = true; };
  link.run(party, kNoStop);
  CHECK(connection == 4);
  if (connection != 4) world.stop = true;
  world.finish();
}

TEST_CASE("signals interrupt nothing") {
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, &before);
  World world(1);
  world.enough = 500;
  world.open();
  world.begin();
  std::atomic<bool> quiet{false};
  std::thread pest([&, server = world.thread.native_handle(), client = pthread_self()] {
    while (!quiet) {
      pthread_kill(client, SIGUSR1);
      pthread_kill(server, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  CHECK(is_served(world, 0, 499));
  quiet = true;
  pest.join();
  world.halt();
  sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a party may start before the coordinator") {
  World world(1);
  world.open();
  world.server.reset();  // the port is known, and free again
  bool served = false;
  std::thread party([&, config = world.client_config(0, world.party_keys[0])]() mutable {
    served = is_served(std::move(config));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  world.open(world.endpoint);
  world.begin();
  party.join();
  CHECK(served);
}

TEST_CASE("a restarted coordinator answers a party that has been there all the time") {
  World world(1);
  world.open();
  world.begin();
  zmq::context_t context;
  RawClient party(context, world, &world.party_keys[0], "party-0/same");
  party.send({});  // announced once: a socket that connects again does not do so
  party.send(kUpdate);
  CHECK(party.receive(kPatienceMs));
  for (int restart = 0; restart < 2; ++restart) {
    world.halt();
    world.server.reset();
    world.stop = false;
    world.open(world.endpoint);
    world.begin();
    party.send(kUpdate);
    CHECK(party.receive(kPatienceMs));
  }
  world.halt();
  CHECK(world.heard.size() == 3);
  CHECK(world.rejected.empty());
}

TEST_CASE("a coordinator that listens but is busy lets parties in later") {
  World world(1);
  world.open();
  bool served = false;
  std::thread party([&, config = world.client_config(0, world.party_keys[0])]() mutable {
    served = is_served(std::move(config));
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  world.begin();
  party.join();
  CHECK(served);
}

TEST_CASE("what was queued before the end still arrives") {
  World world(1);
  world.enough = 1;
  world.coordinator.on_message = [&](const Peer& from, const Body&, MessageSink& sink) {
    for (std::uint32_t i = 0; i < 10; ++i) sink.send(from, UpdateReply{i, AcceptResult::kLate});
    sink.send(from, Finish{});
    world.coordinator.done = true;
  };
  world.open();
  world.begin();
  ZmqLink link(world.client_config(0, world.party_keys[0]));
  Script party;
  party.on_start = [&](MessageSink& sink) {
    party.deadline = sink.now() + kPatienceMs;
    sink.send(kCoordinatorPeer, update_of(0));
  };
  bool finish_seen = false;
  party.on_message = [&](const Peer&, const Body& body, MessageSink&) {
    ++party.heard;
    finish_seen = party.done = std::holds_alternative<Finish>(body);
  };
  party.on_time = [&](MessageSink&) { party.done = true; };
  link.run(party, kNoStop);
  CHECK(finish_seen);
  CHECK(party.heard == 11);
}

TEST_CASE("an end with messages that nobody takes lasts no longer than the linger") {
  World world(1);
  world.open();
  world.server.reset();
  ZmqLink link(world.client_config(0, world.party_keys[0]));
  Script party;
  party.on_start = [&](MessageSink& sink) {
    CHECK(sink.send(kCoordinatorPeer, update_of(0)));
    party.done = true;
  };
  const auto start = Clock::now();
  link.run(party, kNoStop, 300);
  CHECK(elapsed_ms(start) >= 290);
  CHECK(elapsed_ms(start) < 1500);
  CHECK_THROWS_AS(link.run(party, kNoStop), std::logic_error);
}

TEST_CASE("stop ends a run within 200 ms, without lingering") {
  World world(1);
  world.open();
  world.server.reset();
  ZmqLink link(world.client_config(0, world.party_keys[0]));
  Script party;
  party.on_start = [](MessageSink& sink) { sink.send(kCoordinatorPeer, update_of(0)); };
  std::atomic<bool> stop{false};
  Clock::time_point stopped;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    stopped = Clock::now();
    stop = true;
  });
  link.run(party, stop);
  const auto ended = Clock::now();
  stopper.join();
  CHECK(std::chrono::duration_cast<std::chrono::milliseconds>(ended - stopped).count() < 200);
}

TEST_CASE("a send to an absent peer is false, and so is one to a full queue") {
  World world(2);
  world.open();
  world.server.reset();
  Script coordinator, party;
  coordinator.on_start = [&](MessageSink& sink) {
    CHECK_FALSE(sink.send(party_peer(1), Hello{}));
    CHECK_FALSE(sink.send(kKeyHolderPeer, Hello{}));
    coordinator.done = true;
  };
  ZmqLink server(world.server_config());
  server.run(coordinator, kNoStop);
  CHECK(server.traffic().messages_out == 0);

  std::uint32_t queued = 0;
  party.on_start = [&](MessageSink& sink) {
    while (queued < 100 && sink.send(kCoordinatorPeer, update_of(0))) ++queued;
    party.done = true;
  };
  ZmqLink client(world.client_config(0, world.party_keys[0]));
  client.run(party, kNoStop, 0);
  CHECK(queued >= 10);
  CHECK(queued <= 16);
  CHECK(client.traffic().messages_out == queued);
}

TEST_CASE("a send to a party that has left becomes false") {
  World world(1);
  std::atomic<bool> unreachable{false};
  world.coordinator.on_message = [&](const Peer&, const Body&, MessageSink& sink) {
    world.coordinator.deadline = sink.now() + 10;
  };
  world.coordinator.on_time = [&](MessageSink& sink) {
    world.coordinator.deadline = sink.now() + 10;
    if (!sink.send(party_peer(0), Hello{})) unreachable = world.coordinator.done = true;
  };
  world.open();
  world.begin();
  {
    zmq::context_t context;
    RawClient client(context, world, &world.party_keys[0], "party-0/x");
    client.send({});
    client.send(kUpdate);
    CHECK(client.receive(kPatienceMs));
  }
  world.finish();
  CHECK(unreachable);
}

TEST_CASE("deadlines come in time") {
  World world(1);
  world.open();
  std::vector<TimeMs> delays;
  Script& session = world.coordinator;
  session.on_start = [&](MessageSink& sink) { session.deadline = sink.now() + 30; };
  session.on_time = [&](MessageSink& sink) {
    delays.push_back(sink.now() - *session.deadline);
    session.deadline = sink.now() + 30;
    session.done = delays.size() == 5;
  };
  world.begin();
  world.finish();
  REQUIRE(delays.size() == 5);
  for (const TimeMs delay : delays) {
    CHECK(delay >= 0);
    CHECK(delay < 1000);
  }
}

TEST_CASE("bad messages are the peer's fault, a broken aggregate ends the run") {
  World world(1);
  world.coordinator.on_message = [&](const Peer&, const Body&, MessageSink&) {
    if (++world.coordinator.heard < 3) throw ProtocolError("out of turn");
    throw IntegrityError("the sum is wrong");
  };
  world.open();
  bool caught = false;
  std::thread thread([&] {
    try {
      world.server->run(world.coordinator, kNoStop);
    } catch (const IntegrityError&) {
      caught = true;
    }
  });
  zmq::context_t context;
  RawClient client(context, world, &world.party_keys[0], "party-0/x");
  for (int i = 0; i < 3; ++i) client.send(kUpdate);
  thread.join();
  CHECK(caught);
  CHECK(world.rejected == std::vector<std::string>(2, "party-0: out of turn"));
}

TEST_CASE("a wrong endpoint, key or list of servers is a ConfigError") {
  World world(1);
  world.open();
  const auto client = [&](auto change) {
    ZmqConfig config = world.client_config(0, world.party_keys[0]);
    change(config);
    ZmqLink link(std::move(config));
  };
  CHECK_NOTHROW(client([](ZmqConfig&) {}));
  CHECK_THROWS_AS(client([](ZmqConfig& c) { c.servers[0].endpoint = "nowhere"; }), ConfigError);
  CHECK_THROWS_AS(client([](ZmqConfig& c) { c.servers[0].public_key = "short"; }), ConfigError);
  CHECK_THROWS_AS(client([](ZmqConfig& c) { c.keys = {}; }), ConfigError);
  CHECK_THROWS_AS(client([](ZmqConfig& c) { c.servers.push_back(c.servers[0]); }), ConfigError);
  CHECK_THROWS_AS(client([&](ZmqConfig& c) { c.bind = world.endpoint; }), ConfigError);
  CHECK_THROWS_AS(client([](ZmqConfig& c) { c.bind = "tcp://127.0.0.1:x"; }), ConfigError);
}

TEST_CASE("a thousand parties talk to one coordinator") {
  constexpr std::uint32_t kParties = 1000;
  struct rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t needed = 4 * kParties;
  if (files.rlim_cur < needed) {
    files.rlim_cur = std::min(needed, files.rlim_max);
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur < needed) {
    MESSAGE("skipped: this process may open only ", files.rlim_cur, " files");
    return;
  }
  World world(kParties);
  world.open();
  world.begin();
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, static_cast<int>(kParties) + 10);
  std::vector<RawClient> clients;
  clients.reserve(kParties);
  for (std::uint32_t i = 0; i < kParties; ++i) {
    clients.emplace_back(context, world, &world.party_keys[i], to_string(party_peer(i)) + "/x");
    clients[i].send({});
    clients[i].send(kUpdate);
  }
  std::uint32_t answered = 0;
  for (RawClient& client : clients) answered += client.receive(kPatienceMs) ? 1U : 0U;
  CHECK(answered == kParties);
  world.halt();
  CHECK(world.heard.size() == kParties);
}

}  // namespace
}  // namespace blindsum::wire
