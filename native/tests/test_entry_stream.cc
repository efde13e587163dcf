// What EntryStream promises on a log with holes, pending positions and positions without entries.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "log/entry_stream.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <doctest/doctest.h>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

using namespace aurora;
using std::chrono::milliseconds;

namespace {

Deadline in(milliseconds time) { return Clock::now() + time; }
Deadline soon() { return in(milliseconds(20'000)); }  // the limit of a wait that should succeed

// The local replica as it reads: each position is an entry, a no-op, pending, or a hole.
class FakeLog : public ReplicatedLog {
 public:
  void entry(Position position, std::string data) { set(position, {Kind::entry, std::move(data)}); }
  void entries(Position from, Position to, std::size_t size = 10) {
    for (Position at = from; at <= to; ++at) entry(at, std::string(size, 'x'));
  }
  void no_ops(Position from, Position to) {
    for (Position at = from; at <= to; ++at) set(at, {Kind::no_op, ""});
  }
  void pending(Position position) { set(position, {Kind::pending, ""}); }
  // What catchup() will put in the place of a hole or a pending position.
  void quorum_has(Position position, std::string data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    at_quorum_[position] = {Kind::entry, std::move(data)};
  }
  void truncate_before(Position position) {
    const std::lock_guard<std::mutex> lock(mutex_);
    begin_ = position;
    positions_.erase(positions_.begin(), positions_.lower_bound(position));
  }
  void fail_reads_with(Status status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure_ = status;
  }
  // Lets something happen right after the read with this number, counted from 1.
  void after_read(int number, std::function<void()> action) {
    const std::lock_guard<std::mutex> lock(mutex_);
    actions_[number] = std::move(action);
  }
  std::size_t largest_read() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return largest_read_;
  }
  int reads() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return reads_;
  }

  Outcome elect(Deadline) override { return unused(); }
  Outcome append(const std::string&, Deadline) override { return unused(); }
  Outcome truncate(Position, Deadline) override { return unused(); }

  Outcome beginning(Deadline) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return closed_ ? closed() : Outcome::at(begin_);
  }

  Outcome ending(Deadline) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return closed();
    return Outcome::at(positions_.empty() ? 0 : positions_.rbegin()->first);
  }

  // As libmesos does it: a hole shows only if something after it was asked for.
  Outcome read(Position from, Position to, std::list<Entry>* entries, Deadline) override {
    std::function<void()> action;
    const Outcome outcome = read_now(from, to, entries, &action);
    if (action) action();
    return outcome;
  }

  Outcome catchup(Deadline) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return closed();
    for (auto& [position, what] : at_quorum_) positions_[position] = what;
    at_quorum_.clear();
    return Outcome::at(positions_.empty() ? 0 : positions_.rbegin()->first - 1);
  }

  void close() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }

 private:
  enum class Kind { entry, no_op, pending };
  struct What {
    Kind kind;
    std::string data;
  };

  static Outcome unused() { return Outcome::of(Status::failed, "a stream does not write"); }
  static Outcome closed() { return Outcome::of(Status::closed, "closed"); }

  void set(Position position, What what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    positions_[position] = std::move(what);
  }

  Outcome read_now(Position from, Position to, std::list<Entry>* entries,
                   std::function<void()>* action) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return closed();
    ++reads_;
    const auto found = actions_.find(reads_);
    if (found != actions_.end()) *action = found->second;
    if (failure_ != Status::ok) return Outcome::of(failure_, "as the test wants it");
    if (from < begin_) return Outcome::of(Status::truncated, "truncated position");
    if (positions_.empty() ? to > 0 : to > positions_.rbegin()->first) {
      return Outcome::of(Status::failed, "past end of log");
    }
    std::list<Entry> result;
    std::size_t bytes = 0;
    Position expected = from;
    for (auto at = positions_.lower_bound(from); at != positions_.end() && at->first <= to; ++at) {
      if (at->second.kind == Kind::pending) return Outcome::of(Status::pending, "pending");
      if (at->first != expected++) return Outcome::of(Status::missing, "missing");
      if (at->second.kind != Kind::entry) continue;
      bytes += at->second.data.size();
      result.push_back({at->first, at->second.data});
    }
    largest_read_ = std::max(largest_read_, bytes);
    entries->splice(entries->end(), result);
    return Outcome::at(to);
  }

  mutable std::mutex mutex_;
  std::map<Position, What> positions_;             // guarded by mutex_
  std::map<Position, What> at_quorum_;             // guarded by mutex_
  std::map<int, std::function<void()>> actions_;   // guarded by mutex_
  Position begin_ = 0;                             // guarded by mutex_
  Status failure_ = Status::ok;                    // guarded by mutex_
  std::size_t largest_read_ = 0;                   // guarded by mutex_
  int reads_ = 0;                                  // guarded by mutex_
  bool closed_ = false;                            // guarded by mutex_
};

