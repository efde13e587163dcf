#include "sim/report.h"

#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <utility>

#include "sim/scheduler.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace aurora::sim {
namespace {

Run* active = nullptr;

constexpr std::array<const char*, kWindows> kNames = {
    "a replica crashed while it was idle",
    "a leader crashed with a commit published and not sent",
    "a leader crashed before its append left it",
    "a leader crashed with its append on a minority",
    "a leader crashed with its append on a quorum, before it knew",
    "a leader crashed as it heard that its append was on a quorum",
    "a leader crashed between two parts of a batch",
    "a candidate crashed during its election",
    "a replica crashed while it read the log",
    "a commit was durable and its client crashed before it was told",
    "an append was refused: the promise was lost",
    "an append had no answer",
    "an append had no answer, and the standbys read it",
    "a leader that was deposed without its knowledge appended",
    "a leader in a minority appended",
    "an append could not be sent",
    "an election took the promise and nothing else",
    "an election settled the log and had no answer",
    "two replicas took themselves for the leader",
    "a leader was held up, and went on later",
    "a leader was cut off from the others",
    "there was no quorum",
    "several transactions went in one entry",
    "a batch went in parts",
    "parts were left without their end",
    "the log told after the reign: the commit is in",
    "the log told after the reign: the commit is not in",
    "a commit's outcome was unknown to its client",
    "a commit of unknown outcome was in the log",
    "a commit of unknown outcome was not in the log",
    "a later leader said of a token: committed",
    "a later leader said of a token: not committed",
    "a transaction was run again with its token",
    "a transaction that was run again had its token there",
    "versions were taken back",
    "a connection was refused for what it had seen",
    "a reader kept its version while another became durable",
    "a transaction was rolled back",
    "the database shrank",
    "a writer was refused: not the leader",
    "a writer waited in line in vain",
    "a leader stepped down",
    "a leader was closed in its reign",
    "a replica did not hear of an entry",
    "a replica did not hear that an entry was agreed",
    "a replica caught up",
    "a damaged entry was read",
    "an entry cut short was read",
    "a copy was dropped and read again",
    "a replica failed for good, for damage that it read twice",
    "an entry was damaged on one disk for good",
    "an entry was damaged in the log itself",
    "a replica's disk was wiped",
    "a leader sent a heartbeat",
    "a snapshot was complete",
    "a snapshot was written beside commits",
    "a later leader went on with a snapshot",
    "a replica was seen loading a snapshot",
    "a snapshot could not be loaded, and an older one was looked for",
    "a leader crashed in the middle of a snapshot",
    "a replica crashed while it loaded a snapshot",
    "a replica started from a snapshot",
    "the log was truncated",
    "a standby was away for longer than the log remembers",
};
static_assert(kNames.back() != nullptr);

}  // namespace

const char* name_of(Window window) { return kNames[static_cast<std::size_t>(window)]; }

Run::Run(std::uint64_t seed, bool aloud, std::string again)
    : seed_(seed), aloud_(aloud), again_(std::move(again)) {
  active = this;
}

Run::~Run() { active = nullptr; }

Run* Run::current() { return active; }

void Run::note(std::string step) {
  const Scheduler* const scheduler = Scheduler::current();
  char when[32];
  std::snprintf(when, sizeof when, "%12.6f  ",
                std::chrono::duration<double>(scheduler->now()).count());
  step.insert(0, when);
  digest_ = XXH3_64bits_withSeed(step.data(), step.size(), digest_);
  if (aloud_) std::fprintf(stderr, "%s\n", step.c_str());
  last_[steps_++ % kKept] = std::move(step);
}

void Run::fail(const char* invariant, const std::string& what) {
  print_end(("broken: " + std::string(invariant)).c_str(), what);
  std::fflush(stderr);
  _exit(1);  // the fibers stay where they are
}

void Run::print_end(const char* headline, const std::string& what) const {
  if (!aloud_) {
    const std::uint64_t first = steps_ > kKept ? steps_ - kKept : 0;
    for (std::uint64_t i = first; i < steps_; ++i) {
      std::fprintf(stderr, "%s\n", last_[i % kKept].c_str());
    }
  }
  std::fprintf(stderr, "\nseed %llu: %s\n  %s\n  again: %s\n",
               static_cast<unsigned long long>(seed_), headline, what.c_str(), again_.c_str());
}

void note(std::string step) {
  if (active != nullptr) active->note(std::move(step));
}

void reach(Window window) {
  if (active != nullptr) active->reach(window);
}

void fail(const char* invariant, const std::string& what) { active->fail(invariant, what); }

}  // namespace aurora::sim
