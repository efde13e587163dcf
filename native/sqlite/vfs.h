// The SQLite VFS "aurora": SQLite's pages live in a Database (pages/database.h).
//
// SQLite runs in rollback mode with its journal in memory. What it asks, and what the VFS does:
//
//   lock SHARED             opens a view: `latest` for the holder of the write lock, else `durable`
//   lock RESERVED           becomes the writer; read-only error on a standby; BUSY_SNAPSHOT if the
//                           view is not the latest version; BUSY if another one writes
//   lock EXCLUSIVE          granted at once: nobody waits for readers
//   xRead, xFetch           the transaction's own pages, else the view's; xFetch hands out pointers
//                           to readers only
//   xWrite, xTruncate       the transaction's own pages
//   SYNC                    the last point where a commit can fail (Database::may_commit)
//   COMMIT_PHASETWO         publishes; never an error, the connection keeps the verdict instead
//   unlock                  drops what was not published, returns the write lock, closes the view
//   PRAGMA                  page_size, journal_mode, locking_mode ...: refuses, by name, what
//                           would break the rules
//
// A Refusal reaches SQLite's user as an extended code of our own: SQLITE_IOERR (SQLITE_READONLY for
// a write on a standby) | kRefusedCode | number << 8. SQLITE_BUSY and SQLITE_BUSY_SNAPSHOT are
// SQLite's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "pages/database.h"

namespace aurora {

inline constexpr int kRefusedCode = 0x40 << 8;  // SQLite's own extended codes stay below

// The VFS's side of one SQLite connection. SQLite uses a connection from one thread at a time, so
// everything but the atomics belongs to the thread that runs its statement.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Made with std::make_shared.
  Connection(std::shared_ptr<Database> database, bool read_only);
  ~Connection();

  std::uint64_t id() const;
  static std::shared_ptr<Connection> find(std::uint64_t id);  // for xOpen; null if unknown

  // These are aur_connection_* of aurora_native.h.
  Verdict acquire(Deadline deadline);
  void release();
  Verdict wait(Deadline deadline);
  bool unsettled() const;
  // Refusal::none with a reason: a file that this thread may not open here.
  Verdict take_refusal();
  bool stale() const;

 private:
  friend struct File;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace aurora