EntryStream::Options from_to(Position from, std::optional<Position> to) {
  EntryStream::Options options;
  options.from = from;
  options.to = to;
  options.catchup_after = milliseconds(20);
  return options;
}

// Everything up to the outcome that ends the stream.
std::vector<Position> drain(EntryStream* stream, Outcome* last) {
  std::vector<Position> positions;
  for (;;) {
    std::list<Entry> entries;
    *last = stream->next(&entries, soon());
    if (!last->ok()) return positions;
    REQUIRE_FALSE(entries.empty());
    for (const Entry& entry : entries) positions.push_back(entry.position);
  }
}

std::vector<Position> range(Position from, Position to) {
  std::vector<Position> positions;
  for (Position at = from; at <= to; ++at) positions.push_back(at);
  return positions;
}

// Takes entries until that many have come.
std::vector<Position> take(EntryStream* stream, std::size_t count) {
  std::vector<Position> positions;
  while (positions.size() < count) {
    std::list<Entry> entries;
    const Outcome outcome = stream->next(&entries, soon());
    REQUIRE_MESSAGE(outcome.ok(), outcome.reason);
    for (const Entry& entry : entries) positions.push_back(entry.position);
  }
  return positions;
}

}  // namespace

TEST_CASE("a bounded stream hands out every entry once, in order, and ends") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 5000);
  EntryStream stream(log, from_to(1, 5000));
  Outcome last;
  CHECK(drain(&stream, &last) == range(1, 5000));
  CHECK(last.status == Status::end);
  CHECK(stream.progress().entries == 5000);
  CHECK(stream.progress().bytes == 50'000);
  CHECK(stream.progress().next == 5001);
}

TEST_CASE("a stream without an end goes on when entries are appended") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 3);
  EntryStream stream(log, from_to(0, std::nullopt));
  CHECK(take(&stream, 3) == range(1, 3));
  log.entries(4, 6);
  CHECK(take(&stream, 3) == range(4, 6));
}

TEST_CASE("nothing new is no answer, and the stream can be asked again") {
  FakeLog log;
  log.no_ops(0, 0);
  EntryStream stream(log, from_to(0, std::nullopt));
  std::list<Entry> entries;
  CHECK(stream.next(&entries, in(milliseconds(30))).status == Status::no_answer);
  log.entries(1, 1);
  CHECK(take(&stream, 1) == range(1, 1));
}

TEST_CASE("a hole at the end of what was read is noticed, although the log does not tell") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 4);
  log.entries(7, 9);  // 5 and 6 are missing
  log.quorum_has(5, "five");
  log.quorum_has(6, "six");
  EntryStream stream(log, from_to(1, 9));
  Outcome last;
  CHECK(drain(&stream, &last) == range(1, 9));
  CHECK(stream.progress().catchups >= 1);
}

TEST_CASE("a hole up to the very end of a bounded stream is noticed") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 4);
  log.entries(8, 8);
  for (Position at = 5; at <= 7; ++at) log.quorum_has(at, "late");
  EntryStream stream(log, from_to(1, 6));
  Outcome last;
  CHECK(drain(&stream, &last) == range(1, 6));
  CHECK(last.status == Status::end);
}

