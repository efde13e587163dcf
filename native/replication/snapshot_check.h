// Reads a snapshot back from a log and recomputes its checksum: the proof that a replica could start
// from it, before the log in front of it is given up. Holds one window of the log, no pages.
#pragma once

#include <functional>

#include "log/replicated_log.h"
#include "replication/loader.h"

namespace aurora {

struct SnapshotCheck {
  Snapshot snapshot;
  std::uint64_t pages = 0;   // that are not absent
  std::uint32_t chunks = 0;
  std::uint64_t bytes = 0;   // of the chunks in the log
};

// `position`: of its begin. ok, or: missing: no snapshot begins there; end: it has no end; corrupt,
// with the position, and why; too_new; or what the log answered. `progress` is told the last page
// read, now and then.
Outcome check_snapshot(ReplicatedLog& log, Position position, Deadline deadline,
                       SnapshotCheck* check, const std::function<void(PageNumber)>& progress);

}  // namespace aurora
