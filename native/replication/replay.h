// A database that somebody feeds with entries of a log, one after the other: for looking at what the
// log says, at any of its positions. No log, no thread; every check of a replica.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "pages/database.h"
#include "replication/applier.h"

namespace aurora {

class Replay {
 public:
  struct Info {
    Position position = 0;      // of the last entry applied
    Position next = 0;          // where to go on
    std::uint64_t epoch = 0;
    Version version = 0;
    std::uint32_t page_count = 0;
    std::uint64_t checksum = 0;
    std::uint64_t time_us = 0;  // of the last entry applied, the leader's clock
    Position leader_position = 0;
    LeaderInfo leader;
  };

  Replay();

  // Entries come in ascending order of position, from the beginning of a log that was never
  // truncated. Not ok: the entry does not fit, and nothing has changed.
  DecodeError apply(const Entry& entry);

  Info info() const;

  // Readable from the beginning on; a reader keeps its version while more is applied.
  const std::shared_ptr<Database>& database() const { return database_; }

 private:
  const std::shared_ptr<Database> database_;
  mutable std::mutex mutex_;  // guards what follows
  Applier applier_;
  Info info_;                 // position, next and time_us only
};

}  // namespace aurora
