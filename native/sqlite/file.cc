// See file.h. The order of calls that SQLite makes in rollback mode:
//   read:     lock SHARED, read/fetch ..., unlock NONE
//   write:    lock SHARED, lock RESERVED, read ..., lock EXCLUSIVE, write/truncate ..., SYNC,
//             COMMIT_PHASETWO, unlock SHARED, unlock NONE
//   spill:    lock EXCLUSIVE, write ... at any time after RESERVED
//   rollback: if pages were spilled: write, truncate, SYNC; then unlock
#include "sqlite/file.h"

#include <cstring>
#include <new>
#include <utility>

SQLITE_EXTENSION_INIT3

namespace aurora {

namespace {

// Which page an access is for; false if it is not inside one page.
bool locate(sqlite3_int64 offset, int size, PageNumber* number, std::size_t* start) {
  if (offset < 0 || size < 0) return false;
  *number = static_cast<PageNumber>(offset / static_cast<sqlite3_int64>(kPageSize)) + 1;
  *start = static_cast<std::size_t>(offset) % kPageSize;
  return *start + static_cast<std::size_t>(size) <= kPageSize;
}

}  // namespace

File::File(std::shared_ptr<Connection> owner)
    : sqlite3_file{&kFileMethods}, owner_(std::move(owner)), its_(*owner_->impl_) {}

File::~File() {
  unlock(SQLITE_LOCK_NONE);
  its_.opened = false;
}

int File::refuse(int sqlite_code, Verdict verdict) {
  if (sqlite_code == SQLITE_IOERR || sqlite_code == SQLITE_READONLY) {
    sqlite_code |= kRefusedCode | (static_cast<int>(verdict.refusal) << 8);
  }
  its_.refusal = std::move(verdict);
  return sqlite_code;
}

// ---- reading -----------------------------------------------------------------------------------

const std::uint8_t* File::find(PageNumber number) const {
  if (writing_) {
    if (const std::uint8_t* own = overlay_.find(number)) return own;
    if (!overlay_.shows_base(number)) return nullptr;
  }
  return view_.store->find(*view_.pin, number);
}

std::uint32_t File::page_count() const {
  if (view_.pin == nullptr) return 0;
  return writing_ ? overlay_.page_count() : view_.pin->page_count;
}

int File::read_is_valid() {
  if (its_.stale) return refuse(SQLITE_IOERR, {Refusal::stale_connection, kStale, 0});
  if (!view_.pin->doomed.load(std::memory_order_acquire)) return SQLITE_OK;
  return refuse(SQLITE_IOERR,
                {Refusal::leadership_lost,
                 "leadership was lost, and what this transaction read was taken back", 0});
}

int File::read(void* buffer, int size, sqlite3_int64 offset) {
  PageNumber number = 0;
  std::size_t start = 0;
  if (!locate(offset, size, &number, &start)) return SQLITE_IOERR_READ;
  const auto length = static_cast<std::size_t>(size);
  // Without a lock SQLite looks for the page size when it opens the file: it is the default one,
  // as in an empty file.
  if (number > page_count()) {
    std::memset(buffer, 0, length);
    return SQLITE_IOERR_SHORT_READ;
  }
  if (const std::uint8_t* bytes = find(number)) {
    std::memcpy(buffer, bytes + start, length);
  } else {
    std::memset(buffer, 0, length);
  }
  return read_is_valid();
}

int File::fetch(sqlite3_int64 offset, int size, void** bytes) {
  *bytes = nullptr;
  PageNumber number = 0;
  std::size_t start = 0;
  if (writing_ || !locate(offset, size, &number, &start) || number > page_count()) {
    return SQLITE_OK;  // SQLite goes on with read()
  }
  const std::uint8_t* found = find(number);
  if (found == nullptr) return SQLITE_OK;
  const int valid = read_is_valid();
  if (valid == SQLITE_OK) *bytes = const_cast<std::uint8_t*>(found + start);
  return valid;
}

int File::size(sqlite3_int64* size) const {
  *size = static_cast<sqlite3_int64>(page_count()) * static_cast<sqlite3_int64>(kPageSize);
  return SQLITE_OK;
}

// ---- locks -------------------------------------------------------------------------------------

int File::lock(int level) {
  if (level_ == SQLITE_LOCK_NONE && level > level_) {
    if (const int code = open_view()) return code;
    level_ = SQLITE_LOCK_SHARED;
  }
  if (!writing_ && level >= SQLITE_LOCK_RESERVED) {
    if (const int code = begin_write()) return code;
  }
  if (level > level_) level_ = level;
  return SQLITE_OK;
}

int File::unlock(int level) {
  if (writing_ && level < SQLITE_LOCK_RESERVED) end_write();
  if (level == SQLITE_LOCK_NONE) close_view();
  if (level < level_) level_ = level;
  return SQLITE_OK;
}

int File::open_view() {
  its_.refusal = {};
  const bool latest = its_.holds_lock && its_.database->reign(&view_reign_).ok();
  Verdict verdict = its_.database->open_view(
      latest ? PageStore::At::latest : PageStore::At::durable, &view_);
  if (!verdict.ok()) return refuse(SQLITE_IOERR, std::move(verdict));
  if (!its_.admit(view_)) {
    its_.database->close_view(&view_);
    return refuse(SQLITE_IOERR, {Refusal::stale_connection, kStale, 0});
  }
  settle_at_close_ = latest;
  if (latest) its_.saw_speculative(view_.pin->version);
  return SQLITE_OK;
}

void File::close_view() {
  if (view_.pin == nullptr) return;
  // A statement that only read, but read what may still be taken back.
  if (settle_at_close_) its_.unsettle(view_reign_, view_.pin->version);
  settle_at_close_ = false;
  its_.database->close_view(&view_);
}

int File::begin_write() {
  if (its_.read_only) return refuse(SQLITE_READONLY, {Refusal::not_leader, kReadsOnly, 0});
  // The reign first: while it lasts, only the holder of the write lock makes new versions, so what
  // is latest now stays so until this transaction publishes.
  Verdict verdict = its_.database->reign(&reign_);
  if (!verdict.ok()) return refuse(SQLITE_READONLY, std::move(verdict));
  const bool held = its_.holds_lock;
  if (!its_.lock_or_leave()) {
    return refuse(SQLITE_BUSY, {Refusal::busy, "another connection writes", 0});
  }
  if (its_.database->generation() != view_.generation ||
      view_.store->stats().latest != view_.pin->version) {
    if (!held) its_.unlock();
    return refuse(SQLITE_BUSY_SNAPSHOT,
                  {Refusal::busy,
                   "another transaction committed after this one had begun to read: roll back and "
                   "begin again with BEGIN IMMEDIATE",
                   0});
  }
  overlay_.begin(view_.pin->page_count);
  writing_ = true;
  approved_ = false;
  settle_at_close_ = false;
  return SQLITE_OK;
}

void File::end_write() {
  overlay_.clear();
  writing_ = false;
  its_.unlock();
}

// ---- writing -----------------------------------------------------------------------------------

int File::write(const void* buffer, int size, sqlite3_int64 offset) {
  PageNumber number = 0;
  std::size_t start = 0;
  if (!writing_ || size != static_cast<int>(kPageSize) ||
      !locate(offset, size, &number, &start)) {
    return SQLITE_IOERR_WRITE;
  }
  try {
    overlay_.write(number, static_cast<const std::uint8_t*>(buffer));
  } catch (const std::bad_alloc&) {
    return SQLITE_IOERR_NOMEM;
  }
  return SQLITE_OK;
}

int File::truncate(sqlite3_int64 size) {
  const auto page_size = static_cast<sqlite3_int64>(kPageSize);
  if (!writing_ || size < 0 || size % page_size != 0) return SQLITE_IOERR_TRUNCATE;
  try {
    overlay_.truncate(static_cast<std::uint32_t>(size / page_size));
  } catch (const std::bad_alloc&) {
    return SQLITE_IOERR_NOMEM;
  }
  return SQLITE_OK;
}

// Also asked at the end of a rollback that writes spilled pages back: SQLite ignores the answer
// then, but for giving up its cache.
int File::sync() {
  if (!writing_) return SQLITE_OK;
  approved_ = false;
  Verdict verdict = its_.database->may_commit(reign_);
  if (!verdict.ok()) return refuse(SQLITE_IOERR, std::move(verdict));
  if (const int code = read_is_valid()) return code;
  approved_ = true;
  return SQLITE_OK;
}

// From here on SQLite takes the transaction for committed, whatever is returned: a refusal is kept
// for wait(), and the connection, whose cache holds what never was, is given up.
void File::publish() {
  if (!overlay_.changed()) {
    its_.unsettle(reign_, view_.pin->version);
    return;
  }
  Verdict verdict{Refusal::leadership_lost, "SQLite committed without asking", 0};
  Version version = 0;
  if (approved_) {
    const std::uint32_t count = overlay_.page_count();
    const std::uint32_t kept = overlay_.kept();
    try {
      verdict = its_.database->publish(reign_, overlay_.take(), count, kept, &version);
    } catch (const std::bad_alloc&) {
      verdict = {Refusal::leadership_lost, "no memory to publish the transaction", 0};
    }
  }
  its_.unsettle(reign_, version);
  if (!verdict.ok()) {
    its_.verdict = std::move(verdict);
    its_.stale = true;
    return;
  }
  its_.saw_speculative(version);
  // Statements of this connection that are still reading go on with what it has written.
  Database::View next;
  if (its_.database->open_view(PageStore::At::latest, &next).ok() &&
      next.generation == view_.generation && next.pin->version == version) {
    std::swap(view_, next);
  } else {
    its_.stale = true;  // taken back already
  }
  its_.database->close_view(&next);
}

int File::control(int operation, void* argument) {
  switch (operation) {
    case SQLITE_FCNTL_SYNC:
      return sync();
    case SQLITE_FCNTL_COMMIT_PHASETWO:
      if (writing_) publish();
      return SQLITE_OK;
    case SQLITE_FCNTL_PRAGMA:
      return pragma(static_cast<char**>(argument));
    case SQLITE_FCNTL_MMAP_SIZE: {
      auto* const limit = static_cast<sqlite3_int64*>(argument);
      const sqlite3_int64 asked = *limit;
      *limit = mmap_limit_;
      if (asked >= 0) mmap_limit_ = asked;
      return SQLITE_OK;
    }
    default:
      return SQLITE_NOTFOUND;
  }
}

// `words`: where to put a text, the pragma's name, its argument or null.
int File::pragma(char** words) const {
  const char* const name = words[1];
  const char* const value = words[2];
  const char* refusal = nullptr;
  if (sqlite3_stricmp(name, "page_size") == 0) {
    if (value != nullptr && std::strcmp(value, "4096") != 0) {
      refusal = "page_size is 4096 in a replicated database and cannot be changed to '%s'";
    }
  } else if (sqlite3_stricmp(name, "journal_mode") == 0) {
    if (value != nullptr && sqlite3_stricmp(value, "memory") != 0) {
      refusal = "journal_mode is memory in a replicated database, whose journal is the replicated "
                "log: it cannot be changed to '%s'";
    }
  } else if (sqlite3_stricmp(name, "locking_mode") == 0) {
    if (value != nullptr && sqlite3_stricmp(value, "normal") != 0) {
      refusal = "locking_mode is normal in a replicated database and cannot be changed to '%s'";
    }
  } else if (sqlite3_strnicmp(name, "wal_", 4) == 0) {
    refusal = "a replicated database has no write-ahead log: its log is the replicated one";
  }
  if (refusal == nullptr) return SQLITE_NOTFOUND;
  words[0] = sqlite3_mprintf(refusal, value);
  return SQLITE_ERROR;
}

// ---- what SQLite calls -------------------------------------------------------------------------

namespace {

File& at(sqlite3_file* file) { return *static_cast<File*>(file); }

int x_close(sqlite3_file* file) {
  at(file).~File();
  return SQLITE_OK;
}
int x_read(sqlite3_file* file, void* buffer, int size, sqlite3_int64 offset) {
  return at(file).read(buffer, size, offset);
}
int x_write(sqlite3_file* file, const void* buffer, int size, sqlite3_int64 offset) {
  return at(file).write(buffer, size, offset);
}
int x_truncate(sqlite3_file* file, sqlite3_int64 size) { return at(file).truncate(size); }
int x_sync(sqlite3_file*, int) { return SQLITE_OK; }
int x_file_size(sqlite3_file* file, sqlite3_int64* size) { return at(file).size(size); }
int x_lock(sqlite3_file* file, int level) { return at(file).lock(level); }
int x_unlock(sqlite3_file* file, int level) { return at(file).unlock(level); }
int x_check_reserved_lock(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}
int x_file_control(sqlite3_file* file, int operation, void* argument) {
  return at(file).control(operation, argument);
}
int x_sector_size(sqlite3_file*) { return static_cast<int>(kPageSize); }
int x_device_characteristics(sqlite3_file*) {
  return SQLITE_IOCAP_ATOMIC | SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL |
         SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}
int x_fetch(sqlite3_file* file, sqlite3_int64 offset, int size, void** bytes) {
  return at(file).fetch(offset, size, bytes);
}
int x_unfetch(sqlite3_file*, sqlite3_int64, void*) { return SQLITE_OK; }

}  // namespace

const sqlite3_io_methods kFileMethods = {
    3,           x_close,     x_read,         x_write,
    x_truncate,  x_sync,      x_file_size,    x_lock,
    x_unlock,    x_check_reserved_lock,       x_file_control,
    x_sector_size, x_device_characteristics,
    nullptr,     nullptr,     nullptr,        nullptr,  // shared memory: of WAL mode alone
    x_fetch,     x_unfetch,
};

}  // namespace aurora
