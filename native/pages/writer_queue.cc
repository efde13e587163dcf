// See writer_queue.h. The lock is handed over, not let go: a newcomer never overtakes the line.
#include "pages/writer_queue.h"

#include <algorithm>
#include <optional>

#include "pages/handoff.h"

namespace aurora {

struct WriterQueue::Waiter {
  Owner owner;
  Handoff<Result> result;
};

WriterQueue::Result WriterQueue::acquire(Owner owner, Deadline deadline) {
  Waiter self{owner, {}};
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (holder_ == owner) return Result::granted;
    if (!open_) return Result::refused;
    if (!holder_ && line_.empty()) {
      holder_ = owner;
      return Result::granted;
    }
    line_.push_back(&self);
  }
  if (const std::optional<Result> result = self.result.take_until(deadline)) return *result;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto place = std::find(line_.begin(), line_.end(), &self);
    if (place != line_.end()) {
      line_.erase(place);
      return Result::timed_out;
    }
  }
  return self.result.take();
}

bool WriterQueue::try_acquire(Owner owner) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (holder_ == owner) return true;
  if (!open_ || holder_ || !line_.empty()) return false;
  holder_ = owner;
  return true;
}

void WriterQueue::release(Owner owner) {
  Waiter* next = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (holder_ != owner) return;
    holder_ = nullptr;
    if (line_.empty()) return;
    next = line_.front();
    line_.pop_front();
    holder_ = next->owner;
  }
  next->result.give(Result::granted);
}

bool WriterQueue::holds(Owner owner) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return holder_ == owner;
}

void WriterQueue::open() {
  std::lock_guard<std::mutex> lock(mutex_);
  open_ = true;
}

void WriterQueue::shut() {
  std::deque<Waiter*> refused;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
    refused.swap(line_);
  }
  for (Waiter* waiter : refused) waiter->result.give(Result::refused);
}

std::uint64_t WriterQueue::waiting() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return line_.size();
}

}  // namespace aurora
