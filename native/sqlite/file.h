// One open main database file: a View while SQLite holds a lock, and the pages of its write
// transaction. Every method answers SQLite with one of its codes; none throws.
#pragma once

#include <sqlite3ext.h>

#include <memory>
#include <string>

#include "sqlite/connection_impl.h"
#include "sqlite/overlay.h"

namespace aurora {

struct File : sqlite3_file {
  // Takes the one place for a SQLite connection that `owner` has; false if it is taken.
  static bool claim(Connection& owner) { return !owner.impl_->opened.exchange(true); }
  static bool reads_only(const Connection& owner) { return owner.impl_->read_only; }

  explicit File(std::shared_ptr<Connection> owner);  // claimed
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int read(void* buffer, int size, sqlite3_int64 offset);
  int write(const void* buffer, int size, sqlite3_int64 offset);
  int truncate(sqlite3_int64 size);
  int size(sqlite3_int64* size) const;
  int lock(int level);
  int unlock(int level);
  int control(int operation, void* argument);
  int fetch(sqlite3_int64 offset, int size, void** bytes);

 private:
  int open_view();
  void close_view();
  int begin_write();
  void end_write();
  int sync();
  void publish();
  int pragma(char** words) const;

  // The bytes SQLite is to see, or null for zeros.
  const std::uint8_t* find(PageNumber number) const;
  std::uint32_t page_count() const;
  // SQLITE_OK unless what was just read is void: the version was taken back meanwhile.
  int read_is_valid();

  int refuse(int sqlite_code, Verdict verdict);

  const std::shared_ptr<Connection> owner_;
  Connection::Impl& its_;

  int level_ = SQLITE_LOCK_NONE;
  Database::View view_;          // open while level_ > NONE
  Reign view_reign_ = 0;         // of a `latest` view
  bool settle_at_close_ = false; // a `latest` view that no commit has accounted for

  bool writing_ = false;         // from RESERVED until unlocked below it
  Reign reign_ = 0;              // in which it writes
  Overlay overlay_;
  bool approved_ = false;        // SYNC let the commit pass

  sqlite3_int64 mmap_limit_ = 0;
};

// What SQLite calls; goes to the methods above.
extern const sqlite3_io_methods kFileMethods;

}  // namespace aurora
