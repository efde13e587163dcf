// What a Connection keeps between the calls of SQLite (file.cc) and those of the driver
// (connection.cc). One thread at a time, as SQLite uses a connection, but for `opened`.
#pragma once

#include "sqlite/vfs.h"

namespace aurora {

// Why this thread's last attempt to open a file was refused. SQLite tells xOpen the name alone, not
// whose statement it is; Connection::take_refusal hands it to whoever asks next on this thread.
std::string& open_refusal();

inline constexpr char kReadsOnly[] =
    "this connection reads only: write through a write connection of the replica that leads";
inline constexpr char kStale[] =
    "this connection has read what a change of leaders took back: close it and open a new one";

struct Connection::Impl {
  Impl(std::shared_ptr<Database> its_database, bool reads_only, std::uint64_t its_id)
      : database(std::move(its_database)), read_only(reads_only), id(its_id) {}

  const std::shared_ptr<Database> database;
  const bool read_only;
  const std::uint64_t id;
  std::atomic<bool> opened{false};  // a SQLite connection is open on it; at most one may be

  bool holds_lock = false;  // the write lock, in the name of this object

  // Why the VFS last said no, until it is asked or the next transaction begins.
  Verdict refusal;

  // Where the pages in SQLite's own cache come from. SQLite keeps them between transactions and
  // trusts them while the change counter on page 1 stays the same; a new leader may reach the same
  // counter with other pages. So the cache is void once the generation changed, unless every page
  // in it was durable and the store is still the same one.
  bool has_cache = false;
  std::uint64_t cached_generation = 0;
  std::weak_ptr<PageStore> cached_store;
  Version speculative = 0;  // newest version seen that was not known to be durable; 0: none
  bool stale = false;       // once true, true for ever

  // What wait() will wait for, or report.
  bool unsettled = false;
  Reign reign = 0;
  Version version = 0;
  Verdict verdict;  // of publishing, if that was refused

  bool lock_or_leave();  // takes the write lock if it is free
  void unlock();

  // Notes that SQLite will cache pages of `view`. False: its cache is stale, do not let it read.
  bool admit(const Database::View& view);
  bool cache_is_void(std::uint64_t generation, const std::shared_ptr<PageStore>& store) const;
  void saw_speculative(Version seen);

  void unsettle(Reign in_reign, Version at_version);
};

}  // namespace aurora
