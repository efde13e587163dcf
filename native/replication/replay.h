// A database that somebody feeds with entries of a log, one after the other: for looking at what the
// log says, at any of its positions. No log, no thread; every check of a replica.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "pages/database.h"
#include "replication/applier.h"
#include "replication/loader.h"

namespace aurora {

class Replay {
 public:
  struct Info {
    Position position = 0;      // of the last entry applied
    Position next = 0;          // where to go on; goes back once, when a snapshot was loaded
    std::uint64_t epoch = 0;
    Version version = 0;
    std::uint32_t page_count = 0;
    std::uint64_t checksum = 0;
    std::uint64_t time_us = 0;  // of the last entry applied, the leader's clock
    Position leader_position = 0;
    LeaderInfo leader;
  };

  Replay();

  // Entries come in ascending order of position: from the beginning of a log that was never
  // truncated, or from the begin of a complete snapshot on. With that snapshot's end the database is
  // that of its begin, and the entries behind the begin are due once more: see Info::next.
  // Not ok: the entry does not fit, and nothing has changed, but that the parts of a batch whose end
  // it should have been are forgotten, and that a snapshot which was being loaded cannot be any more.
  DecodeError apply(const Entry& entry);

  Info info() const;

  // Readable from the beginning on; a reader keeps its version while more is applied.
  const std::shared_ptr<Database>& database() const { return database_; }

 private:
  DecodeError load(const Entry& entry);

  const std::shared_ptr<Database> database_;
  mutable std::mutex mutex_;  // guards what follows
  Applier applier_;
  std::unique_ptr<Loader> loader_;  // between the begin and the end of the snapshot to start from
  Info info_;                 // position, next and time_us only
};

}  // namespace aurora
