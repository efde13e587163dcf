// Database: who may read, who may write, and what each commit is told about its fate.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <chrono>
#include <future>
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

constexpr auto kLimit = 60s;  // of every wait that is to end by itself
Deadline soon() { return Clock::now() + kLimit; }
Deadline past() { return Clock::now() - 1s; }

// A database that is readable, and leads in reign 7.
struct Leading {
  Leading() {
    database.set_readable(true, "");
    database.begin_reign(7);
  }
  Version commit(Stamp stamp, Reign reign = 7) {
    Version version = 0;
    REQUIRE(database.publish(reign, pages_of({{1, stamp}}), 1, 1, &version).ok());
    return version;
  }
  void collect() {
    PageStore::Changes changes;
    REQUIRE(database.collect(&changes));
  }
  std::future<Verdict> wait_elsewhere(Version version, Reign reign = 7) {
    return std::async(std::launch::async,
                      [=] { return database.wait_durable(reign, version, soon()); });
  }
  Refusal fate(Version version, Reign reign = 7) {
    return database.wait_durable(reign, version, past()).refusal;
  }
  Stamp read(At at = At::durable) {
    Database::View view;
    REQUIRE(database.open_view(at, &view).ok());
    const std::uint8_t* bytes = view.store->find(*view.pin, 1);
    const Stamp stamp = bytes ? stamp_of(bytes) : 0;
    database.close_view(&view);
    return stamp;
  }
  mutable Database database;
};

}  // namespace

TEST_CASE("a new database refuses readers until it is readable, and says why") {
  Database database;
  Database::View view;
  CHECK(database.open_view(At::durable, &view).refusal == Refusal::not_readable);
  CHECK(view.pin == nullptr);
  database.close_view(&view);  // an empty one: nothing happens
  database.set_readable(true, "");
  CHECK(database.open_view(At::durable, &view).ok());
  database.set_readable(false, "the copy failed its check");
  Database::View second;
  const Verdict verdict = database.open_view(At::durable, &second);
  CHECK(verdict.refusal == Refusal::not_readable);
  CHECK(verdict.reason == "the copy failed its check");
  CHECK(view.store->find(*view.pin, 1) == nullptr);  // an open view stays readable
  database.close_view(&view);
  CHECK(view.pin == nullptr);
}

TEST_CASE("without a reign nothing can be written, and nobody gets in line") {
  Database database;
  Reign reign = 99;
  CHECK(database.reign(&reign).refusal == Refusal::not_leader);
  CHECK(reign == 0);
  CHECK(database.may_commit(0).refusal == Refusal::not_leader);
  Version version = 0;
  CHECK(database.publish(0, {}, 1, 1, &version).refusal == Refusal::not_leader);
  CHECK(database.publish(3, {}, 1, 1, &version).refusal == Refusal::leadership_lost);
  CHECK(database.store()->stats().latest == 0);
  int owner;
  CHECK(database.writers().acquire(&owner, soon()) == WriterQueue::Result::refused);
}

TEST_CASE("a commit is durable when its entry is, and is told the entry's position") {
  Leading leader;
  Reign reign = 0;
  CHECK(leader.database.reign(&reign).ok());
  CHECK(reign == 7);
  int owner;
  CHECK(leader.database.writers().try_acquire(&owner));
  CHECK(leader.database.may_commit(7).ok());
  const Version version = leader.commit(10);
  CHECK(leader.read(At::latest) == 10);
  CHECK(leader.read() == 0);
  CHECK(leader.fate(version) == Refusal::timed_out);

  std::future<Verdict> waiting = leader.wait_elsewhere(version);
  leader.collect();
  leader.database.make_durable(41);
  const Verdict verdict = waiting.get();
  CHECK(verdict.ok());
  CHECK(verdict.position == 41);
  CHECK(leader.read() == 10);
  CHECK(leader.database.wait_durable(7, version, past()).position == 41);
}