TEST_CASE("a hole that is filled while the positions after it are looked at is not skipped") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 1);
  log.no_ops(20, 20);  // 2 to 19 are missing
  // The first read finds 1; the second begins at the hole and finds nothing.
  log.after_read(2, [&log] { log.entries(10, 19); });
  for (Position at = 2; at <= 9; ++at) log.quorum_has(at, "late");
  EntryStream stream(log, from_to(1, 20));
  Outcome last;
  CHECK(drain(&stream, &last) == range(1, 19));
  CHECK(last.status == Status::end);
}

TEST_CASE("positions that hold no entry are passed over, however many") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 2);
  log.no_ops(3, 20'000);
  log.entries(20'001, 20'003);
  log.no_ops(20'004, 20'500);
  EntryStream stream(log, from_to(1, 20'500));
  Outcome last;
  CHECK(drain(&stream, &last) == std::vector<Position>{1, 2, 20'001, 20'002, 20'003});
  CHECK(last.status == Status::end);
  CHECK(stream.progress().next == 20'501);
  CHECK(stream.progress().catchups == 0);
  CHECK(log.reads() < 400);
}

TEST_CASE("a stream over nothing but no-ops ends without an entry") {
  FakeLog log;
  log.no_ops(0, 3);
  EntryStream stream(log, from_to(0, 3));
  Outcome last;
  CHECK(drain(&stream, &last).empty());
  CHECK(last.status == Status::end);
}

TEST_CASE("what comes before a pending position is handed out without waiting for it") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 30);
  log.pending(31);
  EntryStream::Options options = from_to(1, std::nullopt);
  options.catchup_after = milliseconds(3'600'000);
  EntryStream stream(log, options);
  CHECK(take(&stream, 30) == range(1, 30));
  std::list<Entry> entries;
  CHECK(stream.next(&entries, in(milliseconds(30))).status == Status::no_answer);
  log.entry(31, "agreed");
  CHECK(take(&stream, 1) == range(31, 31));
  CHECK(stream.progress().catchups == 0);
}

TEST_CASE("a position that stays pending is caught up with") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 3);
  log.pending(4);
  log.quorum_has(4, "agreed");
  EntryStream stream(log, from_to(1, 4));
  Outcome last;
  CHECK(drain(&stream, &last) == range(1, 4));
  CHECK(stream.progress().catchups >= 1);
}

TEST_CASE("a stream that begins before the log says where the log begins") {
  FakeLog log;
  log.entries(1, 10);
  log.truncate_before(6);
  EntryStream stream(log, from_to(2, std::nullopt));
  Outcome last;
  CHECK(drain(&stream, &last).empty());
  CHECK(last.status == Status::truncated);
  CHECK(last.position == 6);
}

TEST_CASE("a stream from the beginning begins where the log does") {
  FakeLog log;
  log.entries(1, 10);
  log.truncate_before(6);
  EntryStream::Options options = from_to(0, 10);
  options.from_beginning = true;
  EntryStream stream(log, options);
  Outcome last;
  CHECK(drain(&stream, &last) == range(6, 10));
}

TEST_CASE("a log that is truncated past a slow consumer ends its stream with truncated") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 2000, 1000);
  EntryStream::Options options = from_to(1, std::nullopt);
  options.window_bytes = 1000;
  EntryStream stream(log, options);
  take(&stream, 1);
  log.truncate_before(1990);
  Outcome last;
  CHECK(drain(&stream, &last).size() < 20);
  CHECK(last.status == Status::truncated);
  CHECK(last.position == 1990);
}

TEST_CASE("the first entry is read alone, and windows grow to the size asked for") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 4000, 1000);
  EntryStream::Options options = from_to(1, 4000);
  options.window_bytes = 20'000;
  EntryStream stream(log, options);
  std::list<Entry> entries;
  REQUIRE(stream.next(&entries, soon()).ok());
  CHECK(entries.size() == 1);
  Outcome last;
  CHECK(drain(&stream, &last).size() == 3999);
  CHECK(log.largest_read() >= 10'000);
  CHECK(log.largest_read() <= 20'000);
}

TEST_CASE("no more than two windows are read before a consumer that does not come") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 4000, 1000);
  EntryStream::Options options = from_to(1, 4000);
  options.window_bytes = 20'000;
  EntryStream stream(log, options);
  Outcome last;
  CHECK(drain(&stream, &last).size() == 4000);
  CHECK(stream.progress().buffered_bytes_max <= 40'000);
}

