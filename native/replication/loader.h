// Loads a snapshot out of the entries of a log: its pages, from its begin to its end, become the
// database. What was committed meanwhile stands between them and is skipped: apply the entries from
// the begin on once more (Applier::start).
//
// Holds the pages, and one entry beyond them.
#pragma once

#include <vector>

#include "log/replicated_log.h"
#include "pages/database.h"
#include "records/record.h"

namespace aurora {

// A snapshot in the log, as its begin says.
struct Snapshot {
  Position position = 0;  // of its begin; 0: none
  Position end = 0;       // 0: not complete, or not known
  std::uint64_t epoch = 0;
  Version version = 0;
  std::uint32_t page_count = 0;
  std::uint64_t checksum = 0;
  std::uint64_t time_us = 0;
};
Snapshot snapshot_of(Position position, const RecordHeader& begin);

class Loader {
 public:
  // The database is empty, and stays so until a snapshot is complete.
  explicit Loader(Database& database);

  // The next entry; the first one may be before a snapshot's begin. A begin before the end of another
  // snapshot starts anew. Not ok: that snapshot cannot be loaded; this loader has done its work.
  DecodeError take(const Entry& entry);

  // The database is that of the snapshot's begin now.
  bool loaded() const { return loaded_; }

  // What is being loaded, and how far its pages have come.
  const Snapshot& snapshot() const { return snapshot_; }
  PageNumber last_page() const { return last_page_; }

  // Who led when the snapshot began, and the position of that LEADER entry.
  const LeaderInfo& leader() const { return leader_; }
  Position leader_position() const { return leader_position_; }

 private:
  DecodeError begin(const Entry& entry, const RecordHeader& header);
  DecodeError take_chunk(const Entry& entry, const RecordHeader& header);
  DecodeError finish(const Entry& entry, const RecordHeader& header);

  Database& database_;
  BatchDecoder decoder_;
  Snapshot snapshot_;
  LeaderInfo leader_;
  Position leader_position_ = 0;
  std::vector<PagePtr> pages_;
  PageNumber last_page_ = 0;
  std::uint32_t chunks_ = 0;
  bool loaded_ = false;
};

}  // namespace aurora
