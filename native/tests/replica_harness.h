// Replicas on a memory log whose appends and reads can be held back, and short ways to drive them.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "log/memory_log.h"
#include "page_fixtures.h"
#include "replication/replica.h"

namespace aurora::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline Deadline in(milliseconds time) { return Clock::now() + time; }
inline Deadline patient() { return in(seconds(60)); }  // for what must come

inline bool eventually(const std::function<bool()>& done) {
  for (const Deadline deadline = patient(); Clock::now() < deadline;) {
    if (done()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return done();
}

// Runs in a thread of its own; a call that never returns ends the test instead of hanging it.
template <class Call>
class Started {
 public:
  explicit Started(Call call) : future_(std::async(std::launch::async, std::move(call))) {}
  auto result() {
    if (future_.wait_until(patient()) != std::future_status::ready) {
      std::fputs("a call did not return within the limit\n", stderr);
      std::abort();
    }
    return future_.get();
  }

 private:
  std::future<decltype(std::declval<Call>()())> future_;
};

// A memory log whose appends can be held back, and that can damage what is read, once.
class GatedLog : public ReplicatedLog {
 public:
  explicit GatedLog(std::shared_ptr<MemoryEnsemble> ensemble) : inner(std::move(ensemble)) {}

  // Lets `more` appends through, then holds the next ones.
  void hold(int more = 0) { set([=] { permits_ = more; }); }
  void release() { set([this] { permits_ = -1; }); }
  // Holds back what is read of this replica.
  void hold_reads() { set([this] { reads_held_ = true; }); }
  void release_reads() { set([this] { reads_held_ = false; }); }
  void damage_one_read_of(Position position) { set([=] { damage_.insert(position); }); }
  bool holds_one() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return held_;
  }

  // Which thread made the last append.
  std::thread::id sender() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sender_;
  }

  Outcome append(const std::string& data, Deadline deadline) override {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      sender_ = std::this_thread::get_id();
      held_ = permits_ == 0;
      changed_.wait_until(lock, deadline, [this] { return permits_ != 0 || closed_; });
      held_ = false;
      if (closed_) return Outcome::of(Status::closed, "the log was closed");
      if (permits_ > 0) --permits_;
    }
    return inner.append(data, deadline);
  }
  Outcome read(Position from, Position to, std::list<Entry>* entries, Deadline deadline) override {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait_until(lock, deadline, [this] { return !reads_held_ || closed_; });
      if (reads_held_) return Outcome::of(Status::no_answer, "reads are held back");
    }
    const Outcome outcome = inner.read(from, to, entries, deadline);
    const std::lock_guard<std::mutex> lock(mutex_);
    for (Entry& entry : *entries) {
      if (damage_.erase(entry.position) > 0) entry.data[entry.data.size() / 2] ^= 1;
    }
    return outcome;
  }
  void close() override {
    set([this] { closed_ = true; });
    inner.close();
  }
  Outcome elect(Deadline deadline) override { return inner.elect(deadline); }
  Outcome truncate(Position to, Deadline deadline) override { return inner.truncate(to, deadline); }
  Outcome beginning(Deadline deadline) override { return inner.beginning(deadline); }
  Outcome ending(Deadline deadline) override { return inner.ending(deadline); }
  Outcome catchup(Deadline deadline) override { return inner.catchup(deadline); }

  MemoryLog inner;

 private:
  void set(const std::function<void()>& change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change();
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int permits_ = -1;  // -1: any number
  bool held_ = false;
  bool closed_ = false;
  bool reads_held_ = false;
  std::set<Position> damage_;
  std::thread::id sender_;
};

struct Published {
  Verdict verdict;
  Reign reign = 0;
  Version version = 0;
};

struct Node {
  Node(const std::shared_ptr<MemoryEnsemble>& ensemble, Replica::Options options)
      : log(std::make_shared<GatedLog>(ensemble)), replica(log, std::move(options)) {}

  Database& database() { return *replica.database(); }
  PageStore::Stats stats() { return database().store()->stats(); }
  Replica::Info info() const { return replica.info(); }
  bool becomes(ReplicaState state) {
    return eventually([&] { return info().state == state; });
  }
  Outcome lead(Deadline deadline = patient()) {
    Replica::LeadTiming timing;
    return replica.lead(deadline, &timing);
  }
  void arm(const std::string& fault, int countdown = 0, int times = 1, std::uint64_t amount = 0) {
    REQUIRE(log->inner.arm(fault, countdown, times, amount));
  }

