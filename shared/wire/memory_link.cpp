#include <algorithm>
#include <stdexcept>

#include "shared/wire/delivery.h"
#include "shared/wire/links.h"

namespace blindsum::wire {
namespace {

// A deadline handler may set the next deadline at the same time, but not for ever.
constexpr int kMaxDeadlinesInARow = 1000;

struct Arrival {
  TimeMs time;
  std::uint64_t sequence;
  std::size_t from, to;
  Bytes bytes;
};
struct Later {
  bool operator()(const Arrival& a, const Arrival& b) const {
    return std::pair(a.time, a.sequence) > std::pair(b.time, b.sequence);
  }
};

}  // namespace

struct MemoryLink::Impl {
  // Node is one session with its own view of the link.
  struct Node : MessageSink {
    Node(MemoryLink& link_in, std::size_t index_in, const Peer& self_in, Session& session_in)
        : link(link_in), index(index_in), self(self_in), session(session_in) {}
    bool send(const Peer& to, const Body& body) override {
      return link.impl_->send(link, *this, to, body);
    }
    [[nodiscard]] TimeMs now() const override { return link.impl_->now; }

    MemoryLink& link;
    std::size_t index;
    Peer self;
    Session& session;
    Traffic traffic;
  };

  bool send(MemoryLink& link, Node& from, const Peer& to, const Body& body) {
    const auto found = index_of.find(to);
    if (found == index_of.end() || found->second == from.index) return false;
    if (nodes[found->second]->session.finished()) return false;
    Bytes bytes = encode_within(limits, run, body);
    ++from.traffic.messages_out;
    from.traffic.bytes_out += bytes.size();
    std::vector<Delivery> deliveries;
    if (link.tamper) {
      deliveries = link.tamper(from.self, to, std::move(bytes));
    } else {
      deliveries.push_back({0, std::move(bytes)});
    }
    for (Delivery& delivery : deliveries) {
      queue.push_back({now + std::max<TimeMs>(delivery.delay_ms, 0), sequence++, from.index,
                       found->second, std::move(delivery.bytes)});
      std::push_heap(queue.begin(), queue.end(), Later());
    }
    return true;
  }

  void receive(MemoryLink& link, const Arrival& arrival) {
    Node& to = *nodes[arrival.to];
    if (to.session.finished()) return;
    const Peer& from = nodes[arrival.from]->self;
    ++to.traffic.messages_in;
    to.traffic.bytes_in += arrival.bytes.size();
    const auto refusal = deliver(limits, run, from, arrival.bytes, to.session, to);
    if (refusal) {
      ++to.traffic.rejected;
      if (link.on_rejected) link.on_rejected(to_string(from), *refusal);
    }
  }

  // work_ahead lets every session do a piece of work and returns whether one has more.
  [[nodiscard]] bool work_ahead() const {
    bool has_more = false;
    for (const auto& node : nodes) {
      if (!node->session.finished() && node->session.work_ahead()) has_more = true;
    }
    return has_more;
  }

  [[nodiscard]] Node* next_to_wake() const {
    Node* next = nullptr;
    TimeMs earliest = 0;
    for (const auto& node : nodes) {
      if (node->session.finished()) continue;
      const auto deadline = node->session.next_deadline();
      if (deadline && (next == nullptr || *deadline < earliest)) {
        next = node.get();
        earliest = *deadline;
      }
    }
    return next;
  }

  RunId run;
  CodecLimits limits;
  TimeMs now = 0;
  std::uint64_t sequence = 0;
  std::vector<std::unique_ptr<Node>> nodes;
  std::map<Peer, std::size_t> index_of;
  std::vector<Arrival> queue;  // a heap: the next arrival is in front
};

MemoryLink::MemoryLink(RunId run, CodecLimits limits) : impl_(std::make_unique<Impl>()) {
  impl_->run = run;
  impl_->limits = limits;
}
MemoryLink::~MemoryLink() = default;

void MemoryLink::add(const Peer& self, Session& session) {
  if (!impl_->index_of.emplace(self, impl_->nodes.size()).second) {
    throw ConfigError(to_string(self) + " was added twice");
  }
  impl_->nodes.push_back(std::make_unique<Impl::Node>(*this, impl_->nodes.size(), self, session));
}

bool MemoryLink::run(const std::atomic<bool>& stop) {
  Impl& impl = *impl_;
  for (const auto& node : impl.nodes) node->session.start(*node);
  int deadlines_in_a_row = 0;
  while (!stop) {
    if (!impl.queue.empty() && impl.queue.front().time <= impl.now) {
      std::pop_heap(impl.queue.begin(), impl.queue.end(), Later());
      const Arrival arrival = std::move(impl.queue.back());
      impl.queue.pop_back();
      impl.receive(*this, arrival);
      deadlines_in_a_row = 0;
      continue;
    }
    if (impl.work_ahead()) continue;
    Impl::Node* const node = impl.next_to_wake();
    if (!impl.queue.empty() &&
        (node == nullptr || impl.queue.front().time <= *node->session.next_deadline())) {
      impl.now = impl.queue.front().time;
      continue;
    }
    if (node == nullptr) break;
    const TimeMs deadline = *node->session.next_deadline();
    if (deadline > impl.now) deadlines_in_a_row = 0;
    if (++deadlines_in_a_row > kMaxDeadlinesInARow) {
      throw std::logic_error(to_string(node->self) + ": its deadline does not move");
    }
    impl.now = std::max(impl.now, deadline);
    node->session.on_deadline(*node);
  }
  return std::all_of(impl.nodes.begin(), impl.nodes.end(),
                     [](const auto& node) { return node->session.finished(); });
}

TimeMs MemoryLink::now() const { return impl_->now; }

Traffic MemoryLink::traffic(const Peer& peer) const {
  const auto found = impl_->index_of.find(peer);
  return found == impl_->index_of.end() ? Traffic{} : impl_->nodes[found->second]->traffic;
}

}  // namespace blindsum::wire