TEST_CASE("a run of large entries after small ones is not read by the thousand") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 5000, 1);
  log.entries(5001, 6000, 10'000);
  EntryStream stream(log, from_to(1, 6000));
  Outcome last;
  CHECK(drain(&stream, &last).size() == 6000);
  CHECK(log.largest_read() <= 4 << 20);
}

TEST_CASE("cancel ends a wait in another thread") {
  FakeLog log;
  log.no_ops(0, 0);
  EntryStream stream(log, from_to(1, std::nullopt));
  std::atomic<bool> waiting{false};
  Outcome outcome;
  std::thread consumer([&] {
    std::list<Entry> entries;
    waiting = true;
    outcome = stream.next(&entries, soon());
  });
  while (!waiting) std::this_thread::yield();
  stream.cancel();
  consumer.join();
  CHECK(outcome.status == Status::closed);
}

TEST_CASE("an interrupt ends one wait and loses nothing") {
  FakeLog log;
  log.no_ops(0, 0);
  EntryStream stream(log, from_to(1, std::nullopt));
  std::list<Entry> entries;
  stream.interrupt();  // also the wait that comes next
  const Deadline deadline = Clock::now() + std::chrono::seconds(60);
  CHECK(stream.next(&entries, deadline).status == Status::no_answer);
  CHECK(Clock::now() < deadline);
  log.entries(1, 2);
  CHECK(take(&stream, 2) == range(1, 2));
}

TEST_CASE("a stream can be thrown away while it waits for a position") {
  FakeLog log;
  log.no_ops(0, 0);
  log.pending(1);
  EntryStream::Options options = from_to(1, std::nullopt);
  options.catchup_after = milliseconds(3'600'000);
  { EntryStream stream(log, options); }
  CHECK(log.reads() >= 0);
}

TEST_CASE("the log's close ends the stream, after what was read already") {
  FakeLog log;
  log.no_ops(0, 0);
  log.entries(1, 3);
  EntryStream stream(log, from_to(1, std::nullopt));
  CHECK(take(&stream, 3) == range(1, 3));
  log.close();
  std::list<Entry> entries;
  CHECK(stream.next(&entries, soon()).status == Status::closed);
  CHECK(stream.next(&entries, soon()).status == Status::closed);
}

TEST_CASE("a log that cannot be read ends the stream with its reason") {
  FakeLog log;
  log.entries(1, 3);
  log.fail_reads_with(Status::failed);
  EntryStream stream(log, from_to(1, 3));
  Outcome last;
  CHECK(drain(&stream, &last).empty());
  CHECK(last.status == Status::failed);
  CHECK(last.reason == "as the test wants it");
}

TEST_CASE("a log that does not answer for a while is asked again") {
  FakeLog log;
  log.entries(1, 3);
  log.fail_reads_with(Status::no_answer);
  log.after_read(3, [&log] { log.fail_reads_with(Status::ok); });
  EntryStream stream(log, from_to(1, 3));
  Outcome last;
  CHECK(drain(&stream, &last) == range(1, 3));
}

TEST_CASE("an empty range is over at once") {
  FakeLog log;
  log.entries(1, 3);
  EntryStream stream(log, from_to(3, 2));
  Outcome last;
  CHECK(drain(&stream, &last).empty());
  CHECK(last.status == Status::end);
}

TEST_CASE("a follower of a log that is being written misses nothing") {
  FakeLog log;
  log.no_ops(0, 0);
  EntryStream stream(log, from_to(0, std::nullopt));
  std::thread writer([&log] {
    for (Position at = 1; at <= 3000; ++at) {
      log.pending(at);
      if (at % 7 == 0) std::this_thread::yield();
      log.entry(at, "entry");
    }
  });
  CHECK(take(&stream, 3000) == range(1, 3000));
  writer.join();
}
