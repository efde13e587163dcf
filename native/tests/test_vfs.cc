// The VFS under SQLite itself: who sees what, who may write, and what becomes of each commit.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "vfs_harness.h"

#include <future>
#include <thread>

#include "sqlite/file.h"

namespace aurora {

// ---- who sees what -----------------------------------------------------------------------------

TEST_CASE("a reader sees only what is durable, the next writer all that is published") {
  Replica replica = Replica::leading();
  Sql writer(replica), second(replica), reader(replica, true);
  writer.commit("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  replica.make_durable();
  CHECK(reader.text("SELECT count(*) FROM t") == "1");

  writer.commit("INSERT INTO t VALUES(2)");
  CHECK(reader.text("SELECT count(*) FROM t") == "1");
  CHECK(writer.text("SELECT count(*) FROM t") == "1");
  REQUIRE(second.begin() == SQLITE_OK);
  CHECK(second.text("SELECT count(*) FROM t") == "2");
  REQUIRE(second.run("ROLLBACK") == SQLITE_OK);

  replica.make_durable();
  CHECK(reader.text("SELECT count(*) FROM t") == "2");
}

TEST_CASE("a reader keeps its version while writers commit, and sees the new one afterwards") {
  Replica replica = Replica::leading();
  Sql writer(replica), reader(replica, true);
  writer.commit("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  replica.make_durable();
  REQUIRE(reader.run("BEGIN") == SQLITE_OK);
  REQUIRE(reader.text("SELECT sum(a) FROM t") == "1");
  for (int i = 0; i < 5; ++i) {
    writer.commit("UPDATE t SET a = a + 1");
    replica.make_durable();
  }
  CHECK(reader.text("SELECT sum(a) FROM t") == "1");
  REQUIRE(reader.run("COMMIT") == SQLITE_OK);
  CHECK(reader.text("SELECT sum(a) FROM t") == "6");
}

TEST_CASE("a standby's connections read what was applied, schema changes included") {
  Replica leader = Replica::leading();
  Replica standby;
  Sql writer(leader), reader(standby, true);
  writer.commit("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  leader.replicate_to({&standby});
  CHECK(reader.text("SELECT a FROM t") == "1");
  writer.commit("ALTER TABLE t ADD COLUMN b DEFAULT 7");
  leader.replicate_to({&standby});
  CHECK(reader.text("SELECT b FROM t") == "7");
  CHECK(reader.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a replica that is not readable refuses readers with its reason, until it is") {
  Replica replica = Replica::leading();
  Sql reader(replica, true);
  replica.database->set_readable(false, "still loading");
  CHECK(reader.run("SELECT * FROM sqlite_schema") == refused_io(Refusal::not_readable));
  const Verdict verdict = reader.side->take_refusal();
  CHECK(verdict.refusal == Refusal::not_readable);
  CHECK(verdict.reason.find("still loading") != std::string::npos);
  replica.database->set_readable(true, "");
  CHECK(reader.run("SELECT * FROM sqlite_schema") == SQLITE_OK);
}

TEST_CASE("a statement still reading when its connection commits goes on with what was written") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  writer.commit(
      "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      "WHERE i < 300) INSERT INTO t SELECT i, randomblob(2000) FROM n");
  REQUIRE(writer.begin() == SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  REQUIRE(sqlite3_prepare_v2(writer.handle, "SELECT a FROM t", -1, &statement, nullptr) == 0);
  REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
  REQUIRE(writer.run("UPDATE t SET a = 1000 WHERE a = 300") == SQLITE_OK);
  REQUIRE(writer.run("COMMIT") == SQLITE_OK);
  int last = 0;
  while (sqlite3_step(statement) == SQLITE_ROW) last = sqlite3_column_int(statement, 0);
  CHECK(sqlite3_finalize(statement) == SQLITE_OK);
  CHECK(last == 1000);
}

// ---- who may write -----------------------------------------------------------------------------

TEST_CASE("a write on a standby fails as read-only, and the connection knows why") {
  Replica standby;
  Sql writer(standby);
  CHECK(writer.run("BEGIN IMMEDIATE") == refused_write(Refusal::not_leader));
  CHECK(writer.side->take_refusal().refusal == Refusal::not_leader);
  CHECK(writer.side->take_refusal().refusal == Refusal::none);
  CHECK(writer.side->acquire(in_ms(0)).refusal == Refusal::not_leader);
}

TEST_CASE("who wants to write while the leader steps down is told to ask the next one") {
  Replica replica = Replica::leading();
  Sql waiting(replica), late(replica);
  Sql holder(replica);
  REQUIRE(holder.begin() == SQLITE_OK);
  std::future<Verdict> in_line =
      std::async(std::launch::async, [&] { return waiting.side->acquire(in_time()); });
  while (replica.database->writers().waiting() == 0) std::this_thread::yield();
  replica.database->writers().shut();  // its last commits may still be under way
  CHECK(in_line.get().refusal == Refusal::not_leader);
  CHECK(late.side->acquire(in_time()).refusal == Refusal::not_leader);
}

TEST_CASE("a read-only connection never writes, even where writing is allowed") {
  Replica replica = Replica::leading();
  Sql reader(replica, true);
  CHECK((reader.run("CREATE TABLE t(a)") & 0xff) == SQLITE_READONLY);
  CHECK(reader.side->acquire(in_ms(0)).refusal == Refusal::not_leader);
  CHECK(replica.database->store()->stats().latest == 0);
}

TEST_CASE("the write lock is taken by BEGIN IMMEDIATE, kept to COMMIT, and given back") {
  Replica replica = Replica::leading();
  Sql first(replica), second(replica);
  REQUIRE(first.run("BEGIN IMMEDIATE; CREATE TABLE t(a)") == SQLITE_OK);
  CHECK(second.run("BEGIN IMMEDIATE") == SQLITE_BUSY);
  CHECK(second.side->take_refusal().refusal == Refusal::busy);
  CHECK(second.side->acquire(in_ms(1)).refusal == Refusal::busy);
  REQUIRE(first.run("COMMIT") == SQLITE_OK);
  CHECK(second.begin() == SQLITE_OK);
  CHECK(second.run("ROLLBACK") == SQLITE_OK);
  CHECK(first.begin() == SQLITE_OK);
}

TEST_CASE("a statement that writes without BEGIN gives the write lock back by itself") {
  Replica replica = Replica::leading();
  Sql first(replica), second(replica);
  REQUIRE(first.side->acquire(in_time()).ok());
  REQUIRE(first.run("CREATE TABLE t(a)") == SQLITE_OK);
  CHECK(second.side->acquire(in_ms(0)).ok());
}

TEST_CASE("a lock acquired and not used is given back by release, and by the connection's end") {
  Replica replica = Replica::leading();
  Sql second(replica);
  {
    Sql first(replica);
    REQUIRE(first.side->acquire(in_time()).ok());
    CHECK(second.side->acquire(in_ms(0)).refusal == Refusal::busy);
    first.side->release();
    CHECK(second.side->acquire(in_ms(0)).ok());
    second.side->release();
    REQUIRE(first.side->acquire(in_time()).ok());
  }
  CHECK(second.side->acquire(in_ms(0)).ok());
}

TEST_CASE("a transaction that began to read before another committed cannot become a writer") {
  Replica replica = Replica::leading();
  Sql first(replica), second(replica);
  first.commit("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  replica.make_durable();
  REQUIRE(second.run("BEGIN; SELECT * FROM t") == SQLITE_OK);
  first.commit("UPDATE t SET a = 2");
  CHECK(second.run("UPDATE t SET a = a + 1") == SQLITE_BUSY_SNAPSHOT);
  CHECK(second.side->take_refusal().reason.find("BEGIN IMMEDIATE") != std::string::npos);
  REQUIRE(second.run("ROLLBACK") == SQLITE_OK);
  CHECK(first.begin() == SQLITE_OK);  // the lock was not kept
}

TEST_CASE("a transaction whose view is of an ended reign cannot become a writer in the next") {
  Replica replica = Replica::leading();
  Sql writer(replica), other(replica);
  writer.commit("CREATE TABLE t(a)");
  replica.make_durable();
  other.commit("INSERT INTO t VALUES('speculative')");
  REQUIRE(writer.side->acquire(in_time()).ok());
  REQUIRE(writer.run("BEGIN; SELECT * FROM t") == SQLITE_OK);
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  replica.database->begin_reign(2);
  CHECK(writer.run("INSERT INTO t VALUES(1)") == SQLITE_BUSY_SNAPSHOT);
  CHECK(writer.run("SELECT * FROM t") == refused_io(Refusal::leadership_lost));
}

TEST_CASE("a view that was taken back does not pass for the same version by another leader") {
  Replica other = Replica::leading();
  Replica replica;
  Sql elsewhere(other);
  elsewhere.commit("CREATE TABLE t(a)");
  other.replicate_to({&replica});
  replica.database->begin_reign(2);
  Sql writer(replica), reading(replica);
  writer.commit("INSERT INTO t VALUES('taken back')");
  REQUIRE(reading.side->acquire(in_time()).ok());
  REQUIRE(reading.run("BEGIN; SELECT * FROM t") == SQLITE_OK);
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  elsewhere.commit("INSERT INTO t VALUES('of the other')");
  other.replicate_to({&replica});
  replica.database->begin_reign(3);
  CHECK(reading.run("INSERT INTO t VALUES('on top of what is gone')") == SQLITE_BUSY_SNAPSHOT);
}

// ---- commits and what becomes of them ----------------------------------------------------------

TEST_CASE("a commit is unsettled until it is durable, and wait tells its position") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  CHECK_FALSE(writer.side->unsettled());
  CHECK(writer.side->wait(in_ms(0)).ok());
  writer.commit("CREATE TABLE t(a)");
  CHECK(writer.side->unsettled());
  CHECK(writer.side->wait(in_ms(1)).refusal == Refusal::timed_out);
  CHECK(writer.side->unsettled());
  replica.make_durable();
  const Verdict verdict = writer.side->wait(in_time());
  CHECK(verdict.ok());
  CHECK(verdict.position == replica.position);
  CHECK_FALSE(writer.side->unsettled());
}

TEST_CASE("a rollback leaves nothing to wait for, a write transaction that only read does") {
  Replica replica = Replica::leading();
  Sql first(replica), second(replica);
  first.commit("CREATE TABLE t(a)");
  REQUIRE(second.begin() == SQLITE_OK);
  REQUIRE(second.run("INSERT INTO t VALUES(1); ROLLBACK") == SQLITE_OK);
  CHECK_FALSE(second.side->unsettled());
  REQUIRE(second.begin() == SQLITE_OK);
  REQUIRE(second.run("SELECT * FROM t; COMMIT") == SQLITE_OK);
  CHECK(second.side->unsettled());
  replica.database->end_reign(Refusal::outcome_unknown, "no quorum");
  CHECK_FALSE(second.side->wait(in_time()).ok());
}

TEST_CASE("a statement without BEGIN that read the latest version has something to wait for") {
  Replica replica = Replica::leading();
  Sql first(replica), second(replica);
  first.commit("CREATE TABLE t(a)");
  REQUIRE(second.side->acquire(in_time()).ok());
  CHECK(second.text("SELECT count(*) FROM t") == "0");
  CHECK(second.side->unsettled());
  replica.make_durable();
  CHECK(second.side->wait(in_time()).ok());
  second.side->release();
  CHECK(second.text("SELECT count(*) FROM t") == "0");
  CHECK_FALSE(second.side->unsettled());
}

TEST_CASE("a COMMIT after the reign ended fails, rolls back, and says why") {
  Replica replica = Replica::leading();
  Sql writer(replica), reader(replica, true);
  writer.commit("CREATE TABLE t(a)");
  replica.make_durable();
  REQUIRE(writer.side->wait(in_time()).ok());
  REQUIRE(writer.begin() == SQLITE_OK);
  REQUIRE(writer.run("INSERT INTO t VALUES(1)") == SQLITE_OK);
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  CHECK((writer.run("COMMIT") & 0xff) == SQLITE_IOERR);
  const Verdict verdict = writer.side->take_refusal();
  CHECK_FALSE(verdict.ok());
  CHECK_FALSE(writer.in_transaction());
  CHECK_FALSE(writer.side->unsettled());
  CHECK(writer.text("SELECT count(*) FROM t") == "0");
  CHECK(reader.text("SELECT count(*) FROM t") == "0");
}

TEST_CASE("a transaction begun in one reign does not commit in the next") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  writer.commit("CREATE TABLE t(a)");
  replica.make_durable();
  REQUIRE(writer.begin() == SQLITE_OK);
  REQUIRE(writer.run("INSERT INTO t VALUES(1)") == SQLITE_OK);
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  replica.database->begin_reign(2);
  CHECK((writer.run("COMMIT") & 0xff) == SQLITE_IOERR);
  CHECK(replica.database->store()->stats().latest == 1);
}

TEST_CASE("ROLLBACK succeeds after the reign ended, spilled pages or not") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  writer.commit("CREATE TABLE t(a)");
  replica.make_durable();
  REQUIRE(writer.side->wait(in_time()).ok());
  REQUIRE(writer.begin() == SQLITE_OK);
  REQUIRE(writer.run("PRAGMA cache_size=10; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                     "i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT randomblob(3000) FROM n") ==
          SQLITE_OK);
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  CHECK(writer.run("ROLLBACK") == SQLITE_OK);
  CHECK(writer.text("SELECT count(*) FROM t") == "0");
}

TEST_CASE("a reign that ends between SQLite's last check and publishing is told by wait") {
  Replica replica = Replica::leading();
  {
    Sql setup(replica);  // registers the VFS
  }
  auto side = std::make_shared<Connection>(replica.database, false);
  {
    File file(side);
    std::vector<char> bytes(kPageSize, 'x');
    REQUIRE(side->acquire(in_time()).ok());
    REQUIRE(file.lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
    REQUIRE(file.lock(SQLITE_LOCK_RESERVED) == SQLITE_OK);
    REQUIRE(file.lock(SQLITE_LOCK_EXCLUSIVE) == SQLITE_OK);
    REQUIRE(file.write(bytes.data(), kPageSize, 0) == SQLITE_OK);
    REQUIRE(file.control(SQLITE_FCNTL_SYNC, nullptr) == SQLITE_OK);
    replica.database->end_reign(Refusal::leadership_lost, "another leads");
    CHECK(file.control(SQLITE_FCNTL_COMMIT_PHASETWO, nullptr) == SQLITE_OK);
    CHECK(file.unlock(SQLITE_LOCK_SHARED) == SQLITE_OK);
    CHECK(file.read(bytes.data(), 16, 24) != SQLITE_OK);
  }
  CHECK(side->stale());
  CHECK(side->unsettled());
  CHECK_FALSE(side->wait(in_time()).ok());
  CHECK(replica.database->store()->stats().latest == 0);
}

TEST_CASE("commits in flight when leadership is lost learn their fate") {
  Replica replica = Replica::leading();
  Sql sent(replica), behind(replica);
  sent.commit("CREATE TABLE t(a)");
  PageStore::Changes changes;
  REQUIRE(replica.database->collect(&changes));
  behind.commit("INSERT INTO t VALUES(1)");
  replica.database->end_reign(Refusal::outcome_unknown, "no quorum answered");
  CHECK(sent.side->wait(in_time()).refusal == Refusal::outcome_unknown);
  CHECK(behind.side->wait(in_time()).refusal == Refusal::leadership_lost);
}

TEST_CASE("closing the database ends every wait and refuses every statement") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  writer.commit("CREATE TABLE t(a)");
  replica.database->close();
  CHECK_FALSE(writer.side->wait(in_time()).ok());
  CHECK_FALSE(writer.side->acquire(in_time()).ok());
  CHECK((writer.run("SELECT * FROM t") & 0xff) == SQLITE_IOERR);
}

// ---- connections that have seen too much -------------------------------------------------------

TEST_CASE("a connection that read what was taken back is stale, and its cache not trusted") {
  Replica other = Replica::leading();
  Replica replica;
  Sql elsewhere(other);
  elsewhere.commit("CREATE TABLE t(a); INSERT INTO t VALUES('shared')");
  other.replicate_to({&replica});

  replica.database->begin_reign(2);
  Sql writer(replica), reader(replica, true);
  CHECK(reader.text("SELECT a FROM t") == "shared");
  writer.commit("UPDATE t SET a = 'taken back'");
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  elsewhere.commit("UPDATE t SET a = 'of the other'");  // the same change counter
  other.replicate_to({&replica});

  CHECK(writer.side->stale());
  CHECK(writer.run("SELECT a FROM t") == refused_io(Refusal::stale_connection));
  CHECK(writer.side->take_refusal().refusal == Refusal::stale_connection);
  CHECK(writer.side->acquire(in_ms(0)).refusal == Refusal::stale_connection);
  CHECK_FALSE(reader.side->stale());
  CHECK(reader.text("SELECT a FROM t") == "of the other");
  Sql fresh(replica);
  CHECK(fresh.text("SELECT a FROM t") == "of the other");
}

TEST_CASE("a connection whose commits all became durable outlives the reign") {
  Replica replica = Replica::leading();
  Sql settled(replica), unsettled(replica);
  settled.commit("CREATE TABLE t(a)");
  replica.make_durable();
  REQUIRE(settled.side->wait(in_time()).ok());
  unsettled.commit("INSERT INTO t VALUES(1)");
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  CHECK_FALSE(settled.side->stale());
  CHECK(settled.text("SELECT count(*) FROM t") == "0");
  CHECK(unsettled.side->stale());
}

TEST_CASE("every connection is stale once the copy was replaced") {
  Replica replica = Replica::leading();
  Sql writer(replica), reader(replica, true), unused(replica);
  writer.commit("CREATE TABLE t(a)");
  replica.make_durable();
  REQUIRE(writer.side->wait(in_time()).ok());
  REQUIRE(reader.text("SELECT count(*) FROM t") == "0");
  replica.database->end_reign(Refusal::leadership_lost, "");
  replica.database->replace();
  replica.database->set_readable(true, "");
  CHECK(writer.side->stale());
  CHECK(reader.side->stale());
  CHECK(reader.run("SELECT 1 FROM sqlite_schema") == refused_io(Refusal::stale_connection));
}

TEST_CASE("a transaction reading a version that is taken back meanwhile fails, not lies") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  writer.commit("CREATE TABLE t(a); INSERT INTO t VALUES(1)");
  replica.make_durable();
  writer.commit("UPDATE t SET a = 2");
  REQUIRE(writer.begin() == SQLITE_OK);
  replica.database->end_reign(Refusal::leadership_lost, "another leads");
  CHECK(writer.run("PRAGMA shrink_memory; SELECT * FROM t") ==
        refused_io(Refusal::leadership_lost));
  CHECK(writer.side->take_refusal().refusal == Refusal::leadership_lost);
}

}  // namespace aurora
