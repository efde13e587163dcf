// The VFS under SQLite itself: what a write transaction may do to its pages, SQLite's features, and
// what is refused by name.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "vfs_harness.h"

#include <cstdio>
#include <filesystem>

#include "sqlite/file.h"

namespace aurora {

// ---- a transaction's own pages -----------------------------------------------------------------

TEST_CASE("pages cut off and grown again within a transaction read as zeros") {
  Overlay overlay;
  std::vector<std::uint8_t> page(kPageSize, 7);
  overlay.begin(10);
  CHECK_FALSE(overlay.changed());
  overlay.write(9, page.data());
  overlay.write(12, page.data());
  CHECK(overlay.page_count() == 12);
  overlay.truncate(4);
  CHECK(overlay.find(9) == nullptr);
  CHECK_FALSE(overlay.shows_base(5));
  CHECK(overlay.shows_base(4));
  overlay.write(8, page.data());
  CHECK(overlay.page_count() == 8);
  CHECK(overlay.kept() == 4);
  CHECK(overlay.find(8)[4095] == 7);
  CHECK_FALSE(overlay.shows_base(5));
  const std::vector<PagePtr> taken = overlay.take();
  CHECK(taken.size() == 1);
  CHECK(overlay.find(8) == nullptr);
}

TEST_CASE("cutting the database is a change even if no page was written") {
  Overlay overlay;
  overlay.begin(10);
  overlay.truncate(9);
  CHECK(overlay.changed());
  overlay.begin(9);
  CHECK_FALSE(overlay.changed());
}

TEST_CASE("a transaction larger than SQLite's cache commits and rolls back completely") {
  Replica replica = Replica::leading();
  Sql writer(replica), reader(replica, true);
  writer.commit("CREATE TABLE t(a, b)");
  replica.make_durable();
  const std::string fill =
      "PRAGMA cache_size=20; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
      "WHERE i < 5000) INSERT INTO t SELECT i, zeroblob(1500) FROM n";
  REQUIRE(writer.begin() == SQLITE_OK);
  REQUIRE(writer.run(fill) == SQLITE_OK);
  REQUIRE(writer.run("ROLLBACK") == SQLITE_OK);
  CHECK(writer.text("SELECT count(*) FROM t") == "0");
  CHECK(writer.text("PRAGMA integrity_check") == "ok");
  writer.commit(fill);
  replica.make_durable();
  CHECK(reader.text("SELECT sum(a) FROM t") == "12502500");
  CHECK(reader.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("savepoints roll back to where they began, spilled pages included") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  writer.commit("CREATE TABLE t(a)");
  REQUIRE(writer.begin() == SQLITE_OK);
  REQUIRE(writer.run("PRAGMA cache_size=10; INSERT INTO t VALUES('kept'); SAVEPOINT one; WITH "
                     "RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
                     "INSERT INTO t SELECT randomblob(3000) FROM n; SAVEPOINT two; DELETE FROM t; "
                     "ROLLBACK TO one; RELEASE one; COMMIT") == SQLITE_OK);
  replica.make_durable();
  CHECK(writer.text("SELECT group_concat(a) FROM t") == "kept");
  CHECK(writer.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("VACUUM and auto_vacuum shrink the database, and a standby's copy with it") {
  Replica leader = Replica::leading();
  Replica standby;
  Sql writer(leader), reader(standby, true);
  REQUIRE(writer.run("PRAGMA auto_vacuum=full") == SQLITE_OK);
  writer.commit("CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                "FROM n WHERE i < 1000) INSERT INTO t SELECT i, randomblob(2000) FROM n");
  leader.replicate_to({&standby});
  const int before = std::stoi(reader.text("PRAGMA page_count"));
  writer.commit("DELETE FROM t WHERE a % 10 != 0");
  leader.replicate_to({&standby});
  CHECK(std::stoi(reader.text("PRAGMA page_count")) < before / 2);
  REQUIRE(writer.run("PRAGMA auto_vacuum=none; VACUUM") == SQLITE_OK);
  writer.commit("UPDATE t SET b = zeroblob(5000)");
  leader.replicate_to({&standby});
  CHECK(reader.text("SELECT count(*) FROM t") == "100");
  CHECK(reader.text("PRAGMA auto_vacuum") == "0");
  CHECK(reader.text("PRAGMA integrity_check") == "ok");
  CHECK(standby.database->store()->stats().checksum == leader.database->store()->stats().checksum);
}

TEST_CASE("full-text search, triggers, tables without rowid and a 100 MB blob are just pages") {
  Replica replica = Replica::leading();
  Sql writer(replica), reader(replica, true);
  writer.commit("CREATE VIRTUAL TABLE words USING fts5(body); "
                "CREATE TABLE k(name TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID; "
                "CREATE TABLE l(id INTEGER PRIMARY KEY AUTOINCREMENT, name); "
                "CREATE TRIGGER tr AFTER INSERT ON k BEGIN INSERT INTO l(name) VALUES(new.name); "
                "INSERT INTO words VALUES(new.name); END; "
                "INSERT INTO k VALUES('quick fox', NULL); INSERT INTO k VALUES('big', "
                "zeroblob(100000000))");
  replica.make_durable();
  CHECK(reader.text("SELECT rowid FROM words WHERE words MATCH 'fox'") == "1");
  CHECK(reader.text("SELECT length(body) FROM k WHERE name = 'big'") == "100000000");
  CHECK(reader.text("SELECT seq FROM sqlite_sequence") == "2");
  CHECK(reader.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("readers are handed pointers to pages, the holder of a write transaction copies") {
  Replica replica = Replica::leading();
  {
    Sql writer(replica);
    writer.commit("CREATE TABLE t(a)");
    replica.make_durable();
  }
  auto side = std::make_shared<Connection>(replica.database, false);
  File file(side);
  void* bytes = nullptr;
  REQUIRE(file.lock(SQLITE_LOCK_SHARED) == SQLITE_OK);
  CHECK(file.fetch(4096, 4096, &bytes) == SQLITE_OK);
  REQUIRE(bytes != nullptr);
  CHECK(file.fetch(40960, 4096, &bytes) == SQLITE_OK);
  CHECK(bytes == nullptr);  // past the end
  REQUIRE(file.lock(SQLITE_LOCK_RESERVED) == SQLITE_OK);
  CHECK(file.fetch(4096, 4096, &bytes) == SQLITE_OK);
  CHECK(bytes == nullptr);
}

// ---- what is refused by name -------------------------------------------------------------------

TEST_CASE("pragmas that would break the rules are refused by name, their questions answered") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  for (const char* refused :
       {"PRAGMA page_size=8192", "PRAGMA journal_mode=wal", "PRAGMA journal_mode=DELETE",
        "PRAGMA journal_mode=off", "PRAGMA locking_mode=exclusive", "PRAGMA wal_checkpoint",
        "PRAGMA main.wal_autocheckpoint=5"}) {
    CAPTURE(refused);
    CHECK(writer.run(refused) == SQLITE_ERROR);
    CHECK(writer.message().find("replicated") != std::string::npos);
  }
  CHECK(writer.text("PRAGMA journal_mode") == "memory");
  CHECK(writer.text("PRAGMA journal_mode=MEMORY") == "memory");
  CHECK(writer.text("PRAGMA page_size=4096; SELECT 1") == "");
  CHECK(writer.text("PRAGMA page_size") == "4096");
  CHECK(writer.text("PRAGMA locking_mode=normal") == "normal");
  CHECK(writer.text("PRAGMA mmap_size") == "1099511627776");
  CHECK(writer.text("PRAGMA mmap_size=0") == "0");
}

TEST_CASE("another file is refused here, and opens through SQLite's own VFS") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("aurora_test_vfs_" + std::to_string(writer.side->id()) + "_" +
                             std::to_string(Clock::now().time_since_epoch().count())))
                               .string();
  CHECK((writer.run("ATTACH '" + path + "' AS other") & 0xff) == SQLITE_CANTOPEN);
  const Verdict verdict = writer.side->take_refusal();
  CHECK(verdict.ok());
  CHECK(verdict.reason.find("vfs=unix") != std::string::npos);
  CHECK(writer.run("ATTACH 'file:" + path + "?vfs=unix' AS other; CREATE TABLE other.t(a); "
                   "INSERT INTO other.t VALUES(1)") == SQLITE_OK);
  CHECK(writer.text("SELECT a FROM other.t") == "1");
  CHECK(writer.run("ATTACH ':memory:' AS m; CREATE TABLE m.t(a); CREATE TEMP TABLE tt(a)") ==
        SQLITE_OK);
  CHECK(writer.run("VACUUM INTO 'file:" + path + ".copy?vfs=unix'") == SQLITE_OK);
  CHECK_FALSE(std::filesystem::exists("aurora"));
  std::remove(path.c_str());
  std::remove((path + ".copy").c_str());
}

TEST_CASE("a transaction over two attached files is refused before it would write a file of ours") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  const auto base =
      std::filesystem::temp_directory_path() /
      ("aurora_test_super_" + std::to_string(Clock::now().time_since_epoch().count()));
  for (const char* name : {"a", "b"}) {
    REQUIRE(writer.run("ATTACH 'file:" + base.string() + name + "?vfs=unix' AS " + name +
                       "; CREATE TABLE " + name + ".t(x)") == SQLITE_OK);
  }
  CHECK((writer.run("BEGIN; INSERT INTO a.t VALUES(1); INSERT INTO b.t VALUES(1); COMMIT") &
         0xff) == SQLITE_CANTOPEN);
  CHECK(writer.side->take_refusal().reason.find("one attached file") != std::string::npos);
  writer.run("ROLLBACK; DETACH a; DETACH b");
  std::remove((base.string() + "a").c_str());
  std::remove((base.string() + "b").c_str());
}

TEST_CASE("without journal_mode=memory a write is refused with what to set") {
  Replica replica = Replica::leading();
  Sql writer(replica, false, "");
  CHECK((writer.run("CREATE TABLE t(a)") & 0xff) == SQLITE_CANTOPEN);
  CHECK(writer.side->take_refusal().reason.find("journal_mode=memory") != std::string::npos);
  CHECK(writer.run("PRAGMA journal_mode=memory; CREATE TABLE t(a)") == SQLITE_OK);
}

TEST_CASE("a connection is opened once, by an id that exists, and not with a shared cache") {
  Replica replica = Replica::leading();
  Sql writer(replica);
  const auto open = [](const std::string& name) {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(name.c_str(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, nullptr);
    sqlite3_close(handle);
    return code;
  };
  const std::string name = "file:aurora?vfs=aurora&connection=";
  CHECK(open(name + std::to_string(writer.side->id())) == SQLITE_CANTOPEN);
  CHECK(writer.side->take_refusal().reason.find("open already") != std::string::npos);
  CHECK(open(name + "123456789") == SQLITE_CANTOPEN);
  CHECK(open(name) == SQLITE_CANTOPEN);
  auto other = std::make_shared<Connection>(replica.database, false);
  CHECK(open(name + std::to_string(other->id()) + "&cache=shared") == SQLITE_CANTOPEN);
  CHECK(open(name + std::to_string(other->id())) == SQLITE_OK);
  CHECK(open(name + std::to_string(other->id())) == SQLITE_OK);  // closed in between
}

TEST_CASE("an old SQLite, and a second one in the same process, are refused with their versions") {
  register_vfs();
  sqlite3_api_routines routines{};
  routines.mprintf = sqlite3_mprintf;
  routines.libversion_number = [] { return 3034001; };
  routines.libversion = []() -> const char* { return "3.34.1"; };
  char* error = nullptr;
  CHECK(sqlite3_extension_init(nullptr, &error, &routines) == SQLITE_ERROR);
  CHECK(std::string(error).find("3.35.0 or newer, this is 3.34.1") != std::string::npos);
  sqlite3_free(error);
  routines.libversion_number = [] { return 3999000; };
  routines.libversion = []() -> const char* { return "3.999.0"; };
  CHECK(sqlite3_extension_init(nullptr, &error, &routines) == SQLITE_ERROR);
  CHECK(std::string(error).find("3.999.0") != std::string::npos);
  CHECK(std::string(error).find(sqlite3_libversion()) != std::string::npos);
  sqlite3_free(error);
}

}  // namespace aurora
