// PageStore and Database under many threads; run it under the address and thread sanitizers.
//
// Every transaction stamps all its pages with one number of its own, so a reader that sees two
// stamps has seen half a transaction. The work is a number of operations, not a time.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "page_fixtures.h"
#include "pages/database.h"

using namespace aurora;
using namespace std::chrono_literals;
using At = PageStore::At;

namespace {

constexpr PageNumber kPages = 12;
constexpr int kWriters = 3, kReaders = 3;
constexpr int kTransactions = 9000;  // all writers together
Deadline soon() { return Clock::now() + 120s; }

struct Tally {
  std::atomic<std::uint64_t> torn{0};       // views that saw two stamps, and were not doomed
  std::atomic<std::uint64_t> backwards{0};  // durable views older than one before
  std::atomic<std::uint64_t> broken{0};     // commits told "durable" that were not, and the like
  std::atomic<std::uint64_t> views{0}, doomed{0};
  std::atomic<std::uint64_t> durable{0}, lost{0}, unknown{0};
};

// The one stamp of all pages that are there, 0 if none is, kTorn if they differ.
Stamp common_stamp(const Database::View& view) {
  Stamp common = 0;
  for (PageNumber number = 1; number <= view.pin->page_count; ++number) {
    const std::uint8_t* bytes = view.store->find(*view.pin, number);
    const Stamp stamp = bytes ? stamp_of(bytes) : kTorn;
    if (common != 0 && stamp != common) return kTorn;
    common = stamp;
  }
  return common;
}

void read_until(Database& database, const std::atomic<bool>& stop, Tally& tally, unsigned seed) {
  std::mt19937 random(seed);
  Version newest = 0;
  std::vector<Database::View> held(4);
  while (!stop) {
    Database::View& view = held[random() % held.size()];
    database.close_view(&view);
    const bool latest = random() % 4 == 0;
    if (!database.open_view(latest ? At::latest : At::durable, &view).ok()) continue;
    ++tally.views;
    const Stamp stamp = common_stamp(view);
    const bool doomed = view.pin->doomed;
    if (stamp == kTorn && !doomed) ++tally.torn;
    if (doomed) ++tally.doomed;
    if (!latest) {
      if (view.pin->version < newest) ++tally.backwards;
      newest = view.pin->version;
    }
    // An old view has not changed.
    const Database::View& old = held[random() % held.size()];
    if (old.pin && common_stamp(old) == kTorn && !old.pin->doomed) ++tally.torn;
  }
  for (Database::View& view : held) database.close_view(&view);
}

// One transaction: a new stamp on every page of a database whose size varies.
void write(Database& database, const void* owner, std::mt19937& random, Tally& tally) {
  static std::atomic<Stamp> stamps{0};
  if (database.writers().acquire(owner, soon()) != WriterQueue::Result::granted) {
    std::this_thread::yield();
    return;
  }
  Reign reign = 0;
  Version version = 0;
  const Stamp stamp = ++stamps;
  const PageNumber size = 1 + static_cast<PageNumber>(random() % kPages);
  Image image;
  for (PageNumber number = 1; number <= size; ++number) image[number] = stamp;
  bool published = database.reign(&reign).ok();
  published = published && database.publish(reign, pages_of(image), size, size, &version).ok();
  database.writers().release(owner);
  if (!published) {
    ++tally.lost;
    return;
  }
  if (random() % 4 != 0) return;  // not everybody asks, so that versions pile up
  const Verdict verdict = database.wait_durable(reign, version, soon());
  switch (verdict.refusal) {
    case Refusal::none: {
      ++tally.durable;
      Database::View view;
      if (!database.open_view(At::durable, &view).ok()) {
        ++tally.broken;
        break;
      }
      const Stamp seen = common_stamp(view);
      if (view.pin->version < version) ++tally.broken;
      if (view.pin->version == version && seen != stamp) ++tally.broken;
      database.close_view(&view);
      break;
    }
    case Refusal::leadership_lost: ++tally.lost; break;
    case Refusal::outcome_unknown: ++tally.unknown; break;
    default: ++tally.broken; break;
  }
}

// Leads, collects, makes durable, and loses its leadership at random; a standby follows.
void replicate(Database& database, Database& standby, const std::atomic<bool>& stop,
               std::uint64_t* diverged) {
  std::mt19937 random(1);
  Reign reign = 1;
  Position position = 0;
  std::string reason;
  database.begin_reign(reign);
  while (!stop) {
    if (!database.wait_unsent(Clock::now() + 1ms)) continue;
    PageStore::Changes changes;
    if (!database.collect(&changes)) continue;
    const unsigned chance = random() % 12;
    if (chance == 0) {
      database.end_reign(Refusal::outcome_unknown, "lost at random");
      database.begin_reign(++reign);
      continue;
    }
    if (chance < 6) std::this_thread::yield();  // an append under way
    ++position;
    if (!standby.apply(batch_of(changes), changes.first, changes.last, changes.page_count,
                       changes.checksum_after, position, &reason)) {
      ++*diverged;
    }
    database.make_durable(position);
  }
  database.end_reign(Refusal::outcome_unknown, "the end");
}

}  // namespace

