#include "sim/scheduler.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "sim/report.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace aurora::sim {
namespace {

Scheduler* active = nullptr;

constexpr Time kNever = Time::max();

// No run takes that long.
constexpr Time kLongestRun = std::chrono::hours(1);

// What a step costs: so that two moments are rarely the same.
constexpr std::uint64_t kLongestStep_ns = 2000;

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kStackSize = 1 << 20;
#else
constexpr std::size_t kStackSize = 256 << 10;
#endif
constexpr std::size_t kGuard = 4096;

// Stacks are used again and again; a page that nobody may touch lies below each.
std::vector<char*>& free_stacks() {
  static std::vector<char*> stacks;
  return stacks;
}

char* new_stack() {
  if (!free_stacks().empty()) {
    char* const stack = free_stacks().back();
    free_stacks().pop_back();
    return stack;
  }
  void* const memory = mmap(nullptr, kGuard + kStackSize, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuard, PROT_NONE) != 0) {
    std::fputs("no memory for a stack\n", stderr);
    std::abort();
  }
  return static_cast<char*>(memory) + kGuard;
}

}  // namespace

// A place to come back to. The sanitizer wants to hear of each change of stacks.
struct Scheduler::Context {
  ucontext_t registers{};
  const void* stack = nullptr;
  std::size_t size = 0;
  void* fake = nullptr;

  static void change(Context& from, Context& to, bool for_good) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake, to.stack, to.size);
    swapcontext(&from.registers, &to.registers);
    __sanitizer_finish_switch_fiber(from.fake, nullptr, nullptr);
#else
    (void)for_good;
    swapcontext(&from.registers, &to.registers);
#endif
  }
};

struct Scheduler::Fiber {
  FiberId id = 0;
  Group group = 0;
  std::string name;
  std::function<void()> body;
  Context context;
  bool done = false;
  bool waits = false;
  const void* on = nullptr;  // what it waits for, if for anything
  Time until{0};             // and how long
  bool in_time = false;      // it was woken
};

Scheduler::Scheduler(Random& random, double preemption)
    : random_(random), preemption_(preemption), home_(std::make_unique<Context>()) {
  active = this;
}

Scheduler::~Scheduler() { active = nullptr; }

Scheduler* Scheduler::current() { return active; }

Scheduler::FiberId Scheduler::self() const { return running_ ? running_->id : 0; }
Group Scheduler::group() const { return running_ ? running_->group : 0; }
const std::string& Scheduler::name() const { return running_->name; }

void Scheduler::hold_up(Group group, Time until) { held_up_[group] = until; }

Scheduler::FiberId Scheduler::spawn(Group group, std::string name, std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->id = ++last_id_;
  fiber->group = group;
  fiber->name = std::move(name);
  fiber->body = std::move(body);
  fiber->context.stack = new_stack();
  fiber->context.size = kStackSize;
  ucontext_t& registers = fiber->context.registers;
  getcontext(&registers);
  registers.uc_stack.ss_sp = const_cast<void*>(fiber->context.stack);
  registers.uc_stack.ss_size = kStackSize;
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  makecontext(&registers, reinterpret_cast<void (*)()>(&Scheduler::enter), 2,
              static_cast<unsigned>(address), static_cast<unsigned>(address >> 32));
  fibers_.push_back(std::move(fiber));
  return last_id_;
}

void Scheduler::enter(unsigned low, unsigned high) {
  auto* const self = reinterpret_cast<Scheduler*>(std::uintptr_t{high} << 32 | low);
  Fiber& fiber = *self->running_;
#ifdef __SANITIZE_ADDRESS__
  const void* stack = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &size);
  if (self->home_->stack == nullptr) {
    self->home_->stack = stack;
    self->home_->size = size;
  }
#endif
  fiber.body();
  fiber.body = nullptr;
  fiber.done = true;
  self->wake_all(&fiber);
  Context::change(fiber.context, *self->home_, true);
  std::abort();  // nobody comes back to it
}

void Scheduler::resume(Fiber& fiber) {
  ++switches_;
  now_ += Time(random_.below(kLongestStep_ns));
  running_ = &fiber;
  Context::change(*home_, fiber.context, false);
  running_ = nullptr;
}

void Scheduler::suspend() { Context::change(running_->context, *home_, false); }

void Scheduler::run(std::function<void()> first) {
  spawn(0, "world", std::move(first));
  while (!fibers_.empty()) {
    Fiber* const next = pick();
    if (next == nullptr) stuck("nobody waits for ever");
    if (now_ > kLongestRun) stuck("a run has an end");
    resume(*next);
    if (!next->done) continue;
    free_stacks().push_back(static_cast<char*>(const_cast<void*>(next->context.stack)));
    fibers_.erase(std::find_if(fibers_.begin(), fibers_.end(),
                               [&](const auto& fiber) { return fiber.get() == next; }));
  }
}

// One of those that can run now, or as soon as any can. Null: all wait for each other.
Scheduler::Fiber* Scheduler::pick() {
  Fiber* chosen = nullptr;
  std::uint64_t candidates = 0;
  Fiber* soonest = nullptr;
  Time soonest_at = kNever;
  for (const std::unique_ptr<Fiber>& fiber : fibers_) {
    Time ready = fiber->waits ? fiber->until : Time(0);
    if (!held_up_.empty()) {
      const auto held = held_up_.find(fiber->group);
      if (held != held_up_.end()) ready = std::max(ready, held->second);
    }
    if (ready <= now_) {
      if (random_.below(++candidates) == 0) chosen = fiber.get();
    } else if (ready < soonest_at) {
      soonest_at = ready;
      soonest = fiber.get();
    }
  }
  if (chosen == nullptr && soonest != nullptr) {
    now_ = soonest_at;
    chosen = soonest;
  }
  if (chosen != nullptr) chosen->waits = false;
  return chosen;
}

void Scheduler::stuck(const char* invariant) {
  std::string who;
  for (const std::unique_ptr<Fiber>& fiber : fibers_) who += " " + fiber->name;
  fail(invariant, "these are left:" + who);
}

void Scheduler::yield() { suspend(); }

void Scheduler::maybe_yield() {
  if (random_.chance(preemption_)) suspend();
}

void Scheduler::sleep(Time time) { wait(nullptr, now_ + time); }

bool Scheduler::wait(const void* on, Time until) {
  Fiber& fiber = *running_;
  fiber.waits = true;
  fiber.on = on;
  fiber.until = until;
  fiber.in_time = false;
  suspend();
  fiber.on = nullptr;
  return fiber.in_time;
}

void Scheduler::wake_one(const void* on) {
  Fiber* chosen = nullptr;
  std::uint64_t candidates = 0;
  for (const std::unique_ptr<Fiber>& fiber : fibers_) {
    if (fiber->waits && fiber->on == on && random_.below(++candidates) == 0) chosen = fiber.get();
  }
  if (chosen == nullptr) return;
  chosen->waits = false;
  chosen->in_time = true;
}

void Scheduler::wake_all(const void* on) {
  for (const std::unique_ptr<Fiber>& fiber : fibers_) {
    if (!fiber->waits || fiber->on != on) continue;
    fiber->waits = false;
    fiber->in_time = true;
  }
}

void Scheduler::join(FiberId id) {
  const auto found = std::find_if(fibers_.begin(), fibers_.end(),
                                  [id](const auto& fiber) { return fiber->id == id; });
  if (found == fibers_.end() || (*found)->done) return;
  const void* const address = found->get();
  wait(address, kNever);
}

}  // namespace aurora::sim
