// Writes snapshots into the log, beside the transactions of a leader: one small entry at a time, and
// then none for a while, so that the log has a share of its time left for them. A commit waits for
// one such entry at most. A log without transactions gives all of its time.
//
// One that another leader has begun goes on, if its version is still held here (snapshot_tracker.h);
// else it is left, and abandoned when the next one begins.
#pragma once

#include <atomic>
#include <optional>

#include "replication/sender.h"
#include "replication/snapshot_tracker.h"

namespace aurora {

class SnapshotWriter {
 public:
  struct Options {
    std::size_t chunk_bytes = 64 << 10;  // of an entry, compressed
    double share = 0.25;  // of the log's time beside transactions: above 0, to 1
  };

  SnapshotWriter(Sender& sender, SnapshotTracker& snapshots, Options options);

  // A snapshot is wanted, unless one is under way. Any thread.
  void request() { requested_ = true; }
  bool requested() const { return requested_; }

  // Transactions were sent. Any thread.
  void note_transactions() { last_transactions_ = Clock::now(); }

  // --- the replication thread alone ---

  // A reign begins. `leader_position`: of its LEADER entry.
  void open(const LeaderInfo& leader, Position leader_position);

  // When the next entry may be written; Deadline::max(): there is nothing to write.
  Deadline due() const;

  // Writes the next entry. As the sender's: not ok ends the reign. What a snapshot itself lacks
  // (memory) only ends the snapshot.
  Outcome write();

 private:
  Outcome write_begin();
  Outcome write_pages();

  Sender& sender_;
  SnapshotTracker& snapshots_;
  const Options options_;
  std::atomic<bool> requested_{false};
  std::atomic<Clock::time_point> last_transactions_{Clock::time_point{}};

  // Of the replication thread alone.
  BatchEncoder encoder_;
  LeaderInfo leader_;
  Position leader_position_ = 0;
  Deadline next_{};
};

}  // namespace aurora
