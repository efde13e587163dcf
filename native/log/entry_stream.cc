#include "log/entry_stream.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace aurora {
namespace {

using std::chrono::milliseconds;

// A log tells the size of an entry only by reading it, so a window grows by this factor at most...
constexpr Position kGrowth = 4;
// ...and to so many positions at most, which bounds what a sudden run of large entries can cost.
constexpr Position kMostPositions = 256;
constexpr std::size_t kWindowsAhead = 2;  // one waiting for the consumer, one being read

constexpr milliseconds kFirstRequestLimit{2000};  // doubled as long as there is no answer
constexpr milliseconds kLongestRequestLimit{60'000};
constexpr milliseconds kHoleMayFillWithin{100};  // a message may overtake another one
constexpr milliseconds kLongestCatchupPause{30'000};

std::size_t bytes_of(const std::list<Entry>& entries) {
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.data.size();
  return bytes;
}

}  // namespace

struct EntryStream::Impl {
  struct Window {
    std::list<Entry> entries;
    std::size_t bytes = 0;
    Position next = 0;  // everything before it is in this window or an earlier one, or no entry
  };

  Impl(ReplicatedLog& the_log, Options the_options)
      : log(the_log), options(the_options), next(the_options.from) {
    seen.next = options.from;
    thread = std::thread(&Impl::run, this);
  }

  // ---- the consumer's side ----

  Outcome take(std::list<Entry>* entries, Deadline deadline) {
    std::unique_lock<std::mutex> lock(mutex);
    arrived.wait_until(lock, deadline, [this] {
      return cancelled || !windows.empty() || finished || interrupted;
    });
    interrupted = false;
    if (cancelled) return Outcome::of(Status::closed, "the stream was cancelled");
    if (!windows.empty()) {
      Window window = std::move(windows.front());
      windows.pop_front();
      buffered -= window.bytes;
      seen.entries += window.entries.size();
      seen.bytes += window.bytes;
      seen.next = window.next;
      entries->splice(entries->end(), window.entries);
      room.notify_one();
      return Outcome::at(window.next - 1);
    }
    if (finished) return final_outcome;
    return Outcome::of(Status::no_answer, "no entry within the time limit");
  }

  void interrupt() {
    const std::lock_guard<std::mutex> lock(mutex);
    interrupted = true;
    arrived.notify_all();
  }

  void cancel() {
    const std::lock_guard<std::mutex> lock(mutex);
    cancelled = true;
    arrived.notify_all();
    room.notify_all();
  }

  // ---- the reader's side: everything below runs on `thread` ----

  void run() {
    Outcome outcome = find_start();
    while (outcome.ok()) outcome = step();
    const std::lock_guard<std::mutex> lock(mutex);
    final_outcome = std::move(outcome);
    finished = true;
    arrived.notify_all();
  }

  Outcome find_start() {
    if (!options.from_beginning) return Outcome::at(0);
    const Outcome begin = insist([this](Deadline deadline) { return log.beginning(deadline); });
    if (begin.ok()) {
      next = begin.position;
      publish_next();
    }
    return begin;
  }

  // Repeats a request until it is answered; closed on cancel().
  template <class Request>
  Outcome insist(Request request) {
    for (milliseconds limit = kFirstRequestLimit;;
         limit = std::min(2 * limit, kLongestRequestLimit)) {
      const Outcome outcome = request(Clock::now() + limit);
      if (outcome.status != Status::no_answer) return outcome;
      if (!sleep(options.poll_min)) return Outcome::of(Status::closed, "the stream was cancelled");
    }
  }

  // Reads on, or waits a little. Anything but ok ends the stream.
  Outcome step() {
    if (options.to && next > *options.to) return Outcome::of(Status::end, "");
    if (!wait_for_room()) return Outcome::of(Status::closed, "the stream was cancelled");
    if (next > ending || ending == 0) {
      const Outcome end = insist([this](Deadline deadline) { return log.ending(deadline); });
      if (!end.ok()) return end;
      set_ending(end.position);
      // Position 0 never holds an entry, and an empty log says that it ends there.
      if (next > ending || (ending == 0 && !options.to)) return poll();
    }
    const Position last = std::min({next + count - 1, ending, options.to.value_or(ending)});
    Window window;
    const Outcome outcome = read_window(last, &window);
    switch (outcome.status) {
      case Status::ok:
        adapt(window, window.next - next);
        next = window.next;
        settled();
        deliver(std::move(window));
        return outcome;
      case Status::pending:
      case Status::missing:
        return get_round(outcome, last);
      case Status::truncated:
        return truncated();
      default:
        return outcome;
    }
  }

  Outcome read(Position from, Position to, std::list<Entry>* entries) {
    return insist([&](Deadline deadline) { return log.read(from, to, entries, deadline); });
  }

  // Reads [next, last]. A position without an entry may be a no-op or a hole that the log did not
  // notice, because nothing after it was asked for. So what was read is complete up to its last
  // entry, or up to the end of the log, which is there by definition. Only a range without any
  // entry needs more: the next entry is looked for, and the range read again up to that.
  Outcome read_window(Position last, Window* window) {
    Outcome outcome = read(next, last, &window->entries);
    if (!outcome.ok()) return outcome;
    Position known = last;
    if (window->entries.empty() && last < ending) {
      outcome = find_entry(last + 1, &known);
      if (outcome.ok()) outcome = read(next, known, &window->entries);
      if (!outcome.ok()) return outcome;
    } else if (last < ending) {
      known = window->entries.back().position;
    }
    window->next = known + 1;
    if (options.to) {
      window->entries.remove_if(
          [this](const Entry& entry) { return entry.position > *options.to; });
    }
    window->bytes = bytes_of(window->entries);
    return outcome;
  }

  // The first entry at or after `from`, or the end of the log.
  Outcome find_entry(Position from, Position* position) {
    for (Position width = 1; from <= ending; width = std::min(kGrowth * width, kMostPositions)) {
      const Position to = std::min(from + width - 1, ending);
      std::list<Entry> entries;
      const Outcome outcome = read(from, to, &entries);
      if (!outcome.ok()) return outcome;
      if (!entries.empty()) {
        *position = entries.front().position;
        return outcome;
      }
      from = to + 1;
    }
    *position = ending;
    return Outcome::at(ending);
  }

  // Somewhere in [next, last] is a position that cannot be read yet. What is before it can be: asks
  // for less, down to the one position. That one is waited for, and then caught up with.
  Outcome get_round(const Outcome& why, Position last) {
    if (last > next) {
      count = last == ending ? last - next : (last - next + 1) / 2;
      return Outcome::at(next);
    }
    const Deadline now = Clock::now();
    if (!stuck) {
      stuck = true;
      const milliseconds patience = why.status == Status::missing
                                        ? std::min(kHoleMayFillWithin, options.catchup_after)
                                        : options.catchup_after;
      catchup_at = std::max(catchup_at, now + patience);
    }
    if (now < catchup_at) return poll();

    const Outcome outcome = log.catchup(now + catchup_limit);
    if (outcome.status == Status::closed) return outcome;
    if (outcome.ok()) {
      const std::lock_guard<std::mutex> lock(mutex);
      ++seen.catchups;
    } else if (outcome.status == Status::no_answer) {
      catchup_limit = std::min(2 * catchup_limit, kLongestRequestLimit);
    }
    catchup_at = Clock::now() + catchup_pause;
    catchup_pause = std::min(2 * catchup_pause, kLongestCatchupPause);
    return poll();
  }

  void settled() {
    stuck = false;
    pause = options.poll_min;
    catchup_pause = options.catchup_after;
    catchup_limit = kFirstRequestLimit;
  }

  // The log was truncated past what is wanted next.
  Outcome truncated() {
    const Outcome begin = insist([this](Deadline deadline) { return log.beginning(deadline); });
    if (!begin.ok()) return begin;
    if (options.from_beginning && !delivered) {
      next = begin.position;
      publish_next();
      return begin;
    }
    Outcome outcome = Outcome::of(Status::truncated, "the log begins at position " +
                                                         std::to_string(begin.position) +
                                                         ", after " + std::to_string(next));
    outcome.position = begin.position;
    return outcome;
  }

  void adapt(const Window& window, Position positions) {
    const std::size_t average = window.bytes / positions + 1;
    const Position fitting = options.window_bytes / average;
    count = std::clamp<Position>(fitting, 1, std::min(kGrowth * count, kMostPositions));
  }

  void deliver(Window window) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (window.entries.empty()) {
      if (windows.empty()) {
        seen.next = window.next;
      } else {
        windows.back().next = window.next;
      }
      return;
    }
    delivered = true;
    buffered += window.bytes;
    seen.buffered_bytes_max = std::max<std::uint64_t>(seen.buffered_bytes_max, buffered);
    windows.push_back(std::move(window));
    arrived.notify_one();
  }

  void publish_next() {
    const std::lock_guard<std::mutex> lock(mutex);
    seen.next = next;
  }

  void set_ending(Position position) {
    ending = position;
    const std::lock_guard<std::mutex> lock(mutex);
    seen.ending = position;
  }

  // Often at first, then less so. Asks for the end of the log anew.
  Outcome poll() {
    if (!sleep(pause)) return Outcome::of(Status::closed, "the stream was cancelled");
    pause = std::min(std::max(2 * pause, options.poll_min), options.poll_max);
    return Outcome::at(next);
  }

  bool sleep(milliseconds time) {
    std::unique_lock<std::mutex> lock(mutex);
    return !room.wait_for(lock, time, [this] { return cancelled; });
  }

  bool wait_for_room() {
    std::unique_lock<std::mutex> lock(mutex);
    room.wait(lock, [this] { return cancelled || windows.size() < kWindowsAhead; });
    return !cancelled;
  }

  ReplicatedLog& log;
  const Options options;

  // Used by `thread` alone.
  Position next;
  Position ending = 0;  // a position that is present in the local replica, or 0
  Position count = 1;   // positions in the next window
  bool delivered = false;
  bool stuck = false;  // `next` itself cannot be read
  milliseconds pause = options.poll_min;
  Deadline catchup_at{};
  milliseconds catchup_pause = options.catchup_after;
  milliseconds catchup_limit = kFirstRequestLimit;

  std::mutex mutex;
  std::condition_variable arrived;  // a window, the final outcome, interrupt() or cancel()
  std::condition_variable room;     // a window was taken, or cancel()
  std::deque<Window> windows;       // guarded by mutex
  std::size_t buffered = 0;         // guarded by mutex
  Progress seen;                    // guarded by mutex
  Outcome final_outcome;            // guarded by mutex
  bool finished = false;            // guarded by mutex
  bool interrupted = false;         // guarded by mutex
  bool cancelled = false;           // guarded by mutex

  std::thread thread;
};

EntryStream::EntryStream(ReplicatedLog& log, Options options)
    : impl_(std::make_unique<Impl>(log, options)) {}

EntryStream::~EntryStream() {
  impl_->cancel();
  impl_->thread.join();
}

Outcome EntryStream::next(std::list<Entry>* entries, Deadline deadline) {
  return impl_->take(entries, deadline);
}

EntryStream::Progress EntryStream::progress() const {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  return impl_->seen;
}

void EntryStream::interrupt() { impl_->interrupt(); }

void EntryStream::cancel() { impl_->cancel(); }

}  // namespace aurora
