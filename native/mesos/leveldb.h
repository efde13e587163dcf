// The LevelDB under a log of libmesos: finding it, and compacting it while the replica runs.
//
// libmesos 1.11.0 deletes truncated entries, but LevelDB gives their space back only when it
// compacts the files that they lie in, which no later append makes it do. The library exports
// DBImpl::CompactRange; what it does not show is the database of a log. It does compact every
// database while it opens it, and that call goes through the virtual table of DBImpl: the slot of
// it leads here for as long as a log is opened, and so tells the object.
//
// Why this way. A call of DB::Open cannot be caught, because the library is linked with
// -Bsymbolic-functions and has no relocation for it. The way from LogProcess to the database by
// offsets crosses five private classes, and a wrong offset would be memory corruption. Here nothing
// is assumed of any layout: the symbols are looked up, the slot is found by what it holds, and if
// something is not as expected then nothing is found, and the log says that it cannot compact.
#pragma once

#include <atomic>

#include "log/replicated_log.h"

namespace aurora {

// While one lives, a LevelDB that its thread opens through libmesos is noticed.
class LevelDbFinder {
 public:
  LevelDbFinder();
  ~LevelDbFinder();
  LevelDbFinder(const LevelDbFinder&) = delete;
  LevelDbFinder& operator=(const LevelDbFinder&) = delete;

  // The leveldb::DB* that was opened, or null: none was, or this library does not show it.
  void* found() const { return found_; }

 private:
  void* found_ = nullptr;
};

// Drops what is deleted below position `to` of the log in this database. Blocks until that is done,
// or `stop` is true. Others may use the database, which must live until this returns.
//
// It goes in slices with pauses, since LevelDB removes the files of a compaction under the lock that
// a write needs: an append waits for one slice at most.
void compact_leveldb(void* database, Position to, const std::atomic<bool>& stop);

// About how many bytes on the disk the positions in [from, to) take, deleted ones included. What lies
// in the newest file, of up to 4 MiB, does not count.
std::uint64_t leveldb_bytes(void* database, Position from, Position to);

}  // namespace aurora
