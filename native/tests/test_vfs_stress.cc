// Readers, writers and replication at once, with reigns that end in the middle of everything. What
// is checked holds at every interleaving: readers see whole transactions of a history that never
// goes back, and of each commit it comes true what was said about it. Run under ThreadSanitizer
// and AddressSanitizer.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "vfs_harness.h"

#include <atomic>
#include <thread>

namespace aurora {

namespace {

constexpr int kAccounts = 40;
constexpr int kTotal = kAccounts * 100;
constexpr int kEntriesPerReign = 25;

struct Scene {
  Replica replica;
  std::atomic<bool> over{false};
  std::atomic<int> entries{0};
  std::atomic<int> reigns{1};
  Deadline limit = in_ms(120000);

  bool late() const { return Clock::now() > limit; }

  // The log: each batch becomes durable, but the last one of each reign is taken back.
  void replicate() {
    Reign reign = 1;
    int left = kEntriesPerReign;
    while (!over) {
      if (!replica.database->wait_unsent(in_ms(1))) continue;
      PageStore::Changes changes;
      if (!replica.database->collect(&changes)) continue;
      std::this_thread::yield();
      if (--left > 0) {
        replica.database->make_durable(++replica.position);
        ++entries;
        continue;
      }
      replica.database->end_reign(
          reign % 2 ? Refusal::outcome_unknown : Refusal::leadership_lost, "the test says so");
      replica.database->begin_reign(++reign);
      ++reigns;
      left = kEntriesPerReign;
    }
  }

  // Moves money until `transactions` of its own are durable; returns how often a commit was lost.
  int write(int self, int transactions) {
    auto sql = std::make_unique<Sql>(replica);
    const std::string me = std::to_string(self);
    int durable = 0, lost = 0;
    for (unsigned turn = 0; durable < transactions && !late(); ++turn) {
      if (sql->side->stale()) sql = std::make_unique<Sql>(replica);
      if (!sql->side->acquire(in_ms(5000)).ok()) continue;
      const std::string from = std::to_string((turn * 7 + self) % kAccounts);
      const std::string to = std::to_string((turn * 13 + self * 3 + 1) % kAccounts);
      const bool done =
          sql->run("BEGIN IMMEDIATE; UPDATE account SET balance = balance - 1 WHERE id = " + from +
                   "; UPDATE account SET balance = balance + 1 WHERE id = " + to +
                   "; UPDATE done SET n = n + 1 WHERE writer = " + me) == SQLITE_OK &&
          (turn % 5 != 4) && sql->run("COMMIT") == SQLITE_OK;
      if (!done && sql->in_transaction()) sql->run("ROLLBACK");
      sql->side->release();
      if (!done) continue;
      const Verdict verdict = sql->side->wait(in_time());
      if (verdict.ok()) {
        ++durable;
      } else {
        ++lost;
      }
    }
    return lost;
  }

  // Returns how many reads it made.
  int read() {
    auto sql = std::make_unique<Sql>(replica, true);
    int reads = 0;
    long long last = 0;
    while ((!over || reads < 10) && !late()) {
      const std::string sum = sql->text("SELECT sum(balance) FROM account");
      REQUIRE(sum == std::to_string(kTotal));
      const long long done = std::stoll(sql->text("SELECT sum(n) FROM done"));
      REQUIRE(done >= last);
      last = done;
      if (++reads % 50 == 0) {
        REQUIRE(sql->text("PRAGMA integrity_check") == "ok");
        sql = std::make_unique<Sql>(replica, true);
      }
    }
    return reads;
  }
};

}  // namespace

TEST_CASE("whatever happens, readers see whole transactions and commits keep their word") {
  constexpr int kWriters = 3, kReaders = 2, kTransactions = 500;
  Scene scene;
  scene.replica.database->begin_reign(1);
  {
    Sql setup(scene.replica);
    setup.commit(
        "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INT, filler);"
        "CREATE TABLE done(writer INTEGER PRIMARY KEY, n INT);"
        "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < " +
        std::to_string(kAccounts - 1) +
        ") INSERT INTO account SELECT i, 100, zeroblob(700) FROM c;"
        "INSERT INTO done VALUES (0, 0), (1, 0), (2, 0)");
    scene.replica.make_durable();
  }
  std::atomic<int> lost{0}, reads{0};
  std::thread replication([&] { scene.replicate(); });
  std::vector<std::thread> writers, readers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] { lost += scene.write(i, kTransactions); });
  }
  for (int i = 0; i < kReaders; ++i) readers.emplace_back([&] { reads += scene.read(); });
  for (std::thread& thread : writers) thread.join();
  scene.over = true;
  scene.replica.database->wake();
  for (std::thread& thread : readers) thread.join();
  replication.join();

  Sql check(scene.replica, true);
  for (int i = 0; i < kWriters; ++i) {
    CHECK(check.text("SELECT n FROM done WHERE writer = " + std::to_string(i)) ==
          std::to_string(kTransactions));
  }
  CHECK(check.text("PRAGMA integrity_check") == "ok");
  CHECK(scene.reigns > 5);  // the dangerous windows were there
  CHECK(lost > 5);
  CHECK(reads >= 20);
  CHECK(scene.replica.database->store()->stats().pins == 0);
}

TEST_CASE("a standby's readers see every applied batch whole while it is applied") {
  Replica leader = Replica::leading();
  Replica standby;
  Sql writer(leader);
  writer.commit("CREATE TABLE pair(a INT, b INT); INSERT INTO pair VALUES(0, 0)");
  leader.replicate_to({&standby});
  std::atomic<bool> over{false};
  std::atomic<int> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      Sql reader(standby, true);
      int last = 0;
      while (!over) {
        REQUIRE(reader.run("BEGIN") == SQLITE_OK);
        const int a = std::stoi(reader.text("SELECT a FROM pair"));
        std::this_thread::yield();
        const int b = std::stoi(reader.text("SELECT b FROM pair"));
        REQUIRE(reader.run("COMMIT") == SQLITE_OK);
        REQUIRE(a == b);
        REQUIRE(a >= last);
        last = a;
        ++reads;
      }
    });
  }
  const Deadline limit = in_ms(60000);
  for (int i = 1; (i <= 500 || reads < 20) && Clock::now() < limit; ++i) {
    writer.commit("UPDATE pair SET a = a + 1; UPDATE pair SET b = b + 1");
    leader.replicate_to({&standby});
  }
  over = true;
  for (std::thread& thread : readers) thread.join();
  CHECK(reads >= 20);
  CHECK(standby.database->store()->stats().checksum == leader.database->store()->stats().checksum);
}

}  // namespace aurora