  // As the VFS does.
  Published publish(std::vector<PagePtr> pages, std::uint32_t page_count) {
    Published done;
    if (database().writers().acquire(&done, patient()) != WriterQueue::Result::granted) {
      done.verdict = {Refusal::not_leader, "no write lock", 0};
      return done;
    }
    done.verdict = database().reign(&done.reign);
    if (done.verdict.ok()) {
      done.verdict = database().publish(done.reign, std::move(pages), page_count, page_count,
                                        &done.version);
    }
    database().writers().release(&done);
    return done;
  }
  Published publish(const Image& image, std::uint32_t page_count = 4) {
    return publish(pages_of(image), page_count);
  }
  Verdict outcome(const Published& published) {
    if (!published.verdict.ok()) return published.verdict;
    return database().wait_durable(published.reign, published.version, patient());
  }
  Verdict commit(const Image& image) { return outcome(publish(image)); }

  std::shared_ptr<GatedLog> log;
  Replica replica;
};

inline Replica::Options options(milliseconds append_timeout = seconds(30)) {
  Replica::Options result;
  result.append_timeout = append_timeout;
  result.identity = {"host", "test", "instance", ""};
  return result;
}
inline Replica::Options hasty() { return options(milliseconds(30)); }  // gives up on an append soon
inline Replica::Options in_parts() {
  Replica::Options result = options();
  result.entry_limit = 4096;
  return result;
}

struct Cluster {
  explicit Cluster(Replica::Options each = options()) : a(log, each), b(log, each) {}
  std::shared_ptr<MemoryEnsemble> log = make_memory_ensemble();
  Node a;
  Node b;

  void a_leads() {
    REQUIRE(a.lead().ok());
    const Verdict first = a.commit({{1, 1}, {2, 2}});
    REQUIRE(first.ok());
    REQUIRE(b.replica.wait_position(first.position, patient()).ok());
  }
};

inline void check_same(Node& one, Node& other) {
  const PageStore::Stats left = one.stats();
  const PageStore::Stats right = other.stats();
  CHECK(left.durable == right.durable);
  CHECK(left.checksum == right.checksum);
  CHECK(left.page_count == right.page_count);
  for (Node* node : {&one, &other}) {
    const std::shared_ptr<PageStore> store = node->database().store();
    const Held pin(*store, PageStore::At::durable);
    CHECK(store->recompute_checksum(*pin) == left.checksum);
  }
}

// `leader` commits, and `others` arrive at the same.
inline void check_goes_on(Node& leader, std::initializer_list<Node*> others) {
  const Verdict verdict = leader.commit({{3, 1000 + leader.stats().latest}});
  INFO(verdict.reason);
  REQUIRE(verdict.ok());
  for (Node* other : others) {
    const Outcome reached = other->replica.wait_position(verdict.position, patient());
    INFO(reached.reason);
    REQUIRE(reached.ok());
    check_same(leader, *other);
  }
}

inline std::vector<PagePtr> random_pages(PageNumber count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<PagePtr> pages;
  for (PageNumber number = 1; number <= count; ++number) {
    pages.emplace_back(Page::create(number));
    for (std::size_t i = 0; i < kPageSize; i += 8) {
      const std::uint64_t word = random();
      std::memcpy(pages.back()->bytes + i, &word, sizeof word);
    }
  }
  return pages;
}

// Another writer, which is no replica, is elected and appends.
inline Position intrude(const std::shared_ptr<MemoryEnsemble>& ensemble, const std::string& entry) {
  MemoryLog log(ensemble);
  REQUIRE(log.elect(patient()).ok());
  const Outcome outcome = log.append(entry, patient());
  REQUIRE(outcome.ok());
  return outcome.position;
}

inline void check_failed(Node& node, const std::string& what, Position position,
                  Status status = Status::corrupt) {
  REQUIRE(node.becomes(ReplicaState::failed));
  const std::string reason = node.info().reason;
  INFO(reason);
  CHECK(reason.find(what) != std::string::npos);
  CHECK(reason.find("position " + std::to_string(position)) != std::string::npos);
  const Outcome lead = node.lead();
  CHECK(lead.status == status);
  CHECK(lead.reason == reason);
  CHECK(node.replica.wait_position(position, patient()).status == status);
}

}  // namespace aurora::testing
