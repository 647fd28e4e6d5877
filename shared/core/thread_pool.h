// A pool of threads for arithmetic that fans out and joins again before its caller returns.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace blindsum {

// ThreadPool runs loops over its threads and the caller's. Thread-safe: loops of several callers
// run one after the other. Not re-entrant: a body must not start a loop of the same pool.
class ThreadPool {
 public:
  // `threads` counts the caller: 1 means that everything runs in the calling thread; 0 takes the
  // machine's processors.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] std::size_t threads() const;

  // parallel_for calls body(i) once for every i in [0, count), in any order, and returns when all
  // have returned. When bodies throw, the first exception is rethrown here after all have ended.
  void parallel_for(std::size_t count, const std::function<void(std::size_t)>& body);

  // parallel_ranges splits [0, count) into at most threads() ranges of about equal length, each a
  // multiple of `grain` but the last, and calls body(begin, end) for each.
  void parallel_ranges(std::size_t count, std::size_t grain,
                       const std::function<void(std::size_t, std::size_t)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace blindsum
