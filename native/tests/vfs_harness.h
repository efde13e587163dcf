// What the tests of the VFS share: a Database that the test itself leads and makes durable, and a
// SQLite connection on it.
#pragma once

#define SQLITE_CORE 1  // this process calls SQLite itself, not through an extension's table
#include <sqlite3.h>
#include <sqlite3ext.h>

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "pages/database.h"
#include "sqlite/vfs.h"

extern "C" int sqlite3_extension_init(sqlite3*, char**, const sqlite3_api_routines*);

namespace aurora {

inline void register_vfs() {
  static const bool done = [] {
    sqlite3_auto_extension(reinterpret_cast<void (*)(void)>(sqlite3_extension_init));
    sqlite3* loader = nullptr;
    sqlite3_open(":memory:", &loader);  // says no to "load permanently", but it is loaded
    sqlite3_close(loader);
    sqlite3_reset_auto_extension();
    return sqlite3_vfs_find("aurora") != nullptr;
  }();
  REQUIRE(done);
}

inline Deadline in_ms(int milliseconds) {
  return Clock::now() + std::chrono::milliseconds(milliseconds);
}
inline Deadline in_time() { return in_ms(20000); }

// One replica; the test plays the replication thread.
struct Replica {
  std::shared_ptr<Database> database = std::make_shared<Database>();
  Position position = 0;

  Replica() { database->set_readable(true, ""); }
  ~Replica() { database->close(); }

  static Replica leading(Reign reign = 1) {
    Replica replica;
    replica.database->begin_reign(reign);
    return replica;
  }
  Replica(Replica&& other) noexcept = default;

  void make_durable() {
    PageStore::Changes changes;
    while (database->collect(&changes)) database->make_durable(++position);
  }

  // Makes what was published durable here and applies it to `standbys`.
  void replicate_to(const std::vector<Replica*>& standbys) {
    PageStore::Changes changes;
    while (database->collect(&changes)) {
      ++position;
      for (Replica* standby : standbys) {
        std::vector<PagePtr> pages;
        for (const PageStore::Change& change : changes.pages) {
          PagePtr page(change.after ? Page::create(change.number)
                                    : Page::create_absent(change.number));
          if (change.after) std::memcpy(page->bytes, change.after->bytes, kPageSize);
          pages.push_back(std::move(page));
        }
        std::string reason;
        const bool applied = standby->database->apply(
            std::move(pages), changes.first, changes.last, changes.page_count,
            changes.checksum_after, position, &reason);
        REQUIRE_MESSAGE(applied, reason);
      }
      database->make_durable(position);
    }
  }
};

// A SQLite connection, set up as the driver does.
class Sql {
 public:
  explicit Sql(const Replica& replica, bool read_only = false, const char* setup = kSetup)
      : side(std::make_shared<Connection>(replica.database, read_only)) {
    register_vfs();
    const std::string name = "file:aurora?vfs=aurora&connection=" + std::to_string(side->id());
    const int code = sqlite3_open_v2(
        name.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
        nullptr);
    REQUIRE_MESSAGE(code == SQLITE_OK, side->take_refusal().reason);
    REQUIRE(run(setup) == SQLITE_OK);
  }
  ~Sql() { sqlite3_close(handle); }
  Sql(const Sql&) = delete;
  Sql& operator=(const Sql&) = delete;

  // The extended code, SQLITE_OK when all of it ran.
  int run(const std::string& statements) {
    const int code = sqlite3_exec(handle, statements.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? code : sqlite3_extended_errcode(handle);
  }

  // First column of the first row as text, "" for NULL or no row, "error: ..." if it fails.
  std::string text(const std::string& query) {
    sqlite3_stmt* statement = nullptr;
    std::string result;
    int code = sqlite3_prepare_v2(handle, query.c_str(), -1, &statement, nullptr);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
      const auto* column = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      if (column != nullptr) result = column;
    } else if (code != SQLITE_DONE) {
      result = std::string("error: ") + sqlite3_errmsg(handle);
    }
    sqlite3_finalize(statement);
    return result;
  }

  int begin() {
    const Verdict verdict = side->acquire(in_time());
    REQUIRE_MESSAGE(verdict.ok(), verdict.reason);
    return run("BEGIN IMMEDIATE");
  }
  // One write transaction, published.
  void commit(const std::string& statements) {
    REQUIRE(begin() == SQLITE_OK);
    REQUIRE(run(statements) == SQLITE_OK);
    REQUIRE(run("COMMIT") == SQLITE_OK);
  }
  bool in_transaction() const { return sqlite3_get_autocommit(handle) == 0; }
  std::string message() const { return sqlite3_errmsg(handle); }

  static constexpr char kSetup[] =
      "PRAGMA journal_mode=memory; PRAGMA synchronous=off; PRAGMA mmap_size=1099511627776; "
      "PRAGMA temp_store=memory";

  std::shared_ptr<Connection> side;
  sqlite3* handle = nullptr;
};

inline int refused_write(Refusal refusal) {
  return SQLITE_READONLY | kRefusedCode | static_cast<int>(refusal) << 8;
}
inline int refused_io(Refusal refusal) {
  return SQLITE_IOERR | kRefusedCode | static_cast<int>(refusal) << 8;
}

}  // namespace aurora
