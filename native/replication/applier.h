// Applies the entries of the log to a replica's database, and refuses whatever does not fit.
//
// Used by the replication thread alone. What one entry must agree with: the epoch of the newest
// LEADER entry, the version and the checksum of the copy. So a divergence shows at the first entry
// after it.
#pragma once

#include <string>
#include <vector>

#include "log/replicated_log.h"
#include "pages/database.h"
#include "records/record.h"
#include "replication/loader.h"
#include "replication/snapshot_tracker.h"

namespace aurora {

class Applier {
 public:
  explicit Applier(Database& database);

  // ok, or why the entry was refused. Then nothing has changed, but that the parts of a batch whose
  // end it should have been are forgotten.
  DecodeError apply(const Entry& entry);

  // Forgets the pieces of a batch that has not come to its end.
  void forget_parts();

  // The copy begins anew (Database::replace).
  void restart();

  // The copy is that of a snapshot's begin, all of it loaded: apply what comes behind the begin.
  void start(const Loader& loaded);

  std::uint64_t epoch() const { return epoch_; }
  const LeaderInfo& leader() const { return leader_; }
  Position leader_position() const { return leader_position_; }
  SnapshotTracker& snapshots() { return snapshots_; }
  const SnapshotTracker& snapshots() const { return snapshots_; }

  // This replica has appended a LEADER entry.
  void lead(std::uint64_t epoch, Position position, LeaderInfo leader);

 private:
  DecodeError take_leader(const Entry& entry, const RecordHeader& header);
  DecodeError take_record(const Entry& entry, const RecordHeader& header);
  DecodeError take_snapshot(const Entry& entry, const RecordHeader& header);
  DecodeError take_pages(const Entry& entry, const RecordHeader& header);
  DecodeError check_place(const RecordHeader& header) const;

  Database& database_;
  BatchDecoder decoder_;
  SnapshotTracker snapshots_;
  std::uint64_t epoch_ = 0;
  LeaderInfo leader_;
  Position leader_position_ = 0;
  std::vector<PagePtr> pages_;  // of the batch whose parts are coming in
  std::uint32_t parts_ = 0;
};

}  // namespace aurora