TEST_CASE("an entry wakes those whose versions are in it and nobody behind") {
  Leading leader;
  leader.commit(1);
  leader.commit(2);
  leader.collect();
  leader.commit(3);
  std::future<Verdict> first = leader.wait_elsewhere(1);
  std::future<Verdict> second = leader.wait_elsewhere(2);
  std::future<Verdict> third = leader.wait_elsewhere(3);
  leader.database.make_durable(5);
  CHECK(first.get().position == 5);
  CHECK(second.get().position == 5);
  CHECK(leader.fate(3) == Refusal::timed_out);
  leader.collect();
  leader.database.make_durable(6);
  CHECK(third.get().position == 6);
}

TEST_CASE("a wait that times out says nothing about the commit, and can be made again") {
  Leading leader;
  const Version version = leader.commit(1);
  CHECK(leader.database.wait_durable(7, version, Clock::now() + 5ms).refusal ==
        Refusal::timed_out);
  leader.collect();
  leader.database.make_durable(2);
  CHECK(leader.fate(version) == Refusal::none);
}

TEST_CASE("the end of a reign tells each commit its fate: durable, sent, or never sent") {
  Leading leader;
  leader.commit(1);
  leader.collect();
  leader.database.make_durable(11);
  leader.commit(2);
  leader.collect();
  leader.commit(3);
  std::future<Verdict> sent = leader.wait_elsewhere(2);
  std::future<Verdict> behind = leader.wait_elsewhere(3);
  Refusal fate = Refusal::none;
  SUBCASE("the log did not answer") { fate = Refusal::outcome_unknown; }
  SUBCASE("the log refused") { fate = Refusal::leadership_lost; }
  CHECK(leader.database.end_reign(fate, "replica 2 leads") == 2);

  const Verdict verdict = sent.get();
  CHECK(verdict.refusal == fate);
  CHECK(verdict.reason == "replica 2 leads");
  CHECK(behind.get().refusal == Refusal::leadership_lost);

  // And whoever asks later, whatever has become of the version numbers since.
  std::string reason;
  REQUIRE(leader.database.apply({}, 2, 50, 1, leader.database.store()->stats().checksum, 90,
                                &reason));
  CHECK(leader.fate(1) == Refusal::none);
  CHECK(leader.database.wait_durable(7, 1, past()).position == 11);
  CHECK(leader.fate(2) == fate);
  CHECK(leader.fate(3) == Refusal::leadership_lost);
  leader.database.replace();
  CHECK(leader.fate(1) == Refusal::none);
  CHECK(leader.fate(2) == fate);
}

