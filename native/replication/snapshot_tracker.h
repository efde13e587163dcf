// What a replica knows of the snapshots in the log: the newest complete one, and the one under way.
//
// The leader tells of what it has appended, a standby of what it has applied. Either holds the
// version of the snapshot under way from its begin on, so that the next leader can go on with it,
// and a standby holds every chunk against its own copy.
//
// Told by one thread at a time: the replication thread, or whoever has the sender's turn. info() and
// newest(): any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pages/database.h"
#include "records/record.h"
#include "replication/snapshot_reader.h"

namespace aurora {

class SnapshotTracker {
 public:
  struct Info {
    Snapshot complete;         // the newest
    Snapshot under_way;
    bool held = false;         // its version: this replica can write the rest
    PageNumber last_page = 0;  // pages up to this one are in the log
    std::uint32_t chunks = 0;
    std::uint64_t bytes = 0;   // of these chunks
    // Of the log's entries since the complete one began, or the log: all but chunks.
    std::uint64_t bytes_since = 0;
    std::string given_up;      // why the last one was, that came to no end; "": none was
  };

  SnapshotTracker() = default;
  ~SnapshotTracker() { forget(); }
  SnapshotTracker(const SnapshotTracker&) = delete;
  SnapshotTracker& operator=(const SnapshotTracker&) = delete;

  Info info() const;
  Position newest() const;  // where the newest complete one begins; 0: none

  // Where the one that was begun last begins, whatever became of it; 0: none was seen.
  Position last_begin() const;

  // An entry of any kind is in the log, and what it says is durable in `database`. `last_page`: of a
  // chunk.
  void note(const Database& database, Position position, const RecordHeader& header,
            std::size_t bytes, PageNumber last_page);

  // Whether a chunk or end of this number is what comes next in the snapshot under way.
  bool due(const RecordHeader& header) const;

  // A chunk that is due, to be noted next; or no pages: the end. Empty, or how the snapshot differs
  // from this copy.
  std::string difference(const std::vector<DecodedPage>& pages) const;

  // Whether the version that is held is still what it was: recomputes its checksum.
  bool copy_is_sound() const;

  // The first page behind `last_page` that the snapshot has, or 0. Only while held.
  PageNumber next_page(PageNumber last_page, const std::uint8_t** bytes) const;

  // The snapshot under way is of no use.
  void give_up(std::string reason);

  // The copy is that of this snapshot, all of it.
  void loaded(const Snapshot& snapshot);

  // The copy begins anew.
  void restart();

 private:
  void forget();

  mutable std::mutex mutex_;
  Info info_;                           // guarded by mutex_
  Position last_begin_ = 0;             // guarded by mutex_
  std::uint64_t bytes_since_begin_ = 0; // guarded by mutex_; of the one under way

  // The version that is held; of whoever tells.
  std::shared_ptr<PageStore> store_;
  Pin* pin_ = nullptr;
};

}  // namespace aurora
