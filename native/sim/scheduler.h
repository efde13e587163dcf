// Threads that are none: fibers of one thread. Which of them runs next is chosen by the seed, and
// the clock moves on when all of them wait.
//
// posix.cc puts this under the product in the place of pthread and the system's clock. So the
// simulation runs the product's own objects, threads, locks and waits included, and every lock is a
// point where another thread may come in between.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/random.h"

namespace aurora::sim {

using Time = std::chrono::nanoseconds;  // since the beginning of the run, or how long

// The fibers of one simulated process, which can be held up together. 0: those of the world.
using Group = int;

class Scheduler {
 public:
  using FiberId = std::uint32_t;  // 0: none

  // `preemption`: how likely another fiber comes in before a lock is taken.
  Scheduler(Random& random, double preemption);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The one that runs, or null: then there are threads and a clock as ever.
  static Scheduler* current();

  // Runs `first` and every fiber that comes of it until all have ended.
  void run(std::function<void()> first);

  Time now() const { return now_; }
  Random& random() { return random_; }
  std::uint64_t switches() const { return switches_; }

  // Until then no fiber of the group runs: its process was stopped, or its machine swaps.
  void hold_up(Group group, Time until);

  // --- by the fiber that runs ---

  FiberId spawn(Group group, std::string name, std::function<void()> body);
  FiberId self() const;
  Group group() const;
  const std::string& name() const;
  void sleep(Time time);
  void yield();
  void maybe_yield();  // as likely as `preemption`
  void join(FiberId id);

  // Waits for wake_*(on), which is any address. False: it was the time, not that.
  bool wait(const void* on, Time until);
  void wake_one(const void* on);
  void wake_all(const void* on);

 private:
  struct Fiber;
  static void enter(unsigned low, unsigned high);
  void resume(Fiber& fiber);
  void suspend();
  Fiber* pick();
  void stuck(const char* invariant);

  Random& random_;
  const double preemption_;
  Time now_{0};
  std::uint64_t switches_ = 0;
  FiberId last_id_ = 0;
  std::vector<std::unique_ptr<Fiber>> fibers_;  // in the order of their beginning
  std::map<Group, Time> held_up_;
  Fiber* running_ = nullptr;
  struct Context;
  std::unique_ptr<Context> home_;
};

}  // namespace aurora::sim