TEST_CASE("readers, writers, a fickle leader and its standby never see half a transaction") {
  Database database, standby;
  database.set_readable(true, "");
  standby.set_readable(true, "");
  Tally tally, standby_tally;
  std::atomic<bool> stop_reading{false}, stop_replicating{false};
  std::uint64_t diverged = 0;

  std::thread replication([&] { replicate(database, standby, stop_replicating, &diverged); });
  std::vector<std::thread> readers, writers;
  for (unsigned i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] { read_until(database, stop_reading, tally, 10 + i); });
  }
  readers.emplace_back([&] { read_until(standby, stop_reading, standby_tally, 5); });
  for (unsigned i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] {
      std::mt19937 random(20 + i);
      for (int n = 0; n < kTransactions / kWriters; ++n) write(database, &random, random, tally);
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop_replicating = true;
  database.wake();
  replication.join();
  stop_reading = true;
  for (std::thread& reader : readers) reader.join();

  CHECK(tally.torn == 0);
  CHECK(tally.backwards == 0);
  CHECK(tally.broken == 0);
  CHECK(standby_tally.torn == 0);
  CHECK(standby_tally.backwards == 0);
  CHECK(diverged == 0);
  CHECK(tally.durable > 0);
  CHECK(tally.unknown + tally.lost > 0);
  MESSAGE("views " << tally.views.load() << ", doomed " << tally.doomed.load() << ", durable "
                   << tally.durable.load() << ", lost " << tally.lost.load() << ", unknown "
                   << tally.unknown.load());

  // Everybody is gone: one version is left, and both sides are the same.
  for (Database* side : {&database, &standby}) {
    const std::shared_ptr<PageStore> store = side->store();
    const PageStore::Stats stats = store->stats();
    CHECK(stats.pins == 0);
    CHECK(stats.pages_held == durable_image(*store).size());
    const Held pin(*store, At::durable);
    CHECK(store->recompute_checksum(*pin) == stats.checksum);
  }
  CHECK(standby.store()->stats().checksum == database.store()->stats().checksum);
}

TEST_CASE("many commits that wait at once each get their own answer") {
  Database database;
  database.set_readable(true, "");
  constexpr int kThreads = 16, kCommits = 100;
  std::atomic<std::uint64_t> durable{0}, wrong{0};
  std::atomic<bool> stop{false};
  database.begin_reign(1);
  std::thread replication([&] {
    Position position = 0;
    while (!stop) {
      PageStore::Changes changes;
      if (!database.wait_unsent(Clock::now() + 1ms) || !database.collect(&changes)) continue;
      database.make_durable(++position);
    }
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const int owner = i;
      Position before = 0;
      for (int n = 0; n < kCommits; ++n) {
        Version version = 0;
        if (database.writers().acquire(&owner, soon()) != WriterQueue::Result::granted) ++wrong;
        if (!database.publish(1, pages_of({{1, 1}}), 1, 1, &version).ok()) ++wrong;
        database.writers().release(&owner);
        const Verdict verdict = database.wait_durable(1, version, soon());
        if (!verdict.ok() || verdict.position <= before) ++wrong;
        if (database.store()->stats().durable < version) ++wrong;
        before = verdict.position;
        ++durable;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  database.wake();
  replication.join();
  CHECK(durable == kThreads * kCommits);
  CHECK(wrong == 0);
  CHECK(database.store()->stats().durable == kThreads * kCommits);
}
