// The system that the simulation puts under the product: pthread's threads, mutexes and conditions
// as fibers, and the clocks of the run. A program's own definitions go before those of the C
// library, also for what the C++ library calls (std::thread, std::condition_variable).
//
// While no scheduler is there everything has one thread: locks are taken and given back, clocks are
// the machine's. What is not here (rwlocks, semaphores) the product does not use; it would stand
// still for real, which the run's alarm reports.
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "sim/scheduler.h"

#define EXPORTED __attribute__((visibility("default")))

namespace {

using aurora::sim::Scheduler;
using aurora::sim::Time;

constexpr long kNanoseconds = 1'000'000'000;

// The virtual clocks do not begin at 0: a time point of 0 means "never yet" to some.
constexpr Time kEpoch = std::chrono::hours(24);

Time time_of(const timespec& point) {
  return Time(point.tv_sec * kNanoseconds + point.tv_nsec) - kEpoch;
}

// A mutex in the words of the C library's.
bool free_for(pthread_mutex_t* mutex, int self) {
  return mutex->__data.__owner == 0 ||
         (mutex->__data.__owner == self && mutex->__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP);
}

int self() {
  Scheduler* const scheduler = Scheduler::current();
  const Scheduler::FiberId id = scheduler == nullptr ? 0 : scheduler->self();
  return id == 0 ? -1 : static_cast<int>(id);
}

int lock(pthread_mutex_t* mutex) {
  const int me = self();
  if (me != -1) Scheduler::current()->maybe_yield();
  while (!free_for(mutex, me)) {
    if (me == -1) std::abort();  // a thread left it locked
    Scheduler::current()->wait(mutex, Time::max());
  }
  mutex->__data.__owner = me;
  ++mutex->__data.__count;
  return 0;
}

int unlock(pthread_mutex_t* mutex) {
  if (--mutex->__data.__count > 0) return 0;
  mutex->__data.__owner = 0;
  if (Scheduler* const scheduler = Scheduler::current()) scheduler->wake_all(mutex);
  return 0;
}

int wait(pthread_cond_t* condition, pthread_mutex_t* mutex, Time until) {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr || scheduler->self() == 0) std::abort();  // nobody could wake it
  unlock(mutex);
  const bool in_time = scheduler->wait(condition, until);
  lock(mutex);
  return in_time ? 0 : ETIMEDOUT;
}

}  // namespace

extern "C" {

EXPORTED int pthread_create(pthread_t* thread, const pthread_attr_t*, void* (*body)(void*),
                            void* argument) noexcept {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr || scheduler->self() == 0) {
    std::fputs("a thread outside of a simulation\n", stderr);
    std::abort();
  }
  *thread = scheduler->spawn(scheduler->group(), scheduler->name() + "'",
                             [=] { body(argument); });
  return 0;
}

EXPORTED int pthread_join(pthread_t thread, void** result) {
  if (result != nullptr) *result = nullptr;
  Scheduler::current()->join(static_cast<Scheduler::FiberId>(thread));
  return 0;
}

EXPORTED int pthread_detach(pthread_t) noexcept { return 0; }

EXPORTED int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept { return lock(mutex); }

EXPORTED int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  if (!free_for(mutex, self())) return EBUSY;
  mutex->__data.__owner = self();
  ++mutex->__data.__count;
  return 0;
}

EXPORTED int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept { return unlock(mutex); }

EXPORTED int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  return wait(condition, mutex, Time::max());
}

EXPORTED int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                    const timespec* until) {
  return wait(condition, mutex, time_of(*until));
}

EXPORTED int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t,
                                    const timespec* until) {
  return wait(condition, mutex, time_of(*until));
}

EXPORTED int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (Scheduler* const scheduler = Scheduler::current()) scheduler->wake_one(condition);
  return 0;
}

EXPORTED int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (Scheduler* const scheduler = Scheduler::current()) scheduler->wake_all(condition);
  return 0;
}

EXPORTED int pthread_cond_destroy(pthread_cond_t*) noexcept { return 0; }

EXPORTED int clock_gettime(clockid_t clock, timespec* time) noexcept {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr) return static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  const Time::rep now = (scheduler->now() + kEpoch).count();
  time->tv_sec = now / kNanoseconds;
  time->tv_nsec = now % kNanoseconds;
  return 0;
}

}  // extern "C"
