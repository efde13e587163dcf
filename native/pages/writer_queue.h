// The write lock of a database: first come, first served, with a time limit.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

#include "log/replicated_log.h"  // Deadline

namespace aurora {

class WriterQueue {
 public:
  enum class Result { granted, timed_out, refused };

  // Identifies who holds or waits; any address the caller owns.
  using Owner = const void*;

  // Waits in line. Granted at once, without a wait, to an owner that holds the lock already.
  // `refused`: shut() was called, before or meanwhile. Each waiter sleeps on its own, so a release
  // wakes exactly one.
  Result acquire(Owner owner, Deadline deadline);

  // Takes the lock only if it is free and nobody waits. True as well if `owner` holds it already.
  bool try_acquire(Owner owner);

  // Hands the lock to the first in line. Does nothing unless `owner` holds it.
  void release(Owner owner);
  bool holds(Owner owner) const;

  void open();  // acquire may grant (a new queue is shut)
  void shut();  // refuses everybody who waits, and everybody who comes until open()

  std::uint64_t waiting() const;

 private:
  struct Waiter;
  mutable std::mutex mutex_;
  Owner holder_ = nullptr;     // guarded by mutex_
  bool open_ = false;          // guarded by mutex_
  std::deque<Waiter*> line_;   // guarded by mutex_; empty while shut
};

}  // namespace aurora