TEST_CASE("after a reign its writers are refused, even those that had begun") {
  Leading leader;
  int holder, waiter;
  REQUIRE(leader.database.writers().try_acquire(&holder));
  std::future<WriterQueue::Result> waiting = std::async(std::launch::async, [&] {
    return leader.database.writers().acquire(&waiter, soon());
  });
  const Deadline deadline = soon();
  while (leader.database.writers().waiting() == 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  leader.commit(1);
  CHECK(leader.database.end_reign(Refusal::outcome_unknown, "stepped down") == 1);
  CHECK(waiting.get() == WriterQueue::Result::refused);
  Reign reign = 99;
  const Verdict verdict = leader.database.reign(&reign);
  CHECK(verdict.refusal == Refusal::not_leader);
  CHECK(verdict.reason == "stepped down");
  CHECK(leader.database.may_commit(7).refusal == Refusal::leadership_lost);
  Version version = 0;
  CHECK(leader.database.publish(7, pages_of({{1, 9}}), 1, 1, &version).refusal ==
        Refusal::leadership_lost);
  CHECK(leader.database.end_reign(Refusal::outcome_unknown, "again") == 0);

  // In the next reign too: theirs is over.
  leader.database.begin_reign(9);
  CHECK(leader.database.may_commit(9).ok());
  CHECK(leader.database.may_commit(7).refusal == Refusal::leadership_lost);
  CHECK(leader.database.publish(7, pages_of({{1, 9}}), 1, 1, &version).refusal ==
        Refusal::leadership_lost);
  CHECK(leader.database.store()->stats().latest == 0);
  CHECK(leader.commit(2, 9) == 1);
  CHECK(leader.fate(1, 7) == Refusal::leadership_lost);
  CHECK(leader.fate(1, 9) == Refusal::timed_out);
}

TEST_CASE("a version read outside any reign is settled if it is durable") {
  Leading leader;
  leader.commit(1);
  leader.collect();
  leader.database.make_durable(3);
  CHECK(leader.fate(1, 0) == Refusal::none);
  CHECK(leader.fate(1, 5) == Refusal::none);
  CHECK(leader.fate(2, 0) == Refusal::leadership_lost);
}

TEST_CASE("of a reign too long ago nothing is claimed, neither success nor failure") {
  Leading leader;
  leader.commit(1);
  leader.collect();
  leader.database.make_durable(3);
  leader.database.end_reign(Refusal::outcome_unknown, "first");
  CHECK(leader.fate(1) == Refusal::none);
  for (Reign reign = 8; reign < 8 + 300; ++reign) {
    leader.database.begin_reign(reign);
    leader.database.end_reign(Refusal::outcome_unknown, "again");
  }
  CHECK(leader.fate(1) == Refusal::outcome_unknown);
  CHECK(leader.fate(1, 8 + 299) == Refusal::none);
}

TEST_CASE("the generation changes when something was taken back or replaced, and only then") {
  Leading leader;
  const std::uint64_t first = leader.database.generation();
  leader.commit(1);
  leader.collect();
  leader.database.make_durable(1);
  leader.database.end_reign(Refusal::outcome_unknown, "all was durable");
  CHECK(leader.database.generation() == first);

  leader.database.begin_reign(8);
  leader.commit(2, 8);
  Database::View view;
  REQUIRE(leader.database.open_view(At::latest, &view).ok());
  CHECK(view.generation == first);
  CHECK(leader.database.end_reign(Refusal::outcome_unknown, "one was not") == 1);
  CHECK(view.pin->doomed);
  leader.database.close_view(&view);
  const std::uint64_t second = leader.database.generation();
  CHECK(second != first);

  leader.database.replace();
  CHECK(leader.database.generation() != second);
}

TEST_CASE("a view outlives the store's replacement and sees the old pages") {
  Leading leader;
  leader.commit(5);
  leader.collect();
  leader.database.make_durable(1);
  leader.database.end_reign(Refusal::outcome_unknown, "");
  Database::View view;
  REQUIRE(leader.database.open_view(At::durable, &view).ok());
  leader.database.replace();
  CHECK(leader.read() == 0);
  CHECK(leader.database.store()->stats().latest == 0);
  CHECK(stamp_of(view.store->find(*view.pin, 1)) == 5);
  leader.database.close_view(&view);
}

TEST_CASE("a standby applies entries, and one that does not fit changes nothing") {
  Leading leader;
  leader.commit(5);
  PageStore::Changes changes;
  REQUIRE(leader.database.collect(&changes));
  Database standby;
  standby.set_readable(true, "");
  std::string reason;
  CHECK_FALSE(standby.apply(batch_of(changes), 1, 1, 1, changes.checksum_after + 1, 4, &reason));
  CHECK_FALSE(reason.empty());
  CHECK(standby.apply(batch_of(changes), 1, 1, 1, changes.checksum_after, 4, &reason));
  CHECK(standby.store()->stats().durable == 1);
  CHECK(standby.wait_durable(0, 1, past()).position == 4);
  CHECK_FALSE(standby.wait_unsent(past()));  // nothing of it is to be sent again
}

// Whether the log has them may be told by entries that are read no more.
TEST_CASE("what a loaded snapshot may or may not hold stays unknown, what is behind it does not") {
  const Image image = {{1, 5}};
  const std::uint64_t checksum = page_hash(1, stamped(1, 5)->bytes);
  for (const Version loaded : {Version{1}, Version{2}}) {
    Database database;
    database.set_readable(true, "");
    database.begin_reign(7, nullptr, kLimit);
    Version version = 0;
    REQUIRE(database.publish(7, pages_of({{1, 1}}), 1, 1, &version).ok());
    PageStore::Changes changes;
    REQUIRE(database.collect(&changes));
    database.make_durable({10, 0, 7});
    REQUIRE(database.publish(7, pages_of({{1, 2}}), 1, 1, &version).ok());
    REQUIRE(database.collect(&changes));  // sent: version 2
    database.end_reign(Refusal::outcome_unknown, "no answer");
    auto waiting = std::async(std::launch::async,
                              [&] { return database.wait_durable(7, version, soon()); });
    database.replace();
    std::string reason;
    REQUIRE(database.load(pages_of(image), loaded, 1, checksum, {20, 0, 8}, &reason));
    database.settle_lost(9);
    const Refusal fate = waiting.get().refusal;
    CHECK(fate == (loaded < version ? Refusal::leadership_lost : Refusal::outcome_unknown));
    CHECK(database.wait_durable(7, version, past()).refusal == fate);
    CHECK(database.wait_durable(7, 1, past()).refusal == Refusal::none);
  }
}

TEST_CASE("a snapshot whose checksum does not fit leaves the database empty") {
  Database database;
  database.set_readable(true, "");
  std::string reason;
  CHECK(!database.load(pages_of({{1, 5}}), 3, 1, 4711, {20, 0, 8}, &reason));
  CHECK(reason.find("not 4711") != std::string::npos);
  CHECK(database.store()->stats().durable == 0);
  CHECK(database.store()->stats().pages_held == 0);
}

TEST_CASE("the replication thread sleeps until it is woken, and not while something is unsent") {
  Leading leader;
  CHECK_FALSE(leader.database.wait_unsent(past()));
  std::future<bool> waiting = std::async(std::launch::async, [&] {
    return leader.database.wait_unsent(soon());
  });
  leader.commit(1);
  CHECK(waiting.get());
  CHECK(leader.database.wait_unsent(past()));  // until it is collected
  leader.collect();
  CHECK_FALSE(leader.database.wait_unsent(past()));

  leader.database.wake();  // before it sleeps: not lost
  const Deadline deadline = soon();
  CHECK_FALSE(leader.database.wait_unsent(deadline));
  CHECK(Clock::now() < deadline);
}

TEST_CASE("a closed database refuses everything and wakes everybody, and knows what it knew") {
  Leading leader;
  leader.commit(1);
  leader.collect();
  leader.database.make_durable(8);
  leader.commit(2);
  std::future<Verdict> waiting = leader.wait_elsewhere(2);
  leader.database.close();
  CHECK(waiting.get().refusal == Refusal::closed);
  CHECK(leader.fate(1) == Refusal::none);
  CHECK(leader.fate(2) == Refusal::closed);
  Database::View view;
  CHECK(leader.database.open_view(At::durable, &view).refusal == Refusal::closed);
  Reign reign = 99;
  CHECK(leader.database.reign(&reign).refusal == Refusal::closed);
  CHECK(reign == 0);
  CHECK(leader.database.may_commit(7).refusal == Refusal::closed);
  Version version = 0;
  CHECK(leader.database.publish(7, {}, 1, 1, &version).refusal == Refusal::closed);
  int owner;
  CHECK(leader.database.writers().acquire(&owner, soon()) == WriterQueue::Result::refused);
  leader.collect();
  CHECK_FALSE(leader.database.wait_unsent(soon()));

  CHECK(leader.database.end_reign(Refusal::outcome_unknown, "closed") == 1);
  CHECK(leader.fate(2) == Refusal::outcome_unknown);
  leader.database.begin_reign(8);
  CHECK(leader.database.reign(&reign).refusal == Refusal::closed);
}
