// Waits for a process::Future without polling: libmesos calls back on one of its own threads, which
// sets a flag, and the thread that waits does everything else.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "mesos/library.h"

namespace aurora {

// One call under way. Shared between the thread that waits and the callback inside libmesos, which
// may outlive it.
class Waiter {
 public:
  // After a stop of the whole process (SIGSTOP, a suspended machine) the deadline may be long over
  // before libmesos has had a chance to read the answer that lies in its socket. It gets this long.
  static constexpr std::chrono::milliseconds kLate{100};
  static constexpr std::chrono::milliseconds kGrace{250};

  void finish() { set(&finished_); }
  void cancel() { set(&cancelled_); }

  // Until finish(), cancel() or the deadline.
  void wait(Deadline deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto over = [this] { return finished_ || cancelled_; };
    if (changed_.wait_until(lock, deadline, over)) return;
    if (Clock::now() - deadline > kLate) changed_.wait_for(lock, kGrace, over);
  }

  bool finished() const { return get(finished_); }
  bool cancelled() const { return get(cancelled_); }

 private:
  bool get(const bool& flag) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return flag;
  }

  void set(bool* flag) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *flag = true;
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;   // guarded by mutex_
  bool cancelled_ = false;  // guarded by mutex_
};

// Given to libmesos, which deletes it. Runs on a libprocess thread, of which there may be one only:
// it must never block.
class Finisher final : public abi::Callable {
 public:
  explicit Finisher(std::shared_ptr<Waiter> waiter) : waiter_(std::move(waiter)) {}
  void operator()(const void*) override { waiter_->finish(); }

 private:
  const std::shared_ptr<Waiter> waiter_;
};

// The exported functions of Future<T>, for each T in use.
template <class T>
struct FutureFunctions {
  LibmesosSymbols::OnAny<T> on_any;
  LibmesosSymbols::Discard<T> discard;
  LibmesosSymbols::Get<T> get;
  LibmesosSymbols::Failure<T> failure;

  static FutureFunctions lookup();
};
template <>
inline FutureFunctions<abi::LogPosition> FutureFunctions<abi::LogPosition>::lookup() {
  const LibmesosSymbols& api = libmesos();
  return {api.future_position_on_any, api.future_position_discard, api.future_position_get,
          api.future_position_failure};
}
template <>
inline FutureFunctions<LibmesosSymbols::OptionPosition>
FutureFunctions<LibmesosSymbols::OptionPosition>::lookup() {
  const LibmesosSymbols& api = libmesos();
  return {api.future_option_on_any, api.future_option_discard, api.future_option_get,
          api.future_option_failure};
}
template <>
inline FutureFunctions<abi::Entries> FutureFunctions<abi::Entries>::lookup() {
  const LibmesosSymbols& api = libmesos();
  return {api.future_entries_on_any, api.future_entries_discard, api.future_entries_get,
          api.future_entries_failure};
}

// Waits, and answers ok when `future` holds a value. Whatever has no answer in the end is
// discarded: libmesos itself never gives up.
template <class T>
Outcome await(abi::Future<T>* future, const std::shared_ptr<Waiter>& waiter, Deadline deadline) {
  const FutureFunctions<T> functions = FutureFunctions<T>::lookup();
  abi::CallableOnce callback = std::make_unique<Finisher>(waiter);
  functions.on_any(future, &callback);
  waiter->wait(deadline);
  switch (__atomic_load_n(reinterpret_cast<const std::int32_t*>(&future->data->state),
                          __ATOMIC_ACQUIRE)) {
    case static_cast<std::int32_t>(abi::FutureState::ready):
      return Outcome::at(0);
    case static_cast<std::int32_t>(abi::FutureState::failed):
      return Outcome::of(Status::failed, functions.failure(future));
    case static_cast<std::int32_t>(abi::FutureState::discarded):
      return Outcome::of(waiter->cancelled() ? Status::closed : Status::failed,
                         "libmesos dropped the request");
    default:
      functions.discard(future);
      return waiter->cancelled()
                 ? Outcome::of(Status::closed, "the log was closed")
                 : Outcome::of(Status::no_answer, "no answer within the time limit");
  }
}

template <class T>
const T& value_of(const abi::Future<T>& future) {
  return FutureFunctions<T>::lookup().get(&future);
}

}  // namespace aurora
