// Registers the VFS "aurora" (see vfs.h) and decides which files it opens: the main database of a
// connection that the driver has made. Everything else SQLite opens by itself (temporary
// databases, transient indexes, statement journals) goes to the VFS that SQLite would use anyway.
#include "sqlite/vfs.h"

#include <sqlite3ext.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "sqlite/file.h"

SQLITE_EXTENSION_INIT1

namespace aurora {

namespace {

constexpr int kOldestSqlite = 3035000;

// Guards the one registration of this process.
std::mutex registration;
sqlite3_vfs* base = nullptr;  // SQLite's default VFS; constant once registered
sqlite3_vfs aurora_vfs;       // likewise

int refuse_open(std::string reason) {
  sqlite3_log(SQLITE_CANTOPEN, "%s", reason.c_str());
  open_refusal() = std::move(reason);
  return SQLITE_CANTOPEN;
}

int open_database(const char* name, sqlite3_file* file, int flags, int* flags_out) {
  const char* const id = sqlite3_uri_parameter(name, "connection");
  if (id == nullptr) {
    return refuse_open("cannot open '" + std::string(name ? name : "") +
                       "' here: a file beside the replicated database is named as "
                       "file:PATH?vfs=unix");
  }
  const char* const cache = sqlite3_uri_parameter(name, "cache");
  if (cache != nullptr && std::strcmp(cache, "shared") == 0) {
    return refuse_open("connections to a replicated database cannot share a cache");
  }
  std::shared_ptr<Connection> owner = Connection::find(std::strtoull(id, nullptr, 10));
  if (!owner) return refuse_open("there is no connection '" + std::string(id) + "' to open");
  if (!File::claim(*owner)) {
    return refuse_open("connection '" + std::string(id) + "' is open already");
  }
  const bool read_only = File::reads_only(*owner);
  new (file) File(std::move(owner));
  if (flags_out != nullptr) {
    *flags_out = flags;
    if (read_only) {
      *flags_out &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
      *flags_out |= SQLITE_OPEN_READONLY;
    }
  }
  return SQLITE_OK;
}

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;
  try {
    if (flags & SQLITE_OPEN_MAIN_DB) return open_database(name, file, flags, flags_out);
    if (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) {
      return refuse_open("a replicated database keeps no journal file: set PRAGMA "
                         "journal_mode=memory before anything else");
    }
    if (flags & SQLITE_OPEN_SUPER_JOURNAL) {
      return refuse_open("a transaction beside the replicated database can write to one attached "
                         "file, not to several");
    }
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
  return base->xOpen(base, name, file, flags, flags_out);
}

int x_delete(sqlite3_vfs*, const char* name, int sync_directory) {
  return base->xDelete(base, name, sync_directory);
}

// SQLite asks for a journal or WAL left behind, before every transaction: there never is one.
int x_access(sqlite3_vfs*, const char*, int, int* result) {
  *result = 0;
  return SQLITE_OK;
}

int x_full_pathname(sqlite3_vfs*, const char* name, int size, char* full) {
  sqlite3_snprintf(size, full, "%s", name);
  return SQLITE_OK;
}

void* x_dl_open(sqlite3_vfs*, const char* path) { return base->xDlOpen(base, path); }
void x_dl_error(sqlite3_vfs*, int size, char* text) { base->xDlError(base, size, text); }
void (*x_dl_sym(sqlite3_vfs*, void* library, const char* symbol))(void) {
  return base->xDlSym(base, library, symbol);
}
void x_dl_close(sqlite3_vfs*, void* library) { base->xDlClose(base, library); }
int x_randomness(sqlite3_vfs*, int size, char* bytes) {
  return base->xRandomness(base, size, bytes);
}
int x_sleep(sqlite3_vfs*, int microseconds) { return base->xSleep(base, microseconds); }
int x_current_time(sqlite3_vfs*, double* time) { return base->xCurrentTime(base, time); }
int x_get_last_error(sqlite3_vfs*, int, char*) { return 0; }
int x_current_time_int64(sqlite3_vfs*, sqlite3_int64* time) {
  return base->xCurrentTimeInt64(base, time);
}

int register_vfs() {
  base = sqlite3_vfs_find(nullptr);
  if (base == nullptr || base->iVersion < 2) return SQLITE_ERROR;
  aurora_vfs.iVersion = 2;
  aurora_vfs.szOsFile = std::max(base->szOsFile, static_cast<int>(sizeof(File)));
  aurora_vfs.mxPathname = base->mxPathname;
  aurora_vfs.zName = "aurora";
  aurora_vfs.xOpen = x_open;
  aurora_vfs.xDelete = x_delete;
  aurora_vfs.xAccess = x_access;
  aurora_vfs.xFullPathname = x_full_pathname;
  aurora_vfs.xDlOpen = x_dl_open;
  aurora_vfs.xDlError = x_dl_error;
  aurora_vfs.xDlSym = x_dl_sym;
  aurora_vfs.xDlClose = x_dl_close;
  aurora_vfs.xRandomness = x_randomness;
  aurora_vfs.xSleep = x_sleep;
  aurora_vfs.xCurrentTime = x_current_time;
  aurora_vfs.xGetLastError = x_get_last_error;
  aurora_vfs.xCurrentTimeInt64 = x_current_time_int64;
  return sqlite3_vfs_register(&aurora_vfs, 0);
}

}  // namespace

}  // namespace aurora

// SQLite calls this when the module is loaded as an extension. The registration outlives the
// connection that loaded it. Again with the same SQLite: nothing more to do.
extern "C" __attribute__((visibility("default"))) int sqlite3_extension_init(
    sqlite3*, char** error, const sqlite3_api_routines* api) {
  const std::lock_guard<std::mutex> guard(aurora::registration);
  if (api->libversion_number() < aurora::kOldestSqlite) {
    *error = api->mprintf("aurora-store needs SQLite 3.35.0 or newer, this is %s",
                          api->libversion());
    return SQLITE_ERROR;
  }
  if (sqlite3_api != nullptr && sqlite3_api != api) {
    *error = api->mprintf("aurora-store serves one SQLite library per process, and SQLite %s has "
                          "loaded it before this SQLite %s",
                          sqlite3_api->libversion(), api->libversion());
    return SQLITE_ERROR;
  }
  if (sqlite3_api == nullptr) {
    SQLITE_EXTENSION_INIT2(api);
    if (aurora::register_vfs() != SQLITE_OK) {
      sqlite3_api = nullptr;
      *error = api->mprintf("SQLite refused the VFS of aurora-store");
      return SQLITE_ERROR;
    }
  }
  return SQLITE_OK_LOAD_PERMANENTLY;
}
