// WriterQueue: one holder, first come first served, time-outs, and what shut() does to whom.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "pages/writer_queue.h"

using namespace aurora;
using namespace std::chrono_literals;
using Result = WriterQueue::Result;

namespace {

constexpr auto kLimit = 60s;  // of every wait that is to end by itself
Deadline soon() { return Clock::now() + kLimit; }
Deadline past() { return Clock::now() - 1s; }

// Until so many wait in line.
bool await_waiting(const WriterQueue& queue, std::uint64_t count) {
  const Deadline deadline = soon();
  while (queue.waiting() != count && Clock::now() < deadline) std::this_thread::sleep_for(1ms);
  return queue.waiting() == count;
}

std::future<Result> acquire_elsewhere(WriterQueue& queue, WriterQueue::Owner owner) {
  return std::async(std::launch::async, [&queue, owner] { return queue.acquire(owner, soon()); });
}

}  // namespace

TEST_CASE("a new queue is shut") {
  WriterQueue queue;
  int owner;
  CHECK(queue.acquire(&owner, soon()) == Result::refused);
  CHECK_FALSE(queue.try_acquire(&owner));
  CHECK_FALSE(queue.holds(&owner));
}

TEST_CASE("a free lock is granted even when the time is up already") {
  WriterQueue queue;
  queue.open();
  int owner;
  CHECK(queue.acquire(&owner, past()) == Result::granted);
  CHECK(queue.holds(&owner));
}

TEST_CASE("the holder is granted its lock again, and gives it back once") {
  WriterQueue queue;
  queue.open();
  int owner, other;
  CHECK(queue.try_acquire(&owner));
  CHECK(queue.try_acquire(&owner));
  CHECK(queue.acquire(&owner, past()) == Result::granted);
  queue.release(&owner);
  CHECK_FALSE(queue.holds(&owner));
  CHECK(queue.try_acquire(&other));
}

TEST_CASE("only the holder can release") {
  WriterQueue queue;
  queue.open();
  int owner, other;
  CHECK(queue.try_acquire(&owner));
  queue.release(&other);
  CHECK(queue.holds(&owner));
  CHECK_FALSE(queue.try_acquire(&other));
}

TEST_CASE("who waits in vain times out, leaves the line, and is not handed the lock later") {
  WriterQueue queue;
  queue.open();
  int owner, other;
  CHECK(queue.try_acquire(&owner));
  CHECK(queue.acquire(&other, Clock::now() + 5ms) == Result::timed_out);
  CHECK(queue.waiting() == 0);
  queue.release(&owner);
  CHECK_FALSE(queue.holds(&other));
}

TEST_CASE("the lock goes to those who wait in the order they came") {
  WriterQueue queue;
  queue.open();
  constexpr int kWriters = 8;
  std::vector<int> owners(kWriters);
  int first;
  CHECK(queue.try_acquire(&first));
  std::vector<int> order;  // only the holder of the lock touches it
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters; ++i) {
    threads.emplace_back([&, i] {
      if (queue.acquire(&owners[i], soon()) != Result::granted) return;
      order.push_back(i);
      queue.release(&owners[i]);
    });
    REQUIRE(await_waiting(queue, i + 1));
  }
  queue.release(&first);
  for (std::thread& thread : threads) thread.join();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("nobody overtakes the line, not even the one who just released") {
  WriterQueue queue;
  queue.open();
  int owner, waiter, other;
  CHECK(queue.try_acquire(&owner));
  std::future<Result> waiting = acquire_elsewhere(queue, &waiter);
  REQUIRE(await_waiting(queue, 1));
  CHECK_FALSE(queue.try_acquire(&other));
  queue.release(&owner);
  CHECK(queue.holds(&waiter));  // handed over: no moment in which the lock was free
  CHECK_FALSE(queue.try_acquire(&owner));
  REQUIRE(waiting.wait_for(kLimit) == std::future_status::ready);
  CHECK(waiting.get() == Result::granted);
}

TEST_CASE("a waiter in the middle that gives up leaves the order of the others alone") {
  WriterQueue queue;
  queue.open();
  int owner, a, b, c;
  CHECK(queue.try_acquire(&owner));
  std::future<Result> first = acquire_elsewhere(queue, &a);
  REQUIRE(await_waiting(queue, 1));
  CHECK(queue.acquire(&b, Clock::now() + 5ms) == Result::timed_out);
  std::future<Result> second = acquire_elsewhere(queue, &c);
  REQUIRE(await_waiting(queue, 2));
  queue.release(&owner);
  CHECK(first.get() == Result::granted);
  CHECK_FALSE(queue.holds(&c));
  queue.release(&a);
  CHECK(second.get() == Result::granted);
}

TEST_CASE("shut refuses everybody who waits and who comes, but takes nothing from the holder") {
  WriterQueue queue;
  queue.open();
  int owner, a, b, late;
  CHECK(queue.try_acquire(&owner));
  std::future<Result> first = acquire_elsewhere(queue, &a);
  std::future<Result> second = acquire_elsewhere(queue, &b);
  REQUIRE(await_waiting(queue, 2));
  queue.shut();
  CHECK(first.get() == Result::refused);
  CHECK(second.get() == Result::refused);
  CHECK(queue.waiting() == 0);
  CHECK(queue.acquire(&late, soon()) == Result::refused);
  CHECK(queue.holds(&owner));

  SUBCASE("released while shut: granted to nobody until open") {
    queue.release(&owner);
    CHECK_FALSE(queue.try_acquire(&late));
    queue.open();
    CHECK(queue.try_acquire(&late));
  }
  SUBCASE("still held when opened again: the next one waits for it") {
    queue.open();
    CHECK_FALSE(queue.try_acquire(&late));
    std::future<Result> next = acquire_elsewhere(queue, &late);
    REQUIRE(await_waiting(queue, 1));
    queue.release(&owner);
    CHECK(next.get() == Result::granted);
  }
}

TEST_CASE("with many threads, time-outs and shuts, never two hold the lock and no grant is lost") {
  WriterQueue queue;
  queue.open();
  constexpr int kThreads = 6, kRounds = 400;
  std::atomic<int> inside{0};
  std::atomic<bool> two_inside{false};
  std::atomic<int> granted{0}, timed_out{0}, refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const int owner = i;
      for (int round = 0; round < kRounds; ++round) {
        const auto limit = std::chrono::microseconds((i * 7 + round) % 50);
        const Deadline deadline = round % 3 == 0 ? Clock::now() + limit : soon();
        switch (queue.acquire(&owner, deadline)) {
          case Result::granted:
            if (inside.fetch_add(1) != 0) two_inside = true;
            ++granted;
            std::this_thread::yield();
            inside.fetch_sub(1);
            queue.release(&owner);
            break;
          case Result::timed_out: ++timed_out; break;
          case Result::refused: ++refused; break;
        }
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    queue.shut();
    queue.open();
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(two_inside);
  CHECK(granted > 0);
  CHECK(granted + timed_out + refused == kThreads * kRounds);
  int last;
  CHECK(queue.try_acquire(&last));
}
