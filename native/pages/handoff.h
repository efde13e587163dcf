// A value that one thread hands to another which sleeps until it comes.
//
// It lives on the sleeper's stack, and has its own mutex so that the giver can wake many sleepers
// one after another without holding the lock under which it found them.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "log/replicated_log.h"  // Deadline

namespace aurora {

template <typename Value>
class Handoff {
 public:
  // Once, by whoever took the sleeper off its list: the last touch, it may be gone right after.
  void give(Value value) {
    std::lock_guard<std::mutex> lock(mutex_);
    value_ = std::move(value);
    given_.notify_one();  // under the lock: the sleeper cannot be gone yet
  }

  // Empty if nothing came before the deadline. Another try may follow.
  std::optional<Value> take_until(Deadline deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    given_.wait_until(lock, deadline, [this] { return value_.has_value(); });
    return std::exchange(value_, std::nullopt);
  }

  // For a sleeper that has been taken off its list: the value is on its way.
  Value take() {
    std::unique_lock<std::mutex> lock(mutex_);
    given_.wait(lock, [this] { return value_.has_value(); });
    return std::move(*value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable given_;
  std::optional<Value> value_;  // guarded by mutex_
};

}  // namespace aurora
