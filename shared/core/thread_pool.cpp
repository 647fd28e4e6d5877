#include "shared/core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace blindsum {

struct ThreadPool::State {
  std::mutex one_loop;
  std::mutex mutex;
  std::condition_variable work_ready;
  std::condition_variable work_done;
  std::vector<std::thread> workers;
  const std::function<void(std::size_t)>* body = nullptr;
  std::size_t count = 0;
  std::atomic<std::size_t> next{0};
  std::size_t running = 0;     // workers inside the current loop
  std::size_t generation = 0;  // number of the current loop
  bool is_stopping = false;
  std::exception_ptr error;

  void drain() {
    for (;;) {
      const std::size_t i = next.fetch_add(1);
      if (i >= count) return;
      try {
        (*body)(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  }

  void work() {
    std::size_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      work_ready.wait(lock, [&] { return is_stopping || generation != seen; });
      if (is_stopping) return;
      seen = generation;
      lock.unlock();
      drain();
      lock.lock();
      if (--running == 0) work_done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(std::size_t threads) : state_(std::make_unique<State>()) {
  if (threads == 0) threads = std::max<std::size_t>(1, std::thread::hardware_concurrency());
  for (std::size_t i = 1; i < threads; ++i) {
    state_->workers.emplace_back([state = state_.get()] { state->work(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->is_stopping = true;
  }
  state_->work_ready.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

std::size_t ThreadPool::threads() const { return state_->workers.size() + 1; }

void ThreadPool::parallel_for(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (state_->workers.empty() || count <= 1) {
    for (std::size_t i = 0; i < count; ++i) body(i);
    return;
  }
  const std::lock_guard one_loop(state_->one_loop);
  {
    const std::lock_guard lock(state_->mutex);
    state_->body = &body;
    state_->count = count;
    state_->next = 0;
    state_->error = nullptr;
    state_->running = state_->workers.size();
    ++state_->generation;
  }
  state_->work_ready.notify_all();
  state_->drain();
  std::unique_lock lock(state_->mutex);
  state_->work_done.wait(lock, [&] { return state_->running == 0; });
  if (state_->error) std::rethrow_exception(state_->error);
}

void ThreadPool::parallel_ranges(std::size_t count, std::size_t grain,
                                 const std::function<void(std::size_t, std::size_t)>& body) {
  if (count == 0) return;
  grain = std::max<std::size_t>(1, grain);
  const std::size_t grains = (count + grain - 1) / grain;
  const std::size_t parts = std::min(threads(), grains);
  parallel_for(parts, [&](std::size_t part) {
    const std::size_t begin = grains * part / parts * grain;
    const std::size_t end = std::min(count, grains * (part + 1) / parts * grain);
    body(begin, end);
  });
}

}  // namespace blindsum
